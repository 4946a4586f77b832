"""Where shots begin, by histograms of luma, and the frames that stand for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL import Image

Histogram = npt.NDArray[np.float32]
BINS = 64
CUT = 0.2
"""Distance of the histograms of two frames from which on there is a cut between them: 0.39 was seen
at a cut, at most 0.042 elsewhere."""
UNREST = 3.0
"""So many times the usual distance of that moment, too, for water and crowds are never alike."""
GRADUAL = 0.35
"""Distance over twice `AHEAD` frames, without a cut among them, that makes another shot all the
same: a dissolve, or a door that leads into the sun."""
AHEAD = 8
"""Frames that are looked at before it is said where a shot ends: so long may a flash last."""
KEYS = 5
"""Frames that stand for a shot."""
ALIKE = 0.06
"""Distance of the colours of two shots up to which they are one scene, seen again."""
_KEPT = 2 * KEYS
_SEEN = 256
"""Rows and columns of a frame that are looked at, at most."""


@dataclass
class Found:
    """A shot, once it is over."""

    begin: int
    end: int
    """The number of its first frame, and of the one after its last."""
    time: float
    """When it begins, in seconds of the film."""
    cut: bool
    """Whether it begins with a cut."""
    keys: list[VideoFrame] = field(repr=False)


def histogram(frame: VideoFrame) -> Histogram:
    """`[BINS]`, of sum 1: of luma, or of green where there is none."""
    plane: Any = frame.planes[0]
    bits = frame.format.components[0].bits
    deep = bits > 8
    flat: npt.NDArray[Any] = np.frombuffer(plane, np.uint16 if deep else np.uint8)
    rows = flat.reshape(plane.height, -1)
    some = rows[:: -(-plane.height // _SEEN), : plane.width : -(-plane.width // _SEEN)]
    levels = (some >> max(0, bits - 6)).ravel() if deep else (some >> 2).ravel()
    counts = np.bincount(np.minimum(levels, BINS - 1), minlength=BINS)
    shares: Histogram = (counts / counts.sum()).astype(np.float32)
    return shares


def apart(one: Histogram, other: Histogram) -> float:
    """0 of equal histograms, 1 of those that share no level."""
    return float(abs(one - other).sum() / 2)


def look(*images: Image.Image) -> Histogram:
    """What the colours of RGB images are told by, so that scenes are known again."""
    counts = np.sum([image.histogram() for image in images], 0).reshape(-1, 8).sum(1)
    shares: Histogram = (counts / counts.sum()).astype(np.float32)
    return shares


class Finder:
    """Is given a film's frames in their order, and gives its shots."""

    def __init__(self, *, split: bool = True) -> None:
        """Without `split` all of the film is one shot."""
        self._split = split
        self._keys, self._begin, self._cut = _Keys(), 0, True
        self._waiting: deque[VideoFrame] = deque()
        self._seen = _Seen()
        self._count, self._time = 0, 0.0

    def add(self, frame: VideoFrame) -> Found | None:
        """The shot that is over, where one is."""
        self._waiting.append(frame)
        self._count += 1
        if not self._split:
            self._keys.add(self._waiting.popleft())
            return None
        self._seen.add(histogram(frame))
        if len(self._waiting) <= AHEAD:
            return None
        found = None
        at = self._count - 1 - AHEAD  # of the frame that waits longest
        kind = self._seen.border() if at > self._begin else None
        if kind is not None:
            found = Found(self._begin, at, self._time, self._cut, self._keys.chosen())
            self._keys, self._begin, self._cut = _Keys(), at, kind == "cut"
            self._time = self._waiting[0].time or 0.0
            if not self._cut:
                self._seen.forget()
        self._keys.add(self._waiting.popleft())
        return found

    def end(self) -> Found:
        """The last shot, of a film that has frames."""
        for frame in self._waiting:
            self._keys.add(frame)
        return Found(self._begin, self._count, self._time, self._cut, self._keys.chosen())


class _Seen:
    """The histograms around a frame, `AHEAD` on either side."""

    def __init__(self) -> None:
        self._all: deque[Histogram] = deque(maxlen=2 * AHEAD + 1)
        self._steps: deque[float] = deque(maxlen=2 * AHEAD)
        self._across = 0.0
        """How far apart the first and the last are, where there are as many as there can be."""
        self._quiet = 0
        """Frames for which no gradual change counts."""

    def add(self, histogram: Histogram) -> None:
        if self._all:
            self._steps.append(apart(self._all[-1], histogram))
        self._all.append(histogram)
        self._quiet = max(0, self._quiet - 1)

    def forget(self) -> None:
        """The change that goes on has been counted."""
        self._quiet = 2 * AHEAD

    def border(self) -> str | None:
        """`cut` or `gradual` where a shot begins with the frame in the middle, or, as long as
        there are fewer before it, with the one that has `AHEAD` after it."""
        middle = len(self._all) - 1 - AHEAD
        step, before_it = self._steps[middle - 1], self._across
        sudden = max(CUT, UNREST * float(np.median(self._steps)))
        whole = len(self._all) == self._all.maxlen
        self._across = apart(self._all[0], self._all[-1]) if whole else 0.0
        if step >= sudden:
            before, after = self._part(0, middle), self._part(middle, len(self._all))
            # A flash comes and goes, and all is as it was.
            comes = min(apart(before[-1], later) for later in after[1:])
            goes = min(apart(earlier, after[0]) for earlier in before)
            return "cut" if min(comes, goes) >= CUT / 2 else None
        # Where a step stands out a cut is near; and the change is to be at its height.
        if self._quiet or max(self._steps) >= sudden or self._across > before_it:
            return None
        return "gradual" if self._across >= GRADUAL else None

    def _part(self, begin: int, end: int) -> Sequence[Histogram]:
        return list(self._all)[begin:end]


class _Keys:
    """Frames of a shot at equal distances, however long it becomes."""

    def __init__(self) -> None:
        self._kept: list[VideoFrame] = []
        self._every = 1
        self._count = 0

    def add(self, frame: VideoFrame) -> None:
        if self._count % self._every == 0:
            if len(self._kept) == _KEPT:
                self._kept, self._every = self._kept[::2], 2 * self._every
            if self._count % self._every == 0:
                self._kept.append(frame)
        self._count += 1

    def chosen(self) -> list[VideoFrame]:
        """`KEYS` of them, or all of a shot that has fewer."""
        count = min(KEYS, len(self._kept))
        return [self._kept[int((i + 0.5) * len(self._kept) / count)] for i in range(count)]
