"""The web UI's scripts, run against a stand-in for its modules."""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

pytest.importorskip("gradio")

from nulie import webui
from nulie.errors import RecipeError, SettingsError
from nulie.jobs.values import GUARDS
from nulie.predictor.loaded import PREDICTORS
from nulie.recipe import Recipe
from nulie.recipe.settings import Settings
from nulie.transforms import MODES, render
from nulie.transforms.strength import scale
from nulie.webui import controls
from nulie.webui import host as host_module

from .conftest import ROOT, FakePredictor, picture
from .webui_standin import (  # noqa: F401
    QUICK,
    PostprocessedImage,
    Processing,
    Script,
    ScriptPostprocessing,
    Web,
    extras,
    generated,
    values,
    web,
)

RECIPE = '{"nulie": 1, "steps": [{"op": "brightness", "factor": 1.1}]}'


SCRIPTS = ("nulie_api", "nulie_extras", "nulie_generate", "nulie_settings", "nulie_tab")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_shows_its_own_classes_alone(web: Web, name: str) -> None:
    """The web UI registers every class it finds, and dies of a base class."""
    members = vars(web.load(name)).values()
    found = [
        m for m in members if isinstance(m, type) and issubclass(m, (Script, ScriptPostprocessing))
    ]
    assert len(found) == {"nulie_extras": 2, "nulie_generate": 1}.get(name, 0)
    assert not {Script, ScriptPostprocessing} & set(found)


def test_scripts_can_be_loaded_again(web: Web) -> None:
    """Reload UI runs them anew, while the package stays."""
    for _ in range(3):
        for name in ("nulie_settings", "nulie_extras", "nulie_generate", "nulie_api", "nulie_tab"):
            web.load(name)
    assert webui.current().shared is web.modules["modules.shared"]


@pytest.mark.parametrize("ours", [True, False])
def test_of_two_copies_one_alone_registers(web: Web, tmp_path: Path, ours: bool) -> None:
    other = tmp_path / "nulie-main"
    shutil.copytree(ROOT / "scripts", other / "scripts")
    copies = [SimpleNamespace(path=str(p)) for p in (ROOT, other)]
    web.extensions[:] = [SimpleNamespace(path=str(tmp_path)), *copies[:: 1 if ours else -1]]
    web.callbacks.clear()
    monitored = {name: web.load(name) for name in SCRIPTS}
    found = [m for module in monitored.values() for m in vars(module).values()]
    classes = [m for m in found if isinstance(m, type) and m.__name__.startswith("Nulie")]
    assert len(classes) == (3 if ours else 0)
    names = {"on_ui_settings", "on_ui_tabs", "on_app_started"}
    assert set(web.callbacks) == (names if ours else set())
    assert len(web.reports) == (not ours)
    assert all(f"remove {ROOT}" in report for report in web.reports)


# Extras


def test_extras_is_off_by_default(web: Web, extras: Any) -> None:
    """The web UI's own API passes None for everything."""
    image = picture()
    pp = PostprocessedImage(image)
    extras.process(pp, **dict.fromkeys(["enabled", *(c.name for c in controls.CONTROLS)]))
    extras.process(pp)
    assert pp.image is image
    assert not pp.info
    assert not extras.ui()["enabled"].value


def test_extras_enhances_and_keeps_alpha(web: Web, extras: Any) -> None:
    image = picture().convert("RGBA")
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    before = image.tobytes()
    web.state.job_no = web.state.job_count = 1
    pp = PostprocessedImage(image)
    extras.process(pp, **QUICK, mode="soft", seed=3)
    recipe = Recipe.from_json(pp.info["NUlIE recipe"])
    assert recipe.steps
    assert image.tobytes() == before
    assert pp.image.mode == "RGBA"
    assert pp.image.getchannel("A").tobytes() == alpha.tobytes()
    assert pp.image.convert("RGB").tobytes() == render(recipe, image.convert("RGB")).tobytes()
    assert pp.info["NUlIE predictor"] == "fake"
    assert re.fullmatch(r"\d+\.\d\d to \d+\.\d\d", pp.info["NUlIE score"])
    assert web.state.job_no == 1
    assert web.state.sampling_steps == 20


def test_variants_are_further_images(web: Web, extras: Any) -> None:
    pp = PostprocessedImage(picture())
    extras.process(pp, enabled=True, seconds=2, mode="hard", variants=3)
    assert [e.nametags for e in pp.extra_images] == [[f"nulie{n}"] for n in (2, 3)]
    assert len({e.info["NUlIE recipe"] for e in (pp, *pp.extra_images)}) == 3


def test_the_bar_and_the_preview_move(web: Web, extras: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("nulie.webui.job.INTERVAL", 0.0)
    web.state.job_no, web.state.job_count = 2, 3
    extras.process(PostprocessedImage(picture()), **QUICK)
    assert web.state.shares == sorted(web.state.shares)
    assert 1 <= web.state.shares[0] <= web.state.shares[-1] <= 2
    assert web.state.textinfo is None


def test_the_words_are_those_of_the_search(web: Web, extras: Any, monkeypatch: Any) -> None:
    """The last of them tells why the bar stands still at its end."""
    monkeypatch.setattr("nulie.webui.job.INTERVAL", 1000.0)
    extras.process(PostprocessedImage(picture()), **QUICK)
    first, last = web.state.texts
    assert re.match(r"NUlIE: best score \d.* nodes .* a second .* s left", first)
    assert "at full size" in last


def test_live_previews_are_small_and_only_of_what_is_new(
    web: Web, extras: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("nulie.webui.job.INTERVAL", 0.0)
    pp = PostprocessedImage(picture(1200, 900))
    extras.process(pp, enabled=True, seconds=1)
    assert {i.size for i in web.state.images} == {(512, 384)}
    assert len(web.state.images) < len(web.state.texts) / 2
    assert pp.image.size == (1200, 900)


def test_stop_after_this_image_leaves_this_image_its_search(web: Web, extras: Any) -> None:
    web.state.stopping_generation = True  # pressed while it was sampled
    pp = PostprocessedImage(picture())
    start = time.monotonic()
    extras.process(pp, enabled=True, seconds=1)
    assert time.monotonic() - start > 1
    assert Recipe.from_json(pp.info["NUlIE recipe"]).steps


def test_a_search_that_has_not_begun_leaves_the_image(
    web: Web, extras: Any, generated: Any, monkeypatch: Any
) -> None:
    def get(*args: Any, **kwargs: Any) -> Any:
        web.state.interrupted = True
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    image = picture()
    pp, p = PostprocessedImage(image), Processing()
    extras.process(pp, **QUICK)
    web.state.interrupted = False
    generated.postprocess_image_after_composite(p, pp, *values(generated, **QUICK))
    assert pp.image is image
    assert not pp.info
    assert not set(controls.OUTCOME_KEYS) & set(p.extra_generation_params)
    assert not web.reports
    assert not p.comments


def test_the_predictor_of_the_settings_judges(web: Web, extras: Any, monkeypatch: Any) -> None:
    names = []

    def get(name: str, device: str, **kwargs: Any) -> Any:
        names.append((name, device))
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    web.opts.data["nulie_predictor"] = "clip-b32"
    web.device = "mps"
    extras.process(PostprocessedImage(picture()), **QUICK)
    assert names == [("clip-b32", "mps")]


def test_notes_are_logged_once(web: Web, extras: Any, monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr("nulie.webui.job._logged", set())
    monkeypatch.setattr(PREDICTORS, "get", lambda *a, **k: (FakePredictor(), "a note"))
    for _ in range(2):
        extras.process(PostprocessedImage(picture()), **QUICK)
    assert [r.message for r in caplog.records] == ["a note"]


@pytest.mark.parametrize("flag", ["interrupted", "skipped", "stopping_generation"])
def test_a_search_stops_with_its_best(web: Web, extras: Any, flag: str) -> None:
    threading.Timer(0.5, setattr, (web.state, flag, True)).start()
    pp = PostprocessedImage(picture())
    start = time.monotonic()
    extras.process(pp, enabled=True, seconds=60)
    assert time.monotonic() - start < 5
    assert Recipe.from_json(pp.info["NUlIE recipe"]).steps
    # Skip was for the search; the operations after it go on.
    assert web.state.skipped is False


@pytest.mark.parametrize("flag", ["interrupted", "skipped"])
def test_nothing_begins_after_a_stop(web: Web, extras: Any, generated: Any, flag: str) -> None:
    setattr(web.state, flag, True)
    image = picture()
    pp = PostprocessedImage(image)
    extras.process(pp, **QUICK)
    generated.postprocess_image_after_composite(Processing(), pp, *values(generated, **QUICK))
    assert pp.image is image
    assert getattr(web.state, flag)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mode": "recipe"}, "there is no recipe"),
        ({"mode": "recipe", "recipe": "{}"}, "format number"),
        ({"mode": "extreme"}, "extreme"),
        ({"seconds": -1}, "above 0"),
        ({"seed": "x"}, "seed must be a number"),
        ({"min_light": float("nan")}, "0..1"),
        ({"min_light": "light=2"}, "0..1"),
        ({"protect_skin": "skn=0"}, "guard 'skn' is unknown; known: light="),
        ({"min_color": "color"}, "color must be a number, not nothing"),
    ],
)
def test_what_goes_wrong_stays_inside(
    web: Web, extras: Any, generated: Any, asked: dict[str, Any], said: str
) -> None:
    image = picture()
    pp = PostprocessedImage(image)
    extras.process(pp, **{**QUICK, **asked})
    assert pp.image is image
    assert said in pp.info["NUlIE error"]
    p = Processing()
    given = values(generated, **{**QUICK, **asked})
    generated.process(p, *given)
    generated.postprocess_image_after_composite(p, pp, *given)
    assert pp.image is image
    assert all(said in comment for comment in p.comments)
    assert p.comments
    assert said in p.extra_generation_params["NUlIE error"], "the only answer of the web UI's API"
    assert "NUlIE recipe" not in p.extra_generation_params
    assert all(said in report for report in web.reports)


def test_surprises_stay_inside(web: Web, extras: Any, generated: Any, monkeypatch: Any) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(PREDICTORS, "get", fail)
    image = picture()
    pp, p = PostprocessedImage(image), Processing()
    extras.process(pp, **QUICK)
    generated.postprocess_image_after_composite(p, pp, *values(generated, **QUICK))
    assert pp.image is image
    assert "out of cheese" in pp.info["NUlIE error"]
    assert "out of cheese" in p.comments[0]
    assert len(web.reports) == 2


def test_without_a_connection_nothing_breaks(web: Web, extras: Any, monkeypatch: Any) -> None:
    """A page that cannot be built would keep the web UI from starting."""
    monkeypatch.setattr(host_module, "_current", [])
    assert extras.ui()["seconds"].value == Settings().seconds
    image = picture()
    pp = PostprocessedImage(image)
    extras.process(pp, **QUICK)
    assert pp.image is image
    assert "not connected" in pp.info["NUlIE error"]


def test_ids_differ_when_the_operation_is_shown_thrice(web: Web, extras: Any) -> None:
    ids = [c.elem_id for _ in range(3) for n, c in extras.ui().items() if n != "enabled"]
    assert len(set(ids)) == len(ids)
    assert all(i.startswith("nulie_") for i in ids)
    assert extras.ui()["enabled"].elem_id is None


# Generated images


def test_generated_images_are_off_by_default(web: Web, generated: Any) -> None:
    image = picture()
    pp, p = SimpleNamespace(image=image), Processing()
    generated.process(p, *values(generated))
    generated.postprocess_image_after_composite(p, pp, *values(generated))
    assert pp.image is image
    assert not p.extra_generation_params


def infotext(parameters: dict[str, Any]) -> dict[str, str]:
    """Written and read back by the web UI's rules."""
    quoted = {
        k: json.dumps(v, ensure_ascii=False) if re.search(r"[,:\n]", str(v)) else str(v)
        for k, v in parameters.items()
    }
    line = ", ".join(f"{k}: {v}" for k, v in quoted.items())
    pattern = r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
    return {k: json.loads(v) if v[:1] == '"' == v[-1:] else v for k, v in re.findall(pattern, line)}


def test_an_infotext_restores_the_controls(web: Web, generated: Any) -> None:
    image = picture()
    pp, p = SimpleNamespace(image=image), Processing()
    asked = {"mode": "hard", "seconds": 0.25, "seed": 7, "keep_content": 2.5, "protect_skin": False}
    asked |= {"min_color": 0.9, "min_contrast": 0.25, "strength": 0.5}
    given = values(generated, enabled=True, **asked)
    generated.process(p, *given)
    generated.postprocess_image_after_composite(p, pp, *given)
    read = infotext({"Steps": 20, **p.extra_generation_params, "Version": "v1"})
    assert list(read)[-1] == "Version"
    restored = []
    for component, key in generated.infotext_fields:
        value = key(read) if callable(key) else read.get(key)
        kind = type(component.value)
        restored.append(False if kind is bool and value == "False" else kind(value))
    names = ["enabled", *(c.name for c in controls.OF_GENERATION)]
    found = dict(zip(names, restored, strict=True))
    # A search ends by the clock: its recipe, in which its strength is, gives the image again.
    guards = "light=0.9, color=0.9, contrast=0.25, skin=0, content=2.5"
    by_recipe = {"enabled": True, **asked, "mode": "recipe", "strength": 1.0, "guards": guards}
    assert found.items() >= {n: v for n, v in by_recipe.items() if n not in GUARDS.values()}.items()
    settings = controls.plan_of({**found, "mode": "hard"}).settings
    assert vars(settings).items() >= {n: v for n, v in asked.items() if n != "strength"}.items()
    again = SimpleNamespace(image=image)
    given = values(generated, **found, **dict.fromkeys(GUARDS.values(), guards))
    generated.postprocess_image_after_composite(Processing(), again, *given)
    assert again.image.tobytes() == pp.image.tobytes()
    assert not generated.infotext_fields[0][1]({"Steps": "20"})


def test_an_infotext_without_a_recipe_restores_the_search(web: Web, generated: Any) -> None:
    p = Processing()
    generated.process(p, *values(generated, enabled=True, mode="hard", strength=0.5))
    read = infotext(p.extra_generation_params)
    found = {key(read) if callable(key) else read.get(key) for _, key in generated.infotext_fields}
    assert found >= {True, "hard", "0.5"}
    assert not found & {"recipe", "1"}


def test_an_infotext_of_before_restores_its_guards(web: Web, generated: Any) -> None:
    generated.ui(False)
    fields = {c.label: key for c, key in generated.infotext_fields}
    old = {"NUlIE mode": "soft", "NUlIE min light": "0.5", "NUlIE protect skin": "False"}
    assert fields["Guards"](old) == "light=0.5, skin=0"
    assert fields["Guards"]({"Steps": "20"}) is None, "the control stays as it is"


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ([], {}),
        (["soft", 2, 3, 0.5, 4, False, "", 0.25, 0], {
            "seconds": 2, "seed": 3, "min_light": 0.5, "keep_content": 4, "protect_skin": False,
            "min_color": 0.25, "min_contrast": 0,
        }),
        ([None] * 10, {}),
        (["hard", 10, 0, "light=0.5, skin=0"], {
            "mode": "hard", "min_light": 0.5, "protect_skin": False,
        }),
        ([*[None] * 8, "contrast=0"], {"min_contrast": 0}),  # where the API restores infotexts
    ],
)  # fmt: skip
def test_the_places_of_the_web_uis_api_stay(
    web: Web, generated: Any, args: list[Any], found: dict[str, Any]
) -> None:
    """What a caller does not give has the value of its control."""
    module = web.load("nulie_generate")
    given = [True, *args, *values(generated)[1 + len(args) :]]
    assert controls.plan_of(module.by_name(given)).settings == Settings(**found)


@pytest.mark.parametrize(
    ("more", "on"),
    [
        ({}, False),
        ({"Denoising strength": "0.5", "Hires upscale": "2"}, False),
        ({"Denoising strength": "0.5"}, True),
    ],
)
def test_what_comes_from_txt2img_is_not_enhanced_twice(
    web: Web, more: dict[str, str], on: bool
) -> None:
    fields = {}
    for is_img2img in (False, True):
        script = web.load("nulie_generate").NulieGenerated()
        script.ui(is_img2img)
        fields[is_img2img] = script.infotext_fields[0][1]({"NUlIE mode": "soft", **more})
        assert set(script.paste_field_names) >= {"NUlIE mode", "NUlIE recipe", "NUlIE strength"}
    assert fields == {False: True, True: on}


def written(p: Any, **call: Any) -> dict[str, Any]:
    """The parameters of an infotext, as newer web UIs make them out."""
    given = {"p": p, "all_prompts": ["a cat"], "use_main_prompt": False, **call}
    made = {k: v(**given) if callable(v) else v for k, v in p.extra_generation_params.items()}
    return {key: value for key, value in made.items() if value is not None}


def test_the_infotext_of_a_grid_has_no_images_recipe(web: Web, generated: Any) -> None:
    p, given = Processing(), values(generated, **QUICK)
    generated.process(p, *given)
    generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *given)
    own = {"NUlIE recipe", "NUlIE score", "NUlIE predictor"}
    assert written(p).keys() >= own
    for grid in ({"use_main_prompt": True}, {"all_prompts": p.all_prompts}):
        assert not written(p, **grid).keys() & own
        assert "NUlIE mode" in written(p, **grid)
    # A recipe that was asked for is that of all of them.
    by_recipe = values(generated, enabled=True, mode="recipe", recipe=RECIPE)
    generated.process(p, *by_recipe)
    generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *by_recipe)
    assert "NUlIE recipe" in written(p, use_main_prompt=True)


# Parts of pictures


def tiles(generated: Any, p: Any, sources: list[Any]) -> list[str]:
    """The recipes of images that are made of these, each in a job of its own."""
    found, given = [], values(generated, **QUICK)
    for number, source in enumerate(sources):
        p.init_images = [source]
        generated.process(p, *given)
        pp = SimpleNamespace(image=picture(seed=number))
        generated.postprocess_image_after_composite(p, pp, *given)
        found.append(p.extra_generation_params["NUlIE recipe"])
    return found


def tiled(**changed: Any) -> Processing:
    p = Processing()
    vars(p).update({"script_args": (3, "x"), "do_not_save_samples": True, **changed})
    return p


def test_one_recipe_for_all_tiles(web: Web, generated: Any) -> None:
    p = tiled()
    assert len(set(tiles(generated, p, [picture(seed=9), picture(seed=8), picture(seed=9)]))) == 1
    assert "NUlIE recipe" in written(p, all_prompts=p.all_prompts), "of the whole, not of a tile"


def test_tiles_of_one_batch_have_one_recipe(web: Web, generated: Any) -> None:
    p, given, found = tiled(batch_size=2), values(generated, **QUICK), []
    p.init_images = [picture(seed=9), picture(seed=8)]
    for p.batch_index in range(2):
        pp = SimpleNamespace(image=picture(seed=p.batch_index))
        generated.postprocess_image_after_composite(p, pp, *given)
        found.append(p.extra_generation_params["NUlIE recipe"])
    assert found[0] == found[1]


@pytest.mark.parametrize("changed", [{"script_args": (0,)}, {"do_not_save_samples": False}])
def test_what_is_no_tile_has_a_recipe_of_its_own(
    web: Web, generated: Any, changed: dict[str, Any]
) -> None:
    assert len(set(tiles(generated, tiled(**changed), [picture(seed=9), picture(seed=8)]))) == 2


def test_images_of_one_source_have_recipes_of_their_own(web: Web, generated: Any) -> None:
    """A loop goes on from its last image, and a grid makes many of one."""
    p, source, given = tiled(), picture(seed=9), values(generated, **QUICK)
    assert len(set(tiles(generated, p, [source, source]))) == 2
    p, pp = tiled(init_images=[source]), SimpleNamespace(image=picture(seed=3))
    generated.postprocess_image_after_composite(p, pp, *given)
    first = p.extra_generation_params["NUlIE recipe"]
    p.init_images = [pp.image]
    pp.image = picture(seed=4)
    generated.postprocess_image_after_composite(p, pp, *given)
    assert p.extra_generation_params["NUlIE recipe"] != first


def test_what_was_not_painted_stays(web: Web, generated: Any) -> None:
    image, p = picture(120, 80), Processing()
    p.mask_for_overlay = Image.new("L", image.size)
    p.mask_for_overlay.paste(255, (30, 20, 90, 60))
    pp = SimpleNamespace(image=image)
    by_recipe = values(generated, enabled=True, mode="recipe", recipe=RECIPE)
    generated.postprocess_image_after_composite(p, pp, *by_recipe)
    difference = ImageChops.difference(image, pp.image)
    assert difference.getbbox() == (30, 20, 90, 60)
    part = render(Recipe.from_json(RECIPE), image.crop((30, 20, 90, 60)))
    assert pp.image.crop((30, 20, 90, 60)).tobytes() == part.tobytes()


@pytest.mark.parametrize("mask", [None, (120, 80), (60, 40)])
def test_without_a_mask_that_fits_all_is_enhanced(
    web: Web, generated: Any, mask: tuple[int, int] | None
) -> None:
    """An older web UI hands over what it puts back by itself."""
    image, p = picture(120, 80), Processing()
    p.mask_for_overlay = mask and Image.new("L", mask)
    pp = SimpleNamespace(image=image)
    by_recipe = values(generated, enabled=True, mode="recipe", recipe=RECIPE)
    generated.postprocess_image_after_composite(p, pp, *by_recipe)
    assert pp.image.tobytes() == render(Recipe.from_json(RECIPE), image).tobytes()


# Axes of a grid


@pytest.fixture
def axes(web: Web) -> dict[str, Any]:
    """Those of the web UI's script, by their labels."""

    class AxisOption:
        def __init__(self, label: str, type: Any, apply: Any, choices: Any = None) -> None:
            self.label, self.type, self.apply, self.choices = label, type, apply, choices

    module = ModuleType("xyz_grid.py")
    vars(module).update(AxisOption=AxisOption, axis_options=[])
    web.modules["modules.scripts"].__dict__["scripts_data"][:] = [SimpleNamespace(module=module)]
    for register in web.callbacks["on_ui_settings"]:
        register()
    return {option.label: option for option in module.axis_options}


def test_axes_set_what_controls_set(
    web: Web, generated: Any, axes: dict[str, Any], monkeypatch: Any
) -> None:
    names = []

    def get(name: str, *args: Any, **kwargs: Any) -> Any:
        names.append(name)
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    mode, seconds = axes["[NUlIE] Mode"], axes["[NUlIE] Seconds"]
    predictor = axes["[NUlIE] Predictor"]
    assert mode.choices() == ["off", *MODES]
    assert "retouch" in predictor.choices()
    whole = Processing()
    for value in ("off", "hard", "off"):
        # The infotext's dictionary is that of all cells.
        p, pp = copy.copy(whole), SimpleNamespace(image=picture())
        seconds.apply(p, seconds.type("0.5"), [])
        mode.apply(p, mode.type(value), [])
        predictor.apply(p, predictor.type("retouch"), [])
        # The box is not ticked: the axes switch it on.
        generated.process(p, *values(generated))
        generated.postprocess_image_after_composite(p, pp, *values(generated))
        found = p.extra_generation_params
        if value == "off":
            assert not found
        else:
            assert (found["NUlIE mode"], found["NUlIE seconds"]) == ("hard", "0.5")
    assert names == ["retouch"]
    assert not hasattr(whole, "nulie_axes")


def test_an_image_keeps_nothing_of_the_one_before(web: Web, generated: Any) -> None:
    p, given = Processing(), values(generated, **QUICK)
    generated.process(p, *given)
    generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *given)
    assert "NUlIE recipe" in p.extra_generation_params
    web.state.interrupted = True
    generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *given)
    assert not set(controls.OUTCOME_KEYS) & set(p.extra_generation_params)


def test_never_twice(web: Web, generated: Any) -> None:
    assert generated.show(False) is web.modules["modules.scripts"].AlwaysVisible
    web.opts.data["postprocessing_enable_in_main_ui"] = ["GFPGAN", "NUlIE"]
    assert generated.show(False) is False


def test_a_batch_moves_the_bar_once(web: Web, generated: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("nulie.webui.job.INTERVAL", 0.0)
    p, given = Processing(batch_size=2), values(generated, **QUICK)
    web.state.job_no, web.state.job_count = 1, 1
    for p.batch_index in range(2):
        generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *given)
    assert web.state.shares == sorted(web.state.shares)
    assert web.state.shares[0] < 0.5 < web.state.shares[-1] <= 1


def test_the_seeds_of_the_next_images_stay(web: Web, generated: Any, monkeypatch: Any) -> None:
    def load(*args: Any, **kwargs: Any) -> Any:
        torch.rand(3), np.random.rand(3), random.random()
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", load)
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = (
        torch.get_rng_state(),
        np.random.get_state(legacy=False)["state"]["key"].copy(),
        random.getstate(),
    )
    given = values(generated, **QUICK)
    generated.postprocess_image_after_composite(
        Processing(), SimpleNamespace(image=picture()), *given
    )
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state(legacy=False)["state"]["key"]).all()
    assert before[2] == random.getstate()


def test_inside_inference_mode(web: Web, generated: Any, monkeypatch: Any) -> None:
    """Forge generates in it; what is loaded there must be of use outside as well."""
    made = []

    def load(*args: Any, **kwargs: Any) -> Any:
        made.append(torch.zeros(2))
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", load)
    with torch.inference_mode():
        generated.postprocess_image_after_composite(
            Processing(), SimpleNamespace(image=picture()), *values(generated, **QUICK)
        )
    assert not made[0].is_inference()


# Recipes of infotexts


def test_recipes_are_found_in_infotexts() -> None:
    text = f"a cat\nSteps: 20, NUlIE recipe: {json.dumps(RECIPE)}, Version: v1"
    plan = controls.plan_of({"mode": "recipe", "recipe": text})
    assert plan.recipe == Recipe.from_json(RECIPE)
    turned = controls.plan_of({"mode": "recipe", "recipe": text, "strength": 0.5})
    assert turned.recipe == scale(plan.recipe, 0.5)
    again = controls.plan_text(turned)
    assert (again["NUlIE recipe"], again["NUlIE strength"]) == (turned.recipe.to_json(), "1")
    assert controls.plan_text(plan) == {
        "NUlIE mode": "recipe",
        "NUlIE recipe": plan.recipe.to_json(),
    }
    with pytest.raises(RecipeError, match="there is no recipe"):
        controls.plan_of({"mode": "recipe", "recipe": "  "})
    with pytest.raises(RecipeError):
        controls.plan_of({"mode": "recipe", "recipe": "a cat\nSteps: 20"})
    with pytest.raises(SettingsError):
        controls.plan_of({"mode": 3})


def test_the_controls_make_a_plan() -> None:
    plan = controls.plan_of({"variants": 3, "seed": None, "recipe": RECIPE, "enabled": True})
    assert plan.recipe is None, "a text in the recipe's control is for mode recipe"
    assert plan.settings == Settings(top=3)
    # Whatever the others say: a recipe needs none of them.
    assert controls.plan_of({"mode": "recipe", "recipe": RECIPE, "seconds": -1}).recipe
