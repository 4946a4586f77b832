"""The recipe that turns one picture into another, an edit of the same photo made elsewhere.

What was done to colors is looked for on some thousand pixels as both pictures have them, among
chains of ops: the best so far with one more step, of any op at any place, one less, or one
elsewhere. Since each pixel says what it should be, all dials of a chain are turned at once, by
Levenberg and Marquardt's method on CIELAB differences. Detail is found before that, as the blur or
sharpening after which equal colors became equal colors; its place in the chain after that, when the
best are turned once more on the whole photo.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .. import transforms
from ..color import distance, lab
from ..recipe import Recipe, Step
from ..recipe.settings import Settings
from ..recipe.space import Dial
from ..search import Reason
from ..transforms.preview import Renderer
from .remains import Remains, remains

PIXELS, EACH = 4096, 4
"""Pixels that stand for the photo, whose histograms ops read; in the search every fourth of them is
compared."""
MEASURED = 1 << 20
"""Pixels at most at which the result is compared with what is wanted."""
MOST_STEPS = 8
IDLE = 0.1
"""CIE76 units: a step without which the result is no farther off than that is left out."""
SEARCH_SHARE = 0.78
"""Of the budget; the rest refines."""
CLOSE = 0.05
"""CIE76 units: nearer than this nothing is looked for."""
PART = 64
"""Recipes that are polished together, at most, before the clock is looked at."""
GENTLE = ("brightness", "contrast", "shadows", "highlights", "saturation")
DRASTIC = ("autocontrast", "equalize", "invert", "solarize", "posterize")
STARTS = [
    *(Step.of(op, factor=1.1) for op in GENTLE),
    Step.of("gamma", gamma=1.1),
    Step.of("white balance", temperature=0.1),
    Step.of("hue", shift=0.02),
    *(Step.of("autocontrast", amount=0.7, cutoff=0.5, common=common) for common in (0.0, 1.0)),
    *(Step.of("equalize", amount=amount) for amount in (0.3, 0.8)),
    *(Step.of("invert", amount=amount) for amount in (0.2, 0.95)),
    *(
        Step.of("solarize", threshold=level)
        for level in (60.0, 85.0, 110.0, 130.0, 150.0, 175.0, 200.0)
    ),
    *(Step.of("posterize", bits=bits) for bits in (1.0, 2.0, 3.0, 4.0, 5.0)),
]
"""Where the dials of a new step start. Of gentle ops near neutral, which says where to go; drastic
ones are not found from there."""
DETAIL = [Step.of("blur", radius=radius) for radius in (0.001, 0.002, 0.003, 0.0045, 0.0065)]
DETAIL += [Step.of("sharpness", factor=factor) for factor in (0.4, 0.7, 1.5, 2.5)]
GAIN = 0.003
"""CIE76 units: what is polished must gain more than that in a round."""
PROBE = 0.04
"""Share of hard mode's range by which a dial is turned to see what it does; rounding to whole
levels hides what is less."""
DAMPING = (1e-3, 0.3)
"""How carefully dials are turned; the better is kept."""

Show = Callable[[float, float], None]
"""Is told the share of the budget that is spent, 0..1, and the least distance so far."""
Render = Callable[[Sequence[Recipe]], torch.Tensor]
Found = tuple[float, Recipe]
"""A recipe and how far its pixels are from what is wanted."""
Places = npt.NDArray[np.int64]
Knob = tuple[int, Dial, float]
"""Number of the step, a dial of its op, and how far it is turned to see what it does."""


@dataclass(frozen=True)
class Match:
    """What was found. Distances are mean CIE76, at `MEASURED` pixels at most."""

    recipe: Recipe
    image: Image.Image
    """The first picture by this recipe."""
    before: float
    """Distance of the two pictures."""
    left: float
    """Distance of `image` and the second picture."""
    remains: Remains
    evaluations: int
    seconds: float
    reason: Reason
    """`exhausted`: there was nothing left to look for."""

    @property
    def share(self) -> float:
        """What is left, as a share of what there was; 0 of equal pictures."""
        return self.left / self.before if self.before else 0.0


def match(
    before: Image.Image,
    after: Image.Image,
    *,
    seconds: float | None = 10.0,
    evaluations: int | None = None,
    seed: int = 0,
    cancel: threading.Event | None = None,
    show: Show = lambda share, left: None,
    clock: Callable[[], float] = time.monotonic,
) -> Match:
    """Looks for the recipe that makes `after` of `before`, RGB images of about the same
    proportions; they are not changed. `cancel` may be set from any thread, then the best so far is
    the result. The same seed and `evaluations` without `seconds` give the same recipe.

    Raises: SettingsError on a budget without a meaning."""
    settings = Settings(seconds=seconds, evaluations=evaluations, seed=seed)
    budget = _Budget(settings, cancel or threading.Event(), clock)
    small = min(before.size, after.size, key=lambda size: size[0] * size[1])
    scale = min(1.0, (MEASURED / (small[0] * small[1])) ** 0.5)
    size = (max(1, round(small[0] * scale)), max(1, round(small[1] * scale)))
    one, other = _sized(before, size), _sized(after, size)
    chosen = _choose(one)
    wanted = _pixels(other, chosen)

    def seen(recipe: Recipe) -> torch.Tensor:
        return _pixels(transforms.render(recipe, one), chosen)

    # Whoever scaled the photo has changed its detail by that alone.
    detail = _detail(seen, wanted) if before.size == after.size else ()
    strip = Renderer(seen(Recipe(detail))[:, None])
    bench = _Bench(lambda recipes: strip(recipes)[:, :, 0, ::EACH], wanted[:, ::EACH], budget)
    found = _search(bench, budget, random.Random(seed), show)
    reason = budget.reason()
    whole = _Bench(lambda recipes: torch.stack([seen(r) for r in recipes]), wanted, budget)
    recipe = _refine(whole, found, detail)
    image = transforms.render(recipe, before)
    result = _sized(image, size)
    return Match(
        recipe, image, _between(one, other), _between(result, other),
        remains(one, result, other), budget.evaluations, clock() - budget.start, reason,
    )  # fmt: skip


class _Budget:
    """How much of one run's is spent."""

    def __init__(
        self, settings: Settings, cancel: threading.Event, clock: Callable[[], float]
    ) -> None:
        self._settings, self._cancel, self._clock = settings, cancel, clock
        self.start, self.evaluations = clock(), 0

    def lasts(self, share: float = 1.0) -> bool:
        """Whether less than this share of it is spent."""
        return not self._cancel.is_set() and self.share() < share

    def share(self) -> float:
        seconds, most = self._settings.seconds, self._settings.evaluations
        of_time = (self._clock() - self.start) / seconds if seconds else 0.0
        return max(of_time, self.evaluations / most if most else 0.0)

    def reason(self) -> Reason:
        """Why the search has ended."""
        if self._cancel.is_set():
            return "cancelled"
        if self.lasts(SEARCH_SHARE):
            return "exhausted"
        most = self._settings.evaluations
        return "evaluations" if most and self.evaluations >= SEARCH_SHARE * most else "time"


class _Bench:
    """Recipes on the chosen pixels, and how far each of those is from what is wanted."""

    def __init__(self, render: Render, wanted: torch.Tensor, budget: _Budget) -> None:
        """`render` makes `[B, 3, N]` uint8 of B recipes; `wanted` is `[3, N]`."""
        self._render, self._wanted, self._budget = render, lab(wanted[None]), budget

    def _apart(self, recipes: Sequence[Recipe]) -> torch.Tensor:
        """`[B, 3, N]` CIELAB differences."""
        self._budget.evaluations += len(recipes)
        parts = (recipes[i : i + PART] for i in range(0, len(recipes), PART))
        return torch.cat([lab(self._render(part)) - self._wanted for part in parts])

    def polish(self, recipes: Iterable[Recipe], rounds: int, share: float = 1.0) -> list[Found]:
        """Turns the dials of each recipe in so many rounds at most, until this share of the budget
        is spent; the nearest first. Of many recipes the last may be missing."""
        now = list(dict.fromkeys(recipes))
        found = self._polish(now[:PART], rounds, share)
        for start in range(PART, len(now), PART):
            if self._budget.lasts(share):
                found += self._polish(now[start : start + PART], rounds, share)
        return sorted(found, key=_worth)

    def _polish(self, now: list[Recipe], rounds: int, share: float) -> list[Found]:
        gaps = self._apart(now)
        losses = _mean(gaps).tolist()
        moving = [at for at, recipe in enumerate(now) if _knobs(recipe)]
        for number in range(rounds):
            if not moving or not self._budget.lasts(share):
                break
            # Jumps hide what a dial does on the whole, but without them no recipe ends well.
            seen = _smooth if number % 2 == 0 else Recipe.thaw
            knobs = {at: _knobs(now[at]) for at in moving}
            effects = iter(self._apart([
                seen(_turn(now[at], one))
                for at, its in knobs.items()
                for one in ([], *([(knob, 1.0)] for knob in its))
            ]))  # fmt: skip
            trials = []
            for at, its in knobs.items():
                start = next(effects)
                slopes = torch.stack([next(effects) - start for _ in its])
                ways = _ways(gaps[at], slopes)
                trials += [_turn(now[at], zip(its, by, strict=True)) for by in ways]
            tried = self._apart(trials)
            least, which = _mean(tried).view(len(moving), -1).min(1)
            which += torch.arange(0, len(trials), len(trials) // len(moving))
            for at, loss, trial in zip(moving[:], least.tolist(), which.tolist(), strict=True):
                gain = losses[at] - loss
                if gain > 0:
                    now[at], gaps[at], losses[at] = trials[trial], tried[trial], loss
                if gain <= GAIN and seen(now[at]) == now[at]:
                    moving.remove(at)
        return list(zip(losses, now, strict=True))


def _search(bench: _Bench, budget: _Budget, rng: random.Random, show: Show) -> list[Recipe]:
    """Recipes without detail, the best first."""
    known: dict[tuple[str, ...], Found] = {}  # the nearest of each order of ops
    tried: set[Recipe] = set()
    found = bench.polish([Recipe()], 0)
    while True:
        for loss, recipe in found:
            if loss < known.get(_ops(recipe), (loss + 1, recipe))[0]:
                known[_ops(recipe)] = loss, recipe
        ranked = sorted(known.values(), key=_worth)
        show(min(1.0, budget.share()), ranked[0][0])
        fresh = [recipe for _, recipe in ranked if recipe not in tried]
        if not fresh or ranked[0][0] < CLOSE or not budget.lasts(SEARCH_SHARE):
            return [recipe for _, recipe in ranked]
        # The best of two lengths, for what is found in few steps is found for good; and the best
        # with some drastic op, for such pay only when others have been turned.
        op = rng.choice(DRASTIC)
        shortest = {len(recipe): recipe for recipe in reversed(fresh)}
        parents = [recipe for recipe in fresh if recipe is shortest[len(recipe)]][:2]
        parents += [recipe for recipe in fresh if op in _ops(recipe)][:1]
        tried.update(parents)
        found = bench.polish((c for p in parents for c in _children(p)), 1, SEARCH_SHARE)
        kinds = {tuple(sorted(_ops(recipe))): recipe for _, recipe in reversed(found)}
        found = bench.polish(kinds.values(), 3, SEARCH_SHARE)
        best = [recipe for _, recipe in found[:8]]
        best += [recipe for _, recipe in found if op in _ops(recipe)][:3]
        found += bench.polish(best, 15, SEARCH_SHARE)


def _refine(bench: _Bench, recipes: Sequence[Recipe], detail: tuple[Step, ...]) -> Recipe:
    """The best of them with the detail where it fits, without idle steps."""
    best = [recipe.steps for recipe in recipes[:3]]
    if detail:
        best = [(*b[:i], *detail, *b[i:]) for b in best for i in range(len(b) + 1)]
    found = bench.polish([Recipe(), *map(Recipe, best)], 0)
    loss, recipe = bench.polish([recipe for _, recipe in found[:2]], 3)[0]
    while recipe.steps:
        less = [Recipe((*recipe.steps[:i], *recipe.steps[i + 1 :])) for i in range(len(recipe))]
        without, shorter = bench.polish([bench.polish(less, 0)[0][1]], 3)[0]
        if without > loss + IDLE:
            break
        loss, recipe = max(loss, without), shorter
    return recipe


def _children(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe with one more step, one step less, or one step elsewhere."""
    steps = recipe.steps
    if len(steps) < MOST_STEPS:
        for i in range(len(steps) + 1):
            beside = _ops(recipe)[max(0, i - 1) : i + 1]
            more = (step for step in STARTS if step.op not in beside)
            yield from (Recipe((*steps[:i], step, *steps[i:])) for step in more)
    for i, step in enumerate(steps):
        others = (*steps[:i], *steps[i + 1 :])
        yield Recipe(others)
        yield from (Recipe((*others[:j], step, *others[j:])) for j in range(len(steps)) if j != i)


def _worth(found: Found) -> float:
    """Distance with a cost for steps."""
    return found[0] + 0.03 * len(found[1])


def _ops(recipe: Recipe) -> tuple[str, ...]:
    return tuple(step.op for step in recipe.steps)


def _mean(gaps: torch.Tensor) -> torch.Tensor:
    return gaps.square().sum(1).sqrt().mean(1)


def _smooth(recipe: Recipe) -> Recipe:
    """Without the jumps that hide what a dial does on the whole."""
    return Recipe(tuple(step for step in recipe.steps if step.op != "posterize"))


def _knobs(recipe: Recipe) -> list[Knob]:
    """The dials that can be turned bit by bit."""
    found: list[Knob] = []
    for number, step in enumerate(recipe.steps):
        op, values = transforms.resolve(step)
        for dial in op.dials:
            low, high = dial.bounds("hard")
            probe = PROBE * (high - low)
            if dial.unit not in ("switch", "bits"):
                fits = values[dial.name] + probe <= dial.high
                found.append((number, dial, probe if fits else -probe))
    return found


def _turn(recipe: Recipe, turns: Iterable[tuple[Knob, float]]) -> Recipe:
    """Each knob turned by so many of its probes."""
    steps = list(recipe.steps)
    for (number, dial, probe), times in turns:
        _, values = transforms.resolve(steps[number])
        values[dial.name] = dial.snap(values[dial.name] + times * probe)
        steps[number] = Step.of(steps[number].op, **values)
    return Recipe(tuple(steps))


def _ways(gap: torch.Tensor, slopes: torch.Tensor) -> list[list[float]]:
    """By how many of its probes each knob should be turned, more or less boldly, so that `gap`,
    `[3, N]`, becomes least. `slopes`: what each knob's probe does to it, `[K, 3, N]`."""
    slopes = slopes.flatten(1)
    square, aim = (slopes @ slopes.T).double(), (slopes @ gap.flatten()).double()
    holds = (torch.diag(d * square.diagonal().clamp(min=1e-6) + 1e-9) for d in DAMPING)
    return [torch.linalg.solve(square + h, -aim).clamp(-10, 10).tolist() for h in holds]


def _detail(seen: Callable[[Recipe], torch.Tensor], wanted: torch.Tensor) -> tuple[Step, ...]:
    """The step after which colors follow best from colors, if one stands out."""
    recipes = [Recipe(), *(Recipe((step,)) for step in DETAIL)]
    rests = [_unexplained(seen(recipe), wanted) for recipe in recipes]
    best = int(np.argmin(rests))
    return recipes[best].steps if rests[best] < 0.85 * rests[0] - 0.3 else ()


def _unexplained(pixels: torch.Tensor, wanted: torch.Tensor) -> float:
    """Mean distance, in levels, between `wanted` and the nearest of smooth functions of `pixels`:
    sums of a curve of each channel and of products of two; both `[3, N]`."""
    x, aim = pixels.double().T / 255, wanted.double().T
    curves = (1 - (x[..., None] * 12 - torch.arange(13)).abs()).clamp(min=0).flatten(1)
    ways = torch.cat([curves, x * x.roll(1, 1)], 1)
    square = ways.T @ ways + 1e-3 * torch.eye(ways.shape[1], dtype=torch.double)
    rest = aim - ways @ torch.linalg.solve(square, ways.T @ aim)
    return float(rest.square().sum(1).sqrt().mean())


def _choose(image: Image.Image) -> Places:
    """Flat indices of `PIXELS` pixels, of each lightness its share, so that their histograms are
    about the photo's."""
    light = np.asarray(image).reshape(-1, 3) @ np.array([2, 4, 1], np.int16)
    at = np.linspace(0, len(light) - 1, min(PIXELS, len(light))).round().astype(np.int64)
    chosen: Places = light.argsort(kind="stable")[at]
    return chosen


def _pixels(image: Image.Image, chosen: Places) -> torch.Tensor:
    """`[3, N]` uint8."""
    return torch.from_numpy(np.asarray(image).reshape(-1, 3)[chosen].T.copy())


def _sized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _between(one: Image.Image, other: Image.Image) -> float:
    """Mean CIE76 distance of two pictures of one size."""
    pictures = (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] for image in (one, other))
    return float(distance(*map(lab, pictures)))
