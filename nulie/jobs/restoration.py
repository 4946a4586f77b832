"""What a job restores: before the search, what a photo needs; after it, its size."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..engine import pipeline
from ..errors import SettingsError
from ..image_io import Photo
from ..recipe import ModelStep, Recipe
from ..recipe.steps import ModelSteps
from ..restore import catalog, color_models, create, model_id, size
from . import coloring, values
from .coloring import Coloring
from .events import Event, Noted, Restoring
from .inputs import Item

if TYPE_CHECKING:
    from ..restore import Restorer
    from ..restore.color_models import Colorist

AUTO = "auto"
"""As much as the photo needs: nothing, where nothing is wrong with it."""
POOR_QUALITY = 75
"""Of a JPEG: below it traces are taken away unasked."""
Amount = float | str | None
"""A number, `AUTO`, or None: not at all."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Restoration:
    """What to restore; `plan` checks it."""

    repair: Amount = None
    """Quality of the JPEG whose traces are to go, 1..100."""
    denoise: Amount = None
    """Standard deviation of the noise that is to go, in levels, above 0 and at most 75."""
    scan: bool = False
    """Whether it is the scan of a printed page."""
    upscale: str | None = None
    """A text for `size.parse`."""
    models: tuple[str, ...] = ()
    """Names or files of further restorers: one that enlarges is taken for `upscale`, others come
    first, in their order."""
    strength: float = 1.0
    """How much of what they do is done, 0..1, where they do not enlarge."""
    faithful: float | None = None
    """How near the truth an enlargement is to be, 0..1, where it cannot be both that and lifelike;
    None: as its model was made, x2 and x4 to be so alone."""
    color: Coloring | None = None
    enlarge: bool = True
    """Whether its size may change at all."""

    def __bool__(self) -> bool:
        size = self.upscale and self.enlarge
        steps = (self.repair, self.denoise, self.scan, size, self.models, self.color)
        return any(steps)

    @property
    def colorists(self) -> tuple[str, ...]:
        return (self.color.model,) if self.color else ()


NAMES = (
    *("repair", "denoise", "scan", "upscale", "model", "restore_strength", "faithful"),
    *coloring.NAMES,
)


def read(given: Mapping[str, Any]) -> Restoration:
    """From values by `NAMES`. Raises: SettingsError."""
    models = given.get("model") or ()
    strength = _share("restore-strength", given.get("restore_strength", 1.0))
    faithful = given.get("faithful")
    upscale = given.get("upscale")
    return Restoration(
        _amount("repair", given.get("repair"), 1, 100),
        _amount("denoise", given.get("denoise"), 0.1, 75),
        bool(given.get("scan", False)),
        size.parse(upscale).text if upscale else None,
        (str(models),) if isinstance(models, (str, Path)) else tuple(map(str, models)),
        strength,
        None if faithful is None else _share("faithful", faithful),
        coloring.read(given),
    )


def _share(name: str, value: Any) -> float:
    share = values.number(name, value)
    if not 0 <= share <= 1:
        raise SettingsError(f"{name} must be within 0..1, not {share:g}")
    return share


def _amount(name: str, value: Any, least: float, most: float) -> Amount:
    if value is None or value is False or value == "":
        return None
    if value is True or value == AUTO:
        return AUTO
    number = values.number(name, value)
    if not least <= number <= most:
        raise SettingsError(f"{name} must be within {least:g}..{most:g}, or auto, not {number:g}")
    return number


def untold(words: str, share: float) -> None:
    """Nobody wants to know what a restorer is at, and the share of it that is done."""


def of_text(text: str) -> dict[str, Any]:
    """Values of a plan from a text such as `repair, denoise=12, upscale=2, only`; `only` leaves the
    search out. Raises: SettingsError on another word."""
    asked = values.entries(text)
    unknown = [name for name in asked if name not in _WORDS]
    if unknown:
        raise SettingsError(f"restore {unknown[0]}: known are {', '.join(_WORDS)}")
    given: dict[str, Any] = {name: value or AUTO for name, value in asked.items()}
    if given.get("upscale") == AUTO:
        given["upscale"] = "2"
    if "colorize" in given:
        given |= coloring.of_text(given["colorize"])
    if given.pop("only", None):
        given["search"] = False
    return given


def to_text(wanted: Restoration, *, search: bool) -> str:
    """The text that `of_text` reads, which has room for one model."""
    asked = {name: getattr(wanted, name) for name in ("repair", "denoise", "upscale", "faithful")}
    told = [
        name if value == AUTO else f"{name}={value if isinstance(value, str) else f'{value:g}'}"
        for name, value in asked.items()
        if value is not None
    ]
    told += [f"model={model}" for model in wanted.models[:1]]
    told += ["scan"] * wanted.scan + ["only"] * (not search)
    told += [coloring.to_text(wanted.color)] if wanted.color else []
    return ", ".join(told)


_WORDS = ("repair", "denoise", "scan", "upscale", "model", "faithful", "colorize", "only")


class Restorers:
    """Loads each restorer once; the `pipeline.Models` of a job."""

    def __init__(
        self, device: str = "auto", given: Sequence[str] = (), *,
        folders: Sequence[Path] = (), named_only: bool = False,
    ) -> None:  # fmt: skip
        """`given`: models of the user's own choice, which recipes may name, too; names alone with
        `named_only`, see `create`. `folders`: where files lie that have names."""
        self._device, self._given = device, given
        self._named_only, self._folders = named_only, folders
        self._loaded: dict[str, Restorer] = {}
        self._colorists: dict[str, Colorist] = {}
        self._lock = threading.Lock()
        self.tell: Callable[[str, float], None] = untold

    def get(self, model: str, *, named_only: bool = False) -> Restorer:
        """By a name, a file, `module:Name` or a recipe's `NAME@sha256`. Raises: as `create`."""
        with self._lock:
            if model not in self._loaded:
                published = catalog.PUBLISHED.get(model.partition("@")[0])
                if published is not None:
                    self._obtain(published)
                only = named_only or self._named_only
                self._loaded[model] = create(
                    model, self._device, named_only=only, folders=self._folders
                )
            return self._loaded[model]

    def colorist(self, model: str, *, named_only: bool = False) -> Colorist:
        """As `get`, for models that colour."""
        with self._lock:
            if model not in self._colorists:
                needed = color_models.needed(model)
                if needed is not None:
                    self._obtain(needed)
                only = named_only or self._named_only
                found = color_models.create(model, self._device, named_only=only)
                self._colorists[model] = self._colorists[color_models.model_id(found)] = found
            return self._colorists[model]

    def to_come(self, models: Iterable[str], colorists: Iterable[str]) -> Iterator[str]:
        """What will be downloaded for these, and under which licence, in sentences. Raises:
        ExtraError where it could not be used."""
        from ..models import store

        needed = [catalog.PUBLISHED.get(model.partition("@")[0]) for model in models]
        for weights in (*needed, *map(color_models.needed, colorists)):
            if weights is not None and store.find(weights) is None:
                _require(weights)
                told = f"{weights.size / 1e6:,.0f} MB, licence {weights.license}"
                yield f"{weights.name} is downloaded, once: {told}"

    def _obtain(self, weights: Any) -> None:
        from ..models import store

        _require(weights)

        def progress(file: str, done: int, whole: int) -> None:
            words = f"downloading {file}: {done / 1e6:,.0f} of {whole / 1e6:,.0f} MB"
            self.tell(words, done / max(1, whole))

        store.obtain(weights, progress=progress)

    def restorer(self, step: ModelStep) -> pipeline.Restore:
        """See `pipeline.Models`. A recipe may come from anywhere: it names neither files nor code
        but those that the user has given."""
        if step.op == coloring.OP:
            return self._colored(step)
        given = (self.get(model) for model in self._given)
        own = next((known for known in given if model_id(known) == step.model), None)
        restorer = own or self.get(step.model, named_only=True)

        def restore(photo: Photo) -> Photo:
            from ..restore import pictures

            def tell(share: float) -> None:
                self.tell(f"{step.op} by {step.name}", share)

            return pictures.restore(photo, restorer, dict(step.params), tell=tell)

        return restore

    def _colored(self, step: ModelStep) -> pipeline.Restore:
        colorist = self.colorist(step.model, named_only=True)

        def restore(photo: Photo) -> Photo:
            from ..restore import colorize

            def tell(share: float) -> None:
                self.tell(f"{step.op} by {step.name}", share)

            return colorize.restore(photo, colorist, dict(step.params), tell=tell)

        return restore

    def upscaler(self, wanted: Restoration, photo: Photo) -> Restorer | None:
        """The one that enlarges: that of `wanted`, else the own one next to the size asked for; the
        vivid one, which there is for twice alone, does it as often as it takes."""
        if not wanted.enlarge:
            return None
        for model in wanted.models:
            restorer = self.get(model)
            if restorer.scale > 1:
                return restorer
        if wanted.upscale is None:
            return None
        if wanted.faithful not in (None, 1):
            return self.get("vivid-x2")
        width, height = size.parse(wanted.upscale).of(*photo.size)
        return self.get("x2" if max(width / photo.size[0], height / photo.size[1]) <= 2 else "x4")


def _require(weights: Any) -> None:
    """Raises: ExtraError where a published model could not be used."""
    from ..restore import community

    if weights.name in catalog.PUBLISHED:
        community.require()
    elif weights.name == "ddcolor":
        color_models.require()


def first_steps(
    photo: Photo, wanted: Restoration, restorers: Restorers
) -> tuple[ModelSteps, list[str]]:
    """What comes before a search, and what was measured, in sentences. Raises: as `create`."""
    steps: list[ModelStep] = []
    notes: list[str] = []

    def add(op: str, restorer: Restorer, **params: float | str) -> None:
        if wanted.strength < 1:
            params["strength"] = wanted.strength
        if wanted.faithful is not None and _has_dial(restorer, "faithful"):
            params["faithful"] = wanted.faithful
        steps.append(ModelStep.of(op, model_id(restorer), **params))

    for model in wanted.models:
        restorer = restorers.get(model)
        if restorer.scale == 1:
            add("restore", restorer)
    if wanted.scan:
        add("scan", restorers.get("scan"))
    if wanted.repair is not None:
        quality = wanted.repair
        if quality == AUTO:
            quality = _quality(photo)
            if quality:
                notes.append(f"it was saved as a JPEG of quality {quality:g}: repaired")
        if quality:
            add("repair", restorers.get("repair"), quality=float(quality))
    if wanted.denoise is not None:
        sigma = wanted.denoise
        if sigma == AUTO:
            sigma = _noise(photo, repaired=bool(steps))
            if sigma:
                notes.append(f"it has noise of {sigma:g} levels: denoised")
        if sigma:
            add("denoise", restorers.get("denoise"), sigma=float(sigma))
    if wanted.color is not None:
        note = coloring.in_color(photo)
        if note:
            notes.append(note)
        else:
            colorist = restorers.colorist(wanted.color.model)
            steps.append(coloring.step(photo, wanted.color, colorist, wanted.strength))
    return tuple(steps), notes


def last_steps(photo: Photo, wanted: Restoration, restorers: Restorers) -> ModelSteps:
    """What comes after it. Raises: ImageError on a size that is too large; as `create`."""
    restorer = restorers.upscaler(wanted, photo)
    if restorer is None:
        return ()
    asked = wanted.upscale or f"{restorer.scale}"
    size.parse(asked).of(*photo.size)
    params: dict[str, float | str] = {"size": asked}
    if wanted.faithful is not None and _has_dial(restorer, "faithful"):
        params["faithful"] = wanted.faithful
    elif wanted.faithful not in (None, 1):
        raise SettingsError(f"--faithful {wanted.faithful:g}: {restorer.name} can be only one way")
    return (ModelStep.of("upscale", model_id(restorer), **params),)


def _has_dial(restorer: Restorer, name: str) -> bool:
    return any(dial.name == name for dial in restorer.dials)


def steps(
    item: Item, photo: Photo, wanted: Restoration, restorers: Restorers, cancel: threading.Event
) -> Generator[Event, None, tuple[ModelSteps, ModelSteps] | None]:
    """What comes before a search and after it: both before it, so that what cannot be made is known
    then. None when `cancel` was set meanwhile. Raises: as `first_steps` and `last_steps`."""
    for note in restorers.to_come(wanted.models, wanted.colorists):
        yield Noted(item, note)

    def find() -> tuple[ModelSteps, list[str], ModelSteps]:
        first, notes = first_steps(photo, wanted, restorers)
        return first, notes, last_steps(photo, wanted, restorers)

    found = yield from watch(item, restorers, find, cancel)
    if found is None:
        return None
    first, notes, last = found
    for note in notes:
        yield Noted(item, note)
    return first, last


def _quality(photo: Photo) -> float:
    """Of the JPEG that the photo was, where it is poor; else 0."""
    from ..restore import measure

    stated = photo.metadata.options.get("quality") if photo.format == "JPEG" else None
    if stated is not None and stated < POOR_QUALITY:
        return float(stated)
    measured = measure.jpeg_quality(photo.pixels)
    return float(measured) if measured is not None and measured < POOR_QUALITY else 0.0


def _noise(photo: Photo, *, repaired: bool) -> float:
    """Of the photo, where it is plain to be seen, else 0. What a JPEG of poor quality has at high
    frequencies is its own, and is taken away by its repair."""
    from ..restore import measure

    if repaired:
        return 0.0
    return round(min(75.0, measure.noise(photo.pixels)), 1)


def apply(
    item: Item, recipe: Recipe, photo: Photo, models: Any, cancel: threading.Event
) -> Generator[Event, None, Photo | None]:
    """`pipeline.apply`, with events where models take their time; None when `cancel` was set while
    they did. With nothing to apply it is the photo itself. Raises: as that does."""
    if recipe == Recipe():
        return photo
    steps = (*recipe.before, *recipe.after)
    if not steps or not isinstance(models, Restorers):
        return pipeline.apply(recipe, photo, models)
    colorists = [step.name for step in steps if step.op == coloring.OP]
    others = [step.name for step in steps if step.op != coloring.OP]
    for note in models.to_come(others, colorists):
        yield Noted(item, note)
    return (yield from watch(item, models, lambda: pipeline.apply(recipe, photo, models), cancel))


def watch(
    item: Item, restorers: Restorers, work: Callable[[], Made], cancel: threading.Event
) -> Generator[Event, None, Made | None]:
    """Does the work in a thread, telling how far it is. None when `cancel` was set meanwhile, but
    not when it was set before: a search that was ended has its result finished. Raises: as it."""
    told: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
    made: Future[Made] = Future()
    late = cancel.is_set()

    def tell(words: str, share: float) -> None:
        if cancel.is_set() and not late:
            raise _Cancelled
        told.put((words, share))

    def run() -> None:
        try:
            made.set_result(work())
        except BaseException as e:
            made.set_exception(e)
        told.put(None)

    restorers.tell = tell
    threading.Thread(target=run, name="nulie restore", daemon=True).start()
    while not made.done() or not told.empty():
        try:
            said = told.get(timeout=0.5)  # for ever, Ctrl-C would not come through everywhere
        except queue.Empty:
            continue
        if said is not None and told.empty():
            yield Restoring(item, *said)
    restorers.tell = untold
    try:
        return made.result()
    except _Cancelled:
        return None


class _Cancelled(Exception):
    pass
