"""What is known of a library's pictures, by their contents: scores, embeddings, errors.

A SQLite database. A file's size and time of change are the quick look by which its digest is known
without reading it; copies, and files that were moved, are known by their digests. Embeddings lie in
it until they are many or the run ends, and then in files beside it, see `segments`."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import LibraryError
from ..image_io import shown_path
from .segments import ROWS, Segments, Vectors

FORMAT = 2
"""1 had all embeddings in the database."""
MOST_ROWS, LONGEST = 256, 0.5
"""Rows, and seconds, that wait for a commit at most."""
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS file (
  path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS score (
  judge TEXT, digest BLOB, score REAL, error TEXT, PRIMARY KEY (judge, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vector (
  kind TEXT, digest BLOB, vector BLOB NOT NULL, PRIMARY KEY (kind, digest));
"""
_PUT_SCORE = "INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?)"


class Known(NamedTuple):
    """What is known of a picture. Of a hundred thousand made at once, so no dataclass."""

    score: float | None
    error: str | None


class Store:
    def __init__(self, base: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._base = base
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        self._since = 0.0
        self._segments = Segments(path)
        (self._loose,) = base.execute("SELECT count(*) FROM vector").fetchone()
        """How many vectors lie in the database."""

    @property
    def notes(self) -> list[str]:
        """Lines for the user, the oldest first; whoever shows them removes them."""
        return self._segments.notes

    def about(self, name: str) -> str | None:
        found = self._base.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def set_about(self, name: str, value: str) -> None:
        self._put("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def files(self) -> dict[str, tuple[int, int, bytes]]:
        """Size, time of change (ns) and digest by path."""
        rows = self._base.execute("SELECT path, size, changed, digest FROM file")
        return {path: (size, changed, digest) for path, size, changed, digest in rows}

    def digest_of(self, path: str) -> bytes | None:
        found = self._base.execute("SELECT digest FROM file WHERE path = ?", (path,)).fetchone()
        return found[0] if found else None

    def scores(self, judge: str) -> dict[bytes, Known]:
        """By digest."""
        rows = self._base.execute(
            "SELECT digest, score, error FROM score WHERE judge = ?", (judge,)
        )
        return {digest: Known(score, error) for digest, score, error in rows.fetchall()}

    def vectors(self, kind: str) -> Iterator[tuple[list[bytes], Vectors]]:
        """Digests and `[N, D]` of all vectors of a kind, some thousands at a time."""
        seen: set[bytes] = set()
        rows = self._base.execute("SELECT digest, vector FROM vector WHERE kind = ?", (kind,))
        loose = rows.fetchall()
        for digests, block in chain([_block(loose)] if loose else [], self._segments.blocks(kind)):
            # Where a run was killed, or two are at work, a row may lie in two places.
            new = [row for row, digest in enumerate(digests) if digest not in seen]
            if new:
                yield [digests[row] for row in new], block if len(new) == len(block) else block[new]
            seen.update(digests)

    def with_vectors(self, kind: str) -> set[bytes]:
        rows = self._base.execute("SELECT digest FROM vector WHERE kind = ?", (kind,))
        return {digest for (digest,) in rows} | self._segments.digests(kind)

    def kinds(self) -> list[str]:
        """Of vectors that are kept, the one with most first."""
        counts = Counter(self._segments.counts())
        counts.update(dict(self._base.execute("SELECT kind, count(*) FROM vector GROUP BY kind")))
        return sorted(counts, key=lambda kind: (-counts[kind], kind))

    def main_judge(self) -> str | None:
        """The one with most scores."""
        found = self._base.execute(
            "SELECT judge FROM score WHERE score IS NOT NULL"
            " GROUP BY judge ORDER BY count(*) DESC, judge LIMIT 1"
        ).fetchone()
        return found[0] if found else None

    def put_file(self, path: str, size: int, changed: int, digest: bytes) -> None:
        self._put("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", (path, size, changed, digest))

    def put_score(
        self, judge: str, digest: bytes, score: float | None, error: str | None = None
    ) -> None:
        self._put(_PUT_SCORE, (judge, digest, score, error))

    def put_scores(self, judge: str, known: Mapping[bytes, Known]) -> None:
        """All at once, and committed. Raises: LibraryError."""
        self._waiting += [(_PUT_SCORE, (judge, digest, *one)) for digest, one in known.items()]
        self.commit(now=True)

    def put_vector(self, kind: str, digest: bytes, vector: npt.NDArray[Any]) -> None:
        data = vector.astype("<f2").tobytes()
        self._put("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", (kind, digest, data))
        self._loose += 1

    def same_pixels(self, old: bytes, new: bytes) -> None:
        """What is known of `old` holds for `new`, too: its metadata alone are others."""
        for table, names in (("score", "judge, ?, score, error"), ("vector", "kind, ?, vector")):
            self._put(
                f"INSERT OR IGNORE INTO {table} SELECT {names} FROM {table} WHERE digest = ?",
                (new, old),
            )
        for kind, vector in self._segments.of(old):
            self.put_vector(kind, new, vector)

    def commit(self, *, now: bool = False) -> None:
        """Writes what waits, once that is much or has waited for long, or `now`. Raises:
        LibraryError."""
        late = time.monotonic() - self._since > LONGEST
        if not self._waiting or not (now or late or len(self._waiting) >= MOST_ROWS):
            return
        try:
            with self._base:
                for statement, rows in groupby(self._waiting, itemgetter(0)):
                    self._base.executemany(statement, (values for _, values in rows))
        except sqlite3.Error as e:
            raise self._unwritten(e) from None
        self._waiting.clear()
        if self._loose >= ROWS:
            self.move_vectors()

    def move_vectors(self) -> None:
        """From the database to files beside it: rows go when there is a file that has them. Raises:
        LibraryError."""
        try:
            while self._loose:
                self._base.execute("BEGIN IMMEDIATE")  # one run at a time writes files
                with self._base:
                    found = self._base.execute(
                        "SELECT kind, digest, vector, rowid FROM vector ORDER BY rowid LIMIT ?",
                        (ROWS,),
                    ).fetchall()
                    for kind in {kind for kind, *_ in found}:
                        rows = [(digest, vector) for k, digest, vector, _ in found if k == kind]
                        self._segments.add(kind, *_block(rows))
                    last = found[-1][-1] if found else 0
                    self._base.execute("DELETE FROM vector WHERE rowid <= ?", (last,))
                self._loose = self._loose - len(found) if len(found) == ROWS else 0
        except sqlite3.Error as e:
            raise self._unwritten(e) from None

    def _unwritten(self, error: sqlite3.Error) -> LibraryError:
        return LibraryError(f"{shown_path(self.path)}: cannot be written ({error})")

    def _put(self, statement: str, values: Sequence[Any]) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((statement, tuple(values)))


def _block(rows: Sequence[tuple[bytes, bytes]]) -> tuple[list[bytes], Vectors]:
    """Digests and `[N, D]` of rows of the database."""
    data = b"".join(vector for _, vector in rows)
    return [digest for digest, _ in rows], np.frombuffer(data, "<f2").reshape(len(rows), -1)


@contextmanager
def opened(path: Path, *, new: bool = True) -> Iterator[Store]:
    """The library at `path`, made where there is none unless `new` is False. Raises: LibraryError
    where it is none, or cannot be written."""
    shown = shown_path(path)
    if not new and not path.is_file():
        raise LibraryError(f"{shown}: there is no such library; nulie score --library makes one")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(path, timeout=60)
    except (OSError, sqlite3.Error) as e:
        raise LibraryError(f"{shown}: cannot be opened ({e}); choose another place") from None
    try:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        if tables and not {"about", "vector"} <= tables:
            raise sqlite3.DatabaseError("another program's")
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        base.executescript(_TABLES)
        store = Store(base, path)
        number = int(store.about("format") or FORMAT)
        if number > FORMAT:
            raise LibraryError(f"{shown}: is a library of a newer nulie; update this one")
        if number < FORMAT:
            store.move_vectors()
        store.set_about("format", str(FORMAT))
        store.commit(now=True)
        if number < FORMAT:
            with suppress(sqlite3.OperationalError):  # somebody else is at work on it
                base.execute("VACUUM")
        try:
            yield store
        finally:
            store.commit(now=True)  # what is whole is kept, whatever happened
            store.move_vectors()
    except sqlite3.DatabaseError as e:
        raise LibraryError(
            f"{shown}: is no library of nulie's ({e}); choose another name"
        ) from None
    finally:
        base.close()
