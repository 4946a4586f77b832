"""What the user sets for an image in Extras and for generated ones: controls, infotext, both ways.

Each component makes the web UI's page slower to load, so what is rarely turned shares one: the
guards are one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..jobs import restoration
from ..jobs.outcome import Outcome
from ..jobs.plan import BY_RECIPE, Plan, plan
from ..jobs.recipes import INFOTEXT_KEY
from ..jobs.values import GUARDS, guards
from ..recipe.settings import Settings
from ..transforms import MODES
from ..transforms.strength import MOST
from .host import setting
from .options import Control, span

NAME = "NUlIE"
SCORE = f"{NAME} score"
RECIPE = INFOTEXT_KEY
JUDGE = f"{NAME} predictor"
ERROR = f"{NAME} error"
OUTCOME_KEYS = (JUDGE, SCORE, RECIPE, ERROR)
"""Keys of the infotext that say what was done to one image."""
_DEFAULTS = Settings()


def _guards_text(given: Mapping[str, Any]) -> str:
    """What the control shows of those that are given, by the names of `Settings`: their values, or
    the texts of an infotext, which may be anything."""
    told = {name: str(given[of]) for name, of in GUARDS.items() if of in given}
    switches = {"True": "1", "False": "0"}
    return ", ".join(f"{name}={switches.get(text, text)}" for name, text in told.items())


GUARDED = _guards_text(vars(_DEFAULTS))
CONTROLS = (
    Control("mode", "Mode", "Radio", _DEFAULTS.mode, {"choices": [*MODES, BY_RECIPE]}),
    Control("seconds", "Seconds to search", "Slider", _DEFAULTS.seconds, span(1, 120, 1)),
    Control("seed", "Search seed", "Number", _DEFAULTS.seed, {"precision": 0}),
    Control(
        "guards", "Guards", "Textbox", GUARDED,
        {"info": "least share that is kept of light, color and contrast; skin=1: it gets no darker;"
                 " content: points lost per unit of drift, such as 10; 0: off"},
    ),
    Control(
        "recipe", "Recipe to apply in mode recipe", "Textbox", "",
        {"lines": 2, "placeholder": "JSON, or the infotext of an image that nulie has enhanced"},
    ),
    Control(
        "restore", "Restore", "Textbox", "",
        {"placeholder": "repair, denoise, scan, upscale=2, model=NAME; only: no search after it"},
    ),
    Control("variants", "Variants to give", "Slider", _DEFAULTS.top, span(1, 8, 1)),
    Control("strength", "Strength of what is done", "Slider", 1.0, span(0, MOST, 0.05)),
)  # fmt: skip
OF_RESTORING = (
    Control(
        "restore", "Restore", "Textbox", "repair, denoise",
        {"info": "repair, denoise (as far as it is needed, or repair=40, denoise=12), scan,"
                 " upscale=2 or upscale=4000x, model=NAME (of nulie's, or a file of models/ESRGAN"
                 " and the like)"},
    ),
)  # fmt: skip
OF_GENERATION = tuple(c for c in CONTROLS if c.name != "variants")
PLACES = (
    *("mode", "seconds", "seed", "min_light", "keep_content", "protect_skin", "recipe"),
    *("min_color", "min_contrast", "strength", "restore"),
)
"""A promise to those who call the web UI's API, which knows controls by place alone; new ones go to
the end. The text of the guards stands at the place of each."""


def placed(components: Mapping[str, Any]) -> list[Any]:
    """The components as they stand in `PLACES`."""
    return [components.get(name, components["guards"]) for name in PLACES]


def build(gr: Any, controls: tuple[Control, ...], prefix: str) -> dict[str, Any]:
    """Components of gradio's module `gr`, by name; for use inside a page or outside of any. Must
    not fail: that would keep the web UI from starting."""
    components = {}
    for control in controls:
        value = setting("seconds") if control.name == "seconds" else control.default
        component = getattr(gr, control.component)(
            value=value, label=control.label, elem_id=f"{prefix}_{control.name}",
            **control.arguments,
        )  # fmt: skip
        if control.component == "Slider" or control.name == "guards":
            # The web UI would write ranges and defaults to a file and keep them there for ever.
            component.do_not_save_to_config = True
        components[control.name] = component
    return components


def plan_of(values: Mapping[str, Any], *, predictor: str = "auto") -> Plan:
    """What the values of the controls mean: a search, or a recipe to be applied. Values that are
    missing or None stand for the defaults.

    Raises: SettingsError, RecipeError."""
    if values.get("mode") == BY_RECIPE:
        return plan({"recipe": values.get("recipe") or "", "strength": values.get("strength")})
    asked = {name: values.get(name) for name in _ASKED}
    top, restored = values.get("variants"), restoration.of_text(values.get("restore") or "")
    return plan({"predictor": predictor, "top": top, **asked, **_guards(values), **restored})


def _guards(values: Mapping[str, Any]) -> dict[str, Any]:
    """Callers of the API may give one a value in its place, or a text in any."""
    given = {name: values.get(name) for name in (*GUARDS.values(), "guards")}
    texts = [v for v in given.values() if isinstance(v, str) and v != GUARDED]
    rest = {n: v for n, v in given.items() if v is not None and not isinstance(v, str)}
    return {**guards(", ".join(texts)), **rest}


def plan_text(of: Plan) -> dict[str, Any]:
    """Infotext of a plan, known before anything is done."""
    if of.recipe is not None:
        # A recipe that was turned has its strength in it.
        again = {} if of.strength == 1 else {_KEYS["strength"]: "1"}
        return {_KEYS["mode"]: BY_RECIPE, RECIPE: of.recipe.to_json(), **again}
    told = {**vars(of.settings), "strength": of.strength}
    told["restore"] = restoration.to_text(of.restoration, search=of.search)
    return {
        _KEYS[name]: _shown(told[name]) for name in PLACES if name != "recipe" and told[name] != ""
    }


def _shown(value: Any) -> Any:
    return f"{value or 0.0:g}" if value is None or isinstance(value, float) else value


class OfImage(str):
    """A text of one image's infotext, which newer web UIs leave out of a grid's."""

    __slots__ = ()

    def __call__(
        self, p: Any, all_prompts: Any, use_main_prompt: bool = False, **_: Any
    ) -> str | None:
        # For an image they come with the prompts of its batch.
        return None if use_main_prompt or all_prompts is p.all_prompts else str(self)


def outcome_text(outcome: Outcome, number: int = 0) -> dict[str, Any]:
    """Infotext of what became of an image, for one of its variants; number 0 is the best."""
    recipe = outcome.recipes()[number] if outcome.changed else outcome.recipe
    text, score = {RECIPE: recipe.to_json()}, outcome.score(number)
    if score:
        text = {JUDGE: score["by"], SCORE: f"{score['before']:.2f} to {score['after']:.2f}", **text}
    return text


def paste_fields(
    enabled: Any, components: Mapping[str, Any], *, is_img2img: bool
) -> list[tuple[Any, Any]]:
    """What an infotext puts where: the web UI's `infotext_fields`. A search ends by the clock, so
    what makes the same picture again is its recipe, which has its strength in it."""

    def again(parameters: Mapping[str, str]) -> bool:
        # Switches off as well: where the infotext knows nothing of nulie, and where the picture
        # goes from txt2img to img2img, for it has been enhanced.
        made = is_img2img and ("Denoising strength" not in parameters or _HIRES & {*parameters})
        return _KEYS["mode"] in parameters and not made

    of_recipe = {"mode": BY_RECIPE, "strength": "1", "restore": ""}

    def guarded(parameters: Mapping[str, str]) -> str | None:
        told = {n: parameters[_KEYS[n]] for n in GUARDS.values() if _KEYS[n] in parameters}
        return _guards_text(told) or None

    def field(name: str) -> Any:
        if name not in of_recipe:
            return guarded if name == "guards" else _KEYS[name]
        return lambda parameters: (
            of_recipe[name]
            if RECIPE in parameters
            else parameters.get(_KEYS[name], _ABSENT.get(name))
        )

    return [(enabled, again), *((component, field(name)) for name, component in components.items())]


_ABSENT = {"restore": ""}
"""What an infotext means that says nothing of a control."""
_HIRES = {"Hires upscale", "Hires upscaler", "Hires resize"}
"""In infotexts of txt2img alone."""
_KEYS = {name: f"{NAME} {name.replace('_', ' ')}" for name in PLACES}
"""Their names in an infotext: such keys may hold no colon, comma or bracket."""
PASTED = tuple(_KEYS.values())
"""What goes along when a generated image is sent to another tab."""
_ASKED = ("mode", "seconds", "seed", "strength")
"""Of a search, by the names that a plan has for them."""
