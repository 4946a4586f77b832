from __future__ import annotations

import contextlib
import copy
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nulie import transforms
from nulie.errors import RecipeError
from nulie.recipe import ModelStep, Recipe, Step

GOLDEN = Path(__file__).parent / "data" / "recipes"
MODEL = "tiny-x2@" + "0f" * 32
UPSCALE = ModelStep.of("upscale", MODEL, factor=2.0)
REPAIR = ModelStep.of("repair", MODEL, faces="all")
BLUR = Step.of("blur", radius=0.1)

numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1).filter(lambda n: n not in ("op", "model", "frozen"))
measured = st.dictionaries(
    st.text(min_size=1),
    numbers | st.integers(0, 255) | st.lists(numbers, max_size=3).map(tuple) | st.binary(),
    max_size=3,
).map(lambda pairs: tuple(sorted(pairs.items(), key=lambda pair: pair[0])))
steps = st.builds(
    lambda op, params, frozen: Step(op, Step.of(op, **params).params, frozen),
    st.text(min_size=1),
    st.dictionaries(names, numbers, max_size=3),
    st.none() | measured,
)
runs = st.lists(steps, max_size=5).map(tuple)
model_steps = st.lists(
    st.builds(
        lambda params: ModelStep.of("upscale", MODEL, **params),
        st.dictionaries(names, numbers | st.text(max_size=200), max_size=3),
    ),
    max_size=2,
).map(tuple)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any, but that no model stands after a run that is not there."""
    run = draw(runs)
    return Recipe(run, draw(model_steps), draw(model_steps) if run else ())


def text(*items: object, **others: object) -> str:
    return json.dumps({"nulie": 2, **others, "steps": items})


@given(recipes())
def test_json_round_trip(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert again.to_json() == recipe.to_json()
    assert "\n" not in recipe.to_json()


@given(recipes())
def test_recipes_are_copied_and_pickled_as_they_are(recipe: Recipe) -> None:
    assert pickle.loads(pickle.dumps(recipe)) == recipe == copy.deepcopy(recipe)


def test_order_of_dials_does_not_matter_but_of_steps_does() -> None:
    a, b = Step.of("gamma", gain=1.0, gamma=1.2), Step.of("gamma", gamma=1.2, gain=1.0)
    assert a == b
    assert Recipe((a, BLUR)) != Recipe((BLUR, a))


def test_all_that_a_step_says_tells_it_apart() -> None:
    steps = [
        BLUR,
        Step.of("blur", radius=0.2),
        Step.of("haze", radius=0.1),
        Step("blur", BLUR.params, ()),
        Step("blur", BLUR.params, (("short_side", 90),)),
    ]
    assert len(set(steps)) == len(steps)
    recipes = [Recipe((BLUR,)), Recipe((BLUR,), (UPSCALE,)), Recipe((BLUR,), (), (UPSCALE,))]
    assert len(set(recipes)) == len(recipes)


@pytest.mark.parametrize("value", [BLUR, UPSCALE, Recipe((BLUR,))], ids=str)
def test_values_cannot_be_changed(value: object) -> None:
    for name in type(value).__slots__:  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            setattr(value, name, ())
    with pytest.raises((AttributeError, TypeError)):
        value.other = 1  # type: ignore[attr-defined]


def test_models_stand_before_and_after_the_run_of_ops() -> None:
    recipe = Recipe((BLUR, BLUR), (REPAIR,), (UPSCALE, UPSCALE))
    assert recipe.entries == (REPAIR, BLUR, BLUR, UPSCALE, UPSCALE)
    assert len(recipe) == 5
    assert [entry["op"] for entry in json.loads(recipe.to_json())["steps"]] == [
        "repair", "blur", "blur", "upscale", "upscale",
    ]  # fmt: skip
    assert recipe.then(BLUR) == Recipe((BLUR,) * 3, (REPAIR,), (UPSCALE, UPSCALE))
    assert str(recipe) == (
        "repair by tiny-x2 faces=all, blur radius=0.1, blur radius=0.1,"
        " upscale by tiny-x2 factor=2, upscale by tiny-x2 factor=2"
    )
    assert (REPAIR.name, REPAIR.digest) == ("tiny-x2", "0f" * 32)


def test_models_without_ops_are_read_as_before_them() -> None:
    recipe = Recipe((), (REPAIR,), (UPSCALE,))
    assert Recipe.from_json(recipe.to_json()) == Recipe((), (REPAIR, UPSCALE))
    assert len(recipe) == 2  # and so it is true


def test_a_recipe_is_frozen_when_all_of_its_ops_are() -> None:
    frozen = Step("contrast", (("factor", 1.1),), (("mean", 105),))
    nothing = Step("hue", (("shift", 0.1),), ())
    for run, said in [((frozen, nothing), True), ((frozen, BLUR), False), ((), True)]:
        recipe = Recipe(run, (REPAIR,))
        assert recipe.frozen is said
        assert json.loads(recipe.to_json())["frozen"] is said
        assert Recipe.from_json(recipe.to_json()) == recipe
    thawed = Recipe((frozen, nothing), (REPAIR,), (UPSCALE,)).thaw()
    assert thawed == Recipe(
        (Step("contrast", frozen.params), Step("hue", nothing.params)), (REPAIR,), (UPSCALE,)
    )


def test_a_frozen_recipe_is_easy_to_read() -> None:
    recipe = Recipe((Step("contrast", (("factor", 1.1),), (("mean", 105),)), Step("hue", (), ())))
    assert recipe.to_json() == (
        '{"nulie": 2, "frozen": true, "steps": ['
        '{"op": "contrast", "factor": 1.1, "frozen": {"mean": 105}}, {"op": "hue"}]}'
    )


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    recipe = Recipe((BLUR,))
    (tmp_path / "r.json").write_text(recipe.to_json(), encoding="utf-8-sig")
    assert Recipe.from_json((tmp_path / "r.json").read_text(encoding="utf-8")) == recipe


def test_a_thousand_steps_are_enough() -> None:
    entry = {"op": "blur", "radius": 0.1}
    assert len(Recipe.from_json(text(*[entry] * 1000))) == 1000
    with pytest.raises(RecipeError, match="1,000 steps at most, and this has 1,001"):
        Recipe.from_json(text(*[entry] * 1001))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("{}", "format number"),
        ("[]", "format number"),
        ("3", "format number"),
        ('{"nulie": 3, "steps": []}', "format 3"),
        ('{"nulie": true, "steps": []}', "format True"),
        ('{"nulie": 2.0, "steps": []}', "format 2.0"),
        ('{"nulie": 1}', "no list"),
        ('{"nulie": 1, "steps": {}}', "no list"),
        ('{"nulie": 1, "steps": [{}]}', "step 1"),
        ('{"nulie": 1, "steps": [{"op": "blur"}, 7]}', "step 2"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": "x"}]}', "no number"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": true}]}', "no number"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": NaN}]}', "not finite"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": 1e999}]}', "not finite"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": 1' + "0" * 400 + "}]}", "not finite"),
        ('{"nulie": 1, "steps": [{"op": "blur", "frozen": {}}]}', "frozen.*no number"),
        ('{"nulie": 1, "steps": [{"op": "upscale", "model": "a"}]}', "model.*no number"),
        (text({"op": "blur", "radius": "far"}), "step 1: radius='far' is no number"),
        (text({"op": "blur", "radius": "x" * 10_000}), r"^.{1,80}$"),
        (text({"op": "blur", "radius": [0] * 10_000}), r"^.{1,80}$"),
        (text({"op": "blur", "frozen": 3}), "by name"),
        (text({"op": "blur", "frozen": {"a": None}}), "no number"),
        (text({"op": "blur", "frozen": {"a": True}}), "no number"),
        (text({"op": "blur", "frozen": {"a": float("inf")}}), "not finite"),
        (text({"op": "blur", "frozen": {"a": [1, "x"]}}), "no number"),
        (text({"op": "blur", "frozen": {"a": [1] * 5000}}), "5,000 numbers"),
        (text({"op": "blur", "frozen": {"a": "A" * 8000}}), "8,000 characters"),
        (text({"op": "blur", "frozen": {"a": "?"}}), "base64"),
        (text(frozen=1), "true or false"),
        (text({"op": "blur", "frozen": {"a": 1}}, frozen=False), "not \"frozen\", but"),
        (text({"op": "up", "model": 3}), "NAME@SHA256"),
        (text({"op": "up", "model": "x"}), "NAME@SHA256"),
        (text({"op": "up", "model": "x@123"}), "NAME@SHA256"),
        (text({"op": "up", "model": MODEL.upper()}), "NAME@SHA256"),
        (text({"op": "up", "model": "x y" + MODEL}), "NAME@SHA256"),
        (text({"op": "up", "model": MODEL + "\n"}), "NAME@SHA256"),
        (text({"op": "up", "model": MODEL, "factor": True}), "no number"),
        (text({"op": "up", "model": MODEL, "factor": [2]}), "no number"),
        (text({"op": "up", "model": MODEL, "factor": float("nan")}), "not finite"),
        (text({"op": "up", "model": MODEL, "way": "x" * 201}), "way has 201 characters"),
        (text({"op": "up", "model": MODEL, "frozen": 1}), "frozen"),
        (
            text({"op": "blur"}, {"op": "up", "model": MODEL}, {"op": "blur"}),
            "step 3: blur comes after",
        ),
    ],
)  # fmt: skip
def test_bad_recipes_say_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    ("model", "params"),
    [("x", {}), (MODEL, {"op": 1.0}), (MODEL, {"a": True}), (MODEL, {"a": float("nan")}),
     (MODEL, {"a": "x" * 201})],
)  # fmt: skip
def test_a_step_of_a_model_is_checked_at_once(model: str, params: dict[str, float | str]) -> None:
    with pytest.raises(RecipeError):
        ModelStep("upscale", model, tuple(params.items()))


@given(st.text())
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    with contextlib.suppress(RecipeError):
        Recipe.from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3)
    | st.just(MODEL),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["op", "model", "frozen", "a"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from([1, 2]), json_values, st.lists(json_values, max_size=3))
def test_any_json_is_a_recipe_or_a_recipe_error(
    number: int, frozen: object, steps: list[object]
) -> None:
    with contextlib.suppress(RecipeError):
        data = {"nulie": number, "frozen": frozen, "steps": steps}
        recipe = Recipe.from_json(json.dumps(data))
        assert Recipe.from_json(recipe.to_json()) == recipe


EVERY_OP = Recipe(
    (
        Step.of("brightness", factor=1.1),
        Step.of("contrast", factor=0.9),
        Step.of("gamma", gamma=1.2, gain=1.05),
        Step.of("invert", amount=0.1),
        Step.of("solarize", threshold=200.0),
        Step.of("posterize", bits=5.0),
        Step.of("autocontrast", amount=0.5, cutoff=1.0),
        Step.of("equalize", amount=0.2),
        Step.of("saturation", factor=1.3),
        Step.of("hue", shift=-0.05),
        Step.of("sharpness", factor=1.5),
        Step.of("blur", radius=0.002),
    )
)
MEANT = {
    "format1/every_op": EVERY_OP,
    "format1/repeated_op": Recipe(
        (
            Step.of("contrast", factor=1.073),
            Step.of("gamma", gamma=0.941, gain=1.0),
            Step.of("contrast", factor=1.111),
            Step.of("autocontrast", amount=0.07, cutoff=0.3),
        )
    ),
    "format1/unchanged": Recipe(),
    "format1/with_score": Recipe(
        (Step.of("brightness", factor=1.044), Step.of("gamma", gamma=0.956, gain=1.0))
    ),
    "format2/with_models": Recipe((Step.of("gamma", gamma=1.2, gain=1.05),), (REPAIR,), (UPSCALE,)),
    "format2/frozen": Recipe(
        (
            Step("contrast", (("factor", 0.9),), (("mean", 105),)),
            Step(
                "autocontrast",
                (("amount", 0.5), ("cutoff", 1.0)),
                (("high", (250, 251, 252)), ("low", (3, 0, 7))),
            ),
            Step(
                "equalize",
                (("amount", 0.2),),
                (("table", bytes([*range(256), *reversed(range(256)), *range(256)])),),
            ),
            Step("hue", (("shift", -0.05),), ()),
            Step("sharpness", (("factor", 1.5),), (("short_side", 1080),)),
            Step("blur", (("radius", 0.002),), (("short_side", 1080),)),
        )
    ),
}


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*/*.json")), ids=lambda f: f.stem)
def test_written_recipes_load_for_ever(file: Path) -> None:
    """And mean the same. Files are only ever added here."""
    recipe = transforms.check(Recipe.from_json(file.read_text(encoding="utf-8")))
    assert recipe == MEANT[f"{file.parent.name}/{file.stem}"]


def test_no_written_recipe_is_lost() -> None:
    assert {f"{f.parent.name}/{f.stem}" for f in GOLDEN.glob("*/*.json")} == set(MEANT)
