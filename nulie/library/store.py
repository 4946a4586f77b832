"""What is known of a library's pictures, by their contents: scores, embeddings, errors.

A SQLite database. A file's size and time of change are the quick look by which its digest is known
without reading it; copies, and files that were moved, are known by their digests."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LibraryError
from ..image_io import shown_path

FORMAT = 1
MOST_ROWS, LONGEST = 256, 0.5
"""Rows, and seconds, that wait for a commit at most."""
AT_ONCE = 4096
"""Embeddings that are looked at together."""
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS file (
  path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS score (
  judge TEXT, digest BLOB, score REAL, error TEXT, PRIMARY KEY (judge, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vector (
  kind TEXT, digest BLOB, vector BLOB NOT NULL, PRIMARY KEY (kind, digest));
"""

Vectors = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Known:
    """What is known of a picture."""

    score: float | None
    error: str | None


class Store:
    def __init__(self, base: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._base = base
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        self._since = 0.0

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
        return {digest: Known(score, error) for digest, score, error in rows}

    def vectors(self, kind: str) -> Iterator[tuple[list[bytes], Vectors]]:
        """Digests and `[N, D]` of all vectors of a kind, some thousands at a time."""
        rows = self._base.execute(
            "SELECT digest, vector FROM vector WHERE kind = ? ORDER BY rowid", (kind,)
        )
        while block := rows.fetchmany(AT_ONCE):
            data = b"".join(vector for _, vector in block)
            yield [d for d, _ in block], np.frombuffer(data, "<f2").reshape(len(block), -1)

    def with_vectors(self, kind: str) -> set[bytes]:
        rows = self._base.execute("SELECT digest FROM vector WHERE kind = ?", (kind,))
        return {digest for (digest,) in rows}

    def kinds(self) -> list[str]:
        """Of vectors that are kept, the one with most first."""
        rows = self._base.execute(
            "SELECT kind FROM vector GROUP BY kind ORDER BY count(*) DESC, kind"
        )
        return [kind for (kind,) in rows]

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
        self._put("INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?)", (judge, digest, score, error))

    def put_vector(self, kind: str, digest: bytes, vector: npt.NDArray[Any]) -> None:
        data = vector.astype("<f2").tobytes()
        self._put("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", (kind, digest, data))

    def same_pixels(self, old: bytes, new: bytes) -> None:
        """What is known of `old` holds for `new`, too: its metadata alone are others."""
        for table, names in (("score", "judge, ?, score, error"), ("vector", "kind, ?, vector")):
            self._put(
                f"INSERT OR IGNORE INTO {table} SELECT {names} FROM {table} WHERE digest = ?",
                (new, old),
            )

    def commit(self, *, now: bool = False) -> None:
        """Writes what waits, once that is much or has waited for long, or `now`. Raises:
        LibraryError."""
        late = time.monotonic() - self._since > LONGEST
        if not self._waiting or not (now or late or len(self._waiting) >= MOST_ROWS):
            return
        try:
            with self._base:
                for statement, values in self._waiting:
                    self._base.execute(statement, values)
        except sqlite3.Error as e:
            raise LibraryError(f"{shown_path(self.path)}: cannot be written ({e})") from None
        self._waiting.clear()

    def _put(self, statement: str, values: Sequence[Any]) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((statement, tuple(values)))


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
        store.set_about("format", str(FORMAT))
        try:
            yield store
        finally:
            store.commit(now=True)  # what is whole is kept, whatever happened
    except sqlite3.DatabaseError as e:
        raise LibraryError(
            f"{shown}: is no library of nulie's ({e}); choose another name"
        ) from None
    finally:
        base.close()
