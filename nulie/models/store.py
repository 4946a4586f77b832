"""The store of weights: where files lie, how they get here, whether they are intact. It is given
tables of files; `obtain` and `fetch` alone use the network. Files of the hub live in the Hugging
Face cache, which other programs share; others in nulie's own folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UnknownModelError, WeightsError
from . import digests, download
from .download import Progress
from .locks import Locks
from .weights import HubFile, Table, Weights

logger = logging.getLogger(__name__)

SMALL = 16 << 20
"""Bytes up to which a file's digest is computed each time it is looked for."""

_OBTAINING = Locks()
"""By the name of the file: two threads that write into one would spoil it."""


@dataclass(frozen=True)
class Status:
    name: str
    users: tuple[str, ...]
    size: int
    """Bytes: of the file on this machine, else of the download."""
    license: str
    path: Path | None
    """Where it lies; None where it is not on this machine."""
    verified: bool | None
    """True: its digest was right. False: it was wrong. None: not looked at yet, or absent."""

    @property
    def present(self) -> bool:
        return self.path is not None


def find(weights: Weights, folders: Sequence[Path] = ()) -> Path | None:
    """An intact copy on this machine or in `folders`, or None; no network. A large file is read
    whole the first time it is met, and its digest remembered."""
    for path, sha256 in _candidates(weights, folders):
        try:
            if digests.verify(path, sha256, anew=weights.size <= SMALL):
                return path
            logger.warning("%s is passed over: its SHA-256 is not %s", path, sha256)
        except OSError as e:
            logger.warning("%s is passed over: %s", path, e)
    return None


def obtain(
    weights: Weights, *, folders: Sequence[Path] = (), progress: Progress | None = None,
    network: bool = True,
) -> Path:  # fmt: skip
    """The path of an intact copy, downloaded where there is none. Raises: WeightsError, within 5
    seconds when its publisher cannot be reached."""
    with _OBTAINING.of(weights.name):
        path = find(weights, folders)
        if path is not None:
            return path
        if not network:
            raise WeightsError(f"{weights.name} is not on this machine; {remedy(weights)}")
        try:
            if isinstance(weights.source, HubFile):
                path = _from_hub(weights, weights.source, progress)
            else:
                path = weights.source.target
                download.to_file(weights.source.url, path, weights.sha256, weights.size, progress)
        except WeightsError as e:
            raise WeightsError(f"{e}; {remedy(weights)}") from e
        digests.remember(path, weights.sha256)
        return path


def fetch(
    table: Table, name: str, *, progress: Progress | None = None, folders: Sequence[Path] = ()
) -> list[Path]:
    """The paths of the files of the model `name`, or of that file, the small ones first, downloaded
    where missing. Raises: UnknownModelError; WeightsError as `obtain` does."""
    return [obtain(w, folders=folders, progress=progress) for w in named(table, name)]


def named(table: Table, name: str) -> list[Weights]:
    """The files that `name`, a model or a file of weights, stands for, the small ones first."""
    wanted = [w for w in table.values() if name == w.name or name in w.users]
    if not wanted:
        users = dict.fromkeys(user for w in table.values() for user in w.users)
        known = ", ".join([*users, *table])
        raise UnknownModelError(f"no weights are called {name!r}; known: {known}")
    return sorted(wanted, key=lambda w: w.size)


def status(table: Table, folders: Sequence[Path] = ()) -> list[Status]:
    """One row per file, quickly: digests are looked up, not computed."""
    return [_status(w, folders, compute=False) for w in table.values()]


def check(table: Table, folders: Sequence[Path] = ()) -> list[Status]:
    """One row per file with every digest computed anew; changes no file."""
    return [_status(w, folders, compute=True) for w in table.values()]


def remedy(weights: Weights) -> str:
    """What a user can do who lacks `weights`; the end of an error message."""
    name = weights.users[0] if weights.users else weights.name
    return f"when online, run 'nulie weights fetch {name}', or {weights.otherwise}"


def _status(weights: Weights, folders: Sequence[Path], compute: bool) -> Status:
    path, verified = None, None
    for candidate, sha256 in _candidates(weights, folders):
        seen = digests.compute(candidate) if compute else digests.recall(candidate)
        if compute and seen:
            digests.remember(candidate, seen)
        if path is None or seen == sha256:
            path, verified = candidate, None if seen is None else seen == sha256
        if verified:
            break
    size = path.stat().st_size if path else weights.size
    return Status(weights.name, weights.users, size, weights.license, path, verified)


def _candidates(weights: Weights, folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Files that may be these weights, each with the digest it must have, the best first."""
    source, copy = weights.source, weights.copy
    places: list[tuple[Path, str, str]] = []
    if isinstance(source, HubFile):
        yield from _hub_candidates(source, weights.sha256)
    else:
        places += [(f, source.name, weights.sha256) for f in (source.target.parent, *folders)]
    if copy is not None:
        own = Path(copy.folder).expanduser()
        places += [(f, copy.name, copy.sha256) for f in (own, *folders)]
    yield from ((f / name, sha256) for f, name, sha256 in places if (f / name).is_file())


def _hub_candidates(source: HubFile, sha256: str) -> Iterator[tuple[Path, str]]:
    snapshots = _snapshots(source)
    pinned = snapshots / source.revision / source.name
    if pinned.is_file():
        yield pinned, sha256
    for other in sorted(snapshots.glob("*/" + source.name)):
        if other != pinned:
            yield other, sha256
    for old in sorted(snapshots.glob("*/" + source.older)) if source.older else ():
        # Its digest is not on record here, but the hub names a blob by its SHA-256.
        if re.fullmatch("[0-9a-f]{64}", old.resolve().name):
            yield old, old.resolve().name


def _snapshots(source: HubFile) -> Path:
    """Where the hub's cache keeps the repository, by its rules; importing it takes a second."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    old = os.environ.get("HUGGINGFACE_HUB_CACHE")
    hub = os.environ.get("HF_HUB_CACHE") or old or f"{home}/hub"
    repo = "models--" + source.repo.replace("/", "--")
    return Path(os.path.expandvars(hub)).expanduser() / repo / "snapshots"


def _from_hub(weights: Weights, source: HubFile, progress: Progress | None) -> Path:
    pinned = _snapshots(source) / source.revision / source.name
    if pinned.is_file():
        # `find` has refused it, and huggingface_hub would hand it out unseen.
        _delete_blob(pinned)
    path = download.from_hub(
        source.repo, source.name, source.revision, weights.name, weights.size, progress
    )
    sha256 = digests.compute(path)
    if sha256 != weights.sha256:
        _delete_blob(path)
        which = f"{source.name} from {source.repo}"
        wrong = f"has SHA-256 {sha256} instead of {weights.sha256}"
        raise WeightsError(f"{which} {wrong} and was deleted")
    return path


def _delete_blob(pointer: Path) -> None:
    blob = pointer.resolve()
    try:
        pointer.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    except OSError as e:
        raise WeightsError(f"{pointer} is damaged and cannot be deleted: {e}") from e
