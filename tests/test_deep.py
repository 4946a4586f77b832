"""Pictures of 16 bits a channel: through files, through recipes, and back."""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nulie import transforms
from nulie.engine.pipeline import apply
from nulie.image_io import Photo, check_output, load, png, save, tiff
from nulie.image_io.photo import to_8_bits
from nulie.recipe import ModelStep, Recipe, Step
from nulie.transforms.base import Op

from .conftest import imagemagick, picture
from .test_frozen import ALL

Deep = npt.NDArray[np.uint16]
CHANNELS = [1, 2, 3, 4]
TEXT = {"nulie": '{"nulie": 1, "steps": []}'}


def noise(channels: int, height: int = 40, width: int = 30) -> Deep:
    rng = np.random.default_rng(channels)
    return np.asarray(rng.integers(0, 65536, (height, width, channels)), np.uint16)


def gradient() -> Deep:
    """From black to white in 4,000 levels, of another tint in every row."""
    ramp = np.linspace(0, 65535, 4000)[None, :, None] * np.linspace(0.6, 1, 8)[:, None, None]
    return np.array(np.broadcast_to(ramp, (8, 4000, 3)).round(), np.uint16)


def as_png(deep: Deep) -> bytes:
    """Row by row without a filter, unlike what is written."""
    height, width, channels = deep.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    head = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    checked = ((len(b), k + b, zlib.crc32(k + b)) for k, b in parts)
    return png.SIGNATURE + b"".join(struct.pack(">I", n) + b + struct.pack(">I", c)
                                    for n, b, c in checked)  # fmt: skip


def as_tiff(deep: Deep, order: str = "<") -> bytes:
    height, width, channels = deep.shape
    rows = {256: width, 257: height, 258: 16, 259: 1, 262: 2 if channels > 1 else 1, 273: 0,
            277: channels, 278: height, 279: deep.nbytes}  # fmt: skip
    rows |= {338: 2} if channels == 4 else {}
    bits = np.full(channels, 16, order + "u2").tobytes()
    start = 8 + 2 + 12 * len(rows) + 4
    rows[273] = start + len(bits)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(rows))
    for tag, value in sorted(rows.items()):
        if tag == 258 and channels > 2:
            head += struct.pack(order + "HHII", tag, 3, channels, start)
        elif tag == 258:
            head += struct.pack(order + "HHI", tag, 3, channels) + bits.ljust(4, b"\0")
        else:
            head += struct.pack(order + "HHII", tag, 4, 1, value)
    return head + bytes(4) + bits + deep.astype(order + "u2").tobytes()


def whole(deep: Deep) -> Deep:
    """As a photo holds it."""
    channels = deep.shape[2]
    colors = deep if channels > 2 else np.repeat(deep[..., :1], 3, -1)
    return np.concatenate([colors, deep[..., 1:]], -1) if channels == 2 else colors


def same(a: Deep | None, b: Deep | None) -> bool:
    return a is not None and b is not None and np.array_equal(a, b)


def photo_of(deep: Deep) -> Photo:
    return Photo(Image.fromarray(to_8_bits(deep[..., :3])), deep=deep)


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_bit_survives(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = noise(channels)
    (tmp_path / "a.png").write_bytes(as_png(deep))
    photo = load(tmp_path / "a.png")
    assert photo.notes == ()
    assert same(photo.deep, whole(deep))
    assert (np.asarray(photo.pixels) == to_8_bits(whole(deep)[..., :3])).all()
    out = save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT)
    again = load(out)
    assert same(again.deep, photo.deep)
    assert again.grey == photo.grey or channels == 2
    assert again.metadata.text == TEXT


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_either_byte_order_and_any_compression(
    tmp_path: Path, order: str, channels: int, compression: str
) -> None:
    deep = noise(channels, 200)
    (tmp_path / "a.tif").write_bytes(as_tiff(deep, order))
    photo = load(tmp_path / "a.tif")
    assert same(photo.deep, whole(deep))
    photo.metadata.options["compression"] = compression  # type: ignore[index]
    again = load(save(photo, photo.pixels, tmp_path / "b.tif"))
    assert same(again.deep, whole(deep))
    assert again.metadata.options["compression"] == compression


def test_tiff_whose_zero_is_white() -> None:
    deep = noise(1)
    data = tiff.edited(as_tiff(deep), {262: tiff.Field(262, 3, 1, b"\0\0")})
    assert same(load(io.BytesIO(data)).deep, 65535 - whole(deep))


needs_imagemagick = pytest.mark.skipif(not imagemagick(), reason="ImageMagick is not installed")


@needs_imagemagick
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", CHANNELS)
def test_another_program_reads_the_same(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = noise(channels)
    (tmp_path / "a.png").write_bytes(as_png(deep))
    photo = load(tmp_path / "a.png")
    out = save(photo, photo.pixels, tmp_path / f"b{suffix}", text=TEXT)
    layout = "rgba" if channels in (2, 4) else "rgb"
    command = [str(imagemagick()), str(out), "-depth", "16", "-endian", "LSB", f"{layout}:-"]
    seen = subprocess.run(command, capture_output=True, check=True)
    assert seen.stderr == b""
    assert seen.stdout == whole(deep).astype("<u2").tobytes()


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_they_are_turned_like_the_8_bits(tmp_path: Path, suffix: str, orientation: int) -> None:
    deep = noise(3)
    plain = photo_of(deep)
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "a.png").write_bytes(as_png(deep))
    data = (tmp_path / "a.png").read_bytes()
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    if suffix == ".tif":
        field = tiff.Field(0x0112, 3, 1, struct.pack("<H", orientation))
        (tmp_path / "a.tif").write_bytes(tiff.edited(as_tiff(deep), {0x0112: field}))
    plain.pixels.save(tmp_path / "b.jpg", exif=exif, quality=100, subsampling=0)
    photo, eight = load(tmp_path / f"a{suffix}"), load(tmp_path / "b.jpg")
    assert photo.size == eight.size
    assert photo.deep is not None
    assert (np.asarray(photo.pixels) == to_8_bits(photo.deep)).all()
    turn = {2: 0, 3: 1, 4: 2, 5: 3, 6: 4, 7: 5, 8: 6}[orientation]
    turns = [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
             Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE,
             Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
             Image.Transpose.ROTATE_90]  # fmt: skip
    assert photo.pixels.tobytes() == plain.pixels.transpose(turns[turn]).tobytes()


def test_a_transparent_color_is_one_of_16_bits(tmp_path: Path) -> None:
    deep = noise(3)
    data = as_png(deep)
    body = b"tRNS" + deep[3, 5].astype(">u2").tobytes()
    chunk = struct.pack(">I", 6) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    photo = load(tmp_path / "a.png")
    assert photo.deep is not None
    assert (np.argwhere(photo.deep[..., 3] == 0) == [[3, 5]]).all()
    assert photo.transparent


@needs_imagemagick
def test_planes_compressed_apart_are_read_at_8_bits_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(as_png(noise(3)))
    planes = ["-interlace", "plane", "-compress", "zip", str(tmp_path / "a.tif")]
    subprocess.run([str(imagemagick()), str(tmp_path / "a.png"), *planes], check=True)
    photo = load(tmp_path / "a.tif")
    assert photo.deep is None
    assert "16 bits per channel, of which 8 are kept" in photo.notes[0]


def test_formats_of_8_bits_say_so(tmp_path: Path) -> None:
    photo = photo_of(noise(3))
    for name in ("a.jpg", "a.webp", "a.bmp"):
        assert "8 of the photo's 16 bits" in " ".join(check_output(photo, tmp_path / name))
    assert check_output(photo, tmp_path / "a.png") == ()
    again = load(save(photo, photo.pixels, tmp_path / "a.jpg"))
    assert again.deep is None


# --- recipes -----------------------------------------------------------------------------------


def test_no_recipe_changes_no_bit() -> None:
    deep = noise(4)
    neutral = Recipe(tuple(Step.of(op.id) for op in transforms.ops().values()))
    for recipe in (Recipe(), neutral):
        made = apply(recipe, photo_of(deep))
        assert made.deep is not None
        assert made.deep is not deep
        assert (made.deep == deep).all()


@pytest.mark.parametrize("strength", [0.3, 0.8])
@pytest.mark.parametrize(
    "op", [op for op in transforms.ops().values() if op.id != "posterize"], ids=lambda op: op.id
)
def test_a_gradient_stays_smooth(op: Op, strength: float) -> None:
    """Of all ops but the one that is there to leave few levels."""
    values = {d.name: d.snap(d.low + strength * (d.high - d.low)) for d in op.dials}
    made = apply(Recipe((Step.of(op.id, **values),)), photo_of(gradient()))
    assert made.deep is not None
    assert len(np.unique(made.deep)) > 256 or len(np.unique(np.asarray(made.pixels))) < 32
    assert len(np.unique(made.deep)) > 3 * len(np.unique(np.asarray(made.pixels)))


def lifted(image: Image.Image) -> Photo:
    return Photo(image, deep=np.asarray(image).astype(np.uint16) * 257)


def gaps(recipe: Recipe, image: Image.Image) -> npt.NDArray[np.float64]:
    """By how many levels of 8 bits what comes of 16 is another."""
    made = apply(recipe, lifted(image))
    assert made.deep is not None
    gap: npt.NDArray[np.float64] = np.abs(made.deep / 257 - np.asarray(made.pixels))
    return gap


@pytest.mark.parametrize("op", transforms.ops().values(), ids=lambda op: op.id)
def test_a_picture_of_8_bits_comes_out_within_a_level(op: Op) -> None:
    """Of ops that round once. Pillow's blur rounds six times, and what is rounded on the way some
    ops multiply."""
    image = picture(200, 150)
    for mode in ("soft", "hard"):
        for share in (0.0, 0.2, 0.5, 0.9, 1.0):
            values = {}
            for dial in op.dials:
                low, high = getattr(dial, mode) or (dial.neutral, dial.neutral)
                values[dial.name] = dial.snap(low + share * (high - low))
            gap = gaps(Recipe((Step.of(op.id, **values),)), image)
            factor = abs(values.get("factor", 1.0) - 1.0)
            again = {"autocontrast": 1.0, "blur": 2.0, "sharpness": 3 * factor,
                     "saturation": 0.5 * factor}  # fmt: skip
            assert gap.max() <= 1.01 + again.get(op.id, 0.0)


def test_a_long_recipe_stays_near() -> None:
    """Each of its 16 steps rounds at 8 bits, and those behind it multiply what that has lost."""
    gap = gaps(ALL, picture(200, 150))
    assert np.median(gap) < 3
    assert np.quantile(gap, 0.99) < 8


def test_a_run_of_tables_rounds_once() -> None:
    """Dark and light again is the same but for the last bits; at 8 bits a third is lost."""
    recipe = Recipe((Step.of("brightness", factor=0.1), Step.of("brightness", factor=4.0),
                     Step.of("brightness", factor=2.5)))  # fmt: skip
    deep = gradient()
    made = apply(recipe, photo_of(deep))
    assert made.deep is not None
    assert np.abs(made.deep.astype(int) - deep).max() <= 1
    assert len(np.unique(np.asarray(made.pixels))) < 30


def test_a_frozen_recipe_does_the_same_to_both() -> None:
    photo = lifted(picture())
    frozen = transforms.freeze(ALL, photo.pixels)
    one, other = apply(ALL, photo), apply(frozen, photo)
    assert one.deep is not None
    assert other.deep is not None
    assert (one.deep == other.deep).all()


def test_models_get_16_bits_and_those_that_give_8_leave_8() -> None:
    class Models:
        def restorer(self, step: ModelStep):
            def enlarge(photo: Photo) -> Photo:
                seen.append(photo.deep)
                size = (2 * photo.size[0], 2 * photo.size[1])
                return photo.with_pixels(photo.pixels.resize(size))

            return enlarge

    seen: list[Any] = []
    recipe = Recipe(
        (Step.of("gamma", gamma=0.8),), after=(ModelStep.of("upscale", f"x@{'0' * 64}"),)
    )
    made = apply(recipe, photo_of(noise(3)), Models())
    (given,) = seen
    assert len(np.unique(given)) > 256
    assert made.deep is None
    assert made.size == (60, 80)


def test_the_blur_is_the_same_wherever_it_can_be_compared() -> None:
    image = picture(64, 48)
    for radius in (0.0, 0.004, 0.02, 0.1):
        assert gaps(Recipe((Step.of("blur", radius=radius),)), image).max() <= 3
    for size in ((1, 1), (1, 9), (9, 1)):
        small = Image.new("RGB", size, (200, 100, 3))
        for op in ("blur", "sharpness"):
            step = Step.of(op, **{"blur": {"radius": 0.1}, "sharpness": {"factor": 3.0}}[op])
            assert gaps(Recipe((step,)), small).max() <= 1
