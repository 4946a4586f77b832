"""The routes under /nulie."""

from __future__ import annotations

import base64
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("gradio")

from fastapi import FastAPI

from nulie.recipe import Recipe
from nulie.transforms import render

from .conftest import picture
from .test_webui_scripts import web  # noqa: F401  # a fixture
from .webui_standin import Web

Call = Callable[..., Any]


@pytest.fixture
def app(web: Web) -> FastAPI:  # noqa: F811
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


def test_enhance(app: FastAPI, web: Web) -> None:  # noqa: F811
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


def test_a_recipe_is_applied_as_it_is(app: FastAPI) -> None:
    recipe = {"nulie": 1, "steps": [{"op": "brightness", "factor": 1.2}]}
    for given in (recipe, json.dumps(recipe)):
        uri = "data:image/png;base64," + encoded(picture())
        answer = client(app).post("/nulie/enhance", json={"image": uri, "recipe": given})
        wanted = render(Recipe.from_json(json.dumps(recipe)), picture())
        assert decoded(answer.json()["image"]).tobytes() == wanted.tobytes()


def test_score_and_predictors(app: FastAPI) -> None:
    answer = client(app).post("/nulie/score", json={"image": encoded(picture())})
    assert answer.json()["predictor"] == "fake"
    known = client(app).get("/nulie/predictors").json()
    assert "statistics" in [p["name"] for p in known["predictors"]]
    assert known["device"] == "cpu"


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
        {"recipe": "{}"},
        {"recipe": {"nulie": 1, "steps": [{"op": "nothing"}]}},
    ],
)
def test_bad_input_is_refused(app: FastAPI, web: Web, wrong: dict[str, Any]) -> None:  # noqa: F811
    answer = client(app).post("/nulie/enhance", json={"image": encoded(picture()), **wrong})
    assert answer.status_code == 422
    assert not web.state.log


def test_the_webui_guards_its_api(web: Web, tmp_path: Path) -> None:  # noqa: F811
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
