"""Options that several commands share, and how they read values."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import ImageError, SettingsError
from ..image_io import shown_path

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif".split()  # noqa: SIM905
)
"""What counts as an image in a folder."""
RESULT = "_nulie"
"""End of the stem of our own results, which a folder's run leaves alone; see `default_output`."""


class Parser(argparse.ArgumentParser):
    """Complains as all of nulie does, and takes options between and after the files."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raises: SettingsError."""
        raise SettingsError(f"{message}; see {self.prog} --help")

    def parse(self, arguments: Sequence[str], files: str) -> argparse.Namespace:
        """`files` is the name of the positional argument; all that follows `--` belongs to it.

        Raises: SettingsError."""
        arguments = list(arguments)
        # Not every version of argparse knows `--` when it is to take options anywhere.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        options = self.parse_intermixed_args(arguments[:end])
        setattr(options, files, [*getattr(options, files), *arguments[end + 1 :]])
        return options


def names(text: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def bounds(items: Iterable[str]) -> dict[str, tuple[float, float]]:
    """`["saturation=1.0:1.3"]` -> {"saturation": (1.0, 1.3)}.

    Raises: SettingsError on another form."""
    found = {}
    for item in items:
        name, equals, text = item.partition("=")
        low, colon, high = text.partition(":")
        try:
            if not (equals and colon):
                raise ValueError
            found[name.strip()] = (float(low), float(high))
        except ValueError:
            raise SettingsError(
                f"--range {item}: write it as NAME=LOW:HIGH, such as saturation=1.0:1.3"
            ) from None
    return found


def images(items: Iterable[str], *, recursive: bool) -> dict[Path, Path]:
    """Files as they are named; of folders and patterns the images, without hidden files and nulie's
    own results. With each goes its folder relative to the one that was named.

    Raises: ImageError when a folder or pattern holds none."""
    found: dict[Path, Path] = {}
    for item in items:
        path = Path(item)
        shown = shown_path(Path(item))
        if not item:
            raise ImageError("an image's name is empty; check what was to be there")
        if os.path.isdir(path):  # noqa: PTH112  # Path's raises where the name is too long
            inside = sorted(p for p in _inside(path, recursive) if _is_input(p))
            if not inside:
                deeper = "" if recursive else "; --recursive looks into its folders, too"
                raise ImageError(f"{shown}: no images in this folder{deeper}")
            for one in inside:
                found.setdefault(one, one.parent.relative_to(path))
        elif glob.has_magic(item) and not os.path.lexists(path):
            matches = [Path(m) for m in glob.glob(item, recursive=True)]  # noqa: PTH207
            inside = sorted(p for p in matches if _is_input(p))
            if not inside:
                raise ImageError(f"{shown}: no image matches this pattern")
            for one in inside:
                found.setdefault(one, Path())
        else:
            found.setdefault(path, Path())  # a missing file is reported in its turn
    return found


def _inside(folder: Path, recursive: bool) -> Iterator[Path]:
    """Files in a folder, hidden ones left out. Raises: ImageError."""

    def refuse(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == folder:
            reason = error.strerror or type(error).__name__
            raise ImageError(
                f"{shown_path(folder)}: cannot be looked into ({reason}); check its permissions"
            ) from None

    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [f for f in folders if recursive and not f.startswith(".")]
        yield from (Path(here, name) for name in files if not name.startswith("."))


def _is_input(path: Path) -> bool:
    stem = path.stem.rstrip("0123456789")
    ours = path.stem.endswith(RESULT) or (stem.endswith(f"{RESULT}_"))
    return path.suffix.lower() in SUFFIXES and path.is_file() and not ours
