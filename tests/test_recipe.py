from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nulie import transforms
from nulie.errors import RecipeError
from nulie.recipe import Recipe, Step

numbers = st.floats(allow_nan=False, allow_infinity=False)
steps = st.builds(
    lambda op, params: Step.of(op, **params),
    st.text(min_size=1),
    st.dictionaries(st.text(min_size=1).filter(lambda n: n != "op"), numbers, max_size=3),
)
recipes = st.lists(steps, max_size=5).map(lambda s: Recipe(tuple(s)))


@given(recipes)
def test_json_round_trip(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert "\n" not in recipe.to_json()


def test_order_of_dials_does_not_matter_but_of_steps_does() -> None:
    a, b = Step.of("gamma", gain=1.0, gamma=1.2), Step.of("gamma", gamma=1.2, gain=1.0)
    assert a == b
    c = Step.of("blur", radius=0.1)
    assert Recipe((a, c)) != Recipe((c, a))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("{}", "format number"),
        ("[]", "format number"),
        ("3", "format number"),
        ('{"nulie": 2, "steps": []}', "format 2"),
        ('{"nulie": true, "steps": []}', "format True"),
        ('{"nulie": 1}', "no list"),
        ('{"nulie": 1, "steps": {}}', "no list"),
        ('{"nulie": 1, "steps": [{}]}', "step 1"),
        ('{"nulie": 1, "steps": [{"op": "blur"}, 7]}', "step 2"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": "x"}]}', "no number"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": true}]}', "no number"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": NaN}]}', "not finite"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": 1e999}]}', "not finite"),
        ('{"nulie": 1, "steps": [{"op": "blur", "radius": 1' + "0" * 400 + "}]}", "not finite"),
    ],
)
def test_bad_recipes_say_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.from_json(text)


@given(st.text())
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    with contextlib.suppress(RecipeError):
        Recipe.from_json(text)


def test_recipes_of_format_1_load_for_ever() -> None:
    text = """{"nulie": 1, "steps": [
        {"op": "brightness", "factor": 1.1}, {"op": "contrast", "factor": 0.9},
        {"op": "gamma", "gamma": 1.2, "gain": 1.05}, {"op": "invert", "amount": 0.1},
        {"op": "solarize", "threshold": 200}, {"op": "posterize", "bits": 5},
        {"op": "autocontrast", "amount": 0.5, "cutoff": 1.0}, {"op": "equalize", "amount": 0.2},
        {"op": "saturation", "factor": 1.3}, {"op": "hue", "shift": -0.05},
        {"op": "sharpness", "factor": 1.5}, {"op": "blur", "radius": 0.002}]}"""
    recipe = transforms.check(Recipe.from_json(text))
    assert [s.op for s in recipe.steps] == list(transforms.ops())
