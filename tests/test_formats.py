"""What of a picture's metadata survives from each format read to each format written.

`python -m tests.test_formats` writes the table into docs/formats.md."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageFilter, PngImagePlugin

from nulie.errors import ImageError
from nulie.image_io import Photo, check_output, default_output, jpeg, load, png, read_text, save
from nulie.image_io import exif as exif_bytes
from nulie.image_io.read import HAS_AVIF

from .conftest import ROOT, picture
from .test_deep import as_png, as_tiff

PAGE = ROOT / "docs" / "formats.md"
START, END = "<!-- table: python -m tests.test_formats -->\n", "<!-- end of the table -->"
READ = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "TIFF": ".tif", "AVIF": ".avif",
        "GIF": ".gif", "BMP": ".bmp"}  # fmt: skip
WRITTEN = {name: suffix for name, suffix in READ.items() if name != "GIF"}
TEXT = {"nulie": '{"nulie": 1, "steps": []}'}
PARAMETERS = "a cat\nNegative prompt: blur\nSteps: 20, Sampler: Euler a"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:'
    'rights><rdf:Alt><rdf:li xml:lang="x-default">© Zoë</rdf:li></rdf:Alt></dc:rights>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()
IPTC = jpeg.resource(1028, b"\x1c\x02\x78\0\x09A caption")
KEPT, CONVERTED, DROPPED, REFUSED, NONE = "kept", "converted", "dropped", "refused", "\u2013"

pytestmark = pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")


def profile() -> bytes:
    """Of Display P3, whose colours sRGB numbers would wash out."""
    from nulie.image_io import icc

    made = icc.of_chunks({b"cICP": b"\x0c\x0d\0\1"}, grey=False)
    assert made is not None
    return made


def exif(**more: Any) -> Image.Exif:
    made = Image.Exif()
    made[0x010F], made[0x0112] = "Kamera", 6
    if "comment" in more:
        made.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
    return made


def source(name: str, path: Path, kind: str) -> bool:
    """Whether Pillow, or a few bytes of our own, can put this kind of metadata into that format;
    then it has."""
    image, options = picture().filter(ImageFilter.GaussianBlur(2)), dict[str, Any]()
    chunks = PngImagePlugin.PngInfo()
    tagged = name in ("JPEG", "PNG", "WebP", "TIFF", "AVIF")
    if kind in ("EXIF", "orientation") and tagged:
        options["exif"] = exif()
    elif kind == "parameters" and tagged:
        if name == "PNG":
            chunks.add_text("parameters", PARAMETERS)
        else:
            options["exif"] = exif(comment=True)
    elif kind == "XMP" and tagged:
        if name == "JPEG":
            options["extra"] = jpeg.put(0xE1, jpeg.XMP, XMP)
        elif name == "PNG":
            chunks.add_itxt(png.XMP_KEY, XMP.decode())
        elif name == "TIFF":
            options["tiffinfo"] = {700: XMP}
        else:
            options["xmp"] = XMP
    elif kind == "IPTC" and name in ("JPEG", "PNG", "TIFF"):
        if name == "JPEG":
            options["extra"] = jpeg.put(0xED, jpeg.PHOTOSHOP, IPTC)
        elif name == "PNG":
            chunks.add_text(f"{png.RAW}iptc", png.raw_profile("iptc", IPTC))
        else:
            options["tiffinfo"] = {34377: IPTC}
    elif kind == "ICC profile" and tagged:
        options["icc_profile"] = profile()
    elif kind == "colours in numbers" and name in ("PNG", "AVIF"):
        if name == "PNG":
            chunks.add(b"cICP", b"\x0c\x0d\0\1")
    elif kind == "resolution" and name in ("JPEG", "PNG", "TIFF", "BMP"):
        options["dpi"] = (300, 300)
    elif kind == "comment" and name in ("JPEG", "PNG", "GIF"):
        if name == "PNG":
            chunks.add_text("Comment", "hello")
        else:
            options["comment"] = b"hello"
    elif kind == "transparency" and name in ("PNG", "WebP", "TIFF", "AVIF", "GIF"):
        if name == "GIF":
            image = image.convert("P")
            options["transparency"] = image.getpixel((0, 0))
        else:
            image.putalpha(Image.linear_gradient("L").resize(image.size))
    elif not (kind == "16 bits" and name in ("PNG", "TIFF")):
        return False
    if name == "PNG":
        options["pnginfo"] = chunks
    if kind == "16 bits":
        deep = np.asarray(image).astype(np.uint16) * 257 + 3
        path.write_bytes(as_png(deep) if name == "PNG" else as_tiff(deep))
        return True
    image.save(path, **options)
    if kind == "colours in numbers" and name == "AVIF":
        data = path.read_bytes()
        at = data.index(b"colrnclx") + 8
        path.write_bytes(data[:at] + b"\0\x0c\0\x0d" + data[at + 4 :])
    if kind == "parameters" and name == "TIFF":  # Pillow writes no nested directory
        path.write_bytes(exif_bytes.with_user_comment(path.read_bytes(), PARAMETERS))
    return True


def shown(path: Path) -> npt.NDArray[Any]:
    """The colours that a viewer shows, `[H, W, 3]` in sRGB."""
    with Image.open(path) as image:
        found = image.info.get("icc_profile")
        if not found:
            return np.asarray(image.convert("RGB")).astype(int)
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        own = ImageCms.ImageCmsProfile(io.BytesIO(found))
        return np.asarray(ImageCms.profileToProfile(image.convert("RGB"), own, target)).astype(int)


def same_colors(before: Photo, _: Photo, path: Path) -> bool:
    """As by Display P3, which the photo is in."""
    with tempfile.TemporaryDirectory() as folder:
        meant = Path(folder) / "meant.png"
        before.pixels.save(meant, icc_profile=profile())
        return bool(np.abs(shown(path) - shown(meant)).mean() < 3)


def bytes_of(photo: Photo) -> bytes:
    return photo.alpha.tobytes() if photo.alpha else b""


def upright(path: Path) -> bool:
    with Image.open(path) as image:
        return image.size == (64, 96) and image.getexif().get(0x0112, 1) == 1


Check = Callable[[Photo, Photo, Path], bool]
CHECKS: dict[str, tuple[Check, Check | None]] = {
    "EXIF": (lambda b, a, p: b"Kamera" in (a.metadata.exif or b""), None),
    "XMP": (lambda b, a, p: "© Zoë".encode() in (a.metadata.xmp or b""), None),
    "IPTC": (lambda b, a, p: a.metadata.photoshop == b.metadata.photoshop == IPTC, None),
    "parameters": (lambda b, a, p: read_text(p).get("parameters") == PARAMETERS, None),
    "comment": (
        lambda b, a, p: "hello" in (a.metadata.comment, a.metadata.text.get("Comment")),
        None,
    ),
    "resolution": (lambda b, a, p: a.metadata.dpi == pytest.approx((300, 300), abs=0.1), None),
    "orientation": (
        lambda b, a, p: False,
        lambda b, a, p: a.size == b.size == (64, 96) and upright(p),
    ),
    "ICC profile": (lambda b, a, p: a.metadata.icc_profile == profile(), same_colors),
    "colours in numbers": (
        lambda b, a, p: a.metadata.png_chunks == b.metadata.png_chunks != (),
        same_colors,
    ),
    "transparency": (lambda b, a, p: a.transparent and bytes_of(a) == bytes_of(b), None),
    "16 bits": (lambda b, a, p: a.deep is not None and bool((a.deep == b.deep).all()), None),
}
"""Of each kind whether it was kept, and whether it was converted: (before, after, path)."""
SAID = {"EXIF": "metadata", "XMP": "metadata", "IPTC": "IPTC|metadata", "parameters": "metadata",
        "comment": "metadata", "resolution": "metadata", "transparency": "transparency",
        "16 bits": "16 bits"}  # fmt: skip
"""Words of the note, or the refusal, where it is dropped."""


def fate(name: str, suffix: str, kind: str, folder: Path) -> str:
    """What becomes of it. Raises: AssertionError when it is lost without a word."""
    path = folder / f"{name} {kind}{READ[name]}"
    if not path.exists() and not source(name, path, kind):
        return NONE
    photo = load(path)
    target = folder / f"{path.stem} to{suffix}"
    if photo.transparent and suffix in (".jpg", ".bmp"):
        with pytest.raises(ImageError, match="cannot hold the transparency"):
            save(photo, photo.pixels, target)
        return REFUSED
    notes = " ".join(check_output(photo, target, overwrite=True))
    save(photo, photo.pixels, target, text=TEXT, overwrite=True)
    after, (kept, converted) = load(target), CHECKS[kind]
    if kept(photo, after, target):
        return KEPT
    if converted is not None and converted(photo, after, target):
        return CONVERTED
    words = SAID[kind].split("|")
    assert any(word in notes for word in words), f"{path.name} to {suffix}: lost without a word"
    return DROPPED


@cache
def table() -> str:
    """Markdown: a row for each pair of formats, a column for each kind of metadata."""
    rows = [["from", "to", *CHECKS], ["---"] * (2 + len(CHECKS))]
    with tempfile.TemporaryDirectory() as folder:
        for name in READ:
            for target, suffix in WRITTEN.items():
                fates = [fate(name, suffix, kind, Path(folder)) for kind in CHECKS]
                rows.append([name, target, *fates])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_the_page_says_what_happens() -> None:
    said = PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    assert said.strip() == table().strip()


@pytest.mark.skipif(not which("exiftool"), reason="exiftool is not installed")
def test_exiftool_finds_it_too(tmp_path: Path) -> None:
    said: dict[str, tuple[str, object]] = {
        "EXIF": ("Make", "Kamera"), "XMP": ("Rights", "© Zoë"), "resolution": ("XResolution", 300),
        "IPTC": ("Caption-Abstract", "A caption"), "ICC profile": ("ProfileClass", None),
    }  # fmt: skip
    expected: dict[str, tuple[str, object]] = {}
    for name in ("JPEG", "PNG", "TIFF", "WebP"):
        for kind, value in said.items():
            for suffix in (".jpg", ".png", ".tif", ".webp"):
                if fate(name, suffix, kind, tmp_path) == KEPT:
                    expected[f"{name} {kind} to{suffix}"] = value
    command = ["exiftool", "-j", "-charset", "UTF8", *(str(tmp_path / file) for file in expected)]
    # exit code 1 would be for warnings on some files, which are looked at below
    out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = {Path(row["SourceFile"]).name: row for row in json.loads(out)}
    assert len(expected) > 50
    for file, (tag, given) in expected.items():
        row = found[file]
        assert "Warning" not in row, (file, row["Warning"])
        if file.endswith(".png") and tag == "XResolution":
            assert row["PixelsPerUnitX"] == 11811  # a metre has
        else:
            near = pytest.approx(given, rel=1e-5) if isinstance(given, int) else given
            assert row[tag] == near or given is None, file


@pytest.mark.skipif(not which("exiv2"), reason="exiv2 is not installed")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exiv2_finds_no_fault(tmp_path: Path, suffix: str) -> None:
    for kind in ("EXIF", "XMP", "parameters"):
        assert fate("JPEG", suffix, kind, tmp_path) == KEPT
        out = tmp_path / f"JPEG {kind} to{suffix}"
        seen = subprocess.run(
            ["exiv2", "-pa", str(out)], capture_output=True, text=True, check=False
        )
        assert seen.stderr == ""
        assert {"EXIF": "Kamera", "XMP": "Zoë", "parameters": "UserComment"}[kind] in seen.stdout


# --- with plug-ins -----------------------------------------------------------------------------


@pytest.mark.skipif(not find_spec("pillow_heif"), reason="pillow-heif is not installed")
def test_heic(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = picture()
    image.save(tmp_path / "a.heic", exif=exif().tobytes(), xmp=XMP, icc_profile=profile())
    photo = load(tmp_path / "a.heic")
    assert (photo.format, photo.size, photo.deep) == ("HEIF", (64, 96), None)
    assert photo.metadata.icc_profile == profile()
    assert b"Kamera" in (photo.metadata.exif or b"")
    assert "© Zoë".encode() in (photo.metadata.xmp or b"")
    assert default_output(tmp_path / "a.heic", photo=photo).name == "a_nulie.jpg"
    again = load(save(photo, photo.pixels, tmp_path / "b.jpg", text=TEXT))
    assert again.size == (64, 96)
    image = image.filter(ImageFilter.GaussianBlur(3))
    ten = (np.asarray(image).astype(np.uint16) * 257).tobytes()
    pillow_heif.from_bytes("RGB;16", image.size, ten).save(tmp_path / "c.heic", quality=90)
    deep = load(tmp_path / "c.heic").deep
    assert deep is not None
    assert np.abs(deep / 257 - np.asarray(image)).mean() < 4


@pytest.mark.skipif(not find_spec("pillow_jxl"), reason="pillow-jxl-plugin is not installed")
def test_jpeg_xl(tmp_path: Path) -> None:
    import pillow_jxl  # noqa: F401

    picture().save(tmp_path / "a.jxl", lossless=True, exif=exif().tobytes())
    photo = load(tmp_path / "a.jxl")
    # Its decoder turns by what the pixels' own header says, and what EXIF says counts not.
    assert (photo.format, photo.pixels.tobytes()) == ("JXL", picture().tobytes())
    assert b"Kamera" in (photo.metadata.exif or b"")
    assert default_output(tmp_path / "a.jxl", photo=photo).name == "a_nulie.jpg"


@pytest.mark.parametrize(
    ("module", "head", "words"),
    [
        ("pillow_heif", b"\0\0\0\x18ftypheic", "HEIC, which needs pillow-heif"),
        ("pillow_jxl", b"\xff\x0a", "JPEG XL, which needs pillow-jxl-plugin"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, head: bytes, words: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImageError, match=rf"{words}.*\[formats\]"):
        load(io.BytesIO(head + bytes(100)))


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(START)
    PAGE.write_text(f"{head}{START}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
