"""Which files a job works on: as they are named, or the pictures of folders and patterns."""

from __future__ import annotations

import glob
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from ..errors import ImageError, NulieError
from ..image_io import reads, reason, shown_path
from .names import is_result

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif".split()  # noqa: SIM905
)
"""What counts as a picture in a folder."""
_OTHERS = {
    "HEIC": ".heic .heif .hif",
    "JPEG XL": ".jxl",
    "RAW": ".dng .nef .nrw .cr2 .cr3 .arw .sr2 .srf .pef .erf .kdc .dcr .3fr .mef .iiq .orf .rw2"
    " .raf",
    "video": ".mp4 .mov .m4v .avi .mkv .webm .mpg .mpeg .mts .m2ts .3gp .wmv .flv .ogv .mxf .vob",
}
_KINDS = {suffix: kind for kind, suffixes in _OTHERS.items() for suffix in suffixes.split()}
"""What is passed over in a folder and counted, where nothing is installed that reads it."""
_SYSTEMS = frozenset({"@eadir", "#recycle", "__macosx", "$recycle.bin"})
"""Folders for thumbnails and for what was thrown away, in lower case."""


@dataclass(frozen=True)
class Item:
    """A file of a job."""

    path: Path
    folder: Path = Path()
    """Where it lies below the folder that was named."""
    name: str = ""
    """What people call it, where that is not its path: the name of an upload."""
    found: bool = False
    """Whether a folder or a pattern was named, and not this file."""

    @property
    def given(self) -> str:
        """For programs."""
        return self.name or str(self.path)

    @property
    def shown(self) -> str:
        return self.name or shown_path(self.path)

    @property
    def file_name(self) -> str:
        """The same without folders."""
        return self.name or shown_path(Path(self.path.name))


def is_film(path: Path) -> bool:
    """Whether a file's name is that of a film."""
    return _KINDS.get(path.suffix.lower()) == "video"


@contextmanager
def reading(shown: str, kind: type[NulieError], foreign: str) -> Iterator[None]:
    """Around the reading of a file that is no picture: errors come out as of this kind and name the
    file. `foreign` is what is said of one that holds no text."""
    try:
        yield
    except UnicodeDecodeError:
        raise kind(f"{shown}: {foreign}") from None
    except OSError as e:
        raise kind(f"{shown}: cannot be read ({reason(e)}); check its name") from None
    except kind as e:
        raise kind(f"{shown}: {e}") from None


@dataclass
class _Choosing:
    """How the pictures of folders and patterns are chosen, and what was passed over."""

    recursive: bool = False
    exclude: Sequence[str] = ()
    films: bool = False
    passed: Counter[str] = field(default_factory=Counter)
    """How many there are of each kind of picture that is not read."""

    @property
    def words(self) -> str:
        """What was passed over, in a line; empty where that is nothing."""
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(self.passed.items()))
        return kinds and f"passed over: {kinds}; export them as JPEG or PNG first"

    def takes(self, name: str, below: str) -> bool:
        """Whether a file of that `name` is a picture to work on; `below` is its path below the
        folder that was named."""
        if self.exclude:
            where = Path(below)
            names = (*where.parts, where.as_posix())
            if any(fnmatch(one, pattern) for one in names for pattern in self.exclude):
                return False
        stem, suffix = os.path.splitext(name)  # noqa: PTH122  # quicker than of a path
        suffix = suffix.lower()
        kind = "" if suffix in SUFFIXES else _KINDS.get(suffix, "")
        if suffix in SUFFIXES or reads(kind) or (self.films and kind == "video"):
            return not is_result(stem)
        if kind:
            self.passed[kind] += 1
        return False


def items(
    named: Iterable[str], *, recursive: bool, exclude: Sequence[str] = (), films: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Item]:  # fmt: skip
    """Files as they are named; of folders and patterns the pictures, without hidden files, nulie's
    own results and what `exclude` has patterns of: of names, folders' as well, or whole paths below
    the folder; with `films` those as well. Each file once. `tell` is told in a line what was passed
    over. Raises: ImageError when a folder or pattern holds none, or an address is named."""
    choosing = _Choosing(recursive, exclude, films)
    found: dict[Path, Item] = {}
    for name in named:
        for item in _of(name, choosing):
            found.setdefault(item.path, item)
    if choosing.words:
        tell(choosing.words)
    return list(found.values())


def pictures(folder: Path, choosing: _Choosing | None = None, *, hint: str = "") -> list[Item]:
    """As `items` has them of one folder. Raises: ImageError with `hint` when there are none."""
    shown, choosing = shown_path(folder), choosing or _Choosing()
    if not folder.is_dir():
        raise ImageError(f"{shown}: is no folder; check its name")
    found = _inside(folder, choosing)
    if not found:
        words = choosing.words and f" ({choosing.words})"
        raise ImageError(f"{shown}: no images in this folder{words}{hint}")
    return found


def of_stream(stream: BinaryIO | None, folder: Path) -> Item:
    """The photo that comes from stdin, as a file in `folder`. Raises: ImageError."""
    path = folder / "stdin"
    try:
        with path.open("wb") as file:
            if stream is not None:
                shutil.copyfileobj(stream, file)
    except OSError as e:
        raise ImageError(f"stdin: cannot be read or kept ({reason(e)})") from None
    return Item(path, name="stdin")


def _of(name: str, choosing: _Choosing) -> list[Item]:
    if not name:
        raise ImageError("an image's name is empty; check what was to be there")
    path = Path(name)
    if "://" in name and not os.path.lexists(path):
        raise ImageError(f"{name!r} is an address, and nulie reads files; download it first")
    if os.path.isdir(path):  # noqa: PTH112  # Path's raises where the name is too long
        hint = "" if choosing.recursive else "; --recursive looks into its folders, too"
        return pictures(path, choosing, hint=hint)
    if glob.has_magic(name) and not os.path.lexists(path):
        matches = [Path(m) for m in glob.glob(name, recursive=True)]  # noqa: PTH207
        named = {*path.parts}
        paths = sorted(
            p for p in matches
            if not any(map(_is_set_aside, {*p.parts} - named))
            and choosing.takes(p.name, str(p)) and p.is_file()
        )  # fmt: skip
        if not paths:
            raise ImageError(f"{shown_path(path)}: no image matches this pattern")
        return [Item(p, found=True) for p in paths]
    return [Item(path)]  # a missing file is reported in its turn


def _inside(folder: Path, choosing: _Choosing) -> list[Item]:
    """The pictures in a folder, hidden ones left out, in the order of their paths. Of a hundred
    thousand files nothing is asked twice, and no path made that is not kept. Raises: ImageError."""
    found: list[tuple[str, Item]] = []
    waiting = [(folder, "")]
    while waiting:
        here, below = waiting.pop()
        try:
            with os.scandir(here) as entries:
                listed = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as e:
            if below:
                continue
            why = f"cannot be looked into ({reason(e)})"
            raise ImageError(f"{shown_path(folder)}: {why}; check its permissions") from None
        inside = Path(below)
        for entry in listed:
            path = f"{below}{entry.name}"
            if _is(entry.is_dir):
                if choosing.recursive and not _is_set_aside(entry.name) and not entry.is_symlink():
                    waiting.append((here / entry.name, f"{path}{os.sep}"))
            elif choosing.takes(entry.name, path) and _is(entry.is_file):
                order = os.path.normcase(path).replace(os.sep, "\0")  # as paths compare
                found.append((order, Item(here / entry.name, inside, found=True)))
    found.sort(key=itemgetter(0))
    return [item for _, item in found]


def _is(asked: Callable[[], bool]) -> bool:
    """No, where that cannot be said."""
    try:
        return asked()
    except OSError:
        return False


def _is_set_aside(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEMS
