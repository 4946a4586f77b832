"""What the user sets for an image in Extras and for generated ones: controls, infotext, both ways.

The order of the controls is a promise to those who call the web UI's API, which knows them by
place alone; new ones go to the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import RecipeError, SettingsError
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..transforms import MODES, check
from .host import setting

NAME = "NUlIE"
BY_RECIPE = "recipe"
"""The mode that applies a recipe in place of a search."""
SCORE = f"{NAME} score"
RECIPE = f"{NAME} recipe"
JUDGE = f"{NAME} predictor"
RESULTS = (JUDGE, SCORE, RECIPE)
"""Keys of the infotext that say what was done to one image."""
_DEFAULTS = Settings()
_QUOTED = re.compile(rf'{RECIPE}: ("(?:\\.|[^\\"])+")')


@dataclass(frozen=True)
class Control:
    """One control; `component` is the name of gradio's class."""

    name: str
    label: str
    component: str
    default: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in an infotext: such keys may hold no colon, comma or bracket."""
        return f"{NAME} {self.name.replace('_', ' ')}"


CONTROLS = (
    Control("mode", "Mode", "Radio", _DEFAULTS.mode, {"choices": [*MODES, BY_RECIPE]}),
    Control(
        "seconds",
        "Seconds to search",
        "Slider",
        _DEFAULTS.seconds,
        {"minimum": 1, "maximum": 120, "step": 1},
    ),
    Control("seed", "Search seed", "Number", _DEFAULTS.seed, {"precision": 0}),
    Control(
        "min_light",
        "Least light kept",
        "Slider",
        _DEFAULTS.min_light,
        {"minimum": 0, "maximum": 1, "step": 0.01},
    ),
    Control(
        "keep_content",
        "Hold to the content",
        "Slider",
        _DEFAULTS.keep_content,
        {"minimum": 0, "maximum": 50, "step": 0.5},
    ),
    Control("protect_skin", "Do not let skin get darker", "Checkbox", _DEFAULTS.protect_skin),
    Control(
        "recipe",
        "Recipe to apply in mode recipe",
        "Textbox",
        "",
        {"lines": 2, "placeholder": "JSON, or the infotext of an image that nulie has enhanced"},
    ),
    Control(
        "variants",
        "Variants to give",
        "Slider",
        _DEFAULTS.top,
        {"minimum": 1, "maximum": 8, "step": 1},
    ),
)
OF_GENERATION = tuple(c for c in CONTROLS if c.name != "variants")


def build(gr: Any, controls: tuple[Control, ...], prefix: str) -> dict[str, Any]:
    """Components of gradio's module `gr`, by name; for use inside a page or outside of any. Must
    not fail: that would keep the web UI from starting."""
    found = {}
    for control in controls:
        value = setting("seconds") if control.name == "seconds" else control.default
        component = getattr(gr, control.component)(
            value=value,
            label=control.label,
            elem_id=f"{prefix}_{control.name}",
            **control.arguments,
        )
        if control.component == "Slider":
            # The web UI would write the range to a file and keep it there for ever.
            component.do_not_save_to_config = True
        found[control.name] = component
    return found


def wish(values: Mapping[str, Any]) -> Settings | Recipe:
    """What the values of the controls ask for: a search, or a recipe to be applied. Values that are
    missing or None stand for the defaults.

    Raises: SettingsError, RecipeError."""
    given = {name: value for name, value in values.items() if value is not None}
    mode = str(given.get("mode", _DEFAULTS.mode))
    if mode == BY_RECIPE:
        return find_recipe(str(given.get("recipe", "")))
    if mode not in MODES:
        raise SettingsError(f"mode {mode!r} is unknown; known: {', '.join(MODES)}, {BY_RECIPE}")
    try:
        return Settings(
            mode=mode,
            seconds=float(given.get("seconds", _DEFAULTS.seconds or 0)),
            seed=int(given.get("seed", _DEFAULTS.seed)),
            min_light=float(given.get("min_light", _DEFAULTS.min_light)),
            keep_content=float(given.get("keep_content", _DEFAULTS.keep_content)),
            protect_skin=bool(given.get("protect_skin", _DEFAULTS.protect_skin)),
            top=int(given.get("variants", _DEFAULTS.top)),
        )
    except SettingsError:
        raise
    except (TypeError, ValueError, OverflowError) as e:
        raise SettingsError(f"seconds, seed and guards must be numbers ({e})") from None


def find_recipe(text: str) -> Recipe:
    """The recipe of a JSON text, or of an infotext with one in it.

    Raises: RecipeError."""
    text = text.strip()
    if not text:
        raise RecipeError("mode recipe needs a recipe; paste one, or an infotext with one")
    quoted = _QUOTED.search(text)
    if quoted:
        try:
            text = str(json.loads(quoted[1]))
        except ValueError:
            raise RecipeError("the infotext's recipe is damaged") from None
    return check(Recipe.from_json(text))


def asked(wanted: Settings | Recipe) -> dict[str, Any]:
    """Infotext of what is asked for, known before anything is done."""
    if isinstance(wanted, Recipe):
        return {_KEYS["mode"]: BY_RECIPE, RECIPE: wanted.to_json()}
    return {
        _KEYS["mode"]: wanted.mode,
        _KEYS["seconds"]: _number(wanted.seconds or 0.0),
        _KEYS["seed"]: wanted.seed,
        _KEYS["min_light"]: _number(wanted.min_light),
        _KEYS["keep_content"]: _number(wanted.keep_content),
        _KEYS["protect_skin"]: wanted.protect_skin,
    }


def done(recipe: Recipe, judge: str, before: float, after: float) -> dict[str, Any]:
    """Infotext of what a search has done."""
    return {JUDGE: judge, SCORE: f"{before:.2f} to {after:.2f}", RECIPE: recipe.to_json()}


def paste_fields(enabled: Any, components: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """What an infotext puts where: the web UI's `infotext_fields`."""
    by_name = {control.name: control for control in CONTROLS}
    return [
        # Switches off as well, where the infotext knows nothing of nulie.
        (enabled, lambda parameters: _KEYS["mode"] in parameters),
        *((component, by_name[name].key) for name, component in components.items()),
    ]


def _number(value: float) -> str:
    return f"{value:g}"


_KEYS = {control.name: control.key for control in CONTROLS}
assert _KEYS["recipe"] == RECIPE
