"""Marks on finished files: a score and a rating, in their metadata or beside them. Pixels stay as
they are, byte for byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError
from . import atomic, headers, jpeg, png, riff, tiff
from . import xmp as xmp_packet
from .metadata import SCORE_KEY
from .read import check_opens, reason, shown_path


@dataclass(frozen=True)
class Mark:
    score: float
    by: str
    """The predictor."""
    stars: int | None = None
    """0..5; None: no rating."""

    @property
    def text(self) -> str:
        return f"{self.score:.4f}"


def sidecar(photo: Path) -> Path:
    """Where a photo's XMP lies beside it: `photo.jpg.xmp`, unless that is not there and `photo.xmp`
    is."""
    whole, short = photo.with_name(f"{photo.name}.xmp"), photo.with_suffix(".xmp")
    return short if short.is_file() and not whole.exists() else whole


def write_sidecar(photo: Path, mark: Mark) -> bool:
    """Puts a mark into the photo's sidecar, and leaves all else that is in it. Whether it had to be
    written. Raises: ImageError, also where what is there is no XMP."""
    path = sidecar(photo)
    try:
        before = path.read_bytes() if path.exists() else None
    except OSError as e:
        raise ImageError(f"{shown_path(path)}: cannot be read ({reason(e)})") from None
    try:
        after = xmp_packet.marked(before, mark.score, mark.by, mark.stars)
    except ValueError:
        raise ImageError(f"{shown_path(path)}: is no XMP; move it away") from None
    if after != before:
        source = photo if before is None else path
        atomic.write(path, after, overwrite=True, mode=stat.S_IMODE(source.stat().st_mode))
    return after != before


def embed(path: Path, mark: Mark) -> bool:
    """Puts a mark into the metadata of a PNG, JPEG, WebP or TIFF file, whose dates and permissions
    stay. Whether it had to be written. Raises: ImageError where the file is of another kind, is
    damaged, or has no room."""
    shown = shown_path(path)
    try:
        data, found = path.read_bytes(), path.stat()
    except OSError as e:
        raise ImageError(f"{shown}: cannot be read ({reason(e)})") from None
    kind = headers.kind(data)
    if kind not in _KINDS:
        raise ImageError(f"{shown}: {kind or 'this'} takes no score; use --xmp sidecar")
    try:
        after = _KINDS[kind](data, mark)
    except ValueError as e:
        raise ImageError(f"{shown}: takes no score ({e}); use --xmp sidecar") from None
    if after == data:
        return False
    try:
        check_opens(after, kind)
    except Exception as e:  # whatever a decoder raises
        raise ImageError(f"{shown}: takes no score ({reason(e)}); use --xmp sidecar") from None
    atomic.write(path, after, overwrite=True, mode=stat.S_IMODE(found.st_mode))
    with suppress(OSError):
        path.chmod(stat.S_IMODE(found.st_mode))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return True


def _png(data: bytes, mark: Mark) -> bytes:
    kept, packet, done = [data[: len(png.SIGNATURE)]], None, False
    rows = list(png.chunks(data))
    if not rows or rows[-1][0] != b"IEND":
        raise ValueError("it is cut short")
    for kind, body, right, whole in rows:
        key = body.partition(b"\0")[0].decode("latin-1") if kind in png.TEXTS else ""
        if key == png.XMP_KEY and right:
            packet = png.text_of(kind, body)
        if key in (SCORE_KEY, png.XMP_KEY):
            continue
        if kind == b"IDAT" and not done:
            done = True
            kept.append(png.chunk(b"tEXt", f"{SCORE_KEY}\0{mark.text}".encode("latin-1")))
            if packet is not None or mark.stars is not None:
                kept.append(png.xmp_chunk(_marked(packet, mark)))
        kept.append(whole)
    at = len(png.SIGNATURE) + sum(len(whole) for *_, whole in rows)
    return b"".join([*kept, data[at:]])


def _jpeg(data: bytes, mark: Mark) -> bytes:
    out, at, packet, place = [data[:2]], 2, None, 1
    # Places of further pictures are counted from their index: nothing may change behind it.
    index, behind = 0, False
    for marker, start, end in jpeg.walk(data):
        if marker == jpeg.SCAN or marker == jpeg.END[1]:
            break
        segment = data[start:end]
        if marker == 0xE1 and segment.startswith(jpeg.XMP) and packet is None:
            packet, behind = segment[len(jpeg.XMP) :], bool(index)
        else:
            out.append(data[at:end])
            if marker == 0xE2 and segment.startswith(jpeg.MPF):
                index = len(out)
            # JFIF and EXIF come first.
            if marker in (0xE0, 0xE1) and segment.startswith((b"JFIF\0", jpeg.EXIF)):
                place = len(out)
        at = end
    written = _marked(packet, mark)
    if written == packet:
        return data
    if index and (behind or place >= index):
        raise ValueError("the further pictures in it would not be found")
    if len(written) > jpeg.ROOM - len(jpeg.XMP):
        raise ValueError("its XMP has no room for more")
    out.insert(place, jpeg.put(0xE1, jpeg.XMP, written))
    return b"".join([*out, data[at:]])


def _webp(data: bytes, mark: Mark) -> bytes:
    return riff.with_xmp(data, lambda packet: _marked(packet, mark))


def _tiff(data: bytes, mark: Mark) -> bytes:
    if tiff.has_pages(data):
        raise ValueError("it has several pages")
    found = {field.tag: field.value for field in tiff.fields(data)}
    written = _marked(found.get(tiff.XMP), mark)
    if written == found.get(tiff.XMP):
        return data
    return tiff.edited(data, {tiff.XMP: tiff.Field(tiff.XMP, 1, len(written), written)})


def _marked(packet: bytes | None, mark: Mark) -> bytes:
    return xmp_packet.marked(packet, mark.score, mark.by, mark.stars)


_KINDS: dict[str, Callable[[bytes, Mark], bytes]] = {
    "PNG": _png, "JPEG": _jpeg, "WEBP": _webp, "TIFF": _tiff,
}  # fmt: skip
