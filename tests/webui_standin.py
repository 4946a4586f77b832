"""A stand-in for the web UI's `modules`: the contract its scripts rely on, and nothing more."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("gradio")

from nulie.predictor.loaded import PREDICTORS
from nulie.webui import controls
from nulie.webui import host as host_module

from .conftest import ROOT, FakePredictor

QUICK = {"enabled": True, "seconds": 0.5}
"""Enough for a search to find something on a machine that has other work, too."""


class State:
    """The web UI's state of its present job."""

    def __init__(self) -> None:
        self.interrupted = self.skipped = self.stopping_generation = False
        self.job, self.job_no, self.job_count = "", 0, 0
        self.sampling_step, self.sampling_steps = 0, 20
        self.texts: list[str] = []
        self.textinfo = None
        self.images: list[Image.Image] = []
        self.shares: list[float] = []
        self.log: list[str] = []

    def begin(self, job: str = "") -> None:
        self.interrupted = self.skipped = self.stopping_generation = False
        self.job, self.job_no, self.job_count = job, 0, -1
        self.log.append(f"begin {job}")

    def end(self) -> None:
        self.job, self.job_count = "", 0
        self.log.append("end")

    @property
    def textinfo(self) -> str | None:
        return self._textinfo

    @textinfo.setter
    def textinfo(self, text: str | None) -> None:
        self._textinfo = text
        if text:
            self.texts.append(text)

    def assign_current_image(self, image: Image.Image) -> None:
        self.images.append(image)
        self.shares.append(self.job_no + self.sampling_step / self.sampling_steps)


class Opts:
    """Settings: attributes of what was registered, and of what a file held."""

    def __init__(self, **values: Any) -> None:
        self.data = values
        self.data_labels: dict[str, OptionInfo] = {}

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info

    def __getattr__(self, key: str) -> Any:
        if key in self.__dict__.get("data", {}):
            return self.data[key]
        if key in self.__dict__.get("data_labels", {}):
            return self.data_labels[key].default
        raise AttributeError(key)


class OptionInfo:
    def __init__(
        self, default: Any, label: str, component: Any, component_args: Any, section: Any
    ) -> None:
        self.default, self.label, self.section = default, label, section
        self.component, self.component_args = component, component_args

    def info(self, text: str) -> OptionInfo:
        return self

    def needs_reload_ui(self) -> OptionInfo:
        return self


class ScriptPostprocessing:
    name = None
    order = 1000


class Script:
    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None: ...


class PostprocessedImage:
    """What an Extras operation gets."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.info: dict[str, Any] = {}
        self.extra_images: list[Any] = []
        self.nametags: list[str] = []
        self.disable_processing = False

    def create_copy(self, image: Image.Image, *, nametags: list[str]) -> PostprocessedImage:
        copy = PostprocessedImage(image)
        copy.nametags = [*self.nametags, *nametags]
        copy.info = self.info.copy()
        return copy


class Processing:
    """What a script for generated images gets beside them."""

    def __init__(self, batch_size: int = 1) -> None:
        self.extra_generation_params: dict[str, Any] = {}
        self.batch_size, self.n_iter, self.batch_index = batch_size, 1, 0
        self.comments: list[str] = []
        self.all_prompts = ["a cat"]
        self.mask_for_overlay: Image.Image | None = None
        self.init_images: list[Image.Image] = []

    def comment(self, text: str) -> None:
        self.comments.append(text)


class InputAccordion:
    """A value that is also a context."""

    def __init__(self, value: bool, *, label: str, elem_id: str | None = None) -> None:
        self.value, self.label, self.elem_id = value, label, elem_id

    def __enter__(self) -> InputAccordion:
        return self

    def __exit__(self, *error: object) -> None: ...


class Web:
    """One web UI: its modules, and what the scripts registered there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State()
        self.opts = Opts(
            outdir_samples="", outdir_extras_samples="outputs", postprocessing_enable_in_main_ui=[]
        )
        self.cmd_opts = SimpleNamespace(api=True, api_auth=None, hide_ui_dir_config=False)
        self.lock = threading.Lock()  # not re-entrant, as the real one
        self.reports: list[str] = []
        self.callbacks: dict[str, list[Any]] = {}
        self.moves: list[str] = []
        self.model: Any = None
        self.device = "cpu"
        self.extensions = [SimpleNamespace(path=str(ROOT))]
        self.modules = self._modules()

    def _modules(self) -> dict[str, ModuleType]:
        def on(name: str) -> Any:
            return lambda callback, **_: self.callbacks.setdefault(name, []).append(callback)

        parts: dict[str, dict[str, Any]] = {
            "shared": {
                "opts": self.opts,
                "state": self.state,
                "cmd_opts": self.cmd_opts,
                "OptionInfo": OptionInfo,
                "demo": None,
            },
            "devices": {
                "get_device_for": lambda task: torch.device(self.device),
                "torch_gc": lambda: self.moves.append("gc"),
                "without_autocast": nullcontext,
            },
            "sd_models": {
                "model_data": self,
                "send_model_to_cpu": lambda model: self.moves.append("to cpu"),
                "send_model_to_device": lambda model: self.moves.append("back"),
            },
            "call_queue": {"queue_lock": self.lock},
            "errors": {"report": lambda text, exc_info=False: self.reports.append(text)},
            "paths": {"models_path": str(self.folder / "models"), "data_path": str(self.folder)},
            "script_callbacks": {
                name: on(name) for name in ("on_ui_settings", "on_ui_tabs", "on_app_started")
            },
            "scripts": {"Script": Script, "AlwaysVisible": object(), "scripts_data": []},
            "scripts_postprocessing": {"ScriptPostprocessing": ScriptPostprocessing},
            "ui_components": {"InputAccordion": InputAccordion},
            "ui_tempdir": {"register_tmp_file": lambda demo, path: self.moves.append(path)},
            "extensions": {"active": lambda: self.extensions},
            "util": {"open_folder": lambda path: self.moves.append(path)},
            "infotext_utils": {"paste_fields": {}},
        }
        found = {"modules": ModuleType("modules")}
        for name, members in parts.items():
            module = ModuleType(f"modules.{name}")
            vars(module).update(members)
            setattr(found["modules"], name, module)
            found[f"modules.{name}"] = module
        return found

    @property
    def sd_model(self) -> Any:
        return self.model

    def load(self, name: str) -> ModuleType:
        """Runs a script as the web UI does: by its path, without an entry in `sys.modules`."""
        path = ROOT / "scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(path.name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert path.name not in sys.modules
        return module


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web UI with nulie connected, and a predictor that needs no weights."""
    there = Web(tmp_path)
    for name, module in there.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(PREDICTORS, "get", lambda *a, **k: (FakePredictor(), ""))
    monkeypatch.setattr(host_module, "_current", [])
    there.load("nulie_settings")
    for register in there.callbacks["on_ui_settings"]:
        register()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several that wait for each other are slow on a busy machine
    yield there
    torch.set_num_threads(threads)


@pytest.fixture
def extras(web: Web) -> Any:
    return web.load("nulie_extras").NulieOperation()


@pytest.fixture
def generated(web: Web) -> Any:
    return web.load("nulie_generate").NulieGenerated()


def values(script: Any, **changed: Any) -> list[Any]:
    """What the web UI passes to a script's hooks."""
    names = ["enabled", *controls.PLACES]
    given = [c.value for c in script.ui(False)]
    return [changed.get(name, value) for name, value in zip(names, given, strict=True)]
