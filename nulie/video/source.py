"""A film as it is read: its facts, what is refused, its frames and the packets beside them."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ExtraError, ImageError, needed_for
from ..image_io import reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PYTHON = (3, 11)
"""What today's PyAV needs."""
_HDR = {16: "PQ", 18: "HLG"}
"""Transfers of ITU-R BT.2100, by the numbers of ITU-T H.273."""
_UNSPECIFIED = 2
_HD_WIDTH, _SD_HEIGHT = 1280, 576
"""A film that does not name its matrix has that of HD from so many columns on, or of more rows
than SD has, as players take it."""
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
"""Numbers of H.273 to names of libswscale's."""
NAMED = 20
"""Places of damage that are told, at most."""
RGB, FULL = 0, 2
"""A matrix, and a range."""


def require() -> None:
    """Raises: ExtraError without PyAV."""
    try:
        with needed_for("a video", "av", extra="video"):
            import av  # noqa: F401
    except ExtraError as e:
        if sys.version_info >= PYTHON:
            raise
        needed = ".".join(map(str, PYTHON))
        raise ExtraError(f"{e}; today's needs Python {needed}, and this one is older") from None


@dataclass(frozen=True)
class Facts:
    """What is known of a film once its first frame is there."""

    width: int
    height: int
    pix_fmt: str
    bits: int
    """Of a channel."""
    chroma: str
    """`420`, `422` or `444`."""
    grey: bool
    rgb: bool
    """Whether its frames are red, green and blue, and not luma and chroma."""
    matrix: str
    """What turns its colours into RGB and back; see `_MATRICES`."""
    tags: dict[str, int]
    """`colorspace`, `color_range`, `color_primaries` and `color_trc`, as the film names them."""
    full: bool
    """Whether black is 0 and white 255, and not 16 and 235."""
    time_base: Fraction
    rate: Fraction | None
    aspect: Fraction | None
    """Width of a pixel over its height, where that is known."""
    turn: tuple[int, ...] | None
    """The nine numbers by which players turn or mirror it."""
    interlaced: bool
    codec: str
    frames: int
    """As many as its header says or its length makes likely; 0 where nothing is known."""

    @property
    def deep(self) -> bool:
        return self.bits > 8

    @property
    def odd(self) -> bool:
        return bool(self.width % 2 or self.height % 2)


@dataclass
class Source:
    """A film; `facts` and the refusals first, then `packets` as often as it is read."""

    path: Path
    shown: str
    facts: Facts = field(init=False)
    damage: list[str] = field(default_factory=list, init=False)
    """Where, in the film, it could not be read, `NAMED` of them; of the last reading."""
    _due: list[int] | None = field(default=None, init=False)
    """Of AVI, which knows when frames are stored and not when they are shown: the times of those
    that are being decoded, as a heap."""

    def __post_init__(self) -> None:
        """Raises: ImageError on a file that is no film or is not worked on, ExtraError."""
        require()
        with self._open() as container:
            self.facts = self._look_at(container)

    @contextmanager
    def _open(self) -> Iterator[InputContainer]:
        import av

        self.damage = []
        try:
            # As a plain file, whatever its name looks like; what it points to is not followed.
            options = {"protocol_whitelist": "file"}
            container = av.open(f"file:{self.path}", options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as e:
            why = words(e)
            if isinstance(e, FileNotFoundError | PermissionError | IsADirectoryError):
                why = f"cannot be read ({why}); check its name"
            else:
                why = f"is no video that can be read ({why})"
            raise ImageError(f"{self.shown}: {why}") from None
        self._due = [] if container.format.name == "avi" else None
        with container:
            yield container

    def _look_at(self, container: InputContainer) -> Facts:
        stream = main_stream(container)
        if stream is None:
            raise ImageError(f"{self.shown}: holds no video stream")
        if stream.metadata.get("alpha_mode") == "1":
            raise self._transparent()
        frame = next(self._frames_of(container, stream), None)
        if frame is None:
            raise ImageError(f"{self.shown}: none of its frames can be read; it is damaged")
        self._refuse(frame)
        return _facts(container, stream, frame)

    def _refuse(self, frame: VideoFrame) -> None:
        """Raises: ImageError on what would come out wrong."""
        hdr = _HDR.get(int(frame.color_trc))
        if hdr is None and "DOVI_METADATA" in {data.type.name for data in _side_data(frame)}:
            hdr = "Dolby Vision"
        if hdr:
            raise ImageError(
                f"{self.shown}: is HDR ({hdr}), and its levels would be taken for those of ordinary"
                " video; convert it to SDR first"
            )
        format = frame.format
        if any(component.is_alpha for component in format.components) and format.name != "pal8":
            raise self._transparent()
        matrix = int(frame.colorspace)
        if not format.is_rgb and matrix not in {*_MATRICES, RGB, _UNSPECIFIED}:
            raise ImageError(
                f"{self.shown}: its colour matrix (number {matrix} of H.273) is not known here;"
                " convert it to BT.709 first"
            )

    def _transparent(self) -> ImageError:
        return ImageError(
            f"{self.shown}: is transparent in parts, which results cannot be; put it on a"
            " background first"
        )

    def frames(self) -> Iterator[VideoFrame]:
        """All frames in the order in which they are shown. Raises: ImageError."""
        with self._open() as container:
            stream = main_stream(container)
            assert stream is not None  # it has been looked at
            yield from self._frames_of(container, stream)

    def _frames_of(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for packet in self._demux(container, [stream]):
            yield from self.decoded(packet)

    @contextmanager
    def reading(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """The open film and its main stream, to be read once. Raises: ImageError."""
        with self._open() as container:
            stream = main_stream(container)
            assert stream is not None
            yield container, stream

    def _demux(self, container: InputContainer, streams: list[Any]) -> Iterator[Packet[Any]]:
        """Packets to the end, or as far as the file can be read."""
        import av

        for stream in streams:
            if stream.type == "video":
                stream.thread_type = "AUTO"
        packets = container.demux(streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as e:
                self._note_damage(f"its end ({words(e)})")
                return
            yield packet

    packets = _demux

    def decoded(self, packet: Packet[Any]) -> Iterator[VideoFrame]:
        """The frames that a packet of the main stream completes; what cannot be decoded is put
        down in `damage`."""
        import av

        try:
            frames: list[Any] = packet.decode()
        except (av.FFmpegError, OSError):
            self._note_damage(_when(packet))
            return
        stored = packet.dts if packet.pts is None else packet.pts
        if self._due is not None and packet.size and stored is not None:
            heappush(self._due, stored)
        for frame in frames:
            if self._due:
                frame.pts = heappop(self._due)
            if packet.is_corrupt or frame.is_corrupt:
                self._note_damage(_when(frame))
            yield frame

    def _note_damage(self, where: str) -> None:
        if where not in self.damage and len(self.damage) < NAMED:
            self.damage.append(where)


def words(error: Exception) -> str:
    """Why, without numbers and names of files."""
    return getattr(error, "strerror", None) or reason(error)


def main_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; a cover is none."""
    return next((s for s in container.streams.video if not is_cover(s)), None)


def is_cover(stream: Stream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _when(timed: Any) -> str:
    """Of a packet or a frame."""
    return clock(float(timed.pts * timed.time_base)) if timed.pts is not None else "some place"


def clock(seconds: float) -> str:
    """`1:02:03.4`, or `2:03.4`."""
    tenths = max(0, round(10 * seconds))
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    ending = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{ending}" if hours else f"{minutes}:{ending}"


def _facts(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> Facts:
    format, context = frame.format, stream.codec_context
    names = "colorspace", "color_range", "color_primaries", "color_trc"
    tags = {name: int(getattr(frame, name)) for name in names}
    matrix, rgb = tags["colorspace"], format.is_rgb
    hd = frame.width >= _HD_WIDTH or frame.height > _SD_HEIGHT
    grey = not rgb and len(format.components) == 1
    rate = stream.average_rate or stream.guessed_rate
    assert stream.time_base is not None  # every demuxer sets it
    return Facts(
        frame.width, frame.height, format.name, max(c.bits for c in format.components),
        "444" if rgb else "420" if grey else _chroma(frame),
        grey, rgb, _MATRICES.get(matrix, "bt709" if hd or rgb else "bt601"), tags,
        tags["color_range"] == FULL or format.name.startswith("yuvj") or rgb,
        stream.time_base, rate, stream.sample_aspect_ratio or None, _turn(frame),
        frame.interlaced_frame, context.name,
        stream.frames or _likely_count(container, stream, rate),
    )  # fmt: skip


def _chroma(frame: VideoFrame) -> str:
    if 2 * frame.format.chroma_width() > frame.width + 1:
        return "444"
    return "420" if 2 * frame.format.chroma_height() <= frame.height + 1 else "422"


def _likely_count(container: InputContainer, stream: VideoStream, rate: Fraction | None) -> int:
    seconds = 0.0
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / 1e6
    return round(seconds * float(rate)) if rate else 0


def _side_data(frame: VideoFrame) -> list[Any]:
    return list(frame.side_data)


def _turn(frame: VideoFrame) -> tuple[int, ...] | None:
    for data in _side_data(frame):
        if data.type.name == "DISPLAYMATRIX":
            return struct.unpack("=9i", bytes(data)[:36])
    return None
