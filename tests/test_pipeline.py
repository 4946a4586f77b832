"""The one door: ops and models on a whole photo, with what lies beside its pixels."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nulie import image_io, transforms
from nulie.engine.pipeline import apply
from nulie.errors import RecipeError
from nulie.image_io import Metadata, Photo
from nulie.image_io import exif as exif_bytes
from nulie.recipe import ModelStep, Recipe, Step

from .conftest import picture

OPS = (Step.of("contrast", factor=1.3), Step.of("gamma", gamma=0.8, gain=1.0))
UPSCALE = ModelStep.of("upscale", "twice@" + "0" * 64, scale=2.0)
REPAIR = ModelStep.of("repair", "mend@" + "1" * 64)


class Models:
    """`upscale` enlarges, `repair` inverts."""

    def __init__(self) -> None:
        self.steps: list[ModelStep] = []

    def restorer(self, step: ModelStep):
        self.steps.append(step)
        if step.op == "repair":
            table = [255 - level for level in range(256)] * 3
            return lambda photo: photo.with_pixels(photo.pixels.point(table))
        scale = int(dict(step.params)["scale"])

        def enlarge(photo: Photo) -> Photo:
            size = (scale * photo.size[0], scale * photo.size[1])
            return photo.with_pixels(photo.pixels.resize(size, Image.Resampling.NEAREST))

        return enlarge


def with_exif(order: str = "<", kind: int = 3) -> bytes:
    """EXIF with all four sizes, a maker, and in between what must stay."""
    code = {3: "HHIHH", 4: "HHII"}[kind]

    def size(tag: int, value: int) -> bytes:
        values = (value, 0) if kind == 3 else (value,)
        return struct.pack(order + code, tag, kind, 1, *values)

    first = [size(0x0100, 96), size(0x0101, 64), struct.pack(order + "HHI4s", 0x010F, 2, 4, b"Me!")]
    first.append(struct.pack(order + "HHII", 0x8769, 4, 1, 8 + 2 + 4 * 12 + 4))
    second = [size(0xA002, 96), size(0xA003, 64), struct.pack(order + "HHI4s", 0xA300, 7, 1, b"\3")]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    tables = [struct.pack(order + "H", len(t)) + b"".join(t) + bytes(4) for t in (first, second)]
    return head + b"".join(tables)


def photo(**metadata: Any) -> Photo:
    alpha = Image.new("L", (96, 64), 255)
    alpha.paste(0, (0, 0, 48, 64))
    return Photo(picture(), alpha, metadata=Metadata(**metadata))


def test_ops_alone_are_the_pillow_forms_and_all_else_stays() -> None:
    before = photo(exif=with_exif())
    after = apply(Recipe(OPS), before)
    assert after.pixels.tobytes() == transforms.render(Recipe(OPS), before.pixels).tobytes()
    assert replace(after, pixels=before.pixels) == before


def test_models_stand_before_and_after_the_ops() -> None:
    models = Models()
    recipe = Recipe(OPS, before=(REPAIR,), after=(UPSCALE,))
    source = Photo(picture())
    before = source.pixels.tobytes()
    whole = apply(recipe, source, models)
    parts = models.restorer(REPAIR)(source)
    parts = parts.with_pixels(transforms.render(Recipe(OPS), parts.pixels))
    parts = models.restorer(UPSCALE)(parts)
    assert whole.pixels.tobytes() == parts.pixels.tobytes()
    assert (
        whole.pixels.tobytes()
        != apply(Recipe(OPS, after=(UPSCALE,)), source, models).pixels.tobytes()
    )
    assert source.pixels.tobytes() == before


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_photo_that_grows_takes_its_alpha_and_exif_along(place: str) -> None:
    after = apply(Recipe(OPS, **{place: (UPSCALE,)}), photo(exif=with_exif()), Models())
    assert after.size == (192, 128)
    assert after.alpha is not None
    alpha = np.asarray(after.alpha)
    assert alpha.shape == (128, 192)
    assert (alpha[:, :90] == 0).all()
    assert (alpha[:, 102:] == 255).all()
    assert after.transparent
    assert after.metadata.exif is not None
    found = Image.Exif()
    found.load(after.metadata.exif or b"")
    inner = found.get_ifd(0x8769)
    assert [found[0x0100], found[0x0101], inner[0xA002], inner[0xA003]] == [192, 128, 192, 128]
    assert (found[0x010F], inner[0xA300]) == ("Me!", b"\3")


def test_a_photo_that_grew_can_be_written_and_read(tmp_path) -> None:
    after = apply(Recipe(after=(UPSCALE,)), photo(exif=with_exif()), Models())
    read = image_io.load(image_io.save(after, after.pixels, tmp_path / "large.png"))
    assert read.size == (192, 128)
    assert read.alpha is not None
    assert after.alpha is not None
    assert read.alpha.tobytes() == after.alpha.tobytes()
    assert read.metadata.exif == after.metadata.exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_exif_states_sizes_that_no_short_can_hold(order: str, kind: int) -> None:
    before = with_exif(order, kind)
    after = exif_bytes.with_size(before, (70_000, 65_535))
    assert len(after) == len(before)
    found = Image.Exif()
    found.load(after)
    inner = found.get_ifd(0x8769)
    assert [found[0x0100], found[0x0101]] == [inner[0xA002], inner[0xA003]] == [70_000, 65_535]


def test_exif_that_states_no_size_stays_as_it_is() -> None:
    plain = Image.Exif()
    plain[0x010F] = "Me"
    bare = plain.tobytes().removeprefix(b"Exif\0\0")
    assert exif_bytes.with_size(bare, (1, 2)) == bare


def test_what_can_be_read_of_exif_that_is_cut_states_the_new_size() -> None:
    before, after = photo(exif=with_exif()[:30]), Image.Exif()
    exif = apply(Recipe(after=(UPSCALE,)), before, Models()).metadata.exif
    assert exif
    after.load(exif)
    assert dict(after) == {0x0100: 2 * before.pixels.width}


@pytest.mark.parametrize("damaged", [b"", b"II*\0", b"nonsense"])
def test_damaged_exif_stays_as_it_is(damaged: bytes) -> None:
    after = apply(Recipe(after=(UPSCALE,)), photo(exif=damaged), Models())
    assert after.metadata.exif == damaged


def test_a_photo_without_alpha_gets_none() -> None:
    after = apply(Recipe(after=(UPSCALE,)), Photo(picture()), Models())
    assert (after.size, after.alpha) == ((192, 128), None)


@pytest.mark.parametrize("step", [UPSCALE, REPAIR])
def test_a_step_without_its_model_is_named(step: ModelStep) -> None:
    for recipe in (Recipe(OPS, before=(step,)), Recipe(OPS, after=(step,))):
        with pytest.raises(RecipeError, match=rf"'{step.op}' needs the model {step.name}"):
            apply(recipe, photo())


def test_nothing_is_computed_before_all_models_are_there() -> None:
    """A missing model after an hour's repair would be a waste."""

    class Half(Models):
        def restorer(self, step: ModelStep):
            if step is UPSCALE:
                raise RecipeError("not here")
            return lambda image: pytest.fail("computed")

    with pytest.raises(RecipeError, match="not here"):
        apply(Recipe(OPS, before=(REPAIR,), after=(UPSCALE,)), photo(), Half())


def test_the_file_of_a_jpeg_says_its_new_size() -> None:
    file = io.BytesIO()
    picture().save(file, "JPEG", exif=b"Exif\0\0" + with_exif(">"))
    file.seek(0)
    after = apply(Recipe(after=(UPSCALE,)), image_io.load(file, name="a photo"), Models())
    found = Image.Exif()
    found.load(after.metadata.exif or b"")
    assert found.get_ifd(0x8769)[0xA002] == 192
