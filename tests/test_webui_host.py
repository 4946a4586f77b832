"""How nulie gets along with a web UI around it: settings, lock, memory, predictors."""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

import random
import re
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nulie import webui
from nulie.errors import UnknownModelError, WeightsError
from nulie.image_io import from_image
from nulie.jobs import picture as picture_job
from nulie.jobs.host import Host
from nulie.jobs.inputs import Item
from nulie.jobs.plan import Choice
from nulie.jobs.plan import plan as jobs_plan
from nulie.models.store import remedy
from nulie.predictor.loaded import PREDICTORS
from nulie.predictor.published import WEIGHTS
from nulie.recipe.settings import Settings
from nulie.webui import memory, predictors
from nulie.webui.job import turn
from nulie.webui.page import PageSearches

from .conftest import FakePredictor, picture
from .test_webui_scripts import RECIPE
from .webui_standin import (  # noqa: F401
    QUICK,
    PostprocessedImage,
    Processing,
    Web,
    extras,
    generated,
    values,
    web,
)


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
        with turn(webui.current()):
            assert web.lock.locked()
            assert web.state.job_count == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert not web.lock.locked()
    assert web.state.log == ["begin nulie", "end"]


@pytest.mark.parametrize("keep", [True, False])
def test_forgotten_after_a_job_of_our_own_if_wanted(web: Web, monkeypatch: Any, keep: bool) -> None:
    cleared: list[str] = []
    monkeypatch.setattr(PREDICTORS, "clear", lambda: cleared.append(web.state.log[-1]))
    web.opts.data["nulie_keep"] = keep
    with turn(webui.current()):
        pass
    assert cleared == ([] if keep else ["end"])


def test_the_page_shows_nothing_in_other_jobs(web: Web) -> None:
    """It tells of its progress while it waits for its turn, too."""
    searches = PageSearches(webui.current())
    searches.show(0.5, "x", picture())
    assert not web.state.images
    with searches.turn():
        searches.show(0.5, "x", picture())
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
        with memory.room(webui.current()):
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
    with memory.room(webui.current()):
        pass
    assert not web.moves


def test_forge_makes_room_by_itself(web: Web, cuda: list[int]) -> None:
    asked: list[Any] = []
    here = torch.device("cuda:0")
    forge = SimpleNamespace(free_memory=lambda *a: asked.append(a), get_torch_device=lambda: here)
    there = webui.WebUI(**{**vars(webui.current()), "memory": forge})
    with memory.room(there):
        pass
    assert asked == [(memory.ROOM, here)]
    assert not web.moves


@pytest.mark.parametrize("kind", ["backend", "ldm_patched", "neither"])
def test_each_kind_of_forge_has_its_memory_management(
    web: Web, monkeypatch: Any, kind: str
) -> None:
    """Where checkpoints are moved by it, what the rest of the web UI has for that does nothing."""
    theirs = ModuleType("memory")
    monkeypatch.setitem(sys.modules, "modules_forge", ModuleType("modules_forge"))
    monkeypatch.setitem(sys.modules, "backend", None)
    monkeypatch.setitem(sys.modules, "ldm_patched", None)
    parents = {"backend": "backend", "ldm_patched": "ldm_patched.modules"}
    if kind in parents:
        parent = ModuleType(parents[kind])
        name = {"backend": "memory_management", "ldm_patched": "model_management"}[kind]
        setattr(parent, name, theirs)
        monkeypatch.setitem(sys.modules, kind, ModuleType(kind))
        monkeypatch.setitem(sys.modules, parents[kind], parent)
    web.load("nulie_settings")
    assert webui.current().memory is (None if kind == "neither" else theirs)


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
        forge = SimpleNamespace(free_memory=fail, get_torch_device=lambda: "cuda:0")
        webui.connect(webui.WebUI(**{**vars(webui.current()), "memory": forge}))
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
    with memory.room(webui.current()):
        pass
    assert not web.moves


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("name", ["os:abort", __file__])
def test_only_names_of_predictors_are_taken(name: str) -> None:
    """Neither code to import nor a file to open, wherever the name comes from."""
    with pytest.raises(UnknownModelError):
        predictors.load(webui.current(), name)


def test_a_full_card_means_the_cpu(web: Web, cuda: list[int], monkeypatch: Any) -> None:
    def load(name: str, device: str, **kwargs: Any) -> Any:
        if device != "cpu":
            raise torch.cuda.OutOfMemoryError
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", load)
    assert "CPU" in predictors.load(webui.current(), "clip-sac")[1]


@pytest.mark.parametrize(("device", "used"), [("cuda:1", "cuda:1"), ("xpu", "cpu"), ("mps", "mps")])
def test_devices_are_those_that_nulie_knows(web: Web, device: str, used: str) -> None:
    web.device = device
    assert webui.current().device == used
    web.opts.data["nulie_device"] = "cpu"
    assert webui.current().device == "cpu"


# Loading, in whatever thread and among the web UI's own jobs


def load(**options: Any) -> Any:
    return predictors.load(webui.current(), "clip-sac", **options)


def test_what_is_loaded_is_of_use_outside(web: Web, monkeypatch: Any) -> None:
    """Forge's threads are in inference mode, a new one wants gradients."""
    made = []

    def get(*args: Any, **kwargs: Any) -> Any:
        made.append((torch.zeros(2).is_inference(), torch.is_grad_enabled()))
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    with torch.inference_mode():
        load()
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert made == [(False, False)] * 2
    assert torch.is_grad_enabled()


def test_who_loads_nothing_takes_back_no_draw(web: Web, monkeypatch: Any) -> None:
    """The page asks without the lock when all is there, while images may be sampled."""

    def get(*args: Any, **kwargs: Any) -> Any:
        torch.rand(1), np.random.rand(1), random.random()  # another thread's
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    monkeypatch.setattr(PREDICTORS, "ready", lambda *a: True)
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate()
    load()
    assert not torch.equal(before[0], torch.get_rng_state())
    assert before[1] != random.getstate()


def slow_download(web: Web, seen: list[str]) -> Any:
    """Downloads until somebody stops it, and that is soon."""

    def get(*args: Any, progress: Any, **kwargs: Any) -> Any:
        for mb in range(500):
            progress("clip.safetensors", mb * 1_000_000, 1_700_000_000)
            time.sleep(0.02)
            seen.extend(t for t in web.state.texts if "downloading clip.safetensors" in t)
            web.state.interrupted |= bool(seen)
        return FakePredictor(), ""

    return get


def test_a_download_is_shown_and_stops(web: Web, extras: Any, monkeypatch: Any) -> None:
    seen: list[str] = []
    monkeypatch.setattr(PREDICTORS, "get", slow_download(web, seen))
    image = picture()
    pp = PostprocessedImage(image)
    start = time.monotonic()
    extras.process(pp, **QUICK)
    assert time.monotonic() - start < 5
    assert seen[0].startswith("NUlIE: downloading clip.safetensors")
    assert "of 1,700 MB" in seen[0]
    assert "the download of clip.safetensors was stopped" in pp.info["NUlIE error"]
    assert pp.image is image


def test_the_page_loads_in_a_job_of_its_own(web: Web, monkeypatch: Any) -> None:
    """An Interrupt that was meant for an earlier job does not stop the download."""
    web.state.interrupted = True
    locked, progress = [], []

    def get(name: str, *args: Any, progress: Any, **kwargs: Any) -> Any:
        locked.append((name, web.lock.locked()))
        progress("clip.safetensors", 3_000_000, 9_000_000)
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    web.opts.data["nulie_predictor"] = "clip-b32"
    searches = PageSearches(webui.current())
    for name in ("auto", "statistics"):
        assert searches.load(Choice(name), lambda *p: progress.append(p))[0].name == "fake"
    assert locked == [("clip-b32", True), ("statistics", True)]
    assert web.state.log == ["begin nulie", "end"] * 2
    assert progress == [("clip.safetensors", 3_000_000, 9_000_000)] * 2


def test_the_page_takes_what_is_ready_beside_other_jobs(web: Web, monkeypatch: Any) -> None:
    monkeypatch.setattr(PREDICTORS, "ready", lambda *a: True)
    searches, got = PageSearches(webui.current()), []
    thread = threading.Thread(target=lambda: got.append(searches.load(Choice(), None)))
    with web.lock:
        thread.start()
        thread.join(10)
        assert got, "it waits for the lock"
    assert not web.state.log


def test_the_page_says_that_it_waits_for_another_job(web: Web, monkeypatch: Any) -> None:
    searches = PageSearches(webui.current())
    host = Host(load=searches.load, turn=searches.turn, busy=searches.busy)
    plan = jobs_plan({"seconds": 0.3})

    def words(locked: bool) -> list[str]:
        told: list[str] = []
        release = threading.Timer(0.5, web.lock.release)
        if locked:
            web.lock.acquire()
            release.start()
        item = Item(Path("a.png"))
        photo = from_image(picture(), name="a.png")
        for event in picture_job.enhance(item, photo, plan, host, cancel=threading.Event()):
            if not told or told[-1] != event.words:
                told.append(event.words)
        return told

    for loaded in (False, True):
        monkeypatch.setattr(PREDICTORS, "ready", lambda *a, loaded=loaded: loaded)
        assert words(True)[0] == "waiting for another job"
        assert "waiting for another job" not in words(False)


def test_the_remedy_is_one_of_the_web_ui(web: Web, monkeypatch: Any) -> None:
    """Who has no command line is not told of its options."""
    for weights in WEIGHTS.values():
        text = f"{weights.name} is missing; {remedy(weights)}"

        def get(*args: Any, text: str = text, **kwargs: Any) -> Any:
            raise WeightsError(text)

        monkeypatch.setattr(PREDICTORS, "get", get)
        with pytest.raises(WeightsError, match=r"missing; .* Settings, NUlIE") as error:
            load()
        monkeypatch.setattr(PREDICTORS, "get", lambda *a, t=text, **k: (FakePredictor(), t))
        for told in (str(error.value), load()[1]):
            assert not re.search("--[a-z]|nulie weights", told)


def test_stop_buttons_of_other_jobs_are_not_for_the_page(web: Web) -> None:
    searches = PageSearches(webui.current())
    web.state.interrupted = True
    assert not searches.interrupted()
    with searches.turn():
        assert not searches.interrupted()
        web.state.interrupted = True
        assert searches.interrupted()
    assert not searches.interrupted()
