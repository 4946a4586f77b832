"""SHA-256 of files, remembered, and nulie's own folder in which they are."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """nulie's own folder: `NULIE_HOME`, else the place this platform has for caches."""
    folder = os.environ.get("NULIE_HOME")
    if folder:
        return Path(folder).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "nulie" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nulie"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nulie"


def verify(path: Path, sha256: str, *, anew: bool = False) -> bool:
    """Whether the file's SHA-256 is `sha256`. The answer is remembered for the file's size and
    time of change, for reading 1.7 GB takes seconds; `anew` reads it in any case."""
    known = None if anew else recall(path)
    return (known or remember(path, compute(path))) == sha256


def compute(path: Path) -> str:
    """SHA-256 of a file, in lower-case hex."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def _stamp(path: Path) -> tuple[str, list[int]]:
    real, stat = path.resolve(), path.stat()
    return str(real), [stat.st_size, stat.st_mtime_ns]


def _notes() -> dict[str, list[object]]:
    try:
        notes = json.loads((cache_folder() / "digests.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def recall(path: Path) -> str | None:
    """The digest remembered for the file as it is now, without reading it."""
    key, stamp = _stamp(path)
    note = _notes().get(key)
    return str(note[2]) if isinstance(note, list) and note[:2] == stamp and len(note) > 2 else None


def remember(path: Path, sha256: str) -> str:
    key, stamp = _stamp(path)
    notes = _notes()
    if notes.get(key) != [*stamp, sha256]:
        notes[key] = [*stamp, sha256]
        file = cache_folder() / "digests.json"
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(notes, indent=1), "utf-8")
            part.replace(file)
        except OSError:
            pass  # it costs a second at the next start, nothing more
    return sha256
