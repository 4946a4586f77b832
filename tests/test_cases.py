"""Files that once lost something without a word, each through reading and writing."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import time
import timeit
import zlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from nulie.engine.pipeline import apply
from nulie.errors import ImageError, WeightsError
from nulie.image_io import Photo, check_output, icc, jpeg, load, read_text, save, xmp
from nulie.image_io.encode import encoded
from nulie.image_io.read import HAS_AVIF
from nulie.jobs.events import Done, Noted
from nulie.jobs.host import Host
from nulie.jobs.inputs import Item
from nulie.jobs.job import Job
from nulie.jobs.plan import plan
from nulie.predictor import heads
from nulie.recipe import Recipe, Step

from .conftest import ROOT, FakePredictor, picture
from .test_deep import as_png

TEXT = {"nulie": '{"nulie": 1, "steps": []}'}
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@pytest.fixture
def cases(data: Path) -> Path:
    if not (data / "cases").is_dir():
        pytest.skip(f"no cases at {data}")
    return data / "cases"


def through(source: Path, target: Path) -> tuple[Photo, Photo, str]:
    """As it was read, as its result is read, and all notes."""
    photo = load(source)
    notes = (*photo.notes, *check_output(photo, target))
    return photo, load(save(photo, photo.pixels, target, text=TEXT)), "\n".join(notes)


def packet(inside: str = "", attributes: str = "", behind: str = "") -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description '
        'rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{attributes}>{inside}</rdf:Description>'
        f'</rdf:RDF></x:xmpmeta>{behind}<?xpacket end="w"?>'
    ).encode()


# --- XMP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        packet(behind=" " * 300_000),
        packet(" " * 300_000),
        packet(attributes=" " * 300_000),
        packet("<dc:x/>" * 60_000),
        packet("<dc:x>" * 60_000 + "</dc:x>" * 60_000),
        packet("<rdf:Description/>" * 60_000),
        packet("".join(f"<a:b xmlns:a='u{n}'/>" for n in range(10_000))),
    ],
    ids=["padding", "text", "tag", "empty", "nested", "descriptions", "namespaces"],
)
def test_xmp_is_read_in_linear_time(hostile: bytes) -> None:
    trace = sys.gettrace()
    sys.settrace(None)  # coverage's takes longer than what it watches
    try:
        times = timeit.repeat(
            lambda: xmp.read(hostile), timer=time.process_time, number=1, repeat=3
        )
    finally:
        sys.settrace(trace)
    assert min(times) < 0.1


def test_an_entity_bomb_is_refused() -> None:
    with pytest.raises(ValueError, match="document type"):
        xmp.read(b'<!DOCTYPE a [<!ENTITY b "bbbb">]>' + packet("&b;"))


def test_a_long_packet_goes_on_in_an_extension_and_comes_back() -> None:
    whole = packet(f"<dc:source>{'s' * 500}</dc:source><dc:rights>r</dc:rights>", ' tiff:Make="M"')
    whole = xmp.put_text(whole, TEXT)
    for room in (len(whole) - 1, 1000):
        first, digest, rest = xmp.split(whole, room)
        assert len(first) <= room
        assert b"<dc:rights>r" in first
        assert b"steps" not in first
        assert xmp.read(first).extended.encode() == digest
        again = xmp.read(xmp.merged(first, rest))
        assert again.text == TEXT
        assert again.packet is not None
        assert all(said in again.packet for said in (b"s" * 500, b">r<", b'"uuid:1"', b"Make"))


def test_texts_keep_their_line_ends() -> None:
    text = {"a": "one\r\ntwo\n", "b": " <&> "}
    assert xmp.read(xmp.put_text(None, text)).text == text


def test_xmp_over_a_segment(cases: Path, tmp_path: Path) -> None:
    for name in ("xmp_near_64k.jpg", "tiff_xmp100k.tif"):
        before, after, _ = through(cases / name, tmp_path / f"{name}.jpg")
        assert before.metadata.xmp is not None
        assert after.metadata.xmp is not None
        for value in re.findall(rb">([^<>\s][^<>]*)<", before.metadata.xmp):
            assert value in after.metadata.xmp
        assert after.metadata.text == TEXT


# --- texts, captions, profiles -----------------------------------------------------------------


def test_texts_of_a_png_find_a_place_in_jpeg(cases: Path, tmp_path: Path) -> None:
    for name in ("comfy_to_jpg.png", "longprompt_to_jpg.png"):
        target = tmp_path / f"{name}.jpg"
        through(cases / name, target)
        assert read_text(target) == read_text(cases / name) | TEXT


def test_captions_of_several_segments(cases: Path, tmp_path: Path) -> None:
    before, after, _ = through(cases / "iptc_two_segments.jpg", tmp_path / "a.jpg")
    assert before.metadata.photoshop == after.metadata.photoshop
    assert len(after.metadata.photoshop or b"") > 70_000
    in_png = through(tmp_path / "a.jpg", tmp_path / "b.png")[1]
    assert in_png.metadata.photoshop == after.metadata.photoshop
    assert "IPTC" in through(tmp_path / "a.jpg", tmp_path / "b.webp")[2]


def test_large_parts_cost_themselves_alone(cases: Path, tmp_path: Path) -> None:
    for name in ("ztxt_over_1mb.png", "icc_over_1mb.png"):
        before, after, notes = through(cases / name, tmp_path / name)
        assert before.size == after.size == (120, 160)
        assert before.metadata.text.keys() == {"parameters"}
        assert before.metadata.icc_profile is not None
        assert after.metadata.icc_profile is not None
        assert "damaged" not in notes
        # Pillow alone would not open a profile of more than a megabyte.
        too_large = name.startswith("icc")
        assert ("converted to sRGB" in notes) == too_large
        assert (after.metadata.icc_profile == before.metadata.icc_profile) == (not too_large)
        with Image.open(tmp_path / name) as image:
            image.load()
        assert ("large text in it was left out: workflow" in notes) == name.startswith("ztxt")
    jpeg_of_it = through(cases / "icc_over_1mb.png", tmp_path / "a.jpg")[1]
    assert len(jpeg_of_it.metadata.icc_profile or b"") > 1_000_000


def test_an_odd_field_of_exif_costs_itself_alone(cases: Path, tmp_path: Path) -> None:
    before, _, notes = through(cases / "exif_xres_byte.jpg", tmp_path / "a.jpg")
    assert before.size == (120, 160)
    assert "a damaged field of EXIF" in notes
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[0x0112] == 1


def test_a_unicode_comment_in_utf_8(cases: Path, tmp_path: Path) -> None:
    _, after, _ = through(cases / "usercomment_utf8.jpg", tmp_path / "a.png")
    assert "Steps: " in after.metadata.text["parameters"]


def test_no_resolution_is_made_up(cases: Path, tmp_path: Path) -> None:
    for suffix in ("tif", "jpg"):
        after = through(cases / "tiff_no_resolution.tif", tmp_path / f"a.{suffix}")[1]
        assert after.metadata.dpi is None


# --- orientation -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["orientation_twice.jpg", "png_text_orientation.png"])
def test_every_statement_of_the_orientation(cases: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    before, after, _ = through(cases / name, target)
    assert before.size == after.size == (120, 160)
    assert all(v == "1" for k, v in after.metadata.text.items() if "Orientation" in k)
    if which("exiftool"):
        command = ["exiftool", "-a", "-n", "-s3", "-Orientation", str(target)]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert set(said.stdout.split()) == {"1"}


@pytest.mark.parametrize("kind", ["BYTE", "SHORT", "LONG"])
def test_orientation_of_any_type(tmp_path: Path, kind: str) -> None:
    number = {"BYTE": 1, "SHORT": 3, "LONG": 4}[kind]
    exif = b"II*\0\x08\0\0\0" + struct.pack("<HHHIIxxxx", 1, 0x0112, number, 1, 6)
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    picture().save(tmp_path / "a.tif", tiffinfo={0x0112: 6})
    data = (tmp_path / "a.tif").read_bytes()
    short = struct.pack("<HHII", 0x0112, 3, 1, 6)
    assert short in data
    (tmp_path / "a.tif").write_bytes(data.replace(short, struct.pack("<HHII", 274, number, 1, 6)))
    for name in ("a.jpg", "a.tif"):
        photo = load(tmp_path / name)
        assert photo.size == (64, 96)
        upright = picture().transpose(Image.Transpose.ROTATE_270)
        assert name == "a.jpg" or photo.pixels.tobytes() == upright.tobytes()


# --- colours -----------------------------------------------------------------------------------


def test_colors_said_in_numbers_become_a_profile(cases: Path, tmp_path: Path) -> None:
    after = through(cases / "cicp_p3_to_jpg.png", tmp_path / "a.jpg")[1]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(after.metadata.icc_profile or b""))
    shown = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), (200, 80, 60)),
        profile,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
    )
    assert shown is not None
    # By CSS Color 4: color(display-p3 200 80 60 / 255) is rgb(217 70 48).
    assert shown.getpixel((0, 0)) == pytest.approx((216, 72, 49), abs=4)
    kept = through(cases / "cicp_p3_to_jpg.png", tmp_path / "a.png")[1]
    assert kept.metadata.png_chunks == load(cases / "cicp_p3_to_jpg.png").metadata.png_chunks


def test_a_gamma_becomes_a_profile(tmp_path: Path) -> None:
    for gamma, needed in ((100_000, True), (45455, False)):
        chunks = PngImagePlugin.PngInfo()
        chunks.add(b"gAMA", gamma.to_bytes(4, "big"))
        picture().save(tmp_path / "a.png", pnginfo=chunks)
        after = through(tmp_path / "a.png", tmp_path / f"{gamma}.jpg")[1]
        assert (after.metadata.icc_profile is not None) == needed
    assert icc.of_chunks({b"gAMA": bytes(4)}, grey=False) is None


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
def test_nclx_is_kept(cases: Path, tmp_path: Path) -> None:
    before, after, _ = through(cases / "p3_nclx.avif", tmp_path / "a.avif")
    assert before.metadata.png_chunks == after.metadata.png_chunks == ((b"cICP", b"\x0c\x0d\0\1"),)
    assert after.metadata.icc_profile is not None


# --- what cannot be kept, and what is no whole picture -----------------------------------------


@pytest.mark.parametrize(
    ("name", "note", "claim"),
    [
        ("c2pa.jpg", "Content Credentials", b"provenance"),
        ("ultra_hdr.jpg", "gain map", b"GainMap"),
        ("motion_photo.jpg", "video", b"MotionPhoto"),
        ("samsung_trailer.jpg", "video", b"SEFT"),
    ],
)
def test_what_goes_is_said_and_no_claim_stays(
    cases: Path, tmp_path: Path, name: str, note: str, claim: bytes
) -> None:
    assert claim in (cases / name).read_bytes()
    notes = through(cases / name, tmp_path / name)[2]
    assert note in notes
    assert claim not in (tmp_path / name).read_bytes()


def test_application_data_and_repeated_texts_are_said(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", extra=jpeg.put(0xE7, b"", b"Camera data"))
    assert "APP7 (Camera data)" in load(tmp_path / "a.jpg").notes[0]
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "one")
    chunks.add_text("Title", "two")
    picture().save(tmp_path / "a.png", pnginfo=chunks)
    assert "Title" in load(tmp_path / "a.png").notes[0]


def test_a_raw_photo_is_no_thumbnail(cases: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes((cases / "raw_thumbnail.dng").read_bytes())
    for path in (cases / "raw_thumbnail.dng", tmp_path / "a.tif"):
        if find_spec("rawpy"):
            photo = load(path)
            assert photo.size == (200, 150)
            assert "developed by rawpy" in photo.notes[0]
        else:
            with pytest.raises(ImageError, match=r"RAW file.*pip install rawpy"):
                load(path)


def test_a_missing_end_marker_and_a_missing_end(cases: Path, tmp_path: Path) -> None:
    photo = load(cases / "no_eoi.jpg")
    assert "end marker is missing" in photo.notes[0]
    for suffix in ("jpg", "png", "webp", "tif"):
        picture().save(tmp_path / f"a.{suffix}")
        data = (tmp_path / f"a.{suffix}").read_bytes()
        for share in (0.5, 0.9):
            with pytest.raises(ImageError, match=r"cut short.*get a whole copy"):
                load(io.BytesIO(data[: int(len(data) * share)]))
    picture().save(tmp_path / "b.jpg")
    data = (tmp_path / "b.jpg").read_bytes()
    for missing in (3, 4, 8, 40):
        with pytest.raises(ImageError, match="cut short"):
            load(io.BytesIO(data[:-missing]))


def test_damage_in_one_chunk_costs_that_alone(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + check

    picture().save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    bad = chunk(b"iTXt", b"Broken\0\1\0\0\0not compressed") + chunk(b"tEXt", b"Good\0text")
    photo = load(io.BytesIO(data[:33] + bad + data[33:]))
    assert photo.metadata.text["Good"] == "text"


def scans(data: bytes) -> list[int]:
    """Where each scan of a JPEG starts."""
    return [match.start() for match in re.finditer(rb"\xff\xda\x00", data)]


def test_a_progressive_jpeg_that_is_cut_between_scans() -> None:
    stream = io.BytesIO()
    picture().save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    assert len(scans(data)) > 5
    for start in scans(data)[1:]:
        with pytest.raises(ImageError, match="cut short"):
            load(io.BytesIO(data[:start]))
        photo = load(io.BytesIO(data[:start] + jpeg.END))
        assert "scans are missing" in photo.notes[0]
    assert load(io.BytesIO(data)).notes == ()
    assert "end marker is missing" in load(io.BytesIO(data[:-2])).notes[0]


def test_a_second_xmp_is_not_dropped_silently() -> None:
    stream = io.BytesIO()
    two = (packet("<dc:source>one</dc:source>"), packet("<dc:source>two</dc:source>"))
    picture().save(stream, "JPEG", extra=b"".join(jpeg.put(0xE1, jpeg.XMP, p) for p in two))
    photo = load(io.BytesIO(stream.getvalue()))
    assert b"one" in (photo.metadata.xmp or b"")
    assert "a second XMP in it is not kept" in photo.notes[0]


def test_damaged_is_not_called_unknown(tmp_path: Path) -> None:
    image = picture()
    for suffix in ("jpg", "png", "webp", "tif", "gif", "bmp"):
        image.save(tmp_path / f"a.{suffix}")
        data = bytearray((tmp_path / f"a.{suffix}").read_bytes())
        data[12:-8] = b"\xa5" * (len(data) - 20)
        with pytest.raises(ImageError, match=r"but damaged|cut short|cannot read") as caught:
            load(io.BytesIO(bytes(data)))
        assert "of a kind nulie reads" not in str(caught.value)


# --- what a job says ---------------------------------------------------------------------------


def job(source: Path, target: Path, recipe: Recipe | None) -> list[Any]:
    given = {"seconds": None, "evaluations": 60, "ops": "brightness", "seed": 1}
    made = plan(given if recipe is None else {})
    made = replace(made, recipe=recipe, results=replace(made.results, output=target))
    judge: Any = FakePredictor()
    host = Host(load=lambda choice, progress: (judge, ""))
    return list(Job([Item(source)], made, host).events())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("searched", [True, False])
def test_a_job_keeps_16_bits(tmp_path: Path, suffix: str, searched: bool) -> None:
    deep = np.asarray(picture()).astype(np.uint16) // 3 * 257 + 77
    (tmp_path / "a.png").write_bytes(as_png(deep))
    recipe = None if searched else Recipe((Step.of("brightness", factor=1.4),))
    events = job(tmp_path / "a.png", tmp_path / f"b{suffix}", recipe)
    assert [e for e in events if isinstance(e, Done)]
    after = load(tmp_path / f"b{suffix}")
    assert after.deep is not None
    done = recipe or Recipe.from_json(after.metadata.text["nulie"])
    assert done.steps
    expected = apply(done, load(tmp_path / "a.png"))
    assert expected.deep is not None
    assert not np.array_equal(expected.deep, deep)
    assert np.array_equal(after.deep, expected.deep)


def test_a_job_says_what_is_lost_at_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in thousands of damaged files was, so the encoder fails here."""

    def picky(photo: Photo, *rest: Any) -> bytes:
        if photo.metadata.exif:
            raise ValueError("bad tag")
        return encoded(photo, *rest)

    monkeypatch.setattr("nulie.image_io.write.encoded", picky)
    exif = Image.Exif()
    exif[0x010F] = "Kamera"
    picture().save(tmp_path / "a.jpg", exif=exif)
    events = job(tmp_path / "a.jpg", tmp_path / "b.jpg", Recipe((Step.of("gamma", gamma=0.9),)))
    said = [e.text for e in events if isinstance(e, Noted)]
    assert "EXIF could not be stored (bad tag)" in said[-1]
    assert [e for e in events if isinstance(e, Done)]


# Files for the command line.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tree", "checkpoint_cycle.json"), "the checkpoint's tree is damaged"),
        (("checkpoint_photo.jpg", "--resume", "checkpoint_damaged.json", "--seconds", "60",
          "--predictor", "statistics"), "the checkpoint's tree is damaged"),
    ],
)  # fmt: skip
def test_a_damaged_checkpoint(
    cases: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = command(cases, tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("checkpoint_photo.jpg", "--recipe", "bom_recipe.json"),
        ("xmp_spaces.png", "--evaluations", "20", "--predictor", "statistics"),
    ],
)
def test_what_once_was_not_read(cases: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = command(cases, tmp_path, *arguments, "-o", str(tmp_path / "out.png"))
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "out.png").size == load(cases / arguments[0]).size


def test_a_head_that_holds_a_number(cases: Path) -> None:
    with pytest.raises(WeightsError, match="is no dictionary of tensors"):
        heads.load(cases / "head_state_dict_number.pth", 768)


def command(cases: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """nulie in a process, files of the cases by their names."""
    named = [str(cases / a) if (cases / a).is_file() else a for a in arguments]
    return subprocess.run(
        [sys.executable, str(ROOT / "standalone.py"), *named],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
