"""One image of the web UI enhanced: by a search or by a recipe; with its progress bar, its stop
buttons, and whatever goes wrong kept away from it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import transforms
from ..engine import Enhancement, Finished, Result, Started
from ..errors import NulieError
from ..image_io import Photo, from_image, to_image
from ..memory import give_back
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..search import Improved, Progress
from . import controls
from .host import Show, WebUI, current

if TYPE_CHECKING:
    from ..predictor.base import Predictor

LIVE = 512
"""Long side of the live preview."""
INTERVAL = 0.5
"""Seconds between two live previews."""

_log = logging.getLogger(__name__)
_told: set[str] = set()


@dataclass(frozen=True)
class Search:
    """What a search of the web UI found."""

    photo: Photo
    result: Result
    predictor: Predictor
    note: str

    def image(self, number: int = 0) -> Image.Image:
        """A variant at full size with all that came with the input, or the input's own pixels."""
        pixels = self.result.image
        if number:
            pixels = transforms.render(self.result.variants[number].recipe, self.photo.pixels)
        return to_image(self.photo, pixels)


def search(
    webui: WebUI,
    photo: Photo,
    settings: Settings,
    *,
    predictor: str = "",
    show: Show | None = None,
) -> Search:
    """Under the web UI's lock. Interrupt and Skip end it with the best so far.

    Raises: NulieError."""
    try:
        return _search(webui, photo, settings, predictor, show or webui.show)
    finally:
        give_back()


def _search(webui: WebUI, photo: Photo, settings: Settings, predictor: str, show: Show) -> Search:
    cancel = threading.Event()
    # "Stop after this image" from before the search leaves it its time.
    told_before = webui.stopping()
    with webui.computing():
        judge, note = webui.predictor(predictor)
        if note and note not in _told:
            _told.add(note)
            _log.warning("%s", note)
        run = Enhancement(photo.pixels, judge, settings, cancel=cancel)
        with closing(run.events()) as events:
            live = _Live(show, photo, settings)
            for event in events:
                if webui.stopped() or (webui.stopping() and not told_before):
                    cancel.set()
                live.tell(event)
                if isinstance(event, Finished):
                    return Search(photo, event.result, judge, note)
    raise AssertionError("a run ends with Finished")


class _Live:
    """Shows a search as it goes."""

    def __init__(self, show: Show, photo: Photo, settings: Settings) -> None:
        self._show = show
        self._settings = settings
        self._small = photo.pixels.copy()
        self._small.thumbnail((LIVE, LIVE), Image.Resampling.BICUBIC)
        self._recipe: Recipe | None = None
        self._base = 0.0
        self._shown = 0.0

    def tell(self, event: Any) -> None:
        if isinstance(event, Started):
            self._base = event.base.total
        elif isinstance(event, Improved):
            self._recipe = event.recipe
        elif isinstance(event, Progress) and time.monotonic() - self._shown > INTERVAL:
            self._shown = time.monotonic()
            image = transforms.render(self._recipe, self._small) if self._recipe else None
            self._recipe = None
            text = f"NUlIE: {self._base:.2f} to {event.best_score:.2f}, {event.evaluations:,} tried"
            self._show(self._share(event), text, image)

    def _share(self, event: Progress) -> float:
        shares = [0.0]
        if self._settings.seconds:
            shares.append(event.seconds / self._settings.seconds)
        if self._settings.evaluations:
            shares.append(event.evaluations / self._settings.evaluations)
        return max(shares)


@dataclass(frozen=True)
class Enhanced:
    """The best image (the very same where nothing beat it), what to write of it, other variants."""

    image: Image.Image
    info: Mapping[str, Any]
    others: tuple[tuple[Image.Image, Mapping[str, Any]], ...] = ()


def enhance(
    webui: WebUI, image: Image.Image, wanted: Settings | Recipe, show: Show | None = None
) -> Enhanced:
    """Raises: NulieError."""
    photo = from_image(image, name="the image")
    if isinstance(wanted, Recipe):
        pixels = transforms.render(wanted, photo.pixels)
        return Enhanced(to_image(photo, pixels), controls.asked(wanted))
    found = search(webui, photo, wanted, show=show)
    before, name = found.result.base.score, found.predictor.name
    asked = controls.asked(wanted)
    if not found.result.variants:
        return Enhanced(image, {**asked, **controls.done(Recipe(), name, before, before)})
    images = [
        (
            found.image(number),
            {**asked, **controls.done(variant.recipe, name, before, variant.terms.score)},
        )
        for number, variant in enumerate(found.result.variants)
    ]
    return Enhanced(*images[0], tuple(images[1:]))


# What the scripts call. Nothing that goes wrong may leave: an exception ends a user's batch.


def operation(pp: Any, values: Mapping[str, Any]) -> None:
    """Extras: `pp` is the web UI's PostprocessedImage."""

    def tell(text: str) -> None:
        pp.info[f"{controls.NAME} error"] = text

    if not values.get("enabled"):
        return
    with _kept(tell):
        webui = current()
        if webui.stopped():
            return
        try:
            with webui.bar() as show:
                enhanced = enhance(webui, pp.image, controls.wish(values), show)
        finally:
            _last(webui)
        _searched(webui)
        for number, (image, info) in enumerate(enhanced.others, 2):
            other = pp.create_copy(image, nametags=[f"nulie{number}"])
            other.info.update(info)
            pp.extra_images.append(other)
        pp.image = enhanced.image
        pp.info.update(enhanced.info)


def announced(p: Any, values: Mapping[str, Any]) -> None:
    """Before a job of generation: what is asked for goes into the infotext, which is also what the
    web UI remembers of its last job. `p` is the web UI's processing."""
    if values.get("enabled"):
        with _kept(lambda text: _comment(p, text)):
            p.extra_generation_params.update(controls.asked(controls.wish(values)))


def generated(p: Any, pp: Any, values: Mapping[str, Any]) -> None:
    """An image is finished: `pp.image`."""
    if not values.get("enabled"):
        return
    with _kept(lambda text: _comment(p, text)):
        webui = current()
        told = p.extra_generation_params
        for key in controls.RESULTS:
            told.pop(key, None)  # of the image before this one
        number = getattr(p, "batch_index", 0)
        try:
            if webui.stopped():
                return
            with webui.bar(number, p.batch_size) as show:
                enhanced = enhance(webui, pp.image, controls.wish(values), show)
        finally:
            if number >= p.batch_size - 1:
                webui.done()  # a further batch is sampled, or another job begins
        _searched(webui)
        pp.image = enhanced.image
        told.update(enhanced.info)


@contextmanager
def _kept(tell: Callable[[str], None]) -> Iterator[None]:
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


def _searched(webui: WebUI) -> None:
    """Skip was meant for the search, which it has ended; what comes after it goes on."""
    webui.shared.state.skipped = False


def _last(webui: WebUI) -> None:
    """Extras has no hook at its end, so the last image is known by its number."""
    state = webui.shared.state
    if state.interrupted or state.job_no >= state.job_count:
        webui.done()


def _comment(p: Any, text: str) -> None:
    """A line below the images, where the web UI has such lines."""
    comment = getattr(p, "comment", None)
    if comment is not None:
        comment(f"NUlIE: {text}")
