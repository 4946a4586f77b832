"""A library's rows chosen, sorted, and written for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import SettingsError, needed_for
from ..image_io import atomic
from .scoring import Row

SORTS = ("score", "name", "time")
FORMATS = ("table", "csv", "jsonl", "paths", "parquet")
COLUMNS = ("path", "score", "predictor", "time", "bytes", "error")


@dataclass(frozen=True)
class Wanted:
    """Which rows, in which order and form. Raises: SettingsError."""

    least: float | None = None
    most: float | None = None
    sort: str = "score"
    """`score`: the best first; `time`: the newest first."""
    format: str = "table"
    output: Path | None = None
    name: str = ""
    """What a name, with the folders below the one that was named, must have in it; case does not
    count."""
    failed: bool = False
    """Whether only those with an error are wanted."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("sort", self.sort, SORTS), ("format", self.format, FORMATS),
        ):  # fmt: skip
            if value not in known:
                raise SettingsError(f"{name} {value!r} is unknown; choose {', '.join(known)}")
        if self.format == "parquet" and self.output is None:
            raise SettingsError("--format parquet is no text; add -o FILE")
        if self.output is not None:
            atomic.check(self.output, overwrite=True)
        if self.format == "parquet":
            _parquet()

    def fits(self, row: Row) -> bool:
        if self.name and self.name.casefold() not in name_of(row).casefold():
            return False
        if self.failed or row.score is None:
            bounded = self.least is not None or self.most is not None
            return row.score is None and (self.failed or not bounded)
        low = self.least is None or row.score >= self.least
        return low and (self.most is None or row.score <= self.most)

    @property
    def key(self) -> Callable[[Row], Any]:
        """What rows are sorted by."""
        keys: dict[str, Callable[[Row], Any]] = {
            "score": lambda row: (row.score is None, -(row.score or 0.0), str(row.item.path)),
            "name": lambda row: str(row.item.path),
            "time": lambda row: (-row.changed, str(row.item.path)),
        }
        return keys[self.sort]


def name_of(row: Row) -> str:
    """The name below the folder that was named."""
    item = row.item
    folder = "" if item.folder == Path() else f"{item.folder.as_posix()}/"
    return item.name or folder + item.path.name


def chosen(rows: Sequence[Row], wanted: Wanted) -> list[Row]:
    """Rows with an error are last; where a score is asked for they are left out."""
    return sorted(filter(wanted.fits, rows), key=wanted.key)


def text(rows: Sequence[Row], format: str) -> Iterator[str]:
    """Lines, without their ends, of a format other than parquet."""
    line = csv.writer(_Lines(), lineterminator="").writerow
    if format == "csv":
        yield line(COLUMNS)
    for row in rows:
        if format == "table":
            score = "   error" if row.score is None else f"{row.score:8.4f}"
            yield f"{score}  {row.item.shown}" + (f": {row.error}" if row.error else "")
        elif format == "paths":
            yield row.item.given
        elif format == "csv":
            yield line(_values(row))
        else:
            yield json.dumps(data(row))


def data(row: Row) -> dict[str, Any]:
    """By `COLUMNS`."""
    return dict(zip(COLUMNS, _values(row), strict=True))


def _values(row: Row) -> tuple[Any, ...]:
    score = None if row.score is None else round(row.score, 4)
    time = datetime.fromtimestamp(row.changed / 1e9, timezone.utc).isoformat(timespec="seconds")
    return row.item.given, score, row.predictor, time, row.size, row.error or None


def write(rows: Sequence[Row], wanted: Wanted) -> None:
    """To `wanted.output`, whole or not at all; a file of that name is replaced. Raises: ImageError
    where it cannot be written."""
    assert wanted.output is not None
    if wanted.format == "parquet":
        arrow, parquet = _parquet()
        sink = arrow.BufferOutputStream()
        columns = {name: [data(row)[name] for row in rows] for name in COLUMNS}
        parquet.write_table(arrow.table(columns), sink)
        written = sink.getvalue().to_pybytes()
    else:
        written = "".join(f"{line}\n" for line in text(rows, wanted.format)).encode(
            "utf-8", "surrogateescape"
        )
    atomic.write(wanted.output, written, overwrite=True)


class _Lines:
    """Gives a writer of CSV each line back."""

    def write(self, line: str) -> str:
        return line


def _parquet() -> tuple[Any, Any]:
    """Raises: ExtraError where it is not installed."""
    with needed_for("--format parquet", "pyarrow", extra="library"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet
