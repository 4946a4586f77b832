"""From an image to a better one: wires preview, predictor, objective, search and full-size render.

Prints nothing, reads and writes no file; whoever calls turns the events into a progress bar.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from .. import transforms
from ..color import distance, lab
from ..errors import CheckpointError
from ..memory import give_back_of
from ..predictor import Judging, Predictor, adapt, exact_form
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..recipe.space import Space
from ..search import Improved, Node, Progress, Reason, Tree, run
from ..transforms.preview import Renderer, shrink, to_image
from ..transforms.sample import sample
from ..tree.shorten import shorten
from .checkpoint import Checkpoint, digest
from .objective import SEARCH_MARGIN, Objective, Terms

MIN_DISTANCE = 2.3
"""Mean CIE76 distance of the previews from which on two variants count as distinct: about the
least difference a person notices (Mahy et al., 1994)."""
SHORTEN_LOSS, MOST_LOSS = 0.05, 0.12
"""Share of the gain that a shorter recipe may cost; and that one shorter by many steps may."""
MIN_GAIN = 0.02
"""Points by which a result must beat the input, and a step the recipe without it: a change that the
predictor hardly sees, such as a blur on a preview of 64 pixels, is not made by chance."""
FINAL_SECONDS = 0.5
"""Time for further finalists, or a twentieth of the search's where that is more."""
GRAIN = 32_768
"""Torch uses one core for an op on fewer elements than this. Where previews are that small, batches
are shared out among threads."""
MOST_WORKERS, SHARED_OUT = 4, 8
"""Threads for that at most, and the fewest recipes worth one."""
WALKED, AT_ONCE = 512, 64
"""Best nodes looked through for distinct variants, beside the best of each niche; and how many at
once."""
FINALISTS = 3
"""Candidates rendered at full size for each variant that is asked for."""


@dataclass(frozen=True)
class Started:
    """The input has been scored."""

    base: Terms


@dataclass(frozen=True)
class Variant:
    """A result: its recipe, and its marks at full size."""

    recipe: Recipe
    terms: Terms


@dataclass(frozen=True)
class Result:
    """How a run ended. `variants` is empty when nothing beat the input."""

    base: Terms
    """The input's marks, by the same exact scoring as the variants'."""
    variants: tuple[Variant, ...]
    image: Image.Image = field(repr=False)
    """The best variant at full size, RGB, or the input's pixels when nothing beat them."""
    evaluations: int
    seconds: float
    """Time of the search alone."""
    reason: Reason

    @property
    def recipe(self) -> Recipe:
        """The best variant's recipe, empty when nothing beat the input."""
        return self.variants[0].recipe if self.variants else Recipe()

    @property
    def terms(self) -> Terms:
        """The best variant's marks, or the input's when nothing beat it."""
        return self.variants[0].terms if self.variants else self.base


@dataclass(frozen=True)
class Finished:
    """The last event of a run."""

    result: Result


Event = Started | Progress | Improved | Finished


class Enhancement:
    """One search on one image. Iterate over `events()` once; the last one is `Finished`."""

    def __init__(
        self,
        image: Image.Image,
        predictor: Judging,
        settings: Settings | None = None,
        *,
        resume: Checkpoint | None = None,
        cancel: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`image` is RGB and is never changed. With `resume` the search goes on from there; the
        settings should be the checkpoint's but for the budget. `cancel` may be set from any thread:
        the search then ends within a batch and the best so far is the result.

        Raises: SettingsError when the settings leave nothing to search with, CheckpointError when
        the checkpoint is of another photo or predictor, or damaged."""
        self.settings = settings or Settings()
        self.space: Space = transforms.space(
            self.settings.mode,  # type: ignore[arg-type]  # checked there
            self.settings.ops,
            self.settings.ranges,
        )
        self.image = image
        self.tree = Tree(self.space, self.settings.seed)
        self._predictor = adapt(predictor)
        self._cancel = cancel or threading.Event()
        self._clock = clock
        self._evaluations, self._seconds = 0, 0.0
        self._best_score: float | None = None
        if resume is not None:
            self._go_on(resume)

    def _go_on(self, checkpoint: Checkpoint) -> None:
        checkpoint.check(self.image, self._predictor.name)
        try:
            self.tree.restore(checkpoint.tree)
        except (KeyError, TypeError, ValueError, IndexError) as e:
            raise CheckpointError(f"the checkpoint's tree is damaged: {e!r}") from None
        self._evaluations, self._seconds = checkpoint.evaluations, checkpoint.seconds
        self._best_score = checkpoint.best_score

    def checkpoint(self) -> Checkpoint:
        """Where the search stands. To be asked for when `events` has just given a Progress."""
        return Checkpoint(
            photo=digest(self.image),
            predictor=self._predictor.name,
            settings=self.settings,
            evaluations=self._evaluations,
            seconds=self._seconds,
            best_score=-math.inf if self._best_score is None else self._best_score,
            tree=self.tree.state(),
        )

    def events(self) -> Generator[Event, None, None]:
        """Runs the search. Closing the generator early ends it without a result."""
        start = self._clock()
        preview = shrink(self.image, self._predictor.input_size).to(self._predictor.device)
        self._preview = preview
        height, width = preview.shape[1:]
        shrunk = self.image.size != (width, height)
        self._render = Renderer(preview, sample(self.image) if shrunk else None)
        self._stream: Any = None
        if self._predictor.device.type == "cuda":
            make: Any = torch.cuda.Stream  # has no types
            self._stream = make(self._predictor.device)
        self._objective = Objective(self._predictor, preview, self.settings, margin=SEARCH_MARGIN)
        base = self._objective.base
        self._shares = min(MOST_WORKERS, torch.get_num_threads())
        small = preview.numel() < GRAIN and preview.device.type == "cpu" and self._shares > 1
        self._workers = ThreadPoolExecutor(self._shares, "nulie") if small else None
        try:
            yield from self._search(base, start)
        finally:
            if self._workers is not None:
                give_back_of(self._workers, self._shares)
                self._workers.shutdown()
                self._workers = None

    def _search(self, base: Terms, start: float) -> Generator[Event, None, None]:
        yield Started(base)
        steps = run(
            self.tree,
            self._evaluate,
            base_score=base.total,
            seconds=self.settings.seconds,
            evaluations=self.settings.evaluations,
            batch=self._predictor.batch_size,
            ahead=0 if self._stream is None else 1,
            done=self._evaluations,
            spent=self._seconds + self._clock() - start,
            best_score=self._best_score,
            cancel=self._cancel,
            clock=self._clock,
        )
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                reason: Reason = stop.value
                break
            self._evaluations, self._seconds = event.evaluations, event.seconds
            self._best_score = getattr(event, "best_score", self._best_score)
            yield event
        yield Finished(self._finish(self._evaluations, self._seconds, reason))

    def preview(self, recipe: Recipe) -> Image.Image:
        """The recipe's result as small as the predictor sees it. Only once the search has begun."""
        return to_image(self._render([recipe])[0])

    def _evaluate(self, recipes: Sequence[Recipe]) -> Sequence[float]:
        if self._workers is None or len(recipes) < 2 * SHARED_OUT:
            return self._marked(recipes)
        parts = [recipes[i :: self._shares] for i in range(self._shares)]
        totals = list(self._workers.map(self._marked, parts))
        return [totals[i % self._shares][i // self._shares] for i in range(len(recipes))]

    def _marked(self, recipes: Sequence[Recipe]) -> Sequence[float]:
        return self._objective.totals(self._rendered(recipes))

    def _rendered(self, recipes: Sequence[Recipe]) -> torch.Tensor:
        """Previews, made beside what the device is busy with: ops that read statistics wait for
        their own stream alone, not for the predictor's work on the batch before."""
        if self._stream is None:
            return self._render(recipes)
        before = torch.cuda.current_stream(self._predictor.device)
        with torch.cuda.stream(self._stream):
            batch = self._render(recipes)
        before.wait_stream(self._stream)
        batch.record_stream(before)
        return batch

    def _finish(self, evaluations: int, seconds: float, reason: Reason) -> Result:
        """Walks down the best nodes: what beats the input at full size, too, and looks unlike the
        variants before it, is a variant."""
        exact = exact_form(self._predictor)
        same = exact.input_size == self._predictor.input_size
        preview = self._preview if same else self._shrunk(self.image, exact)
        judge = Objective(exact, preview, self.settings)
        base = judge.base
        deadline = self._deadline(reason)
        floor = self._objective.base.total
        pool = [n for n in self.tree.best() if n.score > floor]
        # The best nodes are much alike; those of the niches are not.
        elites = (n for n in self.tree.elites() if n.score > floor)
        variety = dict.fromkeys([*pool[:WALKED], *elites])
        found: list[Variant] = []
        looks: list[torch.Tensor] = []
        image, tries = self.image, 3 * self.settings.top
        for node in self._distinct(list(variety), looks):
            if len(found) == self.settings.top or tries == 0:
                break
            tries -= 1
            group: list[Finalist] = []
            for recipe in dict.fromkeys(self._finalists(node, pool, evaluations, reason)):
                if group and self._clock() > deadline:
                    break
                rendered = transforms.render(recipe, self.image)
                small = self._shrunk(rendered, exact)[None]
                terms = judge(small)[0]
                if terms.total > base.total + MIN_GAIN and _unlike(small, looks):
                    group.append((Variant(recipe, terms), rendered, small))
            if not group:
                continue
            variant, rendered, small = _readable(group, base.total)
            if all(variant.terms.total > v.terms.total for v in found):
                image = rendered
            found.append(variant)
            looks.append(lab(small))
        found.sort(key=lambda v: -v.terms.total)
        return Result(base, tuple(found), image, evaluations, seconds, reason)

    def _distinct(self, nodes: Sequence[Node], looks: Sequence[torch.Tensor]) -> Iterator[Node]:
        """Those of the nodes whose previews are unlike all `looks`, to which more may be added
        meanwhile. Rendered in batches, for there may be hundreds between two of them."""
        at, size = 0, 1
        while at < len(nodes):
            part = nodes[at : at + size]
            at, size = at + size, min(2 * size, AT_ONCE)
            seen, apart = 0, torch.ones(len(part), dtype=torch.bool)
            previews: torch.Tensor | None = None
            for i, node in enumerate(part):
                if seen < len(looks) and previews is None:
                    previews = lab(self._render([n.recipe for n in part]))
                while seen < len(looks) and previews is not None:
                    apart &= (distance(previews, looks[seen]) >= MIN_DISTANCE).cpu()
                    seen += 1
                if apart[i]:
                    yield node

    def _finalists(
        self, node: Node, pool: Sequence[Node], evaluations: int, reason: Reason
    ) -> list[Recipe]:
        """A node shortened as far as it goes, as it is, shortened half as far, and the best nodes
        made by other ops: the preview may have flattered one of them."""
        shorter = self._shortened(node, pool, evaluations, reason)
        recipes = {_ops(node): node.recipe}
        for other in pool:
            if len(recipes) < FINALISTS:
                recipes.setdefault(_ops(other), other.recipe)
        first, *rest = recipes.values()
        return [shorter[0], first, shorter[len(shorter) // 2], *rest]

    def _shortened(
        self, node: Node, pool: Sequence[Node], evaluations: int, reason: Reason
    ) -> list[Recipe]:
        """The shortest first. Starts from the shortest of the nodes that are about as good."""
        loss = 0.8 * _loss(node.score - self._objective.base.total)  # full size differs a little
        start = node
        if self.settings.top == 1:
            start = min(
                (n for n in pool if n.score >= node.score - loss / 2), key=lambda n: len(n.recipe)
            )
            loss -= node.score - start.score
        most = 0 if reason == "cancelled" else self._tries(evaluations)
        return shorten(
            start.recipe,
            start.score,
            self._evaluate,
            self.space,
            loss=loss,
            most=most // self.settings.top,
        )

    def _tries(self, evaluations: int) -> int:
        """Evaluations that a readable recipe may cost: of a time budget what takes FINAL_SECONDS,
        where that is more than a tenth of the search's."""
        share = evaluations // 4
        if self.settings.seconds is not None:
            rate = evaluations / max(self._seconds, 1e-3)
            share = max(evaluations // 10, int(FINAL_SECONDS * rate))
        return min(300, max(8, share))

    def _shrunk(self, image: Image.Image, predictor: Predictor) -> torch.Tensor:
        return shrink(image, predictor.input_size).to(predictor.device)

    def _deadline(self, reason: Reason) -> float:
        """Until when more than one finalist a variant is worth its time."""
        if reason == "cancelled":
            return self._clock()
        if self.settings.seconds is None:
            return math.inf
        return self._clock() + max(FINAL_SECONDS, 0.05 * self.settings.seconds)


def _loss(gain: float) -> float:
    """Points that a shorter recipe may cost."""
    return max(SHORTEN_LOSS * gain, MIN_GAIN)


Finalist = tuple[Variant, Image.Image, torch.Tensor]
"""A variant, at full size and as the predictor sees it."""


def _readable(finalists: Sequence[Finalist], base: float) -> Finalist:
    """The shortest that is about as good as the best: it may cost MIN_GAIN for each step fewer,
    all in all at most MOST_LOSS of the gain, or what `_loss` allows where that is more."""
    best, *_ = max(finalists, key=lambda f: f[0].terms.total)

    def good_enough(variant: Variant) -> bool:
        gain = best.terms.total - base
        fewer = len(best.recipe) - len(variant.recipe)
        loss = max(_loss(gain), min(MIN_GAIN * fewer, MOST_LOSS * gain))
        return variant.terms.total >= best.terms.total - loss

    return min((f for f in finalists if good_enough(f[0])), key=lambda f: len(f[0].recipe))


def _unlike(preview: torch.Tensor, looks: Sequence[torch.Tensor]) -> bool:
    """Whether `[1, 3, H, W]` uint8 is distinct from every one of `looks`, in CIELAB."""
    if not looks:
        return True
    look = lab(preview)
    return all(float(distance(look, other)) >= MIN_DISTANCE for other in looks)


def _ops(node: Node) -> tuple[str, ...]:
    return tuple(step.op for step in node.recipe.steps)
