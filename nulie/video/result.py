"""A film as it is written: the pictures encoded anew, all else copied packet by packet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import ImageError, SettingsError
from .source import FULL, Facts, is_cover

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MUXERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".3gp": "3gp",
}  # fmt: skip
"""Suffixes of films that are written in the format of the input."""
ELSE = ".mkv"
"""Of the others: Matroska holds nearly everything."""
_WRITERS = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "timecode"),
    *("duration", "bps", "number_of_frames", "number_of_bytes", "alpha_mode", "_statistics_tags"),
    *("_statistics_writing_app", "_statistics_writing_date_utc"),
}
"""Metadata that is of the file as it was written, in lower case."""
_BGR_MATRIX = 1
"""BT.709, for RGB that is encoded as luma and chroma."""


@dataclass(frozen=True)
class Encoder:
    name: str
    crf: int | None
    """Usual quality, the lower the better; None: it loses nothing."""
    most: int = 51
    options: Mapping[str, str] | None = None


ENCODERS = {
    "h264": Encoder("libx264", 18),
    "hevc": Encoder("libx265", 20, options={"x265-params": "log-level=error"}),
    "vp9": Encoder("libvpx-vp9", 24, 63, {"b": "0", "row-mt": "1", "cpu-used": "2"}),
    "av1": Encoder("libsvtav1", 26, 63),
    "ffv1": Encoder("ffv1", None, options={"level": "3", "slicecrc": "1"}),
}


def coding(
    codec: str | None, crf: int | None, facts: Facts, suffix: str, shown: str
) -> tuple[str, int | None]:
    """The codec, that of the film where it can be written, and its crf. Raises: SettingsError on
    one that files of the suffix do not hold."""
    import av

    if codec is None:
        codec = "vp9" if suffix == ".webm" else "h264"
        if facts.codec in ENCODERS:
            codec = facts.codec
        elif facts.codec == "libdav1d":
            codec = "av1"
    encoder = ENCODERS[codec]
    try:
        with av.open(BytesIO(), "w", format=MUXERS[suffix]) as tried:
            tried.add_stream(encoder.name)
    except ValueError:
        message = f"{shown}: a {suffix} does not hold {codec}; choose another --codec"
        raise SettingsError(message) from None
    if crf is None or encoder.crf is None:
        return codec, encoder.crf
    if crf > encoder.most:
        raise SettingsError(f"--crf for {codec} is within 0..{encoder.most}, not {crf}")
    return codec, crf


def pix_fmt(codec: str, facts: Facts, size: tuple[int, int], shown: str) -> str:
    """The format of frames to be encoded, as near to the film's as the encoder has. Raises:
    ImageError where it has none with that many bits."""
    import av

    known = [f.name for f in av.Codec(ENCODERS[codec].name, "w").video_formats or ()]
    # H.264 and HEVC have no half of a pixel of colour.
    odd = codec in ("h264", "hevc") and (size[0] % 2 or size[1] % 2)
    if facts.pix_fmt in known and not (odd or facts.grey):
        return facts.pix_fmt
    chroma = "444" if odd else facts.chroma
    for choice in dict.fromkeys((chroma, "420", "444")):
        if odd and choice != "444":
            continue
        name = f"yuv{choice}p{'10le' if facts.deep else ''}"
        if name in known:
            return name
    what = f"{facts.bits} bits a channel" if facts.deep else "its format of pixels"
    others = ", ".join(c for c in ENCODERS if c != codec)
    raise ImageError(f"{shown}: {codec} is not encoded with {what} here; choose --codec {others}")


class Pictures:
    """The stream of pictures that are encoded anew."""

    def __init__(
        self, out: OutputContainer, main: VideoStream, facts: Facts,
        *, codec: str, crf: int | None, size: tuple[int, int], pix_fmt: str,
    ) -> None:  # fmt: skip
        """To be written to `out`, in the place of `main`."""
        encoder = ENCODERS[codec]
        given = {**(encoder.options or {}), **({} if crf is None else {"crf": str(crf)})}
        os.environ.setdefault("SVT_LOG", "1")  # or the encoder of AV1 prints its settings
        stream: Any = out.add_stream(encoder.name, rate=facts.rate or 25, options=given)
        context = stream.codec_context
        context.width, context.height = size
        context.pix_fmt = pix_fmt
        context.time_base = stream.time_base = facts.time_base
        context.framerate = facts.rate or Fraction(25)
        context.sample_aspect_ratio = facts.aspect or Fraction(1)
        context.thread_type = "FRAME"  # in slices each frame costs more bits
        for name, value in facts.tags.items():
            setattr(context, name, value)
        if facts.full:
            context.color_range = FULL
        if facts.rgb:
            context.colorspace = _BGR_MATRIX
        if codec == "hevc" and out.format.name != "matroska":
            context.codec_tag = "hvc1"  # the only one that Apple's players take
        if facts.interlaced:
            context.options = {**given, "flags": "+ildct+ilme"}
        _name(stream, main)
        stream.set_display_matrix(facts.turn)
        self.stream: VideoStream = stream
        self._durations: dict[int, int] = {}

    def encode(self, frame: VideoFrame | None) -> Iterator[Packet[Any]]:
        """The packets that a frame completes, or the end of all; of its times nothing changes."""
        from av.video.frame import PictureType

        if frame is not None:
            frame.pict_type = PictureType.NONE  # what it was once is no business of the encoder
            if frame.pts is not None and frame.duration:
                self._durations[frame.pts] = frame.duration
        for packet in self.stream.encode(frame):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration)
            yield packet


class Result:
    """Writes to a file; `notes` says what of the film is not kept."""

    def __init__(
        self, file: BinaryIO, muxer: str, film: InputContainer, main: VideoStream, facts: Facts,
        *, codec: str, crf: int | None, size: tuple[int, int], pix_fmt: str, shown: str,
    ) -> None:  # fmt: skip
        """Raises: ImageError where the muxer does not take such a film."""
        import av

        self.notes: list[str] = []
        self._shown, self._facts = shown, facts
        tags = {k: v for k, v in film.metadata.items() if k.lower() not in _WRITERS}
        own = {"video_track_timescale": str(facts.time_base.denominator)}
        if any(key.startswith("com.") for key in tags):  # QuickTime's own names
            own["movflags"] = "use_metadata_tags"
        if muxer not in ("mp4", "mov", "3gp"):
            own = {}
        self._out = av.open(file, "w", format=muxer, container_options=own)
        self._out.metadata.update(tags)
        self._copies: dict[int, Stream] = {}
        self._last: dict[int, int] = {}
        self._encodes = False
        left_out: Counter[str] = Counter()
        for stream in film.streams:
            if stream is main or stream.index == main.index:
                self._pictures = Pictures(
                    self._out, main, facts, codec=codec, crf=crf, size=size, pix_fmt=pix_fmt
                )
            elif (copy := self._copied(film, stream, muxer)) is not None:
                self._copies[stream.index] = copy
            elif not (_is_of_chapters(stream) or (muxer == "matroska" and is_cover(stream))):
                left_out[_kind(stream)] += 1
        for kind, count in left_out.items():
            tracks = f"its {kind} track is" if count == 1 else f"{count} {kind} tracks are"
            self.notes.append(f"{shown}: {tracks} not copied")
        self._out.set_chapters(film.chapters())
        try:
            self._out.start_encoding()
        except (av.FFmpegError, ValueError) as e:
            if isinstance(e, OSError):
                raise
            raise ImageError(f"{shown}: cannot be written as {codec} in {muxer} ({e})") from None

    def _copied(self, film: InputContainer, stream: Stream, muxer: str) -> Stream | None:
        """A stream that takes packets as they are; None where the format has no such streams."""
        if stream.type == "data":
            return None
        if muxer == "matroska" and is_cover(stream):
            self._attach(film, stream)
            return None
        try:
            copy = self._out.add_stream_from_template(stream, opaque=True)
        except ValueError:
            return None
        copy.time_base = stream.time_base
        _name(copy, stream)
        return copy

    def _attach(self, film: InputContainer, cover: Stream) -> None:
        """In Matroska a cover is an attachment."""
        kind = "image/png" if cover.codec_context.name == "png" else "image/jpeg"
        tags = cover.metadata
        name = tags.get("filename", f"cover.{kind[6:].replace('jpeg', 'jpg')}")
        packet = next((p for p in film.demux(cover) if p.size), None)
        film.seek(0)
        if packet is not None:
            self._out.add_attachment(name, tags.get("mimetype", kind), bytes(packet))

    def write(self, frame: VideoFrame) -> None:
        """Encodes a frame."""
        self._encodes = True
        self._mux(self._pictures.encode(frame))

    def add(self, packet: Packet[Any]) -> None:
        """Writes one that an encoder of the same settings has made, in place of frames."""
        packet.time_base = self.time_base
        packet.stream = self._pictures.stream
        self._out.mux(packet)

    @property
    def time_base(self) -> Fraction:
        """Of packets that are added."""
        base: Fraction = self._pictures.stream.codec_context.time_base
        return base

    def copy(self, packet: Packet[Any]) -> None:
        """Writes a packet of another stream than the main one, if it has a place."""
        copy = self._copies.get(packet.stream.index)
        if copy is None or not packet.size:
            return
        pts, dts = packet.pts, packet.dts
        if pts is None and dts is None and is_cover(packet.stream):
            pts = 0
        if dts is None:
            dts = pts
        last = self._last.get(copy.index)
        if dts is not None and last is not None and dts < last:
            dts, pts = last, max(last, pts or last)  # the file was not in order
        if dts is None:
            return
        packet.pts, packet.dts = pts, dts
        self._last[copy.index] = dts
        packet.stream = copy
        self._out.mux(packet)

    def close(self) -> None:
        """Writes what the encoder still holds, and the end of the file."""
        if self._encodes:
            self._mux(self._pictures.encode(None))
        self._out.close()

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            self._out.mux(packet)


def _name(copy: Stream, stream: Stream) -> None:
    """Gives a stream the names and the marks of the one that it stands for."""
    kept = {k: v for k, v in stream.metadata.items() if k.lower() not in _WRITERS}
    copy.metadata.update(kept)
    copy.disposition = stream.disposition


def _is_of_chapters(stream: Stream) -> bool:
    """Whether it is where MP4 keeps the names of chapters, which are written anew."""
    handler = stream.metadata.get("handler_name", "").lower()
    named = any(word in handler for word in ("subtitle", "text", "chapter"))
    return stream.type == "data" and named and bool(stream.container.chapters())


def _kind(stream: Stream) -> str:
    """What to call a stream that is left out."""
    if stream.type == "data":
        return "timecode" if "timecode" in stream.metadata else "data"
    return f"{stream.type} ({stream.codec_context.name})" if stream.codec_context else stream.type
