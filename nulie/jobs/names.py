"""What results are called, and how no file takes the place of another."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ..errors import ImageError
from ..image_io import Photo, atomic, check_output, default_output, shown_path

MARK = "_nulie"
"""End of the stem of nulie's results, before the number of a variant."""
_RESULT = re.compile(rf"{MARK}(_\d*|_part(_\d+)?)?$")

Made = TypeVar("Made")


def is_result(stem: str) -> bool:
    """Whether a file's name, without its suffix, is that of a result, which a folder's run leaves
    alone."""
    return _RESULT.search(stem) is not None


def target(name: Path, folder: Path | None, photo: Photo | None, suffix: str | None = None) -> Path:
    """The result's path for a photo called `name`: `photo_nulie.jpg`, beside it or in `folder`.
    Without the photo a guess: what is in it may ask for another format."""
    path = default_output(name, folder, photo=photo)
    return path.with_suffix(suffix) if suffix else path


def variants(path: Path, count: int) -> list[Path]:
    """`a.jpg`, `a_2.jpg`, `a_3.jpg`: the paths of so many results, the best first."""
    return [_numbered(path, number) for number in range(1, count + 1)]


def at_free_name(path: Path, make: Callable[[Path], Made], *, clash: type[Exception]) -> Made:
    """What `make` gives for `path`, or for the first of `path`_2, `path`_3 ... that nothing is
    called by; `make` must refuse a name that is there by raising `clash`."""
    for number in itertools.count(1):
        candidate = _numbered(path, number)
        if candidate.exists():
            continue
        try:
            return make(candidate)
        except clash:
            if not candidate.exists():  # else somebody was quicker with this name
                raise
    raise AssertionError("there is always a free name")


def safe_name(name: str) -> str:
    """An upload's name without anything that means something to a file system, or to a page."""
    path = Path(name.replace("\\", "/"))
    stem = re.sub(r"[^\w .()+-]", "_", path.stem)[:80].strip(" .") or "photo"
    return stem + re.sub(r"[^\w.]", "", path.suffix)[:8]


class Names:
    """The names of a job: of its inputs, never overwritten, and of its results, never shared."""

    def __init__(self, inputs: Iterable[Path | None], *, overwrite: bool) -> None:
        self._overwrite = overwrite
        # By what stands behind a name: it is found again by whatever name or link leads to it.
        self._inputs = {_identity(path) for path in inputs if path is not None} - {None}
        self._results: dict[tuple[int, int] | str, Path] = {}

    def check(self, photo: Photo, shown: str, path: Path) -> tuple[str, ...]:
        """Notes on what a result at `path` cannot hold. Raises: ImageError when it may not be
        written there."""
        self._refuse_results(shown, path)
        try:
            notes = check_output(photo, path, overwrite=self._overwrite)
        except RuntimeError:
            around = "is a link that leads back to itself; choose another name"
            raise ImageError(f"{shown_path(path)}: {around}") from None
        self.refuse_inputs(path)
        return notes

    def check_place(self, shown: str, path: Path) -> None:
        """The same for a result of any kind, of which nothing is known. Raises: ImageError."""
        self._refuse_results(shown, path)
        atomic.check(path, overwrite=self._overwrite)
        self.refuse_inputs(path)

    def _refuse_results(self, shown: str, path: Path) -> None:
        other = self._results.get(_identity(path) or os.path.realpath(path))
        if other is not None:
            taken = f"its result would take the name of another one's ({shown_path(other)})"
            raise ImageError(f"{shown}: {taken}; enhance it by itself, with --output")

    def refuse_inputs(self, path: Path) -> None:
        """Raises: ImageError when `path` is one of the job's inputs, by whatever name."""
        if _identity(path) in self._inputs:
            never = "is an input, and those are never overwritten; choose another name"
            raise ImageError(f"{shown_path(path)}: {never}")

    def is_there(self, path: Path) -> bool:
        """Whether a file is there that this job has not written."""
        found = _identity(path)
        return found is not None and found not in self._results

    def add(self, path: Path) -> None:
        """`path` is written, or would be if this were no dry run."""
        self._results.setdefault(_identity(path) or os.path.realpath(path), path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
