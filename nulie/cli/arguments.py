"""Options that several commands share, and how they read values."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ImageError, SettingsError

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif".split()  # noqa: SIM905
)
"""What counts as an image in a folder."""
RESULT = "_nulie"
"""End of the stem of our own results, which a folder's run leaves alone; see `default_output`."""


def add_predictor(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("predictor")
    group.add_argument(
        "--predictor",
        default="auto",
        metavar="NAME",
        help="auto, statistics (embedded), or a file of your own made by `nulie fit`",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")


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


def images(items: Iterable[str], *, recursive: bool) -> list[Path]:
    """Files as they are named; of folders and patterns the images, without nulie's own results.

    Raises: ImageError when a folder or pattern holds none."""
    found: dict[Path, None] = {}
    for item in items:
        path = Path(item)
        if path.is_dir():
            inside = sorted(p for p in _inside(path, recursive) if _is_input(p))
            if not inside:
                deeper = "" if recursive else "; --recursive looks into its folders, too"
                raise ImageError(f"{item}: no images in this folder{deeper}")
            found.update(dict.fromkeys(inside))
        elif not path.exists() and glob.has_magic(item):
            matches = [Path(m) for m in glob.glob(item, recursive=True)]  # noqa: PTH207
            inside = sorted(p for p in matches if _is_input(p))
            if not inside:
                raise ImageError(f"{item}: no image matches this pattern")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None  # a missing file is reported in its turn
    return list(found)


def _inside(folder: Path, recursive: bool) -> Iterator[Path]:
    return folder.rglob("*") if recursive else folder.iterdir()


def _is_input(path: Path) -> bool:
    stem = path.stem.rstrip("0123456789")
    ours = path.stem.endswith(RESULT) or (stem.endswith(f"{RESULT}_"))
    return path.suffix.lower() in SUFFIXES and path.is_file() and not ours
