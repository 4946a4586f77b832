"""What waits to be done, in chunks, and what to do about those that came to nothing."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import TypeVar

LARGEST = 8
"""Files in a chunk at most: with more of them a worker that ends costs more, and gains nothing."""
MOST_DEATHS = 2
"""After so many ends of workers a file that was in work alone is set aside."""

Chunk = tuple[int, ...]
"""Numbers of files."""
_T = TypeVar("_T")


class Queue:
    """Files by their numbers, the first first. Groups stay in one chunk."""

    def __init__(self, groups: Sequence[Chunk], workers: int, largest: int = LARGEST) -> None:
        self._groups = deque(groups)
        self._again: deque[Chunk] = deque()
        self._workers, self._largest = workers, largest
        self._deaths: Counter[int] = Counter()
        self._left = sum(map(len, groups))

    def next(self) -> Chunk:
        """A chunk to be done; empty where none waits. Towards the end they get shorter, so that
        all workers end at about the same time."""
        if self._again:
            return self._again.popleft()
        size = max(1, min(self._largest, self._left // (4 * self._workers)))
        chunk: Chunk = ()
        while self._groups and (not chunk or len(chunk) + len(self._groups[0]) <= size):
            chunk += self._groups.popleft()
        self._left -= len(chunk)
        return chunk

    def died(self, rest: Chunk) -> int | None:
        """A worker has ended within a chunk, of which `rest` is not done. It waits once more, in
        halves; a file that was alone in it and has ended a worker before, is returned: it is to be
        set aside."""
        self._deaths.update(rest)
        if len(rest) == 1 and self._deaths[rest[0]] >= MOST_DEATHS:
            return rest[0]
        half = max(1, len(rest) // 2)
        self._again.extendleft(part for part in (rest[half:], rest[:half]) if part)
        return None


def grouped(keys: Sequence[_T]) -> list[Chunk]:
    """The numbers of those with the same key together, where the first of them stands."""
    groups: dict[_T, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return [tuple(numbers) for numbers in groups.values()]
