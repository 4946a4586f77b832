"""What the scripts call. Nothing that goes wrong may leave: an exception ends a user's batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from PIL import Image

from ..errors import NulieError
from ..image_io import from_image, to_image
from ..jobs.outcome import Outcome
from ..jobs.plan import Plan
from . import controls, job, memory, parts, predictors, state
from .axes import AXES, OFF
from .host import WebUI, current
from .parts import Painted

_log = logging.getLogger(__name__)


def enhance_extra(pp: Any, values: Mapping[str, Any]) -> None:
    """Extras: `pp` is the web UI's PostprocessedImage."""

    def tell(text: str) -> None:
        pp.info[controls.ERROR] = text

    if not values.get("enabled"):
        return
    with _errors_told(tell):
        webui = current()
        if state.stopped(webui):
            return
        try:
            plan = controls.plan_of(values, predictor=webui.predictor)
            outcome = _enhance(webui, pp.image, plan)
        finally:
            if _is_last(webui):
                predictors.end_run(webui)
        if outcome is None:
            return
        first, *others = _images(outcome, plan, pp.image)
        for number, (image, infotext) in enumerate(others, 2):
            other = pp.create_copy(image, nametags=[f"nulie{number}"])
            other.info.update(infotext)
            pp.extra_images.append(other)
        pp.image = first[0]
        pp.info.update(first[1])


def restore_extra(pp: Any, values: Mapping[str, Any]) -> None:
    """The operation of Extras that restores, and searches nothing."""
    restore = f"{values.get('restore') or ''}, only"
    enhance_extra(pp, {"enabled": values.get("enabled"), "restore": restore})


def note_plan(p: Any, values: Mapping[str, Any]) -> None:
    """Before a job of generation: what is to be done goes into the infotext, which is also what the
    web UI remembers of its last job. `p` is the web UI's processing."""
    for key in {*controls.PASTED, *controls.OUTCOME_KEYS}:
        p.extra_generation_params.pop(key, None)  # of another cell of a grid
    if (values := _asked(p, values))["enabled"]:
        with _errors_told(lambda text: _tell(p, text)):
            p.extra_generation_params.update(controls.plan_text(controls.plan_of(values)))


def enhance_generated(p: Any, pp: Any, values: Mapping[str, Any]) -> None:
    """An image is finished: `pp.image`. Of one that was painted in, what was not painted stays."""
    if not (values := _asked(p, values))["enabled"]:
        return
    with _errors_told(lambda text: _tell(p, text)):
        webui = current()
        infotext = p.extra_generation_params
        for key in controls.OUTCOME_KEYS:
            infotext.pop(key, None)  # of the image before this one
        number = getattr(p, "batch_index", 0)
        painted = Painted.of(p, pp.image)
        image = pp.image.crop(painted.box) if painted else pp.image
        try:
            if state.stopped(webui):
                return
            plan = controls.plan_of(values, predictor=values.get("predictor") or webui.predictor)
            plan = replace(plan, recipe=plan.recipe or parts.recipe_of_tiles(p))
            if painted or parts.in_tiles(p):
                # It goes back to where it came from, at its size.
                plan = replace(plan, restoration=replace(plan.restoration, enlarge=False))
            outcome = _enhance(webui, image, plan, number, p.batch_size)
        finally:
            if number >= p.batch_size - 1:
                predictors.end_run(webui)  # a further batch is sampled, or another job begins
        if outcome is None:
            return
        (image, changes), *_ = _images(outcome, plan, image)
        pp.image = painted.put(pp.image, image) if painted else image
        parts.keep_recipe(p, pp.image, outcome.recipe)
        if plan.recipe is None and not parts.in_tiles(p):
            own = [key for key in controls.OUTCOME_KEYS if key in changes]
            changes |= {key: controls.OfImage(changes[key]) for key in own}
        infotext.update(changes)


def _enhance(
    webui: WebUI, image: Image.Image, plan: Plan, number: int = 0, count: int = 1
) -> Outcome | None:
    """See `job.enhance`; for one image of `count` in a part of the web UI's job."""
    photo = from_image(image, name="the image")
    searching = memory.computing(webui) if plan.recipe is None else nullcontext()
    with state.bar(webui, number, count) as show, searching:
        outcome, _ = job.enhance(webui, photo, plan, show)
    # Skip was meant for the search, which it has ended; what comes after it goes on.
    webui.shared.state.skipped = False
    return outcome


def _images(
    outcome: Outcome, plan: Plan, image: Image.Image
) -> list[tuple[Image.Image, dict[str, Any]]]:
    """The variants, best first, with their infotext; the very same `image` where none beat it."""
    asked = controls.plan_text(plan)
    if not outcome.changed:
        return [(image, {**asked, **controls.outcome_text(outcome)})]
    variants = [outcome.variant(number) for number in range(len(outcome.recipes()))]
    return [
        (to_image(photo, photo.pixels), {**asked, **controls.outcome_text(outcome, number)})
        for number, photo in enumerate(variants)
    ]


@contextmanager
def _errors_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Reports what goes wrong in the log, and tells the user."""
    try:
        yield
    except NulieError as e:
        _report(f"NUlIE: {e}")
        tell(str(e))
    except Exception as e:
        _report("NUlIE failed; the image stays as it was", exc_info=True)
        tell(f"{type(e).__name__}: {e}")


def _report(text: str, *, exc_info: bool = False) -> None:
    try:
        current().report(text, exc_info=exc_info)
    except NulieError:
        _log.error("%s", text, exc_info=exc_info)


def _is_last(webui: WebUI) -> bool:
    """Extras has no hook at its end, so the last image is known by its number."""
    job_state = webui.shared.state
    return bool(job_state.interrupted or job_state.job_no >= job_state.job_count)


def _tell(p: Any, text: str) -> None:
    """In the infotext, and in a line below the images where the web UI has such lines."""
    p.extra_generation_params[controls.ERROR] = text
    comment = getattr(p, "comment", None)
    if comment is not None:
        comment(f"NUlIE: {text}")


def _asked(p: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the controls, and those of the axes of a grid, which switch nulie on."""
    axes = getattr(p, AXES, {})
    enabled = axes.get("mode") != OFF if axes else values.get("enabled")
    return {**values, **axes, "enabled": enabled}
