"""A library as somebody looks at it: its rows by number, filtered, folded, a line drawn through
their scores."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, SettingsError
from ..image_io import shown_path, xmp
from ..jobs import values
from ..jobs.events import Event, Failed, Standing
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.plan import Choice
from ..jobs.score import Scored
from ..jobs.tally import Tally
from ..models.digests import cache_folder
from .duplicates import groups
from .export import Wanted, name_of, text
from .judges import errors_key
from .marking import Marking, mark
from .scoring import Row, Scoring, row_of
from .stars import stars, thresholds
from .store import opened

ABOVE, BELOW, PICKED = "above", "below", "picked"
EXPORTS = {"csv": "text/csv", "paths": "text/plain"}
"""Forms of a table, with their types."""
MOST = 1000
"""Rows that are shown at once."""


@dataclass(frozen=True)
class View:
    """What is to be seen."""

    wanted: Wanted = field(default_factory=Wanted)
    folded: bool = False
    """Whether of near-duplicates the best alone is seen."""
    opened: frozenset[int] = frozenset()
    """Numbers of those whose near-duplicates are seen all the same, behind them."""
    line: float | None = None
    """The score that parts those above, and at it, from those below."""


def view(asked: Mapping[str, Any]) -> View:
    """From plain values: `name`, `failed`, `least`, `most`, `folded`, `opened`, `line`. Raises:
    SettingsError."""
    least, most, line = (_number(asked, name) for name in ("least", "most", "line"))
    wanted = Wanted(
        least, most, name=str(asked.get("name") or "").strip(), failed=bool(asked.get("failed"))
    )
    return View(wanted, bool(asked.get("folded")), frozenset(_numbers(asked, "opened")), line)


class Shelf:
    """Rows come in any thread; each keeps its number."""

    def __init__(self, place: Path | None = None) -> None:
        """`place` is the library's file; None: one that goes with the shelf."""
        if place is None:
            folder = tempfile.mkdtemp(prefix="nulie-library-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            place = Path(folder) / "library.nulie"
        self.place = place
        self.key = secrets.token_hex(4)
        """Tells it from others."""
        self.rows: list[Row] = []
        self.version = 0
        """Another one whenever something has changed."""
        self.failed = 0
        self.folds = False
        """Whether near-duplicates have been looked for."""
        self.folded = 0
        """How many there are beside the best of each group."""
        self._range: tuple[float, float] | None = None
        """Least and most score."""
        self._group_of: dict[int, int] = {}
        self._lock = threading.Lock()
        self._last: tuple[Any, _Seen] | None = None

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += rows
        scores = [row.score for row in rows if row.score is not None]
        if scores:
            known = [*(self._range or ()), *scores]
            self._range = min(known), max(known)
        self.failed += sum(row.score is None for row in rows)
        self.version += 1

    def seen(self, wanted: View) -> _Seen:
        """The rows of a view, in its order."""
        key = (self.version, wanted.wanted, wanted.folded, wanted.opened)
        with self._lock:
            if self._last is None or self._last[0] != key:
                self._last = key, self._look(wanted)
            return self._last[1]

    def page(self, wanted: View, start: int, count: int) -> dict[str, Any]:
        """`count` rows of a view from the place `start` on, as JSON has them: number, name, score,
        error, how many are folded behind it, whether it is one of those; and what is to be known
        of all: how many there are, how many of them are above the line, least and most score."""
        seen = self.seen(wanted)
        line = -float("inf") if wanted.line is None else wanted.line
        rows = []
        for number in seen.numbers[max(0, start) :][: min(count, MOST)]:
            row = self.rows[number]
            score = None if row.score is None else round(row.score, 4)
            folded = len(seen.behind.get(number, ()))
            name = shown_path(Path(name_of(row)))
            rows.append([number, name, score, row.error, folded, number in seen.within])
        return {
            "version": self.version, "total": len(seen.numbers), "failed": self.failed,
            "above": int((seen.scores >= line).sum()), "folds": self.folds, "range": self._range,
            "uploads": any(row.item.name for row in self.rows[-1:]), "rows": rows,
        }  # fmt: skip

    def those(self, wanted: View, which: str, picked: Sequence[int]) -> list[Row]:
        """The rows of a view above the line, below it, or those that were picked, wherever they
        are. What could not be scored is below. Raises: SettingsError."""
        if which == PICKED:
            known = range(len(self.rows))
            return [self.rows[number] for number in picked if number in known]
        if which not in (ABOVE, BELOW):
            raise SettingsError(f"which {which!r} is unknown; there are above, below, picked")
        seen, line = self.seen(wanted), -float("inf") if wanted.line is None else wanted.line
        fits = (seen.scores >= line) == (which == ABOVE)
        return [self.rows[number] for number, fit in zip(seen.numbers, fits, strict=True) if fit]

    def asked(self, given: Mapping[str, Any]) -> list[Row]:
        """The rows that plain values ask for: a view's, with `which` and `picked`. Raises:
        SettingsError, ImageError where there are none."""
        picked = _numbers(given, "picked")
        rows = self.those(view(given), str(given.get("which") or ABOVE), picked)
        if not rows:
            raise ImageError("no pictures are chosen; move the line, or pick some")
        return rows

    def item(self, number: int) -> Item | None:
        """The picture of a row."""
        return self.rows[number].item if 0 <= number < len(self.rows) else None

    def put_together(self, found: Sequence[Sequence[Item]]) -> None:
        """Takes in groups of near-duplicates."""
        numbers = {row.item: number for number, row in enumerate(self.rows)}
        self._group_of = {
            numbers[item]: place
            for place, items in enumerate(found) for item in items if item in numbers
        }  # fmt: skip
        self.folded = len(self._group_of) - len({*self._group_of.values()})
        self.folds = True
        self.version += 1

    def _look(self, wanted: View) -> _Seen:
        rows, fits, key = self.rows[:], wanted.wanted.fits, wanted.wanted.key
        fitting = (number for number, row in enumerate(rows) if fits(row))
        order = sorted(fitting, key=lambda number: key(rows[number]))
        behind: dict[int, list[int]] = {}
        heads: dict[int, int] = {}
        first = []
        group_of = self._group_of if wanted.folded else {}
        for number in order:
            group = group_of.get(number)
            head = number if group is None else heads.setdefault(group, number)
            if head == number:
                first.append(number)
            else:
                behind.setdefault(head, []).append(number)
        numbers = []
        for number in first:
            numbers += [number, *(behind.get(number, ()) if number in wanted.opened else ())]
        within = {one for head in wanted.opened for one in behind.get(head, ())}
        scores = np.array([rows[number].score for number in numbers], np.float64)
        return _Seen(numbers, scores, behind, frozenset(within))


@dataclass(frozen=True)
class _Seen:
    numbers: list[int]
    scores: npt.NDArray[np.float64]
    """NaN of those that have none."""
    behind: dict[int, list[int]]
    """Those that are folded behind another one."""
    within: frozenset[int]
    """Those that are not, for it was opened."""


def kept_at(folder: Path) -> Path:
    """Where the library of a folder is kept that has none of its own."""
    name = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=12).hexdigest()
    return cache_folder() / "libraries" / f"{name}.nulie"


def fill(
    shelf: Shelf, items: Sequence[Item], choice: Choice, host: Host
) -> Generator[Event | Standing, None, None]:
    """Scores the pictures onto the shelf. Raises: as `Scoring.events`."""
    with opened(shelf.place) as store:
        for event in Scoring(items, choice, host, store, None).events():
            if isinstance(event, (Scored, Failed)):
                shelf.add([row_of(event, choice.name)])
            yield event


def show(shelf: Shelf) -> None:
    """Puts onto the shelf all that its library knows, by the judge that has scored most: without a
    look at the files. Raises: LibraryError."""
    with opened(shelf.place, new=False) as store:
        judge = store.main_judge()
        known = store.scores(errors_key()) | (store.scores(judge) if judge else {})
        by = store.about("predictor") or ""
        files = {path: row for path, row in store.files().items() if row[2] in known}
    # Once for each folder: Path takes long for what a hundred thousand times is much.
    parted = {path: os.path.split(path) for path in files}
    parents = {parent for parent, _ in parted.values()}
    root = os.path.commonpath(parents) if parents else ""
    folders = {p: (Path(p), Path(os.path.relpath(p, root))) for p in parents}
    rows = []
    for path, (size, changed, digest) in files.items():
        parent, name = parted[path]
        folder, below = folders[parent]
        item, one = Item(folder / name, below, found=True), known[digest]
        rows.append(Row(item, one.score, one.error or "", by, size, changed))
    shelf.add(rows)


def fold(shelf: Shelf, tell: Callable[[float], None]) -> None:
    """Finds near-duplicates on the shelf. Raises: as `groups`."""
    items = [row.item for row in shelf.rows if row.score is not None]
    with opened(shelf.place, new=False) as store:
        found = groups(items, store, tell=tell)
    shelf.put_together([group.items for group in found])


def write_marks(shelf: Shelf, given: Mapping[str, Any]) -> Generator[Event | Standing, None, None]:
    """Writes the scores, and stars by the thresholds that `stars` has as a text, into sidecars of
    the rows that are asked for, see `Shelf.asked`. Raises: as that, SettingsError."""
    rows = [row for row in shelf.asked(given) if row.score is not None]
    wanted = Marking(sidecar=True, least=_least(given))
    tally = Tally(len(rows))
    for row in rows:
        amiss = [Failed(event.item, event.text) for event in mark([row], wanted, None)]
        yield from amiss
        yield tally.add(failed=bool(amiss))


def sidecars(shelf: Shelf, given: Mapping[str, Any]) -> bytes:
    """A zip of the sidecars that `write_marks` would write, of photos that lie elsewhere. Raises:
    as that."""
    least, taken = _least(given), set[str]()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for row in shelf.asked(given):
            if row.score is None:
                continue
            photo = row.item.name or row.item.path.name
            name, number = f"{photo}.xmp", 1
            while name in taken:
                number += 1
                name = f"{number} {photo}.xmp"
            taken.add(name)
            rated = None if least is None else stars(row.score, least)
            archive.writestr(name, xmp.marked(None, row.score, row.predictor, rated))
    return stream.getvalue()


def table(rows: Sequence[Row], form: str) -> str:
    """As a text of `EXPORTS`. Raises: SettingsError."""
    if form not in EXPORTS:
        raise SettingsError(f"format {form!r} is unknown; choose {', '.join(EXPORTS)}")
    return "".join(f"{line}\n" for line in text(rows, form))


def _least(given: Mapping[str, Any]) -> tuple[float, ...] | None:
    named = str(given.get("stars") or "").strip()
    return thresholds(named) if named else None


def _number(asked: Mapping[str, Any], name: str) -> float | None:
    value = asked.get(name)
    return None if value in (None, "") else values.number(name, value)


def _numbers(asked: Mapping[str, Any], name: str) -> list[int]:
    given = asked.get(name) or ()
    if not isinstance(given, (list, tuple)):
        raise SettingsError(f"{name} must be numbers of pictures")
    return [values.whole(name, one) for one in given]
