"""What is done of a job, durably: one file, one writer.

A SQLite database in WAL mode, whose rows are committed many at once: what a kill takes with it is
found again by the outputs, which carry the job's mark. It lies on a local disk, for SQLite's locks
do not hold on every network share."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import JobError
from ..image_io import reason, shown_path
from .inputs import Item

FORMAT = 1
MOST_ROWS, LONGEST = 256, 0.5
"""Rows, and seconds, that wait for a commit at most."""
PLANNED, DONE, FAILED, ASIDE, CHANGED = "planned", "done", "failed", "aside", "changed"
"""States of a file. `ASIDE`: it ended its worker twice; `CHANGED`: it is another one than it was
when the job began, and the next run does it."""
_TABLES = """
CREATE TABLE IF NOT EXISTS job (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS file (
  path TEXT PRIMARY KEY, folder TEXT NOT NULL, found INTEGER NOT NULL,
  size INTEGER, changed INTEGER, state TEXT NOT NULL DEFAULT 'planned',
  text TEXT NOT NULL DEFAULT '', output TEXT NOT NULL DEFAULT '[]', at REAL);
CREATE INDEX IF NOT EXISTS file_state ON file (state);
"""

_NONE = (None, None)
Version = tuple[int, int] | None
"""Bytes and time of change (ns) of a file; None where there is none."""


def version_of(path: Path) -> Version:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Row:
    path: Path
    state: str
    text: str
    output: tuple[Path, ...]


@dataclass(frozen=True)
class State:
    """How a job stands."""

    counts: Mapping[str, int]
    """Files by state."""
    rate: float
    """Files a second of late; 0 where that is not known."""
    running: bool
    """Whether a driver is at work."""

    @property
    def failed(self) -> int:
        return sum(self.counts.get(state, 0) for state in (FAILED, ASIDE, CHANGED))

    @property
    def left(self) -> int:
        return self.counts.get(PLANNED, 0)


class Journal:
    """Opened by `drive`, by the one who writes, or by `look`, by whoever wants to know."""

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self.path = path
        self._base = base
        self._waiting: list[tuple[Any, ...]] = []
        self._since = 0.0

    def settings(self) -> dict[str, Any]:
        """What the job began with; empty where it has not begun."""
        return dict(self.kept("settings") or {})

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Raises: JobError that names the difference, where it began with other settings."""
        known = self.settings()
        if not known:
            self.keep("settings", dict(settings))
            return
        for name in sorted({*known, *settings}):
            before, now = known.get(name), settings.get(name)
            if before != now:
                option = name.replace("_", "-")
                raise JobError(
                    f"{shown_path(self.path)}: the job began with {option} {_short(before)},"
                    f" and now it is {_short(now)}; go on as it began, or give another --job"
                )

    def keep(self, name: str, value: Any) -> None:
        """Something that a later run should know."""
        with self._base:
            self._base.execute(
                "INSERT OR REPLACE INTO job VALUES (?, ?)", (name, json.dumps(value))
            )

    def kept(self, name: str) -> Any:
        """What was kept by that name; None where nothing was."""
        found = self._base.execute("SELECT value FROM job WHERE name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else None

    def plan(self, items: Sequence[Item], *, retry: bool = False) -> list[tuple[Item, Version]]:
        """Takes in the files of the job, and returns those that are to be done, with their
        versions. Rows of files that are not among them, and were not done, go. With `retry` what
        failed is done once more."""
        again = (CHANGED, FAILED, ASIDE) if retry else (CHANGED,)
        named = {_key(item): item for item in items}
        with self._base:
            known = dict(self._base.execute("SELECT path, state FROM file"))
            self._base.executemany(
                "INSERT INTO file (path, folder, found, size, changed) VALUES (?, ?, ?, ?, ?)",
                (
                    (key, str(item.folder), int(item.found), *(version_of(item.path) or _NONE))
                    for key, item in named.items() if key not in known
                ),
            )  # fmt: skip
            self._base.executemany(
                "UPDATE file SET state = 'planned', text = '', size = ?, changed = ?"
                " WHERE path = ?",
                (
                    (*(version_of(item.path) or _NONE), key)
                    for key, item in named.items() if known.get(key) in again
                ),
            )  # fmt: skip
            gone = ((key,) for key, state in known.items() if state == PLANNED and key not in named)
            self._base.executemany("DELETE FROM file WHERE path = ?", gone)
        rows = self._base.execute(
            "SELECT path, size, changed FROM file WHERE state = 'planned' ORDER BY rowid"
        )
        left = {path: None if size is None else (size, changed) for path, size, changed in rows}
        return [(item, left[key]) for key, item in named.items() if key in left]

    def items(self) -> list[Item]:
        rows = self._base.execute("SELECT path, folder, found FROM file ORDER BY rowid")
        return [Item(Path(path), Path(folder), found=bool(found)) for path, folder, found in rows]

    def record(self, item: Item, state: str, text: str = "", output: Sequence[Path] = ()) -> None:
        """A file's row, once it is done or has failed; see `commit`."""
        if not self._waiting:
            self._since = time.monotonic()
        outputs = json.dumps([str(path) for path in output])
        self._waiting.append((state, text, outputs, time.time(), _key(item)))

    def commit(self, *, now: bool = False) -> None:
        """Writes the rows that wait, once they are many or have waited for long, or `now`. Raises:
        OSError where the disk takes nothing; they go on waiting then."""
        if not self._waiting:
            return
        waited = time.monotonic() - self._since
        if not now and len(self._waiting) < MOST_ROWS and waited < LONGEST:
            return
        try:
            with self._base:
                self._base.executemany(
                    "UPDATE file SET state = ?, text = ?, output = ?, at = ? WHERE path = ?",
                    self._waiting,
                )
        except sqlite3.OperationalError as e:
            self._since = time.monotonic()
            raise OSError(f"{shown_path(self.path)}: {e}") from None
        self._waiting.clear()

    def state(self) -> State:
        counts = dict(self._base.execute("SELECT state, count(*) FROM file GROUP BY state"))
        now = time.time()
        least, most, count = self._base.execute(
            "SELECT min(at), max(at), count(*) FROM file WHERE at > ?", (now - 60,)
        ).fetchone()
        rate = (count - 1) / (most - least) if count > 1 and most > least else 0.0
        return State(counts, rate, _is_held(self.path))

    def failures(self) -> Iterator[Row]:
        rows = self._base.execute(
            "SELECT path, state, text, output FROM file WHERE state IN (?, ?, ?) ORDER BY rowid",
            (FAILED, ASIDE, CHANGED),
        )
        for path, state, text, output in rows:
            yield Row(Path(path), state, text, tuple(map(Path, json.loads(output))))


@contextmanager
def drive(path: Path) -> Iterator[Journal]:
    """The journal at `path`, made where there is none, for the one who writes it. Raises: JobError
    where somebody else does, or where it is no journal."""
    shown = shown_path(path)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(path):
        base = _opened(path, lambda: sqlite3.connect(path, timeout=10))
        try:
            try:
                base.execute("PRAGMA journal_mode=WAL")
                base.execute("PRAGMA synchronous=NORMAL")
                base.executescript(_TABLES)
                base.execute("INSERT OR IGNORE INTO job VALUES ('format', ?)", (str(FORMAT),))
                base.commit()
            except sqlite3.Error as e:
                raise JobError(f"{shown}: cannot be written as a job's journal ({e})") from None
            journal = Journal(path, base)
            yield journal
            with suppress(OSError):
                journal.commit(now=True)
        finally:
            base.close()


@contextmanager
def look(path: Path) -> Iterator[Journal]:
    """The journal at `path`, to be read. Raises: JobError where there is none."""
    shown = shown_path(path)
    if not path.is_file():
        raise JobError(f"{shown}: there is no such job; check its name")
    base = _opened(path, lambda: sqlite3.connect(path, timeout=10))
    try:
        yield Journal(path, base)
    except sqlite3.Error as e:
        raise JobError(f"{shown}: cannot be read as a job's journal ({e})") from None
    finally:
        base.close()


def _opened(path: Path, connect: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    shown = shown_path(path)
    try:
        base = connect()
    except sqlite3.Error as e:
        raise JobError(f"{shown}: cannot be opened ({e}); choose another place") from None
    try:
        names = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        number = FORMAT
        if names:
            found = base.execute("SELECT value FROM job WHERE name = 'format'").fetchone()
            number = int(found[0]) if found else FORMAT
    except sqlite3.Error:
        base.close()
        raise JobError(f"{shown}: is no job of nulie's; choose another name") from None
    if number > FORMAT:
        base.close()
        raise JobError(f"{shown}: is a job of a newer nulie; update this one")
    return base


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Holds the lock beside the journal, which the system lets go of with the process. Raises:
    JobError where another one holds it."""
    lock = _lock_of(path)
    while True:
        try:
            file = lock.open("a+b")
        except OSError as e:
            raise JobError(f"{shown_path(path)}: cannot be written ({reason(e)})") from None
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            who = file.read(200).decode("utf-8", "replace").strip()
            file.close()
            raise JobError(
                f"{shown_path(path)}: another one is at work on this job ({who}); wait, or stop it"
            ) from None
        with suppress(OSError):
            if os.fstat(file.fileno()).st_ino == lock.stat().st_ino:
                break
        file.close()  # its last holder has just taken it away
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
    file.flush()
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        file.close()


def _is_held(path: Path) -> bool:
    try:
        with _lock_of(path).open("r+b") as file:
            _lock(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock(file: BinaryIO) -> None:
    """Raises: OSError where another one holds it."""
    if os.name == "nt":
        import msvcrt

        file.seek(1 << 20)  # behind what is written there, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        file.seek(0)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _key(item: Item) -> str:
    return str(item.path.absolute())


def _short(value: object) -> str:
    text = "not given" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}..."
