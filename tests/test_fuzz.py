"""Damaged files and damaged metadata, many of them: no traceback, no hang, nothing unreadable.

NULIE_FUZZ=10 tries ten times as many, of other seeds too."""

from __future__ import annotations

import io
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from nulie.errors import ImageError
from nulie.image_io import Photo, headers, jpeg, load, png, read_text, save, xmp
from nulie.image_io.read import HAS_AVIF

from .conftest import picture
from .test_deep import as_png, as_tiff

TIMES = int(os.environ.get("NULIE_FUZZ", "1"))
FILES, BLOCKS = 300 * TIMES, 1500 * TIMES
SECONDS = 10
"""That one of them may take, on a busy machine."""
TEXT = {"nulie": '{"nulie": 1, "steps": []}', "nulie score": "1 -> 2"}
TARGETS = [".jpg", ".png", ".webp", ".tif", *([".avif"] if HAS_AVIF else [])]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A], exif[0x0128] = "Kamera", 6, 300.0, 2
    comment = b"UNICODE\0" + "Steps: 20".encode("utf-16-be")
    exif.get_ifd(0x8769).update({0x9003: "2020:02:20 20:20:20", 0xA002: 48, 0xA003: 32})
    exif.get_ifd(0x8769)[0x9286] = comment
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 30.0)})
    return exif.tobytes()


def xmp_block() -> bytes:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:1" '
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'tiff:Orientation="6"><dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Zoë</rdf:li>'
        "</rdf:Alt></dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return xmp.put_text(packet.encode(), {"nulie": "old", "Title": "a & b"})


def iptc_block() -> bytes:
    rows = ((5, b"Title"), (120, b"A caption"), (25, b"one"), (25, b"two"))
    data = b"".join(b"\x1c\x02" + bytes([k]) + len(v).to_bytes(2, "big") + v for k, v in rows)
    return jpeg.resource(1028, data) + jpeg.resource(1034, b"\1") + jpeg.resource(1036, bytes(40))


def icc_block() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def text_block() -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a", zip=True)
    chunks.add_itxt("Title", "Häuschen", "de", "Titel")
    chunks.add_text("Raw profile type exif", png.raw_profile("exif", exif_block()))
    chunks.add(b"gAMA", (45455).to_bytes(4, "big"))
    data = saved(Image.new("L", (1, 1)), "PNG", pnginfo=chunks)
    return data[33 : data.index(b"IDAT") - 4]


BLOCK: dict[str, Callable[[], bytes]] = {
    "exif": exif_block, "xmp": xmp_block, "iptc": iptc_block, "icc": icc_block, "text": text_block
}  # fmt: skip


@cache
def wholes() -> dict[str, bytes]:
    image = picture(48, 32)
    deep = np.asarray(image).astype(np.uint16) * 257
    said = {"exif": exif_block(), "icc_profile": icc_block()}
    made = {
        "jpeg": saved(image, "JPEG", **said, extra=jpeg.put(0xE1, jpeg.XMP, xmp_block())),
        "progressive": saved(image, "JPEG", progressive=True),
        "grey": saved(image.convert("L"), "JPEG"),
        "cmyk": saved(image.convert("CMYK"), "JPEG"),
        "png": saved(image, "PNG", **said),
        "palette": saved(image.convert("P"), "PNG", transparency=3),
        "deep png": as_png(deep),
        "webp": saved(image, "WEBP", **said, xmp=xmp_block()),
        "lossless": saved(image.convert("RGBA"), "WEBP", lossless=True),
        "tiff": saved(image, "TIFF", tiffinfo={0x0112: 6, 700: xmp_block()}),
        "lzw": saved(image, "TIFF", compression="tiff_lzw", icc_profile=icc_block()),
        "deflate": saved(image.convert("L"), "TIFF", compression="tiff_adobe_deflate"),
        "deep tiff": as_tiff(deep, ">"),
        "gif": saved(image.convert("P"), "GIF", comment=b"hello"),
        "bmp": saved(image, "BMP"),
    }
    if HAS_AVIF:
        made["avif"] = saved(image, "AVIF", **said, xmp=xmp_block())
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        made["heic"] = saved(image, "HEIF", exif=exif_block())
    if find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401

        made["jxl"] = saved(image, "JXL")
    return made


def damaged(data: bytes, rng: random.Random, keep: int = 0) -> bytes:
    """A few bytes changed, set to extremes, left out, doubled, cut off or put in behind `keep`."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(min(keep, len(out) - 1), max(len(out), 1)) if out else 0
        run = rng.choice([1, 1, 2, 4, 30])
        kind = rng.randrange(7)
        if kind < 2:
            out[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 2:
            out[at : at + run] = bytes([rng.choice([0, 255, 127, 128])]) * min(run, len(out) - at)
        elif kind == 3:
            del out[at : at + run]
        elif kind == 4:
            out[at:at] = out[at : at + run]
        elif kind == 5:
            out[at:at] = rng.randbytes(run)
        elif rng.random() < 0.4:
            del out[at:]
    return bytes(out)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Ends what hangs, where the system lets us, and fails over what takes too long."""

    def ring(*_: object) -> None:
        raise AssertionError(f"hung for {seconds} s")

    started = time.monotonic()
    if hasattr(signal, "setitimer"):
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < seconds


def through(photo: Photo, target: Path) -> None:
    """What is written opens in Pillow by itself, and says its recipe."""
    lost: list[str] = []
    save(photo, photo.pixels, target, text=TEXT, overwrite=True, say=lost.append)
    with Image.open(target) as image:
        image.load()
        assert image.size == photo.size
    assert read_text(target).items() >= TEXT.items() or "all metadata" in "".join(lost)


@pytest.mark.filterwarnings("ignore")  # of Pillow, when the result is opened by it alone
def test_damaged_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(2026)
    read, refused = 0, []
    for number in range(FILES):
        name, data = rng.choice(list(wholes().items()))
        data = damaged(data, rng)
        with within(SECONDS):
            try:
                photo = load(io.BytesIO(data), name=f"{name} {number}")
            except ImageError as e:
                refused.append((str(e), data))
                continue
            read += 1
            suffix = rng.choice(TARGETS)
            if suffix != ".jpg" or not photo.transparent:
                through(photo, tmp_path / f"a{suffix if max(photo.size) < 16384 else '.png'}")
    assert read > FILES // 5
    assert len(refused) > FILES // 5
    for said, data in refused:
        assert "\n" not in said
        assert ("of a kind nulie reads" in said) == (headers.kind(data[:12]) == "" and data != b"")
    assert capfd.readouterr().err == ""  # of libtiff, say


def carrying(block: str, data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """A picture that is whole but for this block of its metadata."""
    image = Image.new("RGB", (8, 6), (200, 100, 50))
    if block == "text":
        whole = saved(image, "PNG")
        return "PNG", whole[:33] + data + whole[33:]
    kinds = ["JPEG", "PNG", *(["WEBP"] if block != "iptc" else []), "TIFF"]
    kind = rng.choice(kinds)
    if kind == "TIFF":
        tag = {"xmp": 700, "iptc": 34377, "icc": 34675, "exif": 37500}[block]
        return kind, saved(image, kind, tiffinfo={tag: data or b"\0"})
    if kind == "JPEG":
        start = {"exif": jpeg.EXIF, "xmp": jpeg.XMP, "iptc": jpeg.PHOTOSHOP,
                 "icc": jpeg.ICC + b"\1\1"}[block]  # fmt: skip
        marker = {"exif": 0xE1, "xmp": 0xE1, "iptc": 0xED, "icc": 0xE2}[block]
        whole = saved(image, kind)
        return kind, whole[:2] + jpeg.put(marker, start, data.removeprefix(b"Exif\0\0")) + whole[2:]
    if block in ("exif", "icc"):
        return kind, saved(image, kind, **{"icc_profile" if block == "icc" else block: data})
    if kind == "WEBP":
        return kind, saved(image, kind, xmp=data)
    chunks = PngImagePlugin.PngInfo()
    if block == "xmp":
        chunks.add_itxt(png.XMP_KEY, data.decode("utf-8", "replace"))
    else:
        chunks.add_text(f"{png.RAW}iptc", png.raw_profile("iptc", data))
    return kind, saved(image, kind, pnginfo=chunks)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCK)
def test_damaged_metadata(tmp_path: Path, capfd: pytest.CaptureFixture[str], block: str) -> None:
    rng = random.Random(block)
    for _ in range(BLOCKS // len(BLOCK)):
        _, data = carrying(block, damaged(BLOCK[block](), rng), rng)
        with within(SECONDS):
            try:
                photo = load(io.BytesIO(data))
            except ImageError:
                # What stands among a PNG's chunks or a TIFF's fields may be the picture's own.
                assert block == "text"
                continue
            assert photo.size in ((8, 6), (6, 8))
            through(photo, tmp_path / f"a{rng.choice(TARGETS)}")
    assert capfd.readouterr().err == ""
