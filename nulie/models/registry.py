"""Models by name: nulie's own, or an entry point of a package; by the path of a file; by
`module:Name`, code of the user's own, imported as Python does, or from the current folder."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import DuplicateModelError, ModelError, UnknownModelError, WeightsError
from . import device as devices
from .contents import Contents, look

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Options = TypeVar("Options")
Model = TypeVar("Model")

_NO_FILES: Mapping[str, Path] = MappingProxyType({})
_OWN_CODE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


@dataclass(frozen=True)
class Entry(Generic[Options, Model]):
    name: str
    help: str
    load: Callable[[Options], Model]


@dataclass(frozen=True)
class FileKind(Generic[Options, Model]):
    what: str
    """Such as `a file of nulie fit`."""
    recognizes: Callable[[Contents], bool]
    load: Callable[[Contents, Options], Model]


class Registry(Generic[Options, Model]):
    """Names, files and code to loaders. Nothing is loaded before a loader is called."""

    def __init__(self, noun: str, group: str, adopt: Callable[[Any, str, Options], Model]) -> None:
        """`noun` is what a model is called in messages; `group` that of the entry points;
        `adopt(thing, name, options)` makes a model of what a user's code provides."""
        self._noun = noun
        self._group = group
        self._adopt = adopt
        self._entries: dict[str, Entry[Options, Model]] = {}
        self._kinds: dict[str, FileKind[Options, Model]] = {}

    def add(self, *added: Entry[Options, Model] | FileKind[Options, Model]) -> None:
        """Kinds of files are tried in their order. Raises: DuplicateModelError, adding none."""
        entries, kinds = dict(self._entries), dict(self._kinds)
        for one in added:
            known: dict[str, Any] = entries if isinstance(one, Entry) else kinds
            name = one.name if isinstance(one, Entry) else one.what
            if name in known:
                raise DuplicateModelError(f"there is a {self._noun} called {name} already")
            known[name] = one
        self._entries, self._kinds = entries, kinds

    def names(self) -> tuple[str, ...]:
        """nulie's own in the order in which they came, then those of installed packages.

        A frontend whose requests come from other machines accepts these and nothing else."""
        return (*self._entries, *self._points())

    def help(self) -> dict[str, str]:
        said = {name: entry.help for name, entry in self._entries.items()}
        for name, points in self._points().items():
            said[name] = f"of the package {' and of '.join(map(_package, points))}"
        return said

    def find(
        self, text: str, *, named_only: bool = False, files: Mapping[str, Path] = _NO_FILES
    ) -> Callable[[Options], Model]:
        """The loader for a name, the path of a file, or `module:Name`. With `named_only` it must
        be a name: for requests from other machines, which must neither open files nor import code.
        `files` are the user's own that have names, too.

        Raises: UnknownModelError; DuplicateModelError when several packages offer the name;
        WeightsError when the file is missing, damaged, or of no known kind. The loader raises
        ModelError, in one line, when what a package or the user provides is broken."""
        if text in self._entries:
            return self._entries[text].load
        points = self._points().get(text, [])
        if len(points) > 1:
            packages = " and ".join(map(_package, points))
            raise DuplicateModelError(
                f"{packages} both offer a {self._noun} called {text}; uninstall one of them"
            )
        if points:
            return self._own(points[0], f"{text} of the package {_package(points[0])}")
        if text in files:
            return self._file(files[text])
        if not named_only:
            path = Path(text)
            if _OWN_CODE.fullmatch(text) and not path.is_file():
                from importlib.metadata import EntryPoint  # has the rules for `module:Name`

                return self._own(EntryPoint(text, text, self._group), text, here=True)
            if path.suffix or path.name != text or path.is_file():
                return self._file(path)
        known = (*self.names(), *files)
        close = difflib.get_close_matches(text, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known) or 'none'}"
        raise UnknownModelError(f"no {self._noun} is called {text!r}; {hint}")

    def _file(self, path: Path) -> Callable[[Options], Model]:
        contents = look(path)
        for kind in self._kinds.values():
            if kind.recognizes(contents):
                return lambda options: kind.load(contents, options)
        known = ", ".join(self._kinds) or "none"
        raise WeightsError(f"{path} is no file for a {self._noun}; known: {known}")

    def _own(self, point: EntryPoint, said: str, here: bool = False) -> Callable[[Options], Model]:
        """The loader for what an entry point names; `here`: the current folder is looked into."""

        def load(options: Options) -> Model:
            folder = str(Path.cwd())
            if here and folder not in sys.path:
                # At the end, so that no file that happens to lie there stands for a library.
                sys.path.append(folder)
            try:
                return self._adopt(point.load(), point.name, options)
            except ModelError:
                raise
            except Exception as e:
                reason = (str(e).strip() or "no reason given").splitlines()[0]
                why = f"cannot be loaded: {type(e).__name__}: {reason}"
                raise ModelError(f"the {self._noun} {said} {why}") from e

        return load

    def _points(self) -> dict[str, list[EntryPoint]]:
        """Entry points of installed packages by name. What nulie calls its own stays its own."""
        from importlib.metadata import entry_points

        points: dict[str, list[EntryPoint]] = {}
        for point in sorted(entry_points(group=self._group), key=lambda p: (p.name, _package(p))):
            if point.name not in self._entries:
                points.setdefault(point.name, []).append(point)
        return points


def instance(thing: Any, device: str) -> Any:
    """What a user's code provides, ready for use: a class or function is called, with the device
    as a `torch.device` if it has a parameter `device`; anything else is taken as it is."""
    makes = inspect.isclass(thing) or inspect.isroutine(thing)
    if not makes:
        return thing
    takes_device = "device" in inspect.signature(thing).parameters
    return thing(device=devices.resolve(device)) if takes_device else thing()


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "?"
