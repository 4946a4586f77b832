"""Chains of libav's filters: to RGB by the film's own matrix and range, tables, and back."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .source import FULL, RGB, Facts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Filters = list[tuple[str, str | None]]
_SCALE = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
"""Of libswscale. Its quick ways there and back leave a picture 1.2 levels of luma off on average,
these 0.1."""


class Chain:
    """Filters in a row; for one thread."""

    def __init__(
        self, filters: Filters, size: tuple[int, int], pix_fmt: str, time_base: Fraction,
        *, matrix: int, span: int,
    ) -> None:  # fmt: skip
        """`matrix` and `span` (range) by their numbers in H.273 and libav, as the frames that are
        to come name them."""
        from av.filter import Graph

        self._graph = Graph()
        given = (
            f"video_size={size[0]}x{size[1]}:pix_fmt={pix_fmt}:time_base={time_base}"
            f":colorspace={matrix}:range={span}"
        )
        nodes = [self._graph.add(n, o) for n, o in (("buffer", given), *filters)]
        self._graph.link_nodes(*nodes, self._graph.add("buffersink")).configure()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        self._graph.push(frame)
        pulled: Any = self._graph.pull()
        made: VideoFrame = pulled
        made.duration = frame.duration
        return made


def of_film(facts: Facts, filters: Filters) -> Chain:
    """What takes the film's frames as they are decoded."""
    tags = facts.tags
    return Chain(
        filters, (facts.width, facts.height), facts.pix_fmt, facts.time_base,
        matrix=tags["colorspace"], span=tags["color_range"],
    )  # fmt: skip


def of_plain(facts: Facts, size: tuple[int, int], filters: Filters) -> Chain:
    """What takes frames of RGB planes, as `to_rgb` leaves them, of any size."""
    return Chain(filters, size, plain(facts), facts.time_base, matrix=RGB, span=FULL)


def plain(facts: Facts) -> str:
    """The format of RGB planes that holds what the film has."""
    return "gbrp16le" if facts.deep else "gbrp"


def to_rgb(facts: Facts) -> Filters:
    by = f"{_SCALE}:{_fields(facts)}:in_range={_span(facts)}:out_range=pc"
    if not facts.rgb:
        by += f":in_color_matrix={facts.matrix}"
    return [("scale", by), ("format", plain(facts))]


def from_rgb(facts: Facts, pix_fmt: str) -> Filters:
    """To what is encoded, in the film's matrix and range."""
    by = f"{_SCALE}:{_fields(facts)}:in_range=pc:out_range={_span(facts)}"
    return [("scale", f"{by}:out_color_matrix={facts.matrix}"), ("format", pix_fmt)]


def by_table(table: npt.NDArray[np.uint8]) -> Filters:
    """`[3, 256]`: what becomes of the levels of red, green and blue."""
    channels = zip("rgb", table, strict=True)
    return [("lutrgb", ":".join(f"{c}='{_expression(levels)}'" for c, levels in channels))]


def _span(facts: Facts) -> str:
    return "pc" if facts.full else "tv"


def _fields(facts: Facts) -> str:
    """Lines of two fields have colour of their own."""
    return f"interl={int(facts.interlaced)}"


def _expression(table: npt.NDArray[np.uint8]) -> str:
    """A table of levels in the language of libav's expressions: it is asked for each level once,
    and finds it by halves."""

    def of(begin: int, end: int) -> str:
        levels = table[begin:end]
        if levels.min() == levels.max():
            return str(int(levels[0]))
        middle = (begin + end) // 2
        return f"if(lt(val,{middle}),{of(begin, middle)},{of(middle, end)})"

    return of(0, 256)
