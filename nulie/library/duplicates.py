"""Near-duplicates of a library: groups of pictures that look alike, the best of each first."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, LibraryError, needed_for
from ..image_io import atomic, reason, shown_path
from ..jobs.inputs import Item
from ..jobs.journal import version_of
from ..jobs.workers import cores
from .scoring import DECODERS, look
from .store import Store

HASH = "phash 64"
"""Kind of vectors that are hashes: 64 signs."""
LEAST = {HASH: 0.8}
"""Least likeness of near-duplicates where nothing else is asked for, by kind; of hashes it is one
less twice the share of bits that differ, so six of 64 may."""
LEAST_OF_EMBEDDINGS = 0.96
ROWS = 1024
"""Pictures whose likeness to all others is found out together."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Group:
    """Pictures that look alike, the best first."""

    items: tuple[Item, ...]
    scores: tuple[float | None, ...]


def groups(
    items: Sequence[Item], store: Store, *, least: float | None = None,
    tell: Callable[[float], None] = lambda share: None,
) -> list[Group]:  # fmt: skip
    """Those of at least two, the largest first. Pictures are compared by the embeddings that the
    library keeps, or by a perceptual hash where it keeps none. `tell` hears of the share that is
    done. Raises: LibraryError where the library knows none of the pictures; ExtraError where the
    hash needs a package; what `tell` raises."""
    kinds = [kind for kind in store.kinds() if kind != HASH]
    if kinds:
        digests, kind = _digests(items, store), kinds[0]
    else:
        digests, kind = _hashed(items, store, lambda share: tell(share / 2)), HASH
    scores = _scores(store)
    number_of: dict[bytes, list[int]] = {}
    for number, digest in enumerate(digests):
        if digest is not None:
            number_of.setdefault(digest, []).append(number)
    names: list[bytes] = []
    parts: list[npt.NDArray[np.float16]] = []
    for found, vectors in store.vectors(kind):
        kept = [place for place, digest in enumerate(found) if digest in number_of]
        names += [found[place] for place in kept]
        parts.append(vectors[kept])
    if not names:
        raise LibraryError(
            f"{shown_path(store.path)}: knows none of these pictures;"
            " nulie score --library looks at them"
        )
    order = sorted(range(len(names)), key=lambda place: -scores.get(names[place], -np.inf))
    matrix = _unit(np.concatenate(parts)[order])
    if least is None:
        least = LEAST.get(kind, LEAST_OF_EMBEDDINGS)
    made = []
    for members in _groups(matrix, least, tell):
        digests_of = [names[order[place]] for place in members]
        numbers = [number for digest in digests_of for number in number_of[digest]]
        if len(numbers) > 1:
            known = tuple(scores.get(d) for d in digests_of for _ in number_of[d])
            made.append(Group(tuple(items[number] for number in numbers), known))
    return sorted(made, key=lambda group: -len(group.items))


def write_kept(items: Sequence[Item], found: Sequence[Group], output: Path) -> None:
    """Writes the paths of all pictures but those behind the best of a group, one a line. Raises:
    ImageError."""
    rest = {item for group in found for item in group.items[1:]}
    lines = [f"{item.given}\n" for item in items if item not in rest]
    atomic.write(output, "".join(lines).encode("utf-8", "surrogateescape"), overwrite=True)


def put_aside(found: Sequence[Group], folder: Path) -> list[tuple[Path, Path]]:
    """Moves all but the best of each group into a folder, below which they lie as before; from
    where to where. Nothing is deleted, nothing replaced. Raises: ImageError on the first that
    cannot be moved."""
    moved = []
    for group in found:
        for item in group.items[1:]:
            target = folder / item.folder / item.path.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                _move(item.path, target)
            except OSError as e:
                shown = shown_path(target)
                raise ImageError(f"{shown}: cannot be moved there ({reason(e)})") from None
            moved.append((item.path, target))
    return moved


def _move(source: Path, target: Path) -> None:
    """No moment has the file in neither place, or a part of it. Raises: OSError, ImageError, also
    where there is a file of the target's name."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another disk, or one without hard links
        mode = stat.S_IMODE(source.stat().st_mode)
        with (
            source.open("rb") as given,
            atomic.writing(target, overwrite=False, mode=mode) as draft,
        ):
            shutil.copyfileobj(given, draft.file)
        shutil.copystat(source, target)
    source.unlink()


def _groups(
    matrix: Floats, least: float, tell: Callable[[float], None] = lambda share: None
) -> Iterator[list[int]]:
    """Rows of unit length in the order of their worth; each group is a row with those behind it
    that are alike and in no other group."""
    free = np.ones(len(matrix), bool)
    for start in range(0, len(matrix), ROWS):
        tell(0.5 + start / len(matrix) / 2)
        block = matrix[start : start + ROWS]
        alike: dict[int, list[int]] = {}
        for at in range(start, len(matrix), 8 * ROWS):
            first, second = np.nonzero(block @ matrix[at : at + 8 * ROWS].T >= least)
            for row, column in zip(first.tolist(), second.tolist(), strict=True):
                if at + column > start + row:
                    alike.setdefault(start + row, []).append(at + column)
        for row in range(start, start + len(block)):
            if free[row]:
                members = [row, *(other for other in alike.get(row, ()) if free[other])]
                free[members] = False
                yield members


def _unit(vectors: npt.NDArray[np.float16]) -> Floats:
    matrix = vectors.astype(np.float32)
    norm: Any = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Floats = matrix / np.maximum(norm, 1e-12)
    return unit


def _digests(items: Sequence[Item], store: Store) -> list[bytes | None]:
    known = store.files()
    found = []
    for item in items:
        row = known.get(str(item.path.absolute()))
        found.append(row[2] if row is not None and version_of(item.path) == row[:2] else None)
    return found


def _hashed(
    items: Sequence[Item], store: Store, tell: Callable[[float], None]
) -> list[bytes | None]:
    """Digests, with a hash of each in the library; those that lack one are read."""
    with needed_for("comparing pictures without embeddings", "imagehash", extra="library"):
        import imagehash
    from ..transforms.preview import to_image

    digests = _digests(items, store)
    there = store.with_vectors(HASH)
    missing = [n for n, digest in enumerate(digests) if digest is None or digest not in there]

    def read(number: int) -> tuple[int, Any, Any]:
        seen, preview = look(number, items[number].path, 64, frozenset())
        if preview is None:
            return number, seen, None
        bits = imagehash.phash(to_image(preview)).hash.reshape(-1)
        return number, seen, np.where(bits, 1.0, -1.0)

    with ThreadPoolExecutor(min(DECODERS, cores())) as pool:
        try:
            for done, (number, seen, signs) in enumerate(pool.map(read, missing)):
                tell(done / len(missing))
                if signs is not None:
                    key, (length, changed) = str(items[number].path.absolute()), seen.version
                    store.put_file(key, length, changed, seen.digest)
                    store.put_vector(HASH, seen.digest, signs)
                    digests[number] = seen.digest
                    store.commit()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    store.commit(now=True)
    return digests


def _scores(store: Store) -> dict[bytes, float]:
    """By the judge that has scored most."""
    judge = store.main_judge()
    known = store.scores(judge) if judge else {}
    return {digest: one.score for digest, one in known.items() if one.score is not None}
