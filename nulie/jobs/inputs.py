"""Which files a job works on: as they are named, or the pictures of folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError, NulieError
from ..image_io import reason, shown_path
from .names import is_result

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif".split()  # noqa: SIM905
)
"""What counts as a picture in a folder."""


@dataclass(frozen=True)
class Item:
    """A file of a job."""

    path: Path
    folder: Path = Path()
    """Where it lies below the folder that was named."""
    name: str = ""
    """What people call it, where that is not its path: the name of an upload."""

    @property
    def shown(self) -> str:
        return self.name or shown_path(self.path)

    @property
    def file_name(self) -> str:
        """The same without folders."""
        return self.name or shown_path(Path(self.path.name))


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


def items(named: Iterable[str], *, recursive: bool) -> list[Item]:
    """Files as they are named; of folders and patterns the pictures, without hidden files and
    nulie's own results. Each file once. Raises: ImageError when a folder or pattern holds none."""
    found: dict[Path, Item] = {}
    for name in named:
        for item in _of(name, recursive):
            found.setdefault(item.path, item)
    return list(found.values())


def pictures(folder: Path, *, recursive: bool = False, hint: str = "") -> list[Item]:
    """As `items` has them of one folder. Raises: ImageError with `hint` when there are none."""
    shown = shown_path(folder)
    if not folder.is_dir():
        raise ImageError(f"{shown}: is no folder; check its name")
    paths = sorted(p for p in _inside(folder, recursive) if _is_input(p))
    if not paths:
        raise ImageError(f"{shown}: no images in this folder{hint}")
    return [Item(path, path.parent.relative_to(folder)) for path in paths]


def _of(name: str, recursive: bool) -> list[Item]:
    if not name:
        raise ImageError("an image's name is empty; check what was to be there")
    path = Path(name)
    if os.path.isdir(path):  # noqa: PTH112  # Path's raises where the name is too long
        hint = "" if recursive else "; --recursive looks into its folders, too"
        return pictures(path, recursive=recursive, hint=hint)
    if glob.has_magic(name) and not os.path.lexists(path):
        matches = [Path(m) for m in glob.glob(name, recursive=True)]  # noqa: PTH207
        paths = sorted(p for p in matches if _is_input(p))
        if not paths:
            raise ImageError(f"{shown_path(path)}: no image matches this pattern")
        return [Item(p) for p in paths]
    return [Item(path)]  # a missing file is reported in its turn


def _inside(folder: Path, recursive: bool) -> Iterator[Path]:
    """Files in a folder, hidden ones left out. Raises: ImageError."""

    def refuse(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == folder:
            why = f"cannot be looked into ({reason(error)})"
            raise ImageError(f"{shown_path(folder)}: {why}; check its permissions") from None

    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [f for f in folders if recursive and not f.startswith(".")]
        yield from (Path(here, name) for name in files if not name.startswith("."))


def _is_input(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not is_result(path)
