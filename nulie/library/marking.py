"""Scores and stars where other programs find them: in sidecars, or in the pictures' metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import ImageError
from ..image_io import marks
from ..jobs.events import Amiss
from ..jobs.journal import version_of
from .scoring import Row
from .stars import stars
from .store import Store


@dataclass(frozen=True)
class Marking:
    sidecar: bool = False
    embed: bool = False
    least: tuple[float, ...] | None = None
    """The least scores of 1 to 5 stars; None: no stars."""

    def __bool__(self) -> bool:
        return self.sidecar or self.embed


def mark(rows: Sequence[Row], wanted: Marking, store: Store | None) -> Iterator[Amiss]:
    """Marks the pictures of all rows with a score; tells of those that could not be. A library
    knows pictures that were written into by their new contents."""
    for row in rows:
        if row.score is None:
            continue
        rated = None if wanted.least is None else stars(row.score, wanted.least)
        made = marks.Mark(row.score, row.predictor, rated)
        try:
            if wanted.sidecar:
                marks.write_sidecar(row.item.path, made)
            if wanted.embed and marks.embed(row.item.path, made) and store is not None:
                _follow(row, store)
        except (ImageError, OSError) as e:
            yield Amiss(row.item, str(e))
    if store is not None:
        store.commit(now=True)


def _follow(row: Row, store: Store) -> None:
    path = row.item.path
    version = version_of(path)
    key = str(path.absolute())
    old = store.digest_of(key)
    if version is None or old is None:
        return
    new = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    store.same_pixels(old, new)
    store.put_file(key, *version, new)
    store.commit()
