"""The web UI's scripts, run against a stand-in for its modules."""

from __future__ import annotations

import json
import random
import re
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("gradio")

from nulie import webui
from nulie.errors import RecipeError, SettingsError, UnknownModelError
from nulie.predictor.loaded import PREDICTORS
from nulie.recipe import Recipe
from nulie.recipe.settings import Settings
from nulie.transforms import render
from nulie.webui import controls
from nulie.webui import host as host_module
from nulie.webui.page import _Turn

from .conftest import FakePredictor, picture
from .webui_standin import PostprocessedImage, Processing, Script, ScriptPostprocessing, Web

RECIPE = '{"nulie": 1, "steps": [{"op": "brightness", "factor": 1.1}]}'
QUICK = {"enabled": True, "seconds": 0.5}
"""Enough for a search to find something on a machine that has other work, too."""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Web:
    """A web UI with nulie connected, and a predictor that needs no weights."""
    there = Web(tmp_path)
    for name, module in there.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(PREDICTORS, "get", lambda *a, **k: (FakePredictor(), ""))
    monkeypatch.setattr(host_module, "_current", [])
    there.load("nulie_settings")
    for register in there.callbacks["on_ui_settings"]:
        register()
    return there


@pytest.fixture
def extras(web: Web) -> Any:
    return web.load("nulie_extras").NulieOperation()


@pytest.fixture
def generated(web: Web) -> Any:
    return web.load("nulie_generate").NulieGenerated()


def values(script: Any, **changed: Any) -> list[Any]:
    """What the web UI passes to a script's hooks."""
    names = ["enabled", *(c.name for c in controls.OF_GENERATION)]
    given = [c.value for c in script.ui(False)]
    return [changed.get(name, value) for name, value in zip(names, given, strict=True)]


@pytest.mark.parametrize(
    "name", ["nulie_api", "nulie_extras", "nulie_generate", "nulie_settings", "nulie_tab"]
)
def test_a_script_shows_its_own_class_alone(web: Web, name: str) -> None:
    """The web UI registers every class it finds, and dies of a base class."""
    members = vars(web.load(name)).values()
    found = [
        m for m in members if isinstance(m, type) and issubclass(m, (Script, ScriptPostprocessing))
    ]
    assert len(found) == (name in ("nulie_extras", "nulie_generate"))
    assert not {Script, ScriptPostprocessing} & set(found)


def test_scripts_can_be_loaded_again(web: Web) -> None:
    """Reload UI runs them anew, while the package stays."""
    for _ in range(3):
        for name in ("nulie_settings", "nulie_extras", "nulie_generate", "nulie_api", "nulie_tab"):
            web.load(name)
    assert webui.current().shared is web.modules["modules.shared"]


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
        ({"mode": "recipe"}, "needs a recipe"),
        ({"mode": "recipe", "recipe": "{}"}, "format number"),
        ({"mode": "extreme"}, "extreme"),
        ({"seconds": -1}, "above 0"),
        ({"seed": "x"}, "numbers"),
        ({"min_light": float("nan")}, "0..1"),
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
    assert found.items() >= {"enabled": True, **asked}.items()
    # And the recipe that it carries gives the same image again.
    again = SimpleNamespace(image=image)
    by_recipe = values(generated, enabled=True, mode="recipe", recipe=found["recipe"])
    generated.postprocess_image_after_composite(Processing(), again, *by_recipe)
    assert again.image.tobytes() == pp.image.tobytes()
    assert not generated.infotext_fields[0][1]({"Steps": "20"})


def test_an_image_keeps_nothing_of_the_one_before(web: Web, generated: Any) -> None:
    p, given = Processing(), values(generated, **QUICK)
    generated.process(p, *given)
    generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *given)
    assert "NUlIE recipe" in p.extra_generation_params
    web.state.interrupted = True
    generated.postprocess_image_after_composite(p, SimpleNamespace(image=picture()), *given)
    assert not set(controls.RESULTS) & set(p.extra_generation_params)


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
    assert controls.find_recipe(text) == Recipe.from_json(RECIPE)
    with pytest.raises(RecipeError, match="needs a recipe"):
        controls.find_recipe("  ")
    with pytest.raises(RecipeError):
        controls.find_recipe("a cat\nSteps: 20")
    with pytest.raises(SettingsError):
        controls.wish({"mode": 3})


# Settings, memory, lock


def test_settings_have_their_defaults_before_and_after(web: Web) -> None:
    there = webui.current()
    assert there.option("seconds") == Settings().seconds
    assert "nulie_seconds" in web.opts.data_labels
    web.opts.data["nulie_seconds"] = 3
    assert there.option("seconds") == 3
    assert all(i.section == ("nulie", "NUlIE") for i in web.opts.data_labels.values())


def test_results_follow_the_settings(web: Web) -> None:
    assert webui.current().results_folder() == web.folder / "outputs" / "nulie"
    web.opts.data["nulie_folder"] = str(web.folder / "x")
    assert webui.current().results_folder() == web.folder / "x"


def test_the_lock_is_given_back(web: Web) -> None:
    def work() -> None:
        with webui.current().turn():
            assert web.lock.locked()
            assert web.state.job_count == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert not web.lock.locked()
    assert web.state.log == ["begin nulie", "end"]


def test_the_page_shows_nothing_in_other_jobs(web: Web) -> None:
    """It tells of its progress while it waits for its turn, too."""
    turn = _Turn(webui.current())
    turn.progress(0.5, "x", picture())
    assert not web.state.images
    with turn.taken():
        turn.progress(0.5, "x", picture())
    assert len(web.state.images) == 1


def test_forgotten_after_a_run_if_wanted(web: Web, extras: Any, monkeypatch: Any) -> None:
    cleared: list[int] = []
    monkeypatch.setattr(PREDICTORS, "clear", lambda: cleared.append(web.state.job_no))
    web.state.job_count = 2
    for keep in (True, False):
        web.opts.data["nulie_keep"] = keep
        for web.state.job_no in (1, 2):
            extras.process(PostprocessedImage(picture()), **QUICK)
    assert cleared == [2]


@pytest.mark.parametrize("stopped", [False, True])
def test_forgotten_after_a_batch_if_wanted(
    web: Web, generated: Any, monkeypatch: Any, stopped: bool
) -> None:
    """A further one is sampled then, which needs the memory."""
    p, cleared = Processing(batch_size=2), []
    monkeypatch.setattr(PREDICTORS, "clear", lambda: cleared.append(p.batch_index))
    web.state.interrupted = stopped
    for keep in (True, False):
        web.opts.data["nulie_keep"] = keep
        for p.batch_index in range(2):
            pp, given = SimpleNamespace(image=picture()), values(generated, **QUICK)
            generated.postprocess_image_after_composite(p, pp, *given)
    assert cleared == [1]


@pytest.fixture
def cuda(web: Web, monkeypatch: Any) -> list[int]:
    """A card with so many bytes free, as far as anybody looks."""
    web.device, web.model = "cuda", object()
    free = [0]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 8_000_000_000))
    return free


def test_the_checkpoint_makes_room_and_comes_back(web: Web, cuda: list[int]) -> None:
    def work() -> None:
        with webui.current().room():
            assert web.moves == ["to cpu"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert web.moves == ["to cpu", "gc", "back"]


@pytest.mark.parametrize("why", ["room", "no checkpoint", "not wanted", "cpu"])
def test_the_checkpoint_stays(web: Web, cuda: list[int], why: str) -> None:
    if why == "room":
        cuda[0] = 5_000_000_000
    elif why == "no checkpoint":
        web.model = None
    elif why == "not wanted":
        web.opts.data["nulie_make_room"] = False
    else:
        web.device = "cpu"
    with webui.current().room():
        pass
    assert not web.moves


def test_forge_makes_room_by_itself(web: Web, cuda: list[int]) -> None:
    asked: list[Any] = []
    memory = SimpleNamespace(free_memory=lambda *a: asked.append(a))
    there = webui.WebUI(**{**vars(webui.current()), "memory": memory})
    with there.room():
        pass
    assert asked == [(host_module.ROOM, torch.device("cuda"))]
    assert not web.moves


def failing(web: Web, name: str, times: int = 99) -> Any:
    """As that function of the web UI's would be if it failed so many times first."""
    left = [times]

    def fail(*args: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise RuntimeError(f"out of {name}")
        web.moves.append(name)

    return fail


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize(
    "name", ["send_model_to_cpu", "send_model_to_device", "torch_gc", "free_memory"]
)
def test_moves_that_fail_do_not_cost_the_image(
    web: Web, extras: Any, cuda: list[int], monkeypatch: Any, name: str, times: int
) -> None:
    module = "devices" if name == "torch_gc" else "sd_models"
    fail = failing(web, name, times)
    if name == "free_memory":
        memory = SimpleNamespace(free_memory=fail)
        webui.connect(webui.WebUI(**{**vars(webui.current()), "memory": memory}))
    else:
        monkeypatch.setattr(web.modules[f"modules.{module}"], name, fail)
    image = picture()
    pp = PostprocessedImage(image)
    extras.process(pp, enabled=True, mode="recipe", recipe=RECIPE)
    assert not web.moves  # a recipe needs no predictor
    extras.process(pp, enabled=True, mode="hard", seconds=1)
    assert "NUlIE recipe" in pp.info
    assert "NUlIE error" not in pp.info
    assert web.reports
    # What has left, if in part alone, is asked back until it comes.
    if name == "send_model_to_device":
        assert web.moves.count(name) == (times == 1)
    elif name == "send_model_to_cpu":
        assert web.moves[-1] == "back"


def test_a_card_that_cannot_tell_keeps_its_checkpoint(
    web: Web, cuda: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", failing(web, "driver"))
    with webui.current().room():
        pass
    assert not web.moves


def test_a_full_card_means_the_cpu(web: Web, cuda: list[int], monkeypatch: Any) -> None:
    def load(name: str, device: str, **kwargs: Any) -> Any:
        if device != "cpu":
            raise torch.cuda.OutOfMemoryError
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", load)
    assert "CPU" in webui.current().predictor()[1]


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("name", ["os:abort", __file__])
def test_only_names_of_predictors_are_taken(name: str) -> None:
    """Neither code to import nor a file to open, wherever the name comes from."""
    with pytest.raises(UnknownModelError):
        webui.current().predictor(name)


@pytest.mark.parametrize(("device", "used"), [("cuda:1", "cuda:1"), ("xpu", "cpu"), ("mps", "mps")])
def test_devices_are_those_that_nulie_knows(web: Web, device: str, used: str) -> None:
    web.device = device
    assert webui.current().device == used
    web.opts.data["nulie_device"] = "cpu"
    assert webui.current().device == "cpu"
