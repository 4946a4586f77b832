"""From an image to a better one: wires preview, objective, search and election, and tells of it.
Prints nothing, reads and writes no file."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import transforms
from ..errors import CheckpointError
from ..predictor import Judging, Predictor, adapt, exact_form, take_notes
from ..predictor.pair import Pair
from ..predictor.target import Target
from ..recipe import Settings, Space
from ..search import Progress, Reason, Tree, run
from .checkpoint import Checkpoint, digest
from .evaluate import Evaluator, renderer
from .events import Event, Finished, Noted, Result, Started
from .finalists import CHOICES, MIN_GAIN, Election
from .objective import SEARCH_MARGIN, Objective
from .overdone import yield_guards
from .together import Together, sheet

if TYPE_CHECKING:
    import torch

PATIENCE = 1.0
"""How long a search with a target waits for a gain, see `Settings.patience`. With `statistics`, one
thread of a busy machine, 10 seconds, both modes and two seeds on eight photographs, a search then
took 2.7 s and 920 evaluations on average, and its best score was 0.007 points below that of the
full time, at most 0.050. With .5 and 2 it was 2.6 and 3.5 s, 0.007 and 0.004 points; with 300 and
800 for LEAST_WAIT 2.3 and 3.5 s, 0.010 and 0.004 points."""


class Enhancement:
    """One search on one image. Iterate over `events()` once; the last one is `Finished`."""

    def __init__(
        self, image: Image.Image, predictor: Judging, settings: Settings | None = None, *,
        others: Sequence[Image.Image] = (), resume: Checkpoint | None = None,
        cancel: threading.Event | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`image` is RGB and is never changed. With `others`, of its size, one recipe is searched
        for all of them: what is worth most on average, measured of all together and frozen; the
        image of the result is then the first one's. With `resume` the search goes on from there;
        the settings should be the checkpoint's but for the budget. `cancel` may be set from any
        thread: the search then ends within a batch and the best so far is the result.

        Raises: SettingsError when the settings leave nothing to search with, CheckpointError when
        the checkpoint is of another photo or predictor, or damaged."""
        given = self.settings = settings or Settings()
        self.image, self._others = image, tuple(others)
        self._predictor = adapt(predictor)
        self._exact = exact_form(self._predictor)
        pair = predictor if isinstance(predictor, Pair) else None
        guide = pair.proposer if pair else self._predictor
        self.space: Space = resume.space if resume else _space(given, guide)
        self.tree = Tree(self.space, given.seed)
        self._choices = CHOICES if pair else 1
        self._patience = _patience(given, guide)
        self._cancel = cancel or threading.Event()
        self._clock = clock
        self._spent = 0, 0.0  # evaluations, and seconds
        self._best_score: float | None = None
        if resume is None:
            return
        resume.check(image, self._predictor.name)
        try:
            self.tree.restore(resume.tree)
        except (KeyError, TypeError, ValueError, IndexError) as e:
            raise CheckpointError(f"the checkpoint's tree is damaged: {e!r}") from None
        self._spent = resume.evaluations, resume.seconds
        self._best_score = resume.best_score

    def checkpoint(self) -> Checkpoint:
        """Where the search stands. To be asked for when `events` has just given a Progress."""
        best = -math.inf if self._best_score is None else self._best_score
        photo, name = digest(self.image), self._predictor.name
        tree = self.tree.state()
        return Checkpoint(photo, name, self.settings, *self._spent, best, self.space, tree)

    def events(self) -> Generator[Event, None, None]:
        """Runs the search. Closing the generator early ends it without a result."""
        start = self._clock()
        images = (self.image, *self._others)
        preview = sheet(images, self._predictor.input_size).to(self._predictor.device)
        render = renderer(self.image, preview, *self._others)
        settings, remarks = yield_guards(self.settings, self.image)
        objective = self._objective(self._predictor, preview, settings, SEARCH_MARGIN)
        with Evaluator(render, objective.totals, preview) as evaluator:
            yield Started(objective.base)
            for text in remarks:
                yield Noted(text)
            yield from self._notes()
            reason = yield from self._search(evaluator, objective.base.total, start)
            if self._exact.input_size != self._predictor.input_size:
                preview = sheet(images, self._exact.input_size)
            preview, judge = preview.to(self._exact.device), objective.exactly()
            if self._exact is not self._predictor:
                judge = self._objective(self._exact, preview, settings)
            election = Election(
                self.image, self._exact, preview, settings,
                judge=judge, evaluator=evaluator, floor=objective.base.total, space=self.space,
                spent=self._spent, reason=reason, clock=self._clock, choices=self._choices,
                others=self._others,
            )  # fmt: skip
            variants, image = election.hold(self.tree)
        yield from self._notes()
        yield Finished(Result(election.base, variants, image, *self._spent, reason))

    def _objective(
        self, predictor: Predictor, preview: torch.Tensor, settings: Settings, margin: float = 0.0
    ) -> Objective | Together:
        """`settings`: with those guards alone that an image needs. Several have guards each."""
        if self._others:
            images = (self.image, *self._others)
            return Together(predictor, preview, self.settings, images, margin=margin)
        return Objective(predictor, preview, settings, margin=margin)

    def _search(
        self, evaluator: Evaluator, base_score: float, start: float
    ) -> Generator[Event, None, Reason]:
        done, spent = self._spent
        prepared = self._clock() - start
        if self.settings.seconds is not None:
            # A device that computes for the first time takes seconds: half of them are kept.
            prepared = min(prepared, self.settings.seconds / 2)
        steps = run(
            self.tree, evaluator, base_score=base_score,
            seconds=self.settings.seconds, evaluations=self.settings.evaluations,
            batch=self._predictor.batch_size, ahead=evaluator.ahead,
            done=done, spent=spent + prepared, best_score=self._best_score,
            patience=self._patience, rise=MIN_GAIN, cancel=self._cancel, clock=self._clock,
        )  # fmt: skip
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                reason: Reason = stop.value
                return reason
            self._spent = event.evaluations, event.seconds
            if isinstance(event, Progress):
                self._best_score = event.best_score
            yield from self._notes()
            yield event

    def _notes(self) -> Iterator[Noted]:
        return map(Noted, (*take_notes(self._predictor), *take_notes(self._exact)))


def _space(settings: Settings, predictor: Predictor) -> Space:
    """What to search: for a target, which compares some pixels of a small preview and so cannot
    tell a blur from a clean-up, without the ops that look at a pixel's neighbors, unless the user
    names them."""
    mode: Any = settings.mode  # checked there
    whole: Space = transforms.space(mode, settings.ops, settings.ranges)
    if settings.ops is not None or not isinstance(predictor, Target):
        return whole
    named = {name.partition(".")[0] for name in settings.ranges}
    return tuple(m for m in whole if m.op in named or transforms.get(m.op).reach is None)


def _patience(settings: Settings, predictor: Predictor) -> float:
    """What is asked for, else what is usual; 0 where the search has all of its budget. Without a
    time the same budget always gives the same result."""
    if settings.patience is not None:
        return settings.patience
    return PATIENCE if settings.seconds is not None and isinstance(predictor, Target) else 0.0
