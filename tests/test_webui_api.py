"""The routes under /nulie."""

# ruff: noqa: F811  # fixtures are imported

from __future__ import annotations

import base64
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("gradio")

from fastapi import FastAPI

from nulie.predictor.loaded import PREDICTORS
from nulie.recipe import Recipe
from nulie.transforms import render
from nulie.transforms.strength import scale

from .conftest import FakePredictor, picture
from .webui_standin import Web, web  # noqa: F401

Call = Callable[..., Any]


@pytest.fixture
def app(web: Web) -> FastAPI:
    found = FastAPI()
    web.load("nulie_api")
    for add in web.callbacks["on_app_started"]:
        add(None, found)
    return found


def client(app: FastAPI) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
    return TestClient(app)


def encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_enhance(app: FastAPI, web: Web) -> None:
    image = picture().convert("RGBA")
    body = {"image": encoded(image), "seconds": None, "evaluations": 60, "top": 2, "seed": 1}
    answer = client(app).post("/nulie/enhance", json=body)
    assert answer.status_code == 200
    data = answer.json()
    report = data["report"]
    assert report["evaluations"] == 60
    recipe = Recipe.from_json(json.dumps(report["recipe"]))
    assert decoded(data["image"]).mode == "RGBA"
    pixels = decoded(data["image"]).convert("RGB")
    assert pixels.tobytes() == render(recipe, image.convert("RGB")).tobytes()
    assert json.loads(decoded(data["image"]).info["nulie"])["score"]["by"] == "fake"
    assert data["variants"][0]["image"] == data["image"]
    assert web.state.log == ["begin nulie", "end"]
    assert not web.lock.locked()


def test_the_answer_has_its_form(app: FastAPI, web: Web, monkeypatch: Any) -> None:
    """Programs rely on it."""
    monkeypatch.setattr(PREDICTORS, "get", lambda *a, **k: (FakePredictor(), "a note"))
    body = {"image": encoded(picture()), "seconds": None, "evaluations": 40}
    data = client(app).post("/nulie/enhance", json=body).json()
    assert set(data) == {"image", "variants", "report"}
    assert [set(v) for v in data["variants"]] == [{"image", "recipe", "words", "after"}]
    report = data["report"]
    assert set(report) == {
        *("changed", "predictor", "note", "before", "after", "recipe", "words"),
        *("evaluations", "seconds", "reason"),
    }
    assert (report["note"], report["predictor"], report["changed"]) == ("a note", "fake", True)
    assert report["after"] == data["variants"][0]["after"]
    assert report["words"] == data["variants"][0]["words"]
    assert report["after"]["score"] > report["before"]["score"]
    scored = client(app).post("/nulie/score", json={"image": body["image"]}).json()
    assert scored == {"score": report["before"]["score"], "predictor": "fake", "note": "a note"}


def test_what_was_restored_comes_back_where_nothing_beats_it(
    app: FastAPI, monkeypatch: Any
) -> None:
    class Content(FakePredictor):
        def judge(self, photo: torch.Tensor) -> Any:
            return lambda batch: torch.full((len(batch),), 5.0)

    monkeypatch.setattr(PREDICTORS, "get", lambda *a, **k: (Content(), ""))
    body = {"image": encoded(picture()), "seconds": None, "evaluations": 20}
    data = client(app).post("/nulie/enhance", json={**body, "denoise": 20, "upscale": 2}).json()
    assert data["variants"] == []
    width, height = picture().size
    assert decoded(data["image"]).size == (2 * width, 2 * height)
    assert [s["op"] for s in data["report"]["recipe"]["steps"]] == ["denoise", "upscale"]
    assert "denoise by denoise" in data["report"]["words"]
    assert "nulie" in decoded(data["image"]).info


def test_like_another_picture_and_half_of_it(app: FastAPI, web: Web, monkeypatch: Any) -> None:
    """Its likeness judges; no predictor is asked for."""
    monkeypatch.setattr(PREDICTORS, "get", None)
    image, warm = picture(), picture(seed=3).point([min(255, v + 40) for v in range(256)] * 3)
    body = {"image": encoded(image), "seconds": None, "evaluations": 60, "like": encoded(warm)}
    report = client(app).post("/nulie/enhance", json=body).json()["report"]
    assert report["predictor"] == "likeness to the reference"
    assert report["after"]["color"] is None
    guarded = client(app).post("/nulie/enhance", json={**body, "min_color": 0.5}).json()["report"]
    assert guarded["after"]["color"] is not None
    half = client(app).post("/nulie/enhance", json={**body, "strength": 0.5}).json()
    recipe = Recipe.from_json(json.dumps(half["report"]["recipe"]))
    assert recipe == scale(Recipe.from_json(json.dumps(report["recipe"])), 0.5)
    assert decoded(half["image"]).tobytes() == render(recipe, image).tobytes()
    for wrong, said in (
        ({"like": "?"}, "the reference is no valid base64"),
        ({"predictor": "statistics"}, "both say who judges"),
        ({"strength": 2}, "strength must be within"),
    ):
        answer = client(app).post("/nulie/enhance", json={**body, **wrong})
        assert answer.status_code == 422
        assert said in answer.json()["detail"]


def test_what_nothing_beat_comes_back(app: FastAPI, web: Web, monkeypatch: Any) -> None:
    grey = Image.new("RGB", (40, 30), (150, 150, 150))
    monkeypatch.setattr(PREDICTORS, "get", lambda *a, **k: (FakePredictor(150.0), ""))
    body = {"image": encoded(grey), "seconds": None, "evaluations": 40}
    data = client(app).post("/nulie/enhance", json=body).json()
    assert not data["variants"]
    assert not data["report"]["changed"]
    assert decoded(data["image"]).tobytes() == grey.tobytes()
    assert "nulie" not in decoded(data["image"]).info


def test_interrupted_before_it_began(app: FastAPI, web: Web, monkeypatch: Any) -> None:
    def get(*args: Any, **kwargs: Any) -> Any:
        web.state.interrupted = True
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    answer = client(app).post("/nulie/enhance", json={"image": encoded(picture())})
    assert answer.status_code == 503
    assert not web.lock.locked()
    assert web.state.log == ["begin nulie", "end"]


@pytest.mark.parametrize(("given", "used"), [("", "clip-b32"), ("auto", "auto")])
def test_who_judges(app: FastAPI, web: Web, monkeypatch: Any, given: str, used: str) -> None:
    names = []

    def get(name: str, *args: Any, **kwargs: Any) -> Any:
        names.append(name)
        return FakePredictor(), ""

    monkeypatch.setattr(PREDICTORS, "get", get)
    web.opts.data["nulie_predictor"] = "clip-b32"
    body = {"image": encoded(picture()), "predictor": given}
    client(app).post("/nulie/enhance", json={**body, "evaluations": 5})
    client(app).post("/nulie/score", json=body)
    assert names == [used, used]


def test_a_recipe_is_applied_as_it_is(app: FastAPI, web: Web) -> None:
    recipe = {"nulie": 1, "steps": [{"op": "brightness", "factor": 1.2}]}
    for given in (recipe, json.dumps(recipe)):
        uri = "data:image/png;base64," + encoded(picture())
        answer = client(app).post("/nulie/enhance", json={"image": uri, "recipe": given})
        wanted = render(Recipe.from_json(json.dumps(recipe)), picture())
        data = answer.json()
        assert decoded(data["image"]).tobytes() == wanted.tobytes()
        now = {"nulie": 2, "frozen": False, "steps": recipe["steps"]}
        assert json.loads(decoded(data["image"]).info["nulie"]) == now
        assert (data["variants"], data["report"]) == ([], {"changed": True, "recipe": now})
        assert not web.state.log, "needs no predictor, and waits for nobody"


def test_score_and_predictors(app: FastAPI) -> None:
    answer = client(app).post("/nulie/score", json={"image": encoded(picture())})
    assert answer.json()["predictor"] == "fake"
    known = client(app).get("/nulie/predictors").json()
    assert "statistics" in [p["name"] for p in known["predictors"]]
    assert known["device"] == "cpu"
    assert {"x2", "realesrgan-x4plus"} < set(known["restorers"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": "no base64!"},
        {"image": base64.b64encode(b"text").decode()},
        {"image": "http://127.0.0.1/secret.png"},
        {"mode": "extreme"},
        {"seconds": -1},
        {"seconds": None},
        {"ops": ["nothing"]},
        {"ranges": {"brightness": [3, 1]}},
        {"top": "many"},
        {"predictor": "/etc/passwd"},
        {"predictor": "mine.safetensors"},
        {"predictor": "os:path"},
        {"model": "/etc/passwd"},
        {"model": "os:path"},
        {"colorize": "/etc/passwd"},
        {"colorize": True, "color_variant": "loud"},
        {"colorize": True, "hint": ["1,2"]},
        {"recipe": "{}"},
        {"recipe": {"nulie": 1, "steps": [{"op": "nothing"}]}},
    ],
)
def test_bad_input_is_refused(app: FastAPI, web: Web, wrong: dict[str, Any]) -> None:
    answer = client(app).post("/nulie/enhance", json={"image": encoded(picture()), **wrong})
    assert answer.status_code == 422
    assert not web.state.log


def test_the_webui_guards_its_api(web: Web, tmp_path: Path) -> None:
    web.cmd_opts.api_auth = "anna:secret,bert:hidden"
    app = FastAPI()
    web.load("nulie_api").add_routes(None, app)
    there = client(app)
    assert there.get("/nulie/predictors").status_code == 401
    assert there.get("/nulie/predictors", auth=("anna", "hidden")).status_code == 401
    assert there.get("/nulie/predictors", auth=("bert", "hidden")).status_code == 200
    web.cmd_opts.api = False
    without = FastAPI()
    web.load("nulie_api").add_routes(None, without)
    assert client(without).get("/nulie/predictors", auth=("bert", "hidden")).status_code == 404
