"""Frozen recipes: what was measured of one picture is done to any other, or to a part of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nulie import transforms
from nulie.errors import RecipeError
from nulie.recipe import ModelStep, Recipe, Step
from nulie.transforms.base import Op, apply_pil
from nulie.transforms.preview import Renderer, shrink, to_image

from .conftest import picture
from .test_transforms import OPS, as_preview, every_op, images, pixels, steps

ALL = Recipe(
    (
        Step.of("autocontrast", amount=0.6, cutoff=1.0),
        Step.of("equalize", amount=0.3),
        Step.of("brightness", factor=1.1),
        Step.of("white balance", temperature=0.3, tint=-0.1),
        Step.of("shadows", factor=1.6),
        Step.of("highlights", factor=0.7),
        Step.of("contrast", factor=1.4),
        Step.of("blur", radius=0.012),
        Step.of("gamma", gamma=0.9, gain=1.05),
        Step.of("saturation", factor=1.3),
        Step.of("hue", shift=0.03),
        Step.of("sharpness", factor=1.8),
        Step.of("contrast", factor=0.9),
        Step.of("invert", amount=0.1),
        Step.of("posterize", bits=7.0),
        Step.of("solarize", threshold=250.0),
    )
)
MEASURING = [op.id for op in OPS if op.measures]
MODEL = "tiny-x2@" + "0f" * 32


def chains(most: int = 6) -> st.SearchStrategy[Recipe]:
    return st.lists(steps(), max_size=most).map(lambda chain: Recipe(tuple(chain)))


def beside(*parts: Image.Image) -> Image.Image:
    """The parts from left to right; they are of one height."""
    whole = Image.new("RGB", (sum(p.width for p in parts), parts[0].height))
    left = 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width
    return whole


def test_all_means_all() -> None:
    assert {step.op for step in ALL.steps} == set(transforms.ops())


@settings(max_examples=100, deadline=None)
@given(images(), chains())
def test_on_the_picture_itself_nothing_is_different(image: Image.Image, recipe: Recipe) -> None:
    frozen = transforms.check(transforms.freeze(recipe, image))
    assert transforms.render(frozen, image).tobytes() == apply_pil(recipe.steps, image).tobytes()


@settings(max_examples=100, deadline=None)
@given(images(), images(), chains())
def test_on_any_other_render_and_the_pillow_forms_agree(
    image: Image.Image, other: Image.Image, recipe: Recipe
) -> None:
    frozen = transforms.freeze(recipe, image)
    assert transforms.render(frozen, other).tobytes() == apply_pil(frozen.steps, other).tobytes()


@settings(max_examples=100, deadline=None)
@given(images(), st.data())
def test_the_same_pixels_become_the_same_whatever_is_beside_them(
    image: Image.Image, data: st.DataObject
) -> None:
    """Of ops that look at no neighbour, in chains as well."""
    pointwise = st.sampled_from([op for op in OPS if op.reach is None])
    chain = [data.draw(steps(data.draw(pointwise))) for _ in range(4)]
    recipe = Recipe(tuple(chain))
    glare = Image.new("RGB", (2 * image.width, image.height), (255, 250, 3))
    rendered = transforms.render(transforms.freeze(recipe, image), beside(image, glare))
    assert rendered.crop((0, 0, *image.size)).tobytes() == (
        transforms.render(recipe, image).tobytes()
    )


@settings(max_examples=100, deadline=None)
@given(images(), chains())
def test_frozen_recipes_are_kept_in_json(image: Image.Image, recipe: Recipe) -> None:
    frozen = transforms.freeze(recipe, image)
    assert frozen.frozen
    assert Recipe.from_json(frozen.to_json()) == frozen
    assert frozen.thaw() == recipe


def test_what_is_frozen_stays_so() -> None:
    frozen = transforms.freeze(ALL, picture())
    assert transforms.freeze(frozen, picture(40, 90, seed=5)) == frozen
    partly = Recipe((frozen.steps[0], *ALL.steps[1:]))
    assert transforms.freeze(partly, picture()) == frozen
    assert not partly.frozen


def test_a_clip_does_not_flicker() -> None:
    """200 frames, and a bright patch comes into the right half."""
    scene = picture(160, 72)
    patch = Image.new("RGB", (24, 40), (255, 255, 240))
    half = (0, 0, 80, 72)
    frozen = transforms.freeze(ALL, scene)
    still = transforms.render(frozen, scene).crop(half).tobytes()
    moved = []
    for frame in range(200):
        image = scene.copy()
        image.paste(patch, (160 - frame * 60 // 200, 10))
        assert transforms.render(frozen, image).crop(half).tobytes() == still
        if frame % 50 == 49:
            measured = transforms.render(ALL, image).crop(half)
            moved.append(measured.tobytes() != still)
    assert all(moved)


@pytest.mark.parametrize("op_id", MEASURING)
def test_every_op_that_measures_would_make_seams(op_id: str) -> None:
    """So that the next test has something to find."""
    image = picture(120, 90)
    recipe = Recipe(tuple(step for step in ALL.steps if step.op == op_id)[:1])
    whole = transforms.render(recipe, image).crop((30, 20, 70, 60))
    tile = transforms.render(recipe, image.crop((20, 10, 80, 70))).crop((10, 10, 50, 50))
    assert whole.tobytes() != tile.tobytes()


@settings(max_examples=200, deadline=None)
@given(
    chain=st.just(ALL) | chains(4),
    size=st.tuples(st.integers(1, 150), st.integers(1, 100)),
    tile=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_tiles_equal_the_whole(
    chain: Recipe, size: tuple[int, int], tile: tuple[int, int], at: tuple[float, float]
) -> None:
    image = picture(*size)
    frozen = transforms.freeze(chain, image)
    halo = transforms.halo(frozen)
    left, top = int(at[0] * (size[0] - 1)), int(at[1] * (size[1] - 1))
    right, bottom = min(left + tile[0], size[0]), min(top + tile[1], size[1])
    x, y = max(0, left - halo), max(0, top - halo)
    around = image.crop((x, y, min(right + halo, size[0]), min(bottom + halo, size[1])))
    part = transforms.render(frozen, around).crop((left - x, top - y, right - x, bottom - y))
    whole = transforms.render(frozen, image).crop((left, top, right, bottom))
    assert part.tobytes() == whole.tobytes()


def test_the_halo_is_no_larger_than_it_must_be() -> None:
    """A few pixels for a slight blur, none for tables."""
    image = picture(300, 200)
    tables = Recipe((Step.of("contrast", factor=1.2), Step.of("equalize", amount=0.5)))
    assert transforms.halo(transforms.freeze(tables, image)) == 0
    blur = transforms.freeze(Recipe((Step.of("blur", radius=0.01),)), image)  # of 2 pixels
    assert 6 <= transforms.halo(blur) <= 9
    twice = Recipe(blur.steps * 2)
    assert transforms.halo(twice) == 2 * transforms.halo(blur)
    with pytest.raises(RecipeError, match="blur measures each tile anew; freeze"):
        transforms.halo(blur.thaw())


@every_op
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_previews_hold_frozen_and_measuring_steps_apart(op: Op, data: st.DataObject) -> None:
    """In one batch, each as Pillow would do it alone."""
    image = data.draw(images())
    other = Image.fromarray(np.asarray(image)[::-1] // 2 + 40)
    chosen = data.draw(st.lists(steps(op), min_size=1, max_size=4))
    frozen = [transforms.freeze(Recipe((s,)), i).steps[0] for s in chosen for i in (image, other)]
    mixed = data.draw(st.permutations([*chosen, *frozen]))
    batch = Renderer(as_preview(image))([Recipe((s,)) for s in mixed])
    for row, step in zip(batch, mixed, strict=True):
        gap = np.abs(pixels(to_image(row)) - pixels(apply_pil([step], image)))
        assert gap.max() <= op.tolerance


@settings(max_examples=40, deadline=None)
@given(images(), images(), chains())
def test_previews_render_frozen_chains(
    image: Image.Image, other: Image.Image, recipe: Recipe
) -> None:
    """Exactly, but for ops that say that they are not, and but for lengths, which follow the
    preview."""
    exact = tuple(s for s in recipe.steps if transforms.get(s.op).tolerance == 0 and s.op != "blur")
    frozen = transforms.freeze(Recipe(exact), other)
    row = Renderer(as_preview(image))([frozen])[0]
    assert to_image(row).tobytes() == transforms.render(frozen, image).tobytes()


def test_lengths_follow_the_preview() -> None:
    large = picture(240, 160).resize((960, 640), Image.Resampling.BICUBIC)
    recipe = Recipe((Step.of("blur", radius=0.008), Step.of("sharpness", factor=0.5)))
    frozen = transforms.freeze(recipe, large)
    preview = shrink(large, 64)
    assert (Renderer(preview)([frozen]) == Renderer(preview)([recipe])).all()


def test_what_is_carried() -> None:
    """Few numbers that say what they are; a table in base64."""
    image = Image.new("RGB", (40, 30), (90, 90, 90))
    image.paste((10, 20, 30), (0, 0, 20, 30))
    image.paste((200, 210, 220), (0, 0, 4, 30))
    recipe = Recipe(
        (
            Step.of("contrast", factor=1.0),
            Step.of("autocontrast", amount=0.0, cutoff=0.0),
            Step.of("blur", radius=0.0),
            Step.of("sharpness", factor=1.0),
            Step.of("hue", shift=0.0),
            Step.of("equalize", amount=0.0),
        )
    )
    data = json.loads(transforms.freeze(recipe, image).to_json())
    assert data["frozen"] is True
    mean = round(0.5 * 90 + 0.4 * 18 + 0.1 * 208)  # the greys of the three, by their shares
    *shown, table = [step.get("frozen") for step in data["steps"]]
    assert shown == [
        {"mean": mean},
        {"low": [10, 20, 30], "high": [200, 210, 220]},
        {"short_side": 30},
        {"short_side": 30},
        None,
    ]
    assert len(table["table"]) == 768 * 4 // 3


@pytest.mark.parametrize(
    ("op_id", "carried", "said"),
    [
        ("brightness", {"mean": 3}, "carries nothing, and here mean"),
        ("contrast", {}, "carries mean, and here nothing"),
        ("contrast", {"mean": 3, "low": 3}, "carries mean, and here"),
        ("contrast", {"mean": 300}, "within 0..255"),
        ("contrast", {"mean": -1}, "within 0..255"),
        ("contrast", {"mean": 10.5}, "whole number"),
        ("contrast", {"mean": [10]}, "whole number"),
        ("contrast", {"mean": "aQ=="}, "whole number"),
        ("autocontrast", {"low": [1, 2, 3], "high": 9}, "three whole numbers"),
        ("autocontrast", {"low": [1, 2], "high": [3, 4, 5]}, "three whole numbers"),
        ("autocontrast", {"low": [1, 2, 3]}, "low and high"),
        ("equalize", {"table": "aQ=="}, "table"),
        ("equalize", {"table": [7] * 768}, "table"),
        ("blur", {"short_side": 0}, "within 1.."),
        ("sharpness", {"short_side": 1e7}, "within 1.."),
    ],
)
def test_what_a_step_cannot_carry_is_refused(
    op_id: str, carried: dict[str, object], said: str
) -> None:
    data = {"nulie": 2, "steps": [{"op": "hue", "frozen": {}}, {"op": op_id, "frozen": carried}]}
    recipe = Recipe.from_json(json.dumps(data))
    with pytest.raises(RecipeError, match=f"step 2 of the recipe: {op_id}.*{said}"):
        transforms.check(recipe)
    for use in (transforms.render, transforms.freeze):
        with pytest.raises(RecipeError, match=said):
            use(recipe, picture())
    with pytest.raises(RecipeError, match=said):
        Renderer(as_preview(picture()))([recipe])


def test_a_recipe_that_says_it_is_frozen_must_carry_all() -> None:
    """An op added by hand to a frozen recipe is not measured in silence."""
    text = '{"nulie": 2, "frozen": true, "steps": [{"op": "contrast", "factor": 1.1}]}'
    with pytest.raises(RecipeError, match="carries mean, and here nothing"):
        transforms.check(Recipe.from_json(text))


def test_words_say_which_of_the_two_it_is() -> None:
    recipe = Recipe(
        (
            Step.of("contrast", factor=1.2),
            Step.of("autocontrast", amount=0.5, cutoff=1.0, common=1.0),
            Step.of("equalize", amount=0.2),
            Step.of("hue", shift=0.1),
            Step.of("blur", radius=0.003),
        )
    )
    image = Image.new("RGB", (60, 40), (100, 100, 100))
    image.paste((20, 30, 40), (0, 0, 30, 40))
    measuring = (
        "contrast 1.20, autocontrast 50% (cutoff 1.0%, common), equalize 20%, hue 0.100 turn"
    )
    assert transforms.describe(recipe) == f"{measuring}, blur 0.0030 short sides"
    frozen = transforms.freeze(recipe, image)
    assert transforms.describe(frozen) == (
        "frozen: contrast 1.20 (mean 64), autocontrast 50% (cutoff 1.0%, common, high 107/107/107,"
        " low 21/21/21), equalize 20% (own table), hue 0.100 turn,"
        " blur 0.0030 short sides (short side 40)"
    )
    mixed = Recipe((frozen.steps[0], recipe.steps[0]))
    assert transforms.describe(mixed) == "contrast 1.20 (mean 64), contrast 1.20"
    pointwise = transforms.freeze(Recipe((Step.of("hue", shift=0.1),)), image)
    assert transforms.describe(pointwise) == "hue 0.100 turn"  # it is the same on any picture


def test_models_are_not_passed_over() -> None:
    upscale = ModelStep.of("upscale", MODEL, factor=2.0, way="soft")
    recipe = Recipe((Step.of("contrast", factor=1.2),), after=(upscale,))
    for use in (
        lambda r: transforms.render(r, picture()),
        lambda r: Renderer(as_preview(picture()))([r]),
    ):
        with pytest.raises(RecipeError, match=r"upscale by tiny-x2.*needs a model"):
            use(recipe)
    assert transforms.check(recipe) == recipe
    frozen = transforms.freeze(recipe, picture())
    assert frozen.after == (upscale,)
    assert transforms.halo(frozen) == 0
    assert transforms.describe(recipe) == ("contrast 1.20, upscale by tiny-x2 (factor 2, way soft)")
    with pytest.raises(RecipeError, match="step 2 of the recipe: unknown op"):
        transforms.check(Recipe((Step("nonsense"),), before=(upscale,)))
