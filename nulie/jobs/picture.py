"""One photo in memory: a search with all that comes before it, or a recipe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import torch

from .. import engine
from ..engine import Enhancement, Finished, Result, Started
from ..engine.events import Variant
from ..engine.objective import Objective, Terms
from ..engine.overdone import yield_guards
from ..engine.pipeline import apply
from ..engine.together import Together, sheet
from ..image_io import Photo
from ..memory import give_back
from ..predictor import Predictor, exact_form
from ..recipe import Recipe, Settings
from ..search import Improved, Progress
from ..transforms.strength import scale
from . import restoration
from .checkpoints import Keeper
from .events import Busy, Event, Noted, Searching, Waiting
from .host import LOOK, Host
from .inputs import Item
from .outcome import Outcome
from .plan import Plan, restorers


def enhance(
    item: Item, photo: Photo, plan: Plan, host: Host, *,
    cancel: threading.Event, keeper: Keeper | None = None, others: Sequence[Photo] = (),
) -> Generator[Event, None, Outcome | None]:  # fmt: skip
    """What the plan makes of a photo; with `others` of its size by a recipe that is frozen and good
    for all of them on average, see `Enhancement`. None when it was cancelled before there was a
    best so far. `cancel` may be set from any thread: a search then ends within a batch. Raises:
    NulieError."""
    models = host.models or restorers(plan)
    host = replace(host, models=models)
    if plan.recipe is not None or (plan.search and not plan.restoration):
        return (yield from _enhance(item, photo, plan, host, cancel, keeper, others))
    planned = yield from restoration.steps(item, photo, plan.restoration, models, cancel)
    if planned is None:
        return None
    first, last = planned
    restored = yield from restoration.apply(item, Recipe((), first), photo, models, cancel)
    if restored is None:
        return None
    if plan.search:
        more = []
        for other in others:
            made = yield from restoration.apply(item, Recipe((), first), other, models, cancel)
            if made is None:
                return None
            more.append(made)
        outcome = yield from _enhance(item, restored, plan, host, cancel, keeper, more)
        if outcome is None:
            return None
    else:
        outcome = Outcome(item.file_name, restored, restored, Recipe())
    made = outcome.after
    after = yield from restoration.apply(item, Recipe((), (), last), made, models, cancel)
    if after is None:
        yield Noted(item, "stopped before it was enlarged: it keeps its size")
        after, last = made, ()
    recipe = Recipe(outcome.recipe.steps, first, last)
    # A recipe is applied to the photo as it was; a search has begun with the restored one.
    before = photo if outcome.result is None else restored
    return replace(outcome, before=before, made=after, recipe=recipe, models=models)


def _enhance(
    item: Item, photo: Photo, plan: Plan, host: Host,
    cancel: threading.Event, keeper: Keeper | None, others: Sequence[Photo],
) -> Generator[Event, None, Outcome | None]:  # fmt: skip
    recipe, name = plan.recipe, item.file_name
    if recipe is not None and not plan.judge_recipe:
        made = yield from restoration.apply(item, recipe, photo, host.models, cancel)
        return None if made is None else Outcome(name, photo, made, recipe)
    if plan.like is not None:
        predictor = plan.like.predictor(plan.choice.device)
    else:
        predictor, note = yield from host.predictor(item, plan.choice)
        if note:
            yield Noted(item, note)
    ticket = host.line.join(str(predictor.device))
    try:
        while not ticket.wait(LOOK):
            if host.interrupted():
                cancel.set()
            if cancel.is_set():
                return None
            yield Waiting(item, ticket.place())
        if host.busy():
            yield Busy(item)
        with host.turn():
            if recipe is None:
                given = (item, photo, plan, predictor, host, cancel, keeper, others)
                return (yield from _search(*given))
            after = yield from restoration.apply(item, recipe, photo, host.models, cancel)
            if after is None:
                return None
            mark = marks(photo, predictor, plan.settings)
            return Outcome(name, photo, after, recipe, predictor.name, mark(photo), mark(after))
    finally:
        ticket.leave()


def _search(
    item: Item, photo: Photo, plan: Plan, predictor: Predictor, host: Host,
    cancel: threading.Event, keeper: Keeper | None, others: Sequence[Photo],
) -> Generator[Event, None, Outcome | None]:  # fmt: skip
    run = Enhancement(
        photo.pixels, predictor, plan.settings, others=[other.pixels for other in others],
        resume=plan.resume, cancel=cancel,
    )  # fmt: skip
    events = run.events()
    points: list[tuple[float, float]] = []
    base, recipe = 0.0, Recipe()

    def stand(progress: Progress) -> Searching:
        scores, cost = (base, progress.best_score), (progress.evaluations, progress.seconds)
        budget = _budget(plan.settings, progress)
        return Searching(item, *scores, recipe, *cost, *budget, stopping=cancel.is_set())

    try:
        for event in events:
            if host.interrupted():
                cancel.set()
            if isinstance(event, Started):
                base = event.base.total
                yield stand(Progress(0, 0.0, base))
            elif isinstance(event, Improved):
                recipe = event.recipe
                points.append((event.seconds, event.score))
            elif isinstance(event, Progress):
                if keeper is not None and (said := keeper.keep(run.checkpoint, at_end=False)):
                    yield Noted(item, f"{said}; the search goes on")
                yield stand(event)
            elif isinstance(event, engine.Noted):
                yield Noted(item, event.text)
            elif isinstance(event, Finished):
                if keeper is not None:
                    keeper.keep(run.checkpoint, at_end=True)
                given = (event.result, photo, predictor, plan.settings, plan.strength)
                result = turned(*given, others)
                if result.reason == "cancelled" and not result.evaluations:
                    return None
                # Rendered already: at full size that takes as long as a part of the search.
                after = photo
                if result.variants:
                    after = apply(result.recipe, photo, host.models, pixels=result.image)
                judged = (predictor.name, result.base, result.terms, result)
                told = (tuple(points), run.tree.best())
                return Outcome(item.file_name, photo, after, result.recipe, *judged, *told)
    finally:
        events.close()
        give_back()
    raise AssertionError("a run ends with Finished")


def turned(
    result: Result, photo: Photo, predictor: Predictor, settings: Settings, strength: float,
    others: Sequence[Photo] = (),
) -> Result:  # fmt: skip
    """The result of a search for a photo, or several, with its variants so strong, marked anew."""
    if strength == 1 or not result.variants:
        return result
    mark = marks(photo, predictor, yield_guards(settings, photo.pixels)[0], *others)
    recipes = [scale(variant.recipe, strength) for variant in result.variants]
    made = [[apply(recipe, one) for one in (photo, *others)] for recipe in recipes]
    marked = zip(recipes, made, strict=True)
    variants = tuple(Variant(recipe, mark(*pictures)) for recipe, pictures in marked)
    return replace(result, variants=variants, image=made[0][0].pixels)


def _budget(settings: Settings, progress: Progress) -> tuple[float, float | None]:
    """The share of it that is spent, 0..1, and the seconds that are left where it has any."""
    shares, left = [0.0], None
    if settings.seconds is not None:
        shares.append(progress.seconds / settings.seconds)
        left = max(0.0, settings.seconds - progress.seconds)
    if settings.evaluations is not None:
        shares.append(progress.evaluations / settings.evaluations)
    return min(1.0, max(shares)), left


def marks(
    photo: Photo, predictor: Predictor, settings: Settings, *others: Photo
) -> Callable[..., Terms]:
    """Marks versions of a photo, or of several together, by the exact form of a predictor."""
    exact = exact_form(predictor)

    def small(*photos: Photo) -> torch.Tensor:
        return sheet([one.pixels for one in photos], exact.input_size).to(exact.device)

    objective: Objective | Together = Objective(exact, small(photo), settings)
    if others:
        images = [one.pixels for one in (photo, *others)]
        objective = Together(exact, small(photo, *others), settings, images)

    def mark(*versions: Photo) -> Terms:
        if versions[0] is photo:
            return objective.base
        return objective(small(*versions)[None])[0]

    return mark
