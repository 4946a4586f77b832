"""Frames to photos and back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..image_io import Photo
from ..image_io.photo import to_8_bits
from . import filters
from .source import Facts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Pixels(threading.local):
    """Takes frames of one film; each thread has filters of its own."""

    def __init__(self, facts: Facts, pix_fmt: str) -> None:
        """`pix_fmt` is that of the frames that `frame` makes."""
        self._facts, self._pix_fmt = facts, pix_fmt
        self._there = filters.of_film(facts, filters.to_rgb(facts))
        self._back: dict[tuple[int, int], filters.Chain] = {}

    def photo(self, frame: VideoFrame) -> Photo:
        """RGB, at 16 bits as well where the film has more than 8."""
        # In the order in which libav has them.
        green, blue, red = map(self._levels, self._there(frame).planes)
        if not self._facts.deep:
            return Photo(Image.merge("RGB", [Image.fromarray(c) for c in (red, green, blue)]))
        deep = np.stack([red, green, blue], -1)
        return Photo(Image.fromarray(to_8_bits(deep)), deep=deep)

    def frame(self, photo: Photo, like: VideoFrame) -> VideoFrame:
        """What is encoded: with the times of `like`, in the size of the photo."""
        import av

        plain = av.VideoFrame(*photo.size, filters.plain(self._facts))
        levels: Any = photo.pixels.split()
        if self._facts.deep:
            deep = photo.deep
            if deep is None:
                deep = np.asarray(photo.pixels).astype(np.uint16) * 257
            levels = deep.transpose(2, 0, 1)
        red, green, blue = map(np.asarray, levels)
        for plane, values in zip(plain.planes, (green, blue, red), strict=True):
            self._levels(plane)[:] = values
        plain.pts, plain.time_base, plain.duration = like.pts, like.time_base, like.duration
        if photo.size not in self._back:
            back = filters.from_rgb(self._facts, self._pix_fmt)
            self._back[photo.size] = filters.of_plain(self._facts, photo.size, back)
        return self._back[photo.size](plain)

    def _levels(self, plane: Any) -> npt.NDArray[Any]:
        """`[H, W]`, those of the plane itself."""
        kind = np.uint16 if self._facts.deep else np.uint8
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
        return rows[:, : plane.width]
