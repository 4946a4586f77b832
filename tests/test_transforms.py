"""Every op by the same rules: a new op is tested by being in the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter, ImageOps

from nulie import transforms
from nulie.errors import RecipeError, SettingsError
from nulie.recipe import Recipe, Step
from nulie.transforms.base import RAMP, Op, Statistic, apply_pil
from nulie.transforms.detail import gaussian
from nulie.transforms.preview import Renderer, shrink, to_image
from nulie.transforms.sample import sample

from .conftest import picture

OPS = list(transforms.ops().values())
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)


@st.composite
def steps(draw: st.DrawFn, op: Op | None = None) -> Step:
    op = op or draw(st.sampled_from(OPS))
    return Step.of(
        op.id,
        **{d.name: d.snap(draw(st.floats(d.low, d.high))) for d in op.dials},
    )


@st.composite
def images(draw: st.DrawFn, most: int = 40) -> Image.Image:
    """Noise, or few levels, or one colour, in any small shape."""
    width, height = draw(st.integers(1, most)), draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    low = draw(st.integers(0, 255))
    high = draw(st.integers(low, 255))
    return Image.fromarray(rng.integers(low, high + 1, (height, width, 3)).astype(np.uint8))


def as_preview(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def pixels(image: Image.Image) -> npt.NDArray[Any]:
    return np.asarray(image).astype(int)


@every_op
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_batch_form_equals_pillow_form(op: Op, data: st.DataObject) -> None:
    """Several strengths in one batch, each as Pillow would do it alone."""
    image = data.draw(images())
    chosen = data.draw(st.lists(steps(op), min_size=1, max_size=4))
    batch = Renderer(as_preview(image))([Recipe((s,)) for s in chosen])
    for row, step in zip(batch, chosen, strict=True):
        gap = np.abs(pixels(to_image(row)) - pixels(apply_pil([step], image)))
        assert gap.max() <= op.tolerance


@settings(max_examples=150, deadline=None)
@given(images(), st.lists(steps(), max_size=6))
def test_full_size_render_equals_the_pillow_forms(image: Image.Image, chain: list[Step]) -> None:
    rendered = transforms.render(Recipe(tuple(chain)), image)
    assert rendered.tobytes() == apply_pil(chain, image).tobytes()
    assert rendered is not image


@pytest.mark.parametrize("levels", [[7], [7, 8], [7, 9], [0, 255]])
@pytest.mark.parametrize("op_id", ["autocontrast", "equalize"])
def test_few_levels_are_stretched_as_pillow_does(levels: list[int], op_id: str) -> None:
    """As far as from black to white where there are two, not at all where there is one."""
    values = {"amount": 1.0} | ({"cutoff": 0.0} if op_id == "autocontrast" else {})
    step = Step.of(op_id, **values)
    array = np.resize(np.array(levels, np.uint8), (30, 40, 3))
    array[:, :20] = levels[0]
    image = Image.fromarray(array)
    rendered = transforms.render(Recipe((step,)), image)
    assert rendered.tobytes() == apply_pil([step], image).tobytes()
    if op_id == "autocontrast" and len(levels) == 2:
        assert rendered.getextrema() == ((0, 255),) * 3


@settings(max_examples=60, deadline=None)
@given(images(), st.lists(st.lists(steps(), max_size=5), min_size=1, max_size=6))
def test_chains_in_a_batch_do_not_disturb_each_other(
    image: Image.Image, chains: list[list[Step]]
) -> None:
    """Same rows whether rendered together or alone, from the origin or from a cached parent."""
    recipes = [Recipe(tuple(c)) for c in chains]
    renderer = Renderer(as_preview(image))
    together = renderer(recipes)
    again = renderer([r.then(Step.of("brightness")) for r in recipes])
    assert torch.equal(together, again)
    for row, recipe in zip(together, recipes, strict=True):
        assert torch.equal(row, Renderer(as_preview(image))([recipe])[0])


@settings(max_examples=60, deadline=None)
@given(images(), st.data())
def test_chains_of_exact_ops_are_exact(image: Image.Image, data: st.DataObject) -> None:
    exact = st.sampled_from([op for op in OPS if op.tolerance == 0])
    chain = [data.draw(steps(data.draw(exact))) for _ in range(5)]
    row = Renderer(as_preview(image))([Recipe(tuple(chain))])[0]
    assert to_image(row).tobytes() == apply_pil(chain, image).tobytes()


@every_op
@settings(max_examples=15, deadline=None)
@given(image=images())
def test_neutral_is_identity(op: Op, image: Image.Image) -> None:
    recipe = Recipe((Step.of(op.id),))
    assert transforms.render(recipe, image).tobytes() == image.tobytes()
    assert torch.equal(Renderer(as_preview(image))([recipe])[0], as_preview(image))


@every_op
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_tiny_images_keep_their_size(op: Op, size: tuple[int, int], data: st.DataObject) -> None:
    step = data.draw(steps(op))
    image = Image.new("RGB", size, (200, 100, 3))
    assert transforms.render(Recipe((step,)), image).size == size
    assert Renderer(as_preview(image))([Recipe((step,))]).shape == (1, 3, size[1], size[0])


@every_op
def test_an_op_does_something_at_its_hard_ends(op: Op) -> None:
    """No op is a dead row of the table."""
    image = picture()
    ends = []
    for at in (0, 1):
        values = {d.name: (d.hard or (0, 0))[at] for d in op.dials}
        ends.append(transforms.render(Recipe((Step.of(op.id, **values),)), image))
    assert any(ImageChops.difference(image, e).getbbox() for e in ends)


@settings(max_examples=60, deadline=None)
@given(images(), st.lists(st.floats(0, 4) | st.sampled_from([0.5, 1.0, 2.0]), min_size=1))
def test_blur_rounds_as_pillow_does(image: Image.Image, radii: list[float]) -> None:
    """Pixel by pixel, where a whole or half radius puts many levels half-way between two."""
    batch = as_preview(image).expand(len(radii), -1, -1, -1)
    for row, radius in zip(gaussian(batch, np.array(radii)), radii, strict=True):
        assert to_image(row) == image.filter(ImageFilter.GaussianBlur(radius))


@pytest.mark.parametrize("op_id", ["sharpness", "blur"])
def test_lengths_follow_the_image(op_id: str) -> None:
    """A preview of the full-size result looks like the result on the preview, for detail that
    the preview shows at all."""
    large = picture(240, 160).resize((960, 640), Image.Resampling.BICUBIC)
    step = Step.of(op_id, **{"sharpness": {"factor": 2.0}, "blur": {"radius": 0.008}}[op_id])
    recipe = Recipe((step,))
    small = Renderer(shrink(large, 224))([recipe])[0]
    gap = shrink(transforms.render(recipe, large), 224).int() - small.int()
    moved = small.int() - shrink(large, 224).int()
    assert gap.abs().float().mean() < 1.0
    assert gap.abs().float().mean() < 0.6 * moved.abs().float().mean()


@pytest.mark.parametrize("op_id", ["autocontrast", "equalize"])
@pytest.mark.parametrize("before", [None, "gamma", "saturation", "hue", "blur"])
def test_histograms_are_the_photos_not_the_previews(op_id: str, before: str | None) -> None:
    """Grain that a preview averages away still bounds how far levels may be stretched."""
    rng = np.random.default_rng(3)
    smooth = pixels(picture(90, 60).resize((900, 600), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 25, smooth.shape[:2])[..., None]
    photo = Image.fromarray((80 + smooth * 0.35 + grain).clip(0, 255).astype(np.uint8))
    first = {
        None: (),
        "gamma": (Step.of("gamma", gamma=1.5, gain=1.0),),
        "saturation": (Step.of("saturation", factor=0.5),),
        "hue": (Step.of("hue", shift=0.1),),
        "blur": (Step.of("blur", radius=0.002),),
    }[before]
    values = {"amount": 1.0} | ({"cutoff": 0.5} if op_id == "autocontrast" else {})
    recipe = Recipe((*first, Step.of(op_id, **values)))
    preview = shrink(photo, 64)
    truth = shrink(transforms.render(recipe, photo), 64).int()

    def gap(renderer: Renderer) -> float:
        return float((renderer([recipe])[0].int() - truth).abs().float().mean())

    seen = sample(photo)
    assert seen.weights.sum() == pytest.approx(900 * 600, rel=0.01)
    near = gap(Renderer(preview, seen))
    # A blur takes the grain away again, which is followed in outline alone.
    assert near < (12.0 if before == "blur" else 0.6 * gap(Renderer(preview)))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (3, 2), (5000, 4)])
def test_the_smallest_photos_have_a_sample(size: tuple[int, int]) -> None:
    photo = picture(*size)
    preview = shrink(photo, 64)
    seen = sample(photo)
    assert seen.pixels.shape == seen.blurred.shape == (3, len(seen.weights))
    assert seen.weights.min() >= 1
    recipe = Recipe((Step.of("autocontrast", amount=1.0, cutoff=0.0),))
    assert Renderer(preview, seen)([recipe]).shape == (1, *preview.shape)


def test_a_thousand_children_cost_bounded_memory() -> None:
    preview = as_preview(picture())
    renderer = Renderer(preview, cache_bytes=20 * preview.numel())
    parent = Recipe((Step.of("gamma", gamma=1.2, gain=1.0),))
    for i in range(100):
        renderer([parent.then(Step.of("brightness", factor=0.5 + i / 100 + j / 1000))
                  for j in range(10)])  # fmt: skip
    assert len(renderer._cache) <= 20


@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 200), (64, 96)), ((200, 300), (96, 64)), ((64, 64), (64, 64)),
     ((5, 5), (64, 64)), ((10000, 10), (64, 512)), ((1, 9), (512, 64))],
)  # fmt: skip
def test_preview_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrink(Image.new("RGB", size), 64).shape == (3, *expected)


@pytest.mark.parametrize(
    "step",
    [
        Step.of("brightnes", factor=1.0),
        Step.of("brightness", factor=9.0),
        Step.of("brightness", amount=1.0),
        Step.of("brightness", factor=float("nan")),
        Step.of("posterize", bits=2.5),
    ],
    ids=str,
)
def test_bad_steps_are_refused_everywhere(step: Step) -> None:
    recipe = Recipe((step,))
    for use in (
        transforms.check,
        lambda r: transforms.render(r, picture()),
        lambda r: Renderer(as_preview(picture()))([r]),
    ):
        with pytest.raises(RecipeError, match=step.op):
            use(recipe)


def test_unknown_op_suggests_the_known_one() -> None:
    with pytest.raises(RecipeError, match="did you mean 'brightness'"):
        transforms.get("brightnes")


def test_registration_is_checked_and_leaves_the_table_alone() -> None:
    before = dict(transforms.ops())
    first = OPS[0]
    for bad in (
        first,
        Op("new", "", first.dials, first.pil),
        Op("new", "", (), first.pil, first.table),
        Op("new", "", first.dials, first.pil, first.table, needs="histogram"),
        Op("new", "", first.dials, first.pil, first.table, measures=(Statistic("mean"),)),
    ):
        with pytest.raises(ValueError, match=bad.id):
            transforms.register(bad)
    assert dict(transforms.ops()) == before


def test_modes() -> None:
    soft, hard = transforms.space("soft"), transforms.space("hard")
    assert {m.op for m in hard} - {m.op for m in soft} == {
        "hue", "invert", "solarize", "posterize",
    }  # fmt: skip
    assert all(move.once for move in (*soft, *hard)), "so a range bounds the whole recipe"
    dials = {m.op: m.dials for m in soft}
    assert (dials["brightness"][0].low, dials["brightness"][0].high) == (0.667, 1.5)
    assert (dials["gamma"][1].low, dials["gamma"][1].high) == (0.9, 1.1)
    dials = {m.op: m.dials for m in hard}
    assert (dials["contrast"][0].low, dials["contrast"][0].high) == (0.4, 2.5)
    assert (dials["hue"][0].low, dials["hue"][0].high) == (-0.1, 0.1)


def test_the_user_chooses_ops_and_ranges() -> None:
    space = transforms.space("soft", ["saturation", "hue"], {"saturation": (1.0, 1.3)})
    assert [(m.op, m.once) for m in space] == [("saturation", True), ("hue", True)]
    assert (space[0].dials[0].low, space[0].dials[0].high) == (1.0, 1.3)
    gain = transforms.space("soft", ["gamma"], {"gamma.gain": (1.0, 1.0)})[0].dials
    assert (gain[0].low, gain[0].high) == (0.667, 1.5)
    assert (gain[1].low, gain[1].high) == (1.0, 1.0)
    # An op that the mode leaves out comes with its range.
    more = transforms.space("soft", None, {"hue": (0.0, 0.2)})
    assert {m.op for m in more} - {m.op for m in transforms.space("soft")} == {"hue"}


@pytest.mark.parametrize(
    ("mode", "only", "ranges", "named"),
    [
        ("mild", None, {}, "mild"),
        ("soft", ["brightnes"], {}, "brightness"),
        ("soft", [], {}, "no op"),
        ("soft", None, {"gamma.x": (1, 2)}, "gain"),
        ("soft", None, {"saturation": (0.5, 9)}, "saturation"),
        ("soft", None, {"saturation": (2.0, 1.0)}, "saturation"),
        ("soft", None, {"saturation": (float("nan"), 1.0)}, "saturation"),
    ],
)
def test_bad_choices_are_named(mode, only, ranges, named) -> None:
    with pytest.raises(SettingsError, match=named):
        transforms.space(mode, only, ranges)


@given(st.sampled_from([d for op in OPS for d in op.dials]), st.floats(0, 1))
def test_dials_go_round_trip(dial, position) -> None:
    value = dial.from_unit(position)
    assert dial.low <= value <= dial.high
    assert dial.from_unit(dial.to_unit(value)) == pytest.approx(value, abs=dial.step)


@given(images(), st.floats(0, 20))
def test_a_common_cutoff_is_that_of_pillows_preserve_tone(
    image: Image.Image, cutoff: float
) -> None:
    step = Step.of("autocontrast", amount=1.0, cutoff=round(cutoff, 1), common=1.0)
    wanted = ImageOps.autocontrast(image, round(cutoff, 1), preserve_tone=True)
    assert transforms.render(Recipe((step,)), image).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("op_id", ["shadows", "highlights"])
@pytest.mark.parametrize("factor", [0.25, 0.5, 0.8, 1.3, 2.0, 4.0])
def test_shadows_and_highlights_keep_black_white_and_the_order_of_levels(
    op_id: str, factor: float
) -> None:
    op = transforms.get(op_id)
    assert op.table is not None
    table = op.table({"factor": np.array([factor])}, {}, RAMP)[0, 0].astype(int)
    assert (table[0], table[255]) == (0, 255)
    assert (np.diff(table) >= 0).all()
    change = (table - np.arange(256)) * (1 if factor > 1 else -1)
    assert (change >= 0).all()
    assert change.argmax() < 128 if op_id == "shadows" else change.argmax() > 128
    # As much at the end that it is named after as its number says.
    at = 1 if op_id == "shadows" else 254
    slope = table[at] if op_id == "shadows" else 255 - table[at]
    assert abs(slope - (factor if op_id == "shadows" else 1 / factor)) <= 0.6


@pytest.mark.parametrize(
    ("temperature", "tint"), [(0.5, 0.0), (-1.0, 0.2), (0.0, -0.5), (2.0, 2.0)]
)
def test_white_balance_leaves_greys_as_light_and_turns_them_as_it_says(
    temperature: float, tint: float
) -> None:
    grey = Image.new("RGB", (4, 4), (90, 90, 90))
    step = Step.of("white balance", temperature=temperature, tint=tint)
    red, green, blue = transforms.render(Recipe((step,)), grey).getpixel((0, 0))  # type: ignore[misc]
    light = [((v / 255 + 0.055) / 1.055) ** 2.4 for v in (90, red, green, blue)]
    assert np.dot([0.2126, 0.7152, 0.0722], light[1:]) == pytest.approx(light[0], rel=0.02)
    assert np.log2(light[1] / light[3]) == pytest.approx(temperature, abs=0.1)
    between = np.log2((light[1] * light[3]) ** 0.5 / light[2])
    assert between == pytest.approx(tint, abs=0.1)
