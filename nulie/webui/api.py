"""Routes under /nulie of the web UI's API: enhance, score, predictors."""

# No `from __future__ import annotations`: FastAPI and old pydantic read them at run time.
import base64
import binascii
import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from PIL import Image
from pydantic import BaseModel

from .. import __version__, image_io, transforms
from ..engine import Variant
from ..engine.objective import Objective
from ..errors import ImageError, NulieError, SettingsError, WeightsError
from ..image_io.encode import ENCODERS, merged_text
from ..models.weights import status
from ..predictor import NAMES, exact_form
from ..predictor.published import WEIGHTS
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..transforms.preview import shrink
from . import controls
from .host import WebUI
from .job import search

_DEFAULTS = Settings()


class EnhanceRequest(BaseModel):
    """An image, and what `Settings` takes; with a recipe that is applied and nothing searched."""

    image: str
    """Base64 of an image file; a data URI will do, an address will not."""
    mode: str = _DEFAULTS.mode
    seconds: float | None = _DEFAULTS.seconds
    evaluations: int | None = None
    seed: int = _DEFAULTS.seed
    ops: list[str] | None = None
    ranges: dict[str, tuple[float, float]] = {}  # pydantic copies it
    min_light: float = _DEFAULTS.min_light
    keep_content: float = _DEFAULTS.keep_content
    protect_skin: bool = _DEFAULTS.protect_skin
    top: int = _DEFAULTS.top
    predictor: str = ""
    """Empty: that of the settings page."""
    recipe: str | dict[str, Any] | None = None


class ScoreRequest(BaseModel):
    image: str
    predictor: str = ""


def add(app: FastAPI, webui: Callable[[], WebUI], auth: str | None) -> None:
    """Adds the routes; `auth` is the web UI's --api-auth, which does not cover them by itself."""

    # Plain functions, not async ones: FastAPI runs them in threads, where they may wait.
    def enhance(request: EnhanceRequest) -> dict[str, Any]:
        with _refusals():
            return _enhance(webui(), request)

    def score(request: ScoreRequest) -> dict[str, Any]:
        with _refusals():
            return _score(webui(), request)

    def predictors() -> dict[str, Any]:
        with _refusals():
            return _predictors(webui())

    dependencies = [Depends(_guard(auth))] if auth else []
    for path, method, handler in (
        ("/nulie/enhance", "POST", enhance),
        ("/nulie/score", "POST", score),
        ("/nulie/predictors", "GET", predictors),
    ):
        app.add_api_route(path, handler, methods=[method], dependencies=dependencies)


def _guard(auth: str) -> Callable[..., None]:
    """A check of name and password against `name:password,name:password`."""
    known = [pair.encode() for pair in auth.split(",")]

    def check(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008
        given = f"{credentials.username}:{credentials.password}".encode()
        # All of them, so that the time taken tells nothing.
        if not sum(secrets.compare_digest(given, pair) for pair in known):
            raise HTTPException(
                401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"}
            )

    return check


@contextmanager
def _refusals() -> Iterator[None]:
    """Our errors as HTTP's: the request's fault, or that of a server without the weights."""
    try:
        yield
    except WeightsError as e:
        raise HTTPException(503, str(e)) from None
    except NulieError as e:
        raise HTTPException(422, str(e)) from None


def _enhance(webui: WebUI, request: EnhanceRequest) -> dict[str, Any]:
    photo = _decoded(request.image)
    if request.recipe is not None:
        text = request.recipe if isinstance(request.recipe, str) else json.dumps(request.recipe)
        recipe = controls.find_recipe(text)
        image = transforms.render(recipe, photo.pixels)
        report = {"changed": bool(recipe.steps), "recipe": _data(recipe)}
        return {"image": _encoded(photo, image, recipe), "variants": [], "report": report}
    settings = Settings(
        mode=request.mode,
        seconds=request.seconds,
        evaluations=request.evaluations,
        seed=request.seed,
        ops=tuple(request.ops) if request.ops is not None else None,
        ranges={name: (low, high) for name, (low, high) in request.ranges.items()},
        min_light=request.min_light,
        keep_content=request.keep_content,
        protect_skin=request.protect_skin,
        top=request.top,
    )
    # Complains of what it can before it waits for its turn.
    name = _known(request.predictor)
    transforms.space(settings.mode, settings.ops, settings.ranges)  # type: ignore[arg-type]
    with webui.turn():
        found = search(webui, photo, settings, predictor=name)
    result = found.result

    def data(number: int, variant: Variant) -> dict[str, Any]:
        image = result.image if number == 0 else transforms.render(variant.recipe, photo.pixels)
        score = {
            "before": result.base.score,
            "after": variant.terms.score,
            "by": found.predictor.name,
        }
        return {
            "image": _encoded(photo, image, variant.recipe, score),
            "recipe": _data(variant.recipe),
            "words": transforms.describe(variant.recipe),
            "after": asdict(variant.terms),
        }

    variants = [data(number, variant) for number, variant in enumerate(result.variants)]
    return {
        "image": variants[0]["image"] if variants else _encoded(photo, photo.pixels),
        "variants": variants,
        "report": {
            "changed": bool(result.variants),
            "predictor": found.predictor.name,
            "note": found.note,
            "before": asdict(result.base),
            "after": asdict(result.terms),
            "recipe": _data(result.recipe),
            "words": transforms.describe(result.recipe),
            "evaluations": result.evaluations,
            "seconds": round(result.seconds, 3),
            "reason": result.reason,
        },
    }


def _score(webui: WebUI, request: ScoreRequest) -> dict[str, Any]:
    photo, name = _decoded(request.image), _known(request.predictor)
    with webui.turn():
        predictor, note = webui.predictor(name)
        exact = exact_form(predictor)
        small = shrink(photo.pixels, exact.input_size).to(exact.device)
        score = Objective(exact, small, _DEFAULTS).base.score
    return {"score": score, "predictor": predictor.name, "note": note}


def _predictors(webui: WebUI) -> dict[str, Any]:
    """What can be chosen, and which of it is on this machine; nothing is loaded."""
    files = [
        {
            "name": s.name,
            "predictors": list(s.users),
            "bytes": s.size,
            "licence": s.license,
            "present": s.present,
        }
        for s in status(WEIGHTS, webui.weights_folders())
    ]
    absent = {name for f in files if not f["present"] for name in f["predictors"]}  # type: ignore[attr-defined]
    return {
        "nulie": __version__,
        "predictors": [{"name": name, "present": name not in absent} for name in NAMES],
        "default": str(webui.option("predictor")),
        "device": webui.device,
        "weights": files,
    }


def _known(name: str) -> str:
    """Names only: a path would let a caller read files of the server."""
    if name and name not in ("auto", *NAMES):
        raise SettingsError(f"no predictor is called {name!r}; known: auto, {', '.join(NAMES)}")
    return name


def _decoded(text: str) -> image_io.Photo:
    if text.startswith(("http://", "https://")):
        raise ImageError("the image must come as base64; addresses are not fetched")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("the image is no valid base64") from None
    return image_io.load(io.BytesIO(data), name="the image")


def _encoded(
    photo: image_io.Photo,
    pixels: Image.Image,
    recipe: Recipe | None = None,
    score: Mapping[str, Any] | None = None,
) -> str:
    """Base64 of a PNG with all that came with the photo, and the recipe."""
    metadata = photo.metadata
    if recipe is not None:
        data = {**_data(recipe), **({"score": score} if score else {})}
        text = merged_text(metadata.text, {"nulie": json.dumps(data)})
        photo = replace(photo, metadata=replace(metadata, text=text))
    return base64.b64encode(ENCODERS["PNG"](photo, pixels, None)).decode()


def _data(recipe: Recipe) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recipe.to_json())
    return found
