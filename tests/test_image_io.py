"""Pictures through real files: every format, all that they carry, and all that can go wrong."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import threading
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from nulie.errors import ImageError, SettingsError
from nulie.image_io import (
    MAX_MEGAPIXELS,
    check_output,
    default_output,
    from_image,
    load,
    read_text,
    save,
    to_image,
)
from nulie.image_io.read import HAS_AVIF

needs_avif = pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
SUFFIXES = [
    ".jpg",
    ".png",
    ".webp",
    ".tif",
    pytest.param(".avif", marks=needs_avif),
]
WITH_ALPHA = SUFFIXES[1:]
LOSSLESS = [".png", ".webp", ".tif", ".bmp"]
PARAMETERS = "ein Häuschen, 日本語 <b> & 🎈\nNegative prompt: blur\nSteps: 20, Sampler: Euler a"
TEXT = {
    "nulie": '{"nulie": 1, "steps": [{"op": "gamma", "g": 1.1}]}',
    "nulie score": "5 -> 6 & <7>",
}
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="uuid:1" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'tiff:Orientation="%d"><dc:rights>© Zoë</dc:rights>'
    "<xmp:Thumbnails><rdf:Alt>stale</rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF>"
    "</x:xmpmeta>" + " " * 2000 + '<?xpacket end="w"?>'
)


def picture(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    """Smooth, unlike in every corner, with alpha unlike everything else."""
    across = Image.linear_gradient("L").resize(size)
    down = across.transpose(Image.Transpose.TRANSPOSE).resize(size)
    alpha = ImageOps.invert(down)
    if mode == "LA":
        return Image.merge("LA", (across, alpha))
    colour = Image.merge("RGB", (across, down, Image.new("L", size, 90)))
    if mode == "RGBA":
        return Image.merge("RGBA", (*colour.split(), alpha))
    return across if mode == "L" else colour.convert(mode)


def exif(orientation: int = 1, comment: bytes = b"", thumbnail: bool = False) -> bytes:
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = orientation
    data[ExifTags.Base.Make] = "Kamera"
    data[ExifTags.Base.Artist] = "Zoe"
    data[0x8825] = {1: "N", 2: (48.0, 8.0, 30.0)}
    inner = {0xA002: 24, 0xA003: 16, 0x9003: "2020:02:20 20:20:20"}
    if comment:
        inner[0x9286] = comment
    data[0x8769] = inner
    out = data.tobytes()
    return with_thumbnail(out) if thumbnail else out


def with_thumbnail(blob: bytes) -> bytes:
    """Append a directory with a thumbnail, as cameras do."""
    body = bytearray(blob[6:])
    order = ">" if body[:2] == b"MM" else "<"
    first = struct.unpack_from(order + "I", body, 4)[0]
    entries = struct.unpack_from(order + "H", body, first)[0]
    small = io.BytesIO()
    picture(size=(8, 8)).save(small, "JPEG")
    at = len(body)
    struct.pack_into(order + "I", body, first + 2 + 12 * entries, at)
    body += struct.pack(order + "H", 2)
    body += struct.pack(order + "HHII", 0x0201, 4, 1, at + 2 + 24 + 4)
    body += struct.pack(order + "HHII", 0x0202, 4, 1, len(small.getvalue()))
    body += bytes(4) + small.getvalue()
    return b"Exif\0\0" + bytes(body)


@cache  # it says when it was made
def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def xmp_of(path: Path) -> str:
    return (load(path).metadata.xmp or b"").decode()


def write(path: Path, image: Image.Image, **options: Any) -> Path:
    """Save with Pillow alone; XMP in JPEG needs its segment built by hand in old versions."""
    packet = options.pop("xmp", None)
    if isinstance(packet, bytes) and path.suffix == ".jpg":
        segment = b"http://ns.adobe.com/xap/1.0/\0" + packet
        options["extra"] = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    elif isinstance(packet, bytes) and path.suffix == ".png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", packet.decode())
        options["pnginfo"] = chunks
    elif isinstance(packet, bytes) and path.suffix == ".tif":
        options["tiffinfo"] = {700: packet}
    elif packet is not None:
        options["xmp"] = packet
    image.save(path, **options)
    return path


# --- round trips -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_everything_survives_a_round_trip(tmp_path: Path, suffix: str) -> None:
    source = write(
        tmp_path / f"a{suffix}",
        picture(),
        exif=exif(),
        icc_profile=srgb(),
        **({"dpi": (300, 300)} if suffix in (".jpg", ".png", ".tif") else {}),
    )
    photo = load(source)
    out = save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT)
    again = load(out)
    assert again.metadata.icc_profile == srgb()
    assert again.metadata.dpi == pytest.approx((300, 300), abs=0.1) or suffix in (".webp", ".avif")
    assert read_text(out) == TEXT
    with Image.open(out) as image:
        tags = image.getexif()
        assert tags[ExifTags.Base.Make] == "Kamera"
        assert tags.get(ExifTags.Base.Orientation, 1) == 1
        assert tags.get_ifd(0x8769)[0x9003] == "2020:02:20 20:20:20"
        assert tuple(map(float, tags.get_ifd(0x8825)[2])) == (48.0, 8.0, 30.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_dots_per_inch_cross_formats(tmp_path: Path, suffix: str) -> None:
    photo = load(write(tmp_path / "a.png", picture(), dpi=(300, 150)))
    photo = load(save(photo, photo.pixels, tmp_path / f"b{suffix}"))
    assert photo.metadata.dpi == pytest.approx((300, 150), abs=0.1)
    photo = load(save(photo, photo.pixels, tmp_path / "c.png"))
    assert photo.metadata.dpi == pytest.approx((300, 150), abs=0.1)


def test_what_is_appended_to_a_jpeg_is_said_to_go(tmp_path: Path) -> None:
    packet = (
        (XMP % 1)
        .replace(
            "<dc:rights>",
            "<hdrgm:Version xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/><dc:rights>",
        )
        .encode()
    )
    photo = load(write(tmp_path / "a.jpg", picture(), xmp=packet))
    assert "HDR gain map" in photo.notes[0]


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str, mode: str) -> None:
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    photo = load(write(tmp_path / f"a{suffix}", picture(mode), **options))
    again = load(save(photo, photo.pixels, tmp_path / f"b{suffix}"))
    assert (
        again.pixels.tobytes() == photo.pixels.tobytes() == picture(mode).convert("RGB").tobytes()
    )


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_tiff_keeps_its_compression(tmp_path: Path, compression: str, mode: str) -> None:
    photo = load(write(tmp_path / "a.tif", picture(mode), compression=compression))
    out = save(photo, photo.pixels, tmp_path / "b.tif", text=TEXT)
    with Image.open(out) as image:
        assert image.info["compression"] == compression
        assert image.mode == mode
        assert image.tobytes() == picture(mode).tobytes()


def test_tiff_keeps_letters_beyond_ascii_and_private_tags(tmp_path: Path) -> None:
    artist = "Zoë".encode()
    source = tmp_path / "a.tif"
    picture().save(source)
    data = source.read_bytes()
    from nulie.image_io import tiff

    fields = (*tiff.fields(data), tiff.Field(315, 2, 5, artist + b"\0"))
    block = tiff._block([*fields, tiff.Field(51000, 4, 3, struct.pack("<3I", 7, 8, 9))], len(data))
    source.write_bytes(data[:4] + len(data).to_bytes(4, "little") + data[8:] + block)
    photo = load(source)
    out = save(photo, photo.pixels, tmp_path / "b.tif")
    kept = {f.tag: f.value for f in tiff.fields(out.read_bytes())}
    assert kept[315].startswith(artist)
    assert struct.unpack("<3I", kept[51000]) == (7, 8, 9)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    mode = "RGB" if suffix == ".jpg" else "RGBA"
    if suffix == ".tif":
        options: dict[str, object] = {"tiffinfo": {274: orientation}}
    else:
        options = {"exif": exif(orientation)}
    options |= {"lossless": True, "exact": True} if suffix == ".webp" else {}
    options |= {"quality": 100} if suffix in (".jpg", ".avif") else {}
    source = write(tmp_path / f"a{suffix}", picture(mode), **options)
    with Image.open(source) as image:
        image.load()
        # Not Pillow's reading of the TIFF: it maps files into memory, and gets turned ones wrong.
        expected = picture(mode) if suffix == ".tif" else image.copy()
        expected.getexif()[ExifTags.Base.Orientation] = orientation
        expected = ImageOps.exif_transpose(expected)
    photo = load(source)
    assert photo.size == ((16, 24) if orientation >= 5 else (24, 16))
    assert photo.pixels.tobytes() == expected.convert("RGB").tobytes()
    if mode == "RGBA":
        assert photo.alpha is not None
        assert photo.alpha.tobytes() == expected.getchannel("A").tobytes()
    again = load(save(photo, photo.pixels, tmp_path / f"b{suffix}"))
    assert again.size == photo.size
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("suffix", WITH_ALPHA)
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_comes_back_byte_for_byte(tmp_path: Path, suffix: str, mode: str) -> None:
    photo = load(write(tmp_path / "a.png", picture(mode)))
    assert photo.alpha is not None
    changed = ImageOps.invert(photo.pixels)
    again = load(save(photo, changed, tmp_path / f"b{suffix}"))
    assert again.alpha is not None
    assert again.alpha.tobytes() == photo.alpha.tobytes() == picture(mode).getchannel("A").tobytes()


def test_lossy_webp_keeps_alpha_too(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.webp", picture("RGBA"), quality=80))
    again = load(save(photo, photo.pixels, tmp_path / "b.webp"))
    assert again.metadata.options == {"lossless": False}
    assert again.alpha is not None
    assert photo.alpha is not None
    assert again.alpha.tobytes() == photo.alpha.tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_grey_stays_grey(tmp_path: Path, suffix: str) -> None:
    photo = load(write(tmp_path / f"a{suffix}", picture("L")))
    assert photo.grey
    with Image.open(save(photo, photo.pixels, tmp_path / f"b{suffix}")) as image:
        assert image.mode == "L"
    tinted = Image.merge("RGB", (*photo.pixels.split()[:2], Image.new("L", photo.size)))
    with Image.open(save(photo, tinted, tmp_path / f"c{suffix}")) as image:
        assert image.convert("RGB").getpixel((20, 12)) != (0, 0, 0)
        assert image.mode == "RGB"


def test_grey_pixels_of_a_colour_photo_stay_rgb(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    with Image.open(save(photo, picture("L").convert("RGB"), tmp_path / "b.png")) as image:
        assert image.mode == "RGB"


# --- JPEG --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "least"), [(60, 90), (90, 90), (95, 95), (98, 98), (100, 100)])
def test_jpeg_quality_is_like_the_inputs(tmp_path: Path, given: int, least: int) -> None:
    photo = load(write(tmp_path / "a.jpg", picture(), quality=given))
    assert photo.metadata.options["quality"] == pytest.approx(given, abs=1)
    again = load(save(photo, photo.pixels, tmp_path / "b.jpg"))
    assert again.metadata.options["quality"] == pytest.approx(least, abs=1)
    chosen = load(save(photo, photo.pixels, tmp_path / "c.jpg", quality=70))
    assert chosen.metadata.options["quality"] == pytest.approx(70, abs=1)
    with pytest.raises(SettingsError, match="quality 0"):
        save(photo, photo.pixels, tmp_path / "d.jpg", quality=0)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_encoded_as_before(tmp_path: Path, subsampling: int, progressive: bool) -> None:
    options = {"subsampling": subsampling, "progressive": progressive}
    photo = load(write(tmp_path / "a.jpg", picture(), **options))
    again = load(save(photo, photo.pixels, tmp_path / "b.jpg"))
    assert again.metadata.options["subsampling"] == subsampling
    assert again.metadata.options["progressive"] == progressive


def test_jpeg_keeps_captions_and_comment_without_thumbnails(tmp_path: Path) -> None:
    def resource(number: int, data: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)

    segment = b"Photoshop 3.0\0" + resource(1028, b"caption") + resource(1036, b"thumbnail")
    extra = b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment
    photo = load(write(tmp_path / "a.jpg", picture(), extra=extra, comment="Grüße"))
    data = save(photo, photo.pixels, tmp_path / "b.jpg").read_bytes()
    assert resource(1028, b"caption") in data
    assert b"thumbnail" not in data
    assert load(tmp_path / "b.jpg").metadata.comment == "Grüße"
    in_tiff = load(save(photo, photo.pixels, tmp_path / "b.tif"))
    assert (
        in_tiff.metadata.photoshop
        == load(tmp_path / "b.jpg").metadata.photoshop
        == resource(1028, b"caption")
    )


def test_a_stale_exif_thumbnail_goes(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jpg", picture(), exif=exif(6, thumbnail=True))
    assert source.read_bytes().count(b"\xff\xd8\xff") == 2
    photo = load(source)
    out = save(photo, photo.pixels, tmp_path / "b.jpg")
    assert out.read_bytes().count(b"\xff\xd8\xff") == 1
    with Image.open(out) as image:
        inner = image.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (16, 24)


def test_exif_is_not_moved(tmp_path: Path) -> None:
    """Camera makers' notes hold offsets of their own."""
    blob = exif(3, comment=b"maker's note with offsets")
    photo = load(write(tmp_path / "a.jpg", picture(), exif=blob))
    before, after = blob[6:], photo.metadata.exif
    assert after is not None
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


# --- text --------------------------------------------------------------------------------------


def test_png_text_is_kept_and_the_recipe_added(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", PARAMETERS)
    chunks.add_text("Software", "somé", zip=True)
    chunks.add_itxt("Title", "タイトル", lang="ja", tkey="題")
    photo = load(write(tmp_path / "a.png", picture(), pnginfo=chunks))
    out = save(photo, photo.pixels, tmp_path / "b.png", text=TEXT)
    assert read_text(out) == {
        "parameters": PARAMETERS,
        "Software": "somé",
        "Title": "タイトル",
        **TEXT,
    }
    with Image.open(out) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.info["parameters"] == PARAMETERS
        title = image.text["Title"]
        assert isinstance(title, PngImagePlugin.iTXt)
        assert title.lang == "ja"


def test_a_new_run_replaces_the_text_of_the_last(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        photo = load(write(tmp_path / f"a{suffix}", picture()))
        first = load(save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT))
        out = save(first, first.pixels, tmp_path / f"c{suffix}", text={"nulie": "new"})
        assert read_text(out) == {"nulie": "new"}
        assert out.read_bytes().count(b"urn:nulie:1/") <= 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_generation_parameters_cross_formats_and_come_back(tmp_path: Path, suffix: str) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", PARAMETERS)
    chunks.add_text("workflow", '{"nodes": ["]]>", "a: b"]}')
    photo = load(write(tmp_path / "a.png", picture(), pnginfo=chunks, exif=exif()))
    there = save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT)
    whole = {"parameters": PARAMETERS, "workflow": '{"nodes": ["]]>", "a: b"]}', **TEXT}
    assert read_text(there) == whole
    photo = load(there)
    assert read_text(save(photo, photo.pixels, tmp_path / "c.png")) == whole
    with Image.open(tmp_path / "c.png") as image:
        assert image.info["parameters"] == PARAMETERS


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_parameters_in_the_exif_comment_stay_as_they_are(tmp_path: Path, suffix: str) -> None:
    comment = b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
    photo = load(write(tmp_path / f"a{suffix}", picture(), exif=exif(comment=comment)))
    out = save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT)
    with Image.open(out) as image:
        assert image.getexif().get_ifd(0x8769)[0x9286] == comment
    assert read_text(out) == {"parameters": PARAMETERS, **TEXT}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_xmp_of_others_is_kept_upright_beside_the_recipe(tmp_path: Path, suffix: str) -> None:
    packet = (XMP % 6).encode()
    photo = load(write(tmp_path / f"a{suffix}", picture(), xmp=packet))
    out = save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT)
    kept = xmp_of(out)
    assert "<dc:rights>© Zoë</dc:rights>" in kept
    assert 'tiff:Orientation="1"' in kept
    assert "Thumbnails" not in kept
    assert "nulie" not in kept
    assert read_text(out) == TEXT


def test_a_long_xmp_packet_does_not_cost_the_recipe(tmp_path: Path) -> None:
    packet = (XMP % 1).replace("© Zoë", "x" * 63000).encode()
    photo = load(write(tmp_path / "a.jpg", picture(), xmp=packet))
    text = {**TEXT, "nulie tree": "y" * 3000}
    assert read_text(save(photo, photo.pixels, tmp_path / "b.jpg", text=text)) == text


def test_colour_chunks_of_a_png_are_kept(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", (45455).to_bytes(4, "big"))
    photo = load(write(tmp_path / "a.png", picture(), pnginfo=chunks))
    with Image.open(save(photo, photo.pixels, tmp_path / "b.png")) as image:
        assert image.info["gamma"] == pytest.approx(0.45455)


# --- pictures in memory ------------------------------------------------------------------------


def test_a_picture_from_a_host_keeps_its_info() -> None:
    image = picture("RGBA")
    image.info = {"parameters": PARAMETERS, "icc_profile": srgb(), "exif": exif(6), "dpi": (96, 96)}
    photo = from_image(image)
    assert photo.size == (16, 24)
    assert image.size == (24, 16)
    out = to_image(photo, photo.pixels, text=TEXT)
    assert out.mode == "RGBA"
    assert out.info["parameters"] == PARAMETERS
    assert out.info["nulie"] == TEXT["nulie"]
    assert out.info["icc_profile"] == srgb()
    assert out.info["dpi"] == (96.0, 96.0)
    assert out.getexif()[ExifTags.Base.Orientation] == 1
    buffer = io.BytesIO()
    out.save(buffer, "PNG")
    with pytest.raises(ImageError, match="16 or more bits"):
        from_image(Image.new("I;16", (4, 4)))


def test_a_picture_in_memory_is_not_shared() -> None:
    image = picture()
    photo = from_image(image)
    photo.pixels.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) != (1, 2, 3)
    assert to_image(photo, photo.pixels) is not photo.pixels


def test_an_open_file_is_read(tmp_path: Path) -> None:
    with write(tmp_path / "a.png", picture()).open("rb") as file:
        photo = load(file, name="upload")
    assert photo.path is None
    with pytest.raises(ImageError, match="upload: is empty"):
        load(io.BytesIO(), name="upload")


# --- kinds of pictures that need care ----------------------------------------------------------


def test_palettes_become_full_colour(tmp_path: Path) -> None:
    indexed = picture().quantize(8)
    photo = load(write(tmp_path / "a.png", indexed))
    assert photo.pixels.tobytes() == indexed.convert("RGB").tobytes()
    assert photo.alpha is None
    assert "palette" in photo.notes[0]
    photo = load(write(tmp_path / "b.png", indexed, transparency=bytes([0, 100, 255])))
    assert photo.alpha is not None
    assert {0, 100, 255} >= set(photo.alpha.tobytes())
    assert photo.transparent


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_colour_becomes_alpha(tmp_path: Path, mode: str) -> None:
    image = picture(mode)
    photo = load(write(tmp_path / "a.png", image, transparency=image.getpixel((3, 3))))
    assert photo.alpha is not None
    assert photo.alpha.getpixel((3, 3)) == 0
    assert photo.alpha.getpixel((23, 15)) == 255
    assert photo.grey == (mode == "L")


def test_black_and_white_is_worked_on_as_grey(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.png", picture("1")))
    assert photo.grey
    assert "black and white" in photo.notes[0]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_the_first_frame_is_taken_and_said(tmp_path: Path, suffix: str) -> None:
    frames = [picture(), ImageOps.invert(picture()), ImageOps.mirror(picture())]
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    source = tmp_path / f"a{suffix}"
    frames[0].save(source, save_all=True, append_images=frames[1:], **options)
    photo = load(source)
    kind = "pages" if suffix == ".tif" else "frames"
    assert f"{source}: first of 3 {kind}" in photo.notes
    if suffix != ".gif":
        assert photo.pixels.tobytes() == frames[0].tobytes()
    again = load(save(photo, photo.pixels, default_output(source)))
    assert again.pixels.tobytes() == photo.pixels.tobytes()


def test_pictures_beside_the_main_one_are_said(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    picture().save(source, "MPO", save_all=True, append_images=[ImageOps.mirror(picture())])
    photo = load(source)
    assert photo.format == "JPEG"
    assert "only its main picture" in photo.notes[0]
    assert load(save(photo, photo.pixels, tmp_path / "b.jpg")).notes == ()


def cmyk_profile() -> bytes:
    """The smallest profile that says what ink is: a table of the 16 corners, in Lab."""
    even = bytes(range(256))
    corners = b"".join(
        bytes([255 - 240 * max(c + m + y, 3 * k) // 3, 128 + 40 * (m - c), 128 + 40 * (y - c)])
        for c in (0, 1)
        for m in (0, 1)
        for y in (0, 1)
        for k in (0, 1)
    )
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + even * 4 + corners + even * 3
    text = b"text" + bytes(4) + b"none\0\0\0\0"
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags, body, at = b"", b"", 128 + 4 + 12 * 3
    for name, data in ((b"A2B0", table), (b"cprt", text), (b"wtpt", white)):
        data += bytes(-len(data) % 4)
        tags += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = struct.pack(">I", at + len(body))
    head = size + bytes(4) + b"\x02\x40\0\0" + b"prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + tags + body


def test_cmyk_without_a_profile_is_what_pillow_makes_of_it(tmp_path: Path) -> None:
    for profile, said in ({}, "no colour profile"), ({"icc_profile": srgb()}, "unusable colour"):
        photo = load(write(tmp_path / "a.jpg", picture("CMYK"), **profile))
        assert said in photo.notes[0]
        assert "guessed" in photo.notes[0]
        assert photo.metadata.icc_profile is None
        with Image.open(tmp_path / "a.jpg") as image:
            assert photo.pixels.tobytes() == image.convert("RGB").tobytes()


def test_cmyk_with_a_profile_becomes_srgb(tmp_path: Path) -> None:
    white = Image.new("CMYK", (16, 16))
    photo = load(write(tmp_path / "a.jpg", white, icc_profile=cmyk_profile()))
    assert photo.pixels.mode == "RGB"
    assert min(photo.pixels.crop((3, 3, 4, 4)).tobytes()) > 245
    assert photo.metadata.icc_profile is not None
    assert photo.metadata.icc_profile[16:20] == b"RGB "
    assert "converted to sRGB" in photo.notes[0]


def deep_png(colour_type: int) -> bytes:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    rows = b"".join(b"\0" + bytes(range(2 * channels * 4)) for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
def test_sixteen_bits_are_kept_not_cut(tmp_path: Path, colour_type: int) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(deep_png(colour_type))
    photo = load(source)
    assert photo.deep is not None
    assert photo.deep.shape == (4, 4, 3 if colour_type in (0, 2) else 4)
    assert (photo.deep[0, 0, 0], photo.deep[0, 0, -1] > 0) == (1, True)
    assert photo.grey == (colour_type in (0, 4))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_deep_tiff_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ImageError, match="bits"):
        load(write(tmp_path / "a.tif", Image.new(mode, (4, 4))))


def test_lab_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="LAB"):
        load(write(tmp_path / "a.tif", Image.new("LAB", (4, 4))))


@needs_avif
def test_deep_avif_is_refused(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.avif", picture()).read_bytes())
    data[data.index(b"av1C") + 6] |= 0x40
    (tmp_path / "b.avif").write_bytes(data)
    with pytest.raises(ImageError, match="10 bits"):
        load(tmp_path / "b.avif")


# --- files that are no pictures, or not whole --------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_what_is_no_picture_is_named_with_a_remedy(tmp_path: Path) -> None:
    assert "there is no such file; check" in refusal(tmp_path / "none.jpg")
    assert "is a folder; name a picture" in refusal(tmp_path)
    (tmp_path / "empty.jpg").touch()
    assert "is empty; get" in refusal(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("hello, world, this is no picture")
    assert "save it as PNG first" in refusal(tmp_path / "text.jpg")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert "is HEIC" in refusal(tmp_path / "phone.heic")
    with pytest.raises(ImageError, match=r"cannot be opened"):
        load(tmp_path / "nul\0.jpg")
    with pytest.raises(ImageError, match=r"a\?b\.jpg: there is no such file"):
        load(Path("a\nb.jpg"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "no regular file" in refusal(tmp_path / "pipe.jpg")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.png", picture())

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert "may not be read; check its permissions" in refusal(source)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".gif", ".bmp"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    data = write(tmp_path / f"a{suffix}", picture(size=(64, 64))).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) * 2 // 3])
    refusal(cut)


def test_a_bomb_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in (14_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b""))
        data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
        (tmp_path / "bomb.png").write_bytes(data)
        assert f"more than {MAX_MEGAPIXELS} megapixels; scale it" in refusal(tmp_path / "bomb.png")
    # Between Pillow's warning and its error lies a picture that is simply large.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 16 - 1)
    assert load(write(tmp_path / "a.png", picture())).size == (24, 16)


def test_damaged_metadata_does_not_cost_the_picture(tmp_path: Path) -> None:
    plain = picture()
    source = write(tmp_path / "a.jpg", plain, exif=b"Exif\0\0garbage", icc_profile=b"no profile")
    photo = load(source)
    assert photo.metadata.exif is None
    assert photo.metadata.icc_profile is None
    assert len(photo.notes) == 2
    photo = load(write(tmp_path / "b.jpg", plain, xmp=b"<broken"))
    assert photo.metadata.xmp is None
    assert "XMP" in photo.notes[0]
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", PARAMETERS)
    chunks.add_text("Title", "title")
    data = write(tmp_path / "c.png", plain, pnginfo=chunks).read_bytes()
    (tmp_path / "c.png").write_bytes(data.replace(b"title", b"tltle"))
    photo = load(tmp_path / "c.png")
    assert photo.pixels.tobytes() == plain.tobytes()
    assert photo.metadata.text == {"parameters": PARAMETERS}
    assert "damaged metadata" in photo.notes[0]


def test_a_text_bomb_does_not_cost_the_picture(tmp_path: Path) -> None:
    data = write(tmp_path / "a.png", picture()).read_bytes()
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(40_000_000)))
    (tmp_path / "a.png").write_bytes(data[:33] + bomb + data[33:])
    photo = load(tmp_path / "a.png")
    assert photo.pixels.tobytes() == picture().tobytes()
    assert len(photo.notes) == 1


def samples() -> list[bytes]:
    out = []
    kinds = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"] + ["AVIF"] * HAS_AVIF
    for format in kinds:
        buffer = io.BytesIO()
        options: dict[str, object] = {}
        if format in ("JPEG", "PNG", "WEBP", "AVIF"):
            options = {"exif": exif(6, b"UNICODE\0" + "Steps: 1".encode("utf-16-be"), True)}
            options["icc_profile"] = srgb()
        if format in ("WEBP", "AVIF"):
            options["xmp"] = (XMP % 6).encode()
        if format == "TIFF":
            options = {"tiffinfo": {700: (XMP % 3).encode()}, "compression": "tiff_lzw"}
        if format == "GIF":
            options = {"save_all": True, "append_images": [ImageOps.invert(picture())]}
        picture().save(buffer, format, **options)
        out.append(buffer.getvalue())
    return out


SAMPLES = samples()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_damage_ends_in_a_photo_or_an_image_error(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(SAMPLES)))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    # Headers are where most of the meaning is.
    places = st.one_of(st.integers(0, 600), st.integers(0, len(SAMPLES[3])))
    for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        if at < len(whole):
            whole[at] = value
    try:
        photo = load(io.BytesIO(whole), name="damaged")
    except ImageError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert message.startswith("damaged: ")
        assert "\n" not in message
        return
    assert photo.pixels.mode == "RGB"
    assert photo.alpha is None or photo.alpha.size == photo.size
    if max(photo.size) < 100:
        to_image(photo, photo.pixels, text=TEXT)


# --- writing -----------------------------------------------------------------------------------


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_of_outputs(tmp_path: Path) -> None:
    assert default_output(Path("x/IMG.JPG")) == Path("x/IMG_nulie.JPG")
    assert default_output(Path("x/a.b.png"), tmp_path) == tmp_path / "a.b_nulie.png"
    assert default_output(Path("a.gif")) == Path("a_nulie.png")
    assert default_output(Path("a")) == Path("a_nulie.png")
    wrong = tmp_path / "really_a_png.jpg"
    picture("RGBA").save(wrong, "PNG")
    assert default_output(wrong, photo=load(wrong)).name == "really_a_png_nulie.png"


def test_formats_that_would_lose_something_are_refused(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.png", picture("RGBA")))
    for name in ("b.jpg", "b.bmp"):
        with pytest.raises(ImageError, match=r"cannot hold the transparency; choose \.png"):
            save(photo, photo.pixels, tmp_path / name)
    for name in ("b.gif", "b", "b.xyz"):
        with pytest.raises(ImageError, match="does not write"):
            check_output(photo, tmp_path / name)
    opaque = picture("RGBA")
    opaque.putalpha(255)
    photo = load(write(tmp_path / "c.png", opaque))
    assert save(photo, photo.pixels, tmp_path / "c.jpg").exists()
    assert "no room" in check_output(photo, tmp_path / "c.bmp")[0]


def test_sides_too_long_for_a_format_are_refused(tmp_path: Path) -> None:
    photo = from_image(Image.new("RGB", (17_000, 1)))
    with pytest.raises(ImageError, match=r"WEBP ends at 16383 pixels a side; choose \.png"):
        check_output(photo, tmp_path / "a.webp")
    save(photo, photo.pixels, tmp_path / "a.png")


def test_an_existing_file_stays(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    out = tmp_path / "b.png"
    out.write_text("mine")
    with pytest.raises(ImageError, match="exists; choose another name"):
        save(photo, photo.pixels, out)
    assert out.read_text() == "mine"
    assert load(save(photo, photo.pixels, out, overwrite=True)).size == photo.size
    assert leftovers(tmp_path) == ["a.png", "b.png"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    out = tmp_path / "b.png"
    real = os.fsync

    def someone_else_writes(handle: int) -> None:
        out.write_text("theirs")
        real(handle)

    monkeypatch.setattr(os, "fsync", someone_else_writes)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(ImageError, match="exists"):
        save(photo, photo.pixels, out)
    assert out.read_text() == "theirs"
    assert leftovers(tmp_path) == ["a.png", "b.png"]


def no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    monkeypatch.setattr(os, "link", no_links)
    assert load(save(photo, photo.pixels, tmp_path / "b.png")).size == photo.size
    assert leftovers(tmp_path) == ["a.png", "b.png"]


def test_two_writers_of_one_name_make_one_file(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            save(photo, photo.pixels, tmp_path / "b.png")
            outcomes.append("saved")
        except ImageError:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["saved"]


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    source = write(tmp_path / "a.png", picture())
    photo = load(source)
    (tmp_path / "soft.png").symlink_to(source)
    os.link(source, tmp_path / "hard.png")
    (tmp_path / "folder").mkdir()
    before = source.read_bytes()
    for out in (source, tmp_path / "folder/../a.png", tmp_path / "soft.png", tmp_path / "hard.png"):
        with pytest.raises(ImageError, match="is the input, which is never overwritten"):
            save(photo, ImageOps.invert(photo.pixels), out, overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="no umask there")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_file_has_the_usual_permissions(tmp_path: Path, umask: int, mode: int) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    before = os.umask(umask)
    try:
        out = save(photo, photo.pixels, tmp_path / "b.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == mode


def test_folders_are_made(tmp_path: Path) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    assert save(photo, photo.pixels, tmp_path / "new/er/b.png").exists()
    with pytest.raises(ImageError, match=r"b\.png: cannot be written"):
        save(photo, photo.pixels, tmp_path / "a.png/b.png")
    (tmp_path / "c.png").mkdir()
    with pytest.raises(ImageError, match="is a folder"):
        save(photo, photo.pixels, tmp_path / "c.png", overwrite=True)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, overwrite: bool
) -> None:
    photo = load(write(tmp_path / "a.png", picture()))
    if overwrite:
        (tmp_path / "b.png").write_text("old")

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    expected = ImageError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        save(photo, photo.pixels, tmp_path / "b.png", overwrite=overwrite)
    if isinstance(error, OSError):
        assert "b.png: cannot be written (No space left on device)" in str(caught.value)
    assert leftovers(tmp_path) == (["a.png", "b.png"] if overwrite else ["a.png"])
    if overwrite:
        assert (tmp_path / "b.png").read_text() == "old"


def test_a_really_full_disk(tmp_path: Path) -> None:
    """A size limit on files of a child process stands for a disk that fills up."""
    resource = pytest.importorskip("resource")
    photo = load(write(tmp_path / "a.png", Image.effect_noise((200, 200), 90).convert("RGB")))
    signal = pytest.importorskip("signal")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(ImageError, match=r"b\.tif: cannot be written \(File too large\)"):
            save(photo, photo.pixels, tmp_path / "b.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert leftovers(tmp_path) == ["a.png"]


def test_metadata_that_does_not_fit_does_not_cost_the_picture(
    tmp_path: Path,
) -> None:
    image = picture()
    image.info["exif"] = exif(comment=bytes(70_000))
    photo = from_image(image)
    out = save(photo, photo.pixels, tmp_path / "a.jpg", text=TEXT)
    assert read_text(out) == TEXT
    assert "UserComment" in check_output(photo, tmp_path / "b.jpg")[0]
    with Image.open(out) as saved:
        assert saved.getexif()[ExifTags.Base.Make] == "Kamera"


# --- photographs -------------------------------------------------------------------------------


def photographs() -> list[Path]:
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("NULIE_TEST_DATA", root.parent / "shared" / "data")) / "photos"
    kinds = (".jpg", ".png", ".webp")
    return sorted(p for p in folder.glob("*") if p.suffix in kinds) if folder.is_dir() else []


@pytest.mark.skipif(not photographs(), reason="no photographs: set NULIE_TEST_DATA")
def test_real_photographs(tmp_path: Path) -> None:
    for source in photographs()[::3]:
        photo = load(source)
        out = save(photo, photo.pixels, default_output(source, tmp_path), text=TEXT)
        again = load(out)
        assert again.size == photo.size
        assert again.grey == photo.grey
        assert again.metadata.icc_profile == photo.metadata.icc_profile
        assert again.metadata.exif == photo.metadata.exif
        assert read_text(out) == read_text(source) | TEXT
