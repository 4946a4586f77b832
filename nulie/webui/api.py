"""Routes under /nulie of the web UI's API: enhance, score, predictors."""

# No `from __future__ import annotations`: FastAPI and old pydantic read them at run time.
import base64
import binascii
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel

from .. import __version__, restore
from ..errors import ImageError, NulieError, SettingsError, WeightsError
from ..image_io import Photo, load
from ..image_io.encode import encoded, merged_text
from ..jobs.outcome import file_text
from ..jobs.plan import Choice, Plan, plan
from ..jobs.score import of_photo
from ..models.store import status
from ..predictor import NAMES
from ..predictor.published import WEIGHTS
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..restore import color_models
from ..transforms import describe
from . import job, state
from .host import WebUI

_DEFAULTS = Settings()


class EnhanceRequest(BaseModel):
    """An image, and what `Settings` takes; with a recipe that is applied and nothing searched."""

    image: str
    """Base64 of an image file; a data URI will do, an address will not."""
    mode: str = _DEFAULTS.mode
    seconds: float | None = _DEFAULTS.seconds
    evaluations: int | None = None
    patience: float | None = None
    seed: int = _DEFAULTS.seed
    ops: list[str] | None = None
    ranges: dict[str, tuple[float, float]] = {}  # pydantic copies it
    min_light: float | None = None
    min_color: float | None = None
    min_contrast: float | None = None
    keep_content: float = _DEFAULTS.keep_content
    protect_skin: bool | None = None
    """Of the guards null is the default; with `like`: off."""
    top: int = _DEFAULTS.top
    predictor: str = ""
    """Empty: that of the settings page."""
    like: str | None = None
    """Base64 of a picture that the result is to look like; in place of a predictor."""
    repair: float | str | None = None
    denoise: float | str | None = None
    """A number, or auto, see `nulie --help`."""
    scan: bool = False
    upscale: float | str | None = None
    model: str = ""
    """A restorer's name; `/nulie/predictors` lists them."""
    faithful: float | None = None
    colorize: bool | str = False
    """True or a model's name: colours are guessed for a black-and-white image."""
    color_variant: str | None = None
    hint: list[str] = []  # pydantic copies it
    """Colours of points, such as 120,80=#7a2230."""
    search: bool = True
    """Whether there is a search; else it is restored alone."""
    strength: float = 1.0
    """0 to 1.5: turns what was found, or the recipe, down or up."""
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
    photo = _decode(request.image)
    plan = _plan(webui, request)
    with job.turn(webui) if plan.recipe is None else nullcontext():
        outcome, notes = job.enhance(webui, photo, plan, partial(state.show, webui))
    if outcome is None:
        raise HTTPException(503, "stopped before anything was tried; send the image again")
    result, recipe, report = outcome.result, outcome.recipe, outcome.data()
    if result is None:
        report = {"changed": recipe != Recipe(), **report}
        image = _encode(outcome.after, recipe)
        told = {"note": "; ".join(notes)} if notes else {}
        return {"image": image, "variants": [], "report": {**report, **told}}
    report |= {"note": "; ".join(notes), "after": asdict(result.terms), "words": describe(recipe)}
    variants = []
    for number, told in enumerate(report.pop("variants")):
        own = outcome.recipes()[number]
        image = _encode(outcome.variant(number), own, outcome.score(number))
        variants.append({"image": image, "words": describe(own), **told})
    if variants:
        image = variants[0]["image"]
    else:  # restored it may be all the same
        image = _encode(outcome.after, recipe if outcome.changed else None)
    return {"image": image, "variants": variants, "report": report}


def _plan(webui: WebUI, request: EnhanceRequest) -> Plan:
    """Complains of what it can before the request waits for its turn."""
    like = None if request.like is None else _decode(request.like, "the reference")
    if request.recipe is not None:
        return plan({"recipe": request.recipe, "strength": request.strength, "like": like})
    given = {name: value for name, value in request if name not in ("image", "recipe")}
    if request.model:
        restore.find(request.model, named_only=True, folders=webui.restorers_folders())
    if request.seconds is None and request.evaluations is None:
        # To a plan both mean the default, but who writes null means no limit.
        raise SettingsError("give seconds or evaluations, or the search never ends")
    name = _predictor_name(webui, request.predictor)
    made = plan({**given, "like": like, "predictor": name if like is None else request.predictor})
    for model in made.restoration.colorists:
        color_models.REGISTRY.find(model, named_only=True, files=restore.files())
    return made


def _score(webui: WebUI, request: ScoreRequest) -> dict[str, Any]:
    photo = _decode(request.image)
    choice = Choice(_predictor_name(webui, request.predictor))
    with job.turn(webui):
        predictor, note = job.load(webui, choice, partial(state.show, webui))
        score = of_photo(photo, predictor)
    return {"score": score, "predictor": predictor.name, "note": note}


def _predictors(webui: WebUI) -> dict[str, Any]:
    """What can be chosen, and which of it is on this machine; nothing is loaded."""
    files = status(WEIGHTS, webui.weights_folders())
    absent = {name for file in files if not file.present for name in file.users}
    return {
        "nulie": __version__,
        "predictors": [{"name": name, "present": name not in absent} for name in NAMES],
        "default": str(webui.option("predictor")),
        "restorers": [*restore.REGISTRY.names(), *restore.files(webui.restorers_folders())],
        "colorists": list(color_models.REGISTRY.names()),
        "device": webui.device,
        "weights": [
            {
                "name": file.name, "predictors": list(file.users), "bytes": file.size,
                "licence": file.license, "present": file.present,
            }
            for file in files
        ],
    }  # fmt: skip


def _predictor_name(webui: WebUI, name: str) -> str:
    """Names only: a path would let a caller read the server's files. Raises: SettingsError."""
    if name and name not in ("auto", *NAMES):
        raise SettingsError(f"no predictor is called {name!r}; known: auto, {', '.join(NAMES)}")
    return name or webui.predictor


def _decode(text: str, name: str = "the image") -> Photo:
    if text.startswith(("http://", "https://")):
        raise ImageError(f"{name} must come as base64; addresses are not fetched")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError(f"{name} is no valid base64") from None
    return load(io.BytesIO(data), name=name)


def _encode(photo: Photo, recipe: Recipe | None = None, score: dict[str, Any] | None = None) -> str:
    """Base64 of a PNG with all that came with the photo, and with the recipe."""
    if recipe is not None:
        metadata = photo.metadata
        text = merged_text(metadata.text, file_text(recipe, score))
        photo = replace(photo, metadata=replace(metadata, text=text))
    return base64.b64encode(encoded(photo, photo.pixels, "PNG")).decode()
