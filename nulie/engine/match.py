"""The recipe that turns one picture into another, an edit of the same photo made elsewhere.

What was done to colors is looked for on some thousand pixels, as they are in both pictures, in a
beam of chains of ops: the best so far with one more step, of any op at any place, one less, or one
elsewhere. As every pixel says what it should be, all dials of a chain are turned at once, by
Levenberg and Marquardt's method on CIELAB differences, with weights that make the mean distance,
not its square, the least. Before that, detail is compared; after it, the best are turned once more
on the whole photo.
"""

from __future__ import annotations

import math
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

PIXELS, JUDGED_EACH = 4096, 4
"""Pixels that stand for the photo, whose histograms ops read; every fourth is compared."""
MEASURED = 1 << 20
"""Pixels at most at which the result is compared with what is wanted."""
MOST_STEPS = 8
IDLE = 0.1
"""CIE76 units: a step without which the result is no farther off than that is left out."""
SEARCH_SHARE = 0.78
"""Of the budget; the rest refines and elects."""
PARENTS = 3
"""So many recipes at once are tried with a step more, less or elsewhere."""
PART = 64
"""Recipes that are polished together, at most, before the clock is looked at."""
CLOSE = 0.05
"""Nearer than this nothing is looked for."""
STARTS: dict[str, tuple[dict[str, float], ...]] = {
    "brightness": ({"factor": 1.1},),
    "contrast": ({"factor": 1.1},),
    "gamma": ({"gamma": 1.1},),
    "shadows": ({"factor": 1.2},),
    "highlights": ({"factor": 1.2},),
    "white balance": ({"temperature": 0.1},),
    "saturation": ({"factor": 1.1},),
    "hue": ({"shift": 0.02},),
    "autocontrast": (
        {"amount": 0.7, "cutoff": 0.5},
        {"amount": 0.7, "cutoff": 0.5, "common": 1.0},
    ),
    "equalize": ({"amount": 0.3}, {"amount": 0.8}),
    "invert": ({"amount": 0.2}, {"amount": 0.95}),
    "solarize": tuple({"threshold": t} for t in (60.0, 85.0, 110.0, 130.0, 150.0, 175.0, 200.0, 230.0)),
    "posterize": tuple({"bits": b} for b in (1.0, 2.0, 3.0, 4.0, 5.0)),
}
"""Where the dials of a new step start."""
DETAIL = (
    *(Step.of("blur", radius=radius) for radius in (0.001, 0.002, 0.003, 0.0045, 0.0065)),
    *(Step.of("sharpness", factor=factor) for factor in (0.4, 0.7, 1.5, 2.5)),
)
"""Steps that look at a pixel's neighbors."""

Show = Callable[[float, float], None]
"""Is told the share of the budget that is spent, 0..1, and the least distance so far."""
Knob = tuple[int, Dial, float]
"""Number of the step, a dial of its op, and how far it is turned to see what it does."""
Pixels = npt.NDArray[np.uint8]


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
    show: Show | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Match:
    """Looks for the recipe that makes `after` of `before`, RGB images of about the same
    proportions; they are not changed. `cancel` may be set from any thread, then the best so far is
    the result. The same seed and `evaluations` without `seconds` give the same recipe.

    Raises: SettingsError on a budget without a meaning."""
    return _Matching(
        before,
        after,
        Settings(seconds=seconds, evaluations=evaluations, seed=seed),
        cancel or threading.Event(),
        show or (lambda share, left: None),
        clock,
    ).run()


class _Matching:
    """One run: clock, budget and what was found so far."""

    def __init__(
        self,
        before: Image.Image,
        after: Image.Image,
        settings: Settings,
        cancel: threading.Event,
        show: Show,
        clock: Callable[[], float],
    ) -> None:
        self._image, self._settings = before, settings
        self._cancel, self._show, self._clock = cancel, show, clock
        self._start = clock()
        size = _common_size(before, after)
        self._before, self._after = _sized(before, size), _sized(after, size)
        self._chosen = _choose(self._before)
        wanted = _pixels(self._after, self._chosen)
        # Whoever scaled the photo has changed its detail by that alone.
        scaled = before.size != after.size
        self._detail = Recipe() if scaled else self._find_detail(wanted)
        strip = _pixels(transforms.render(self._detail, self._before), self._chosen)
        render = Renderer(torch.from_numpy(strip.T.copy())[:, None])
        judged = np.arange(0, len(wanted), JUDGED_EACH)
        self._bench = _Bench(lambda rs: render(rs)[:, :, 0, ::JUDGED_EACH], wanted[judged])
        self._whole = _Bench(self._render_whole, wanted[judged])
        self._random = random.Random(settings.seed)
        self._found: dict[tuple[str, ...], tuple[float, Recipe]] = {}
        """The best of each order of ops."""
        self._tried: set[Recipe] = set()

    def _render_whole(self, recipes: Sequence[Recipe]) -> torch.Tensor:
        chosen = self._chosen[::JUDGED_EACH]
        seen = [_pixels(transforms.render(r, self._before), chosen) for r in recipes]
        return torch.from_numpy(np.stack(seen)).transpose(1, 2).contiguous()

    def _find_detail(self, wanted: Pixels) -> Recipe:
        """The step after which colors follow from colors best, if one stands out."""
        losses = []
        recipes = [Recipe(), *(Recipe((step,)) for step in DETAIL)]
        for recipe in recipes:
            pixels = _pixels(transforms.render(recipe, self._before), self._chosen)
            losses.append(_unexplained(pixels, wanted))
        best = int(np.argmin(losses))
        return recipes[best] if losses[best] < 0.85 * losses[0] - 0.3 else Recipe()

    def run(self) -> Match:
        """See `match`."""
        self._keep(self._bench.polish([Recipe()], 0, self._go_on))
        reason = self._look()
        best = self._refine()
        image = transforms.render(best, self._image)
        seen = _sized(image, self._before.size)
        return Match(
            best, image, _between(self._before, self._after), _between(seen, self._after),
            remains(self._before, seen, self._after),
            self._evaluations, self._clock() - self._start, reason,
        )  # fmt: skip

    def _refine(self) -> Recipe:
        """The best of what was found, by Pillow, on all of the photo, without idle steps."""
        best = [r for _, r in sorted(self._found.values(), key=_worth)[:PARENTS]]
        if self._detail.steps:
            best = [Recipe((*r.steps[:i], *self._detail.steps, *r.steps[i:])) for r in best for i in range(len(r.steps)+1)]
        found = self._whole.polish([Recipe(), *best], 0, self._in_time)
        loss, recipe = self._whole.polish([r for _, r in found[:2]], 3, self._in_time)[0]
        while recipe.steps:
            less = [Recipe(recipe.steps[:i] + recipe.steps[i + 1 :]) for i in range(len(recipe))]
            without, shorter = self._whole.polish(less, 0, self._in_time)[0]
            if without > loss + 3 * IDLE:
                break
            without, shorter = self._whole.polish([shorter], 3, self._in_time)[0]
            if without > loss + IDLE:
                break
            loss, recipe = max(loss, without), shorter
        return recipe

    def _in_time(self) -> bool:
        return not self._cancel.is_set() and self._share() < 1

    def _share(self) -> float:
        """Of the budget that is spent."""
        seconds, evaluations = self._settings.seconds, self._settings.evaluations
        time_share = (self._clock() - self._start) / seconds if seconds else 0.0
        return max(time_share, self._evaluations / evaluations if evaluations else 0.0)

    @property
    def _evaluations(self) -> int:
        return self._bench.evaluations + self._whole.evaluations

    def _go_on(self) -> bool:
        return not self._cancel.is_set() and self._share() < SEARCH_SHARE

    def _keep(self, polished: Iterable[tuple[float, Recipe]]) -> None:
        for loss, recipe in polished:
            key = tuple(step.op for step in recipe.steps)
            if loss < self._found.get(key, (math.inf, recipe))[0]:
                self._found[key] = loss, recipe
        self._show(min(1.0, self._share()), self._best()[0])

    def _best(self) -> tuple[float, Recipe]:
        return min(self._found.values(), key=_worth)

    def _look(self) -> Reason:
        """Fills `_found` until the budget is spent."""
        while self._go_on():
            if self._best()[0] < CLOSE:
                return "exhausted"
            fresh = [found for found in self._found.values() if found[1] not in self._tried]
            if not fresh:
                return "exhausted"
            # The best of each length, for what is found in few steps is found for good.
            lengths = {len(r): (loss, r) for loss, r in sorted(fresh, key=_worth, reverse=True)}
            parents = [r for _, r in sorted(lengths.values(), key=_worth)[: PARENTS - 1]]
            # And the best with some op, for some pay only together.
            op = self._random.choice([*STARTS])
            having = [found for found in fresh if op in {s.op for s in found[1].steps}] or fresh
            parents.append(min(having, key=_worth)[1])
            self._tried.update(parents)
            children = dict.fromkeys(child for p in parents for child in _children(p))
            found = self._in_parts(list(children), 1)
            # The best of each choice of ops, for some ops pay only when others have been turned.
            kinds = {
                tuple(sorted(s.op for s in r.steps)): r
                for _, r in sorted(found, key=_worth, reverse=True)
            }
            found = self._bench.polish(kinds.values(), 3, self._go_on)
            self._keep(found)
            best = [r for _, r in sorted(found, key=_worth)[:10]]
            self._keep(self._bench.polish(best, 15, self._go_on))
        if self._cancel.is_set():
            return "cancelled"
        evaluations = self._settings.evaluations or math.inf
        return "evaluations" if self._bench.evaluations >= SEARCH_SHARE * evaluations else "time"

    def _in_parts(self, recipes: list[Recipe], rounds: int) -> list[tuple[float, Recipe]]:
        """`polish` of many, of fewer when the budget ends."""
        found: list[tuple[float, Recipe]] = []
        for start in range(0, len(recipes), PART):
            if start and not self._go_on():
                break
            found += self._bench.polish(recipes[start : start + PART], rounds, self._go_on)
        return found


def _worth(found: tuple[float, Recipe]) -> float:
    """Distance with a cost for steps."""
    return found[0] + 0.03 * len(found[1])


def _children(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe with one more step, one step elsewhere, or one step less."""
    steps = recipe.steps
    for place in range(len(steps) + 1):
        for op, starts in STARTS.items():
            if len(steps) < MOST_STEPS and op not in [
                s.op for s in steps[max(0, place - 1) : place + 1]
            ]:
                yield from (
                    Recipe((*steps[:place], Step.of(op, **values), *steps[place:]))
                    for values in starts
                )
    for place, step in enumerate(steps):
        others = (*steps[:place], *steps[place + 1 :])
        yield Recipe(others)
        yield from (
            Recipe((*others[:i], step, *others[i:])) for i in range(len(steps)) if i != place
        )


class _Bench:
    """Recipes on the chosen pixels, and how far each of those is from what is wanted."""

    def __init__(self, render: Callable[[Sequence[Recipe]], torch.Tensor], wanted: Pixels) -> None:
        """`render` makes `[B, 3, N]` uint8 of B recipes; `wanted` is `[N, 3]`."""
        self._render = render
        self._wanted = lab(torch.from_numpy(wanted.T.copy())[None])
        self.evaluations = 0

    def apart(self, recipes: Sequence[Recipe]) -> torch.Tensor:
        """`[B, 3, N]` CIELAB differences at the chosen pixels."""
        parts = [recipes[i : i + 64] for i in range(0, len(recipes), 64)]
        self.evaluations += len(recipes)
        return torch.cat([lab(self._render(p)) - self._wanted for p in parts])

    def polish(
        self, recipes: Iterable[Recipe], rounds: int, go_on: Callable[[], bool]
    ) -> list[tuple[float, Recipe]]:
        """Turns the dials of each recipe in so many rounds at most; distances and recipes."""
        now = list(dict.fromkeys(recipes))
        gaps = self.apart(now)
        losses = _mean(gaps)
        moving = list(range(len(now)))
        for _ in range(rounds):
            if not moving or not go_on():
                break
            turned = [(at, _knobs(now[at])) for at in moving]
            probes = [
                _smooth(probe)
                for at, knobs in turned if knobs
                for probe in (now[at], *(_turn(now[at], [k], [k[2]]) for k in knobs))
            ]
            effects = iter(self.apart(probes)) if probes else iter(())
            trials: list[Recipe] = []
            for at, knobs in turned:
                if knobs:
                    start = next(effects)
                    slopes = [next(effects) - start for _ in knobs]
                    trials += _steps(now[at], knobs, gaps[at], slopes)
            if not trials:
                break
            tried = self.apart(trials)
            found = _mean(tried)
            each = len(BOLDNESS)
            still = []
            for number, at in enumerate(a for a, knobs in turned if knobs):
                some = found[number * each : (number + 1) * each]
                best = int(some.argmin())
                gain = float(losses[at] - some[best])
                if gain > 0:
                    now[at] = trials[number * each + best]
                    gaps[at], losses[at] = tried[number * each + best], some[best]
                if gain > 0.003:
                    still.append(at)
            moving = still
        return sorted(zip(losses.tolist(), now, strict=True), key=lambda pair: pair[0])


BOLDNESS = ((0.5, 1e-3), (0.5, 0.3), (100.0, 1e-3), (100.0, 0.3))
"""How carefully dials are turned; the best of all is kept."""
PROBE = 0.04
"""Share of hard mode's range by which a dial is turned to see what it does; rounding to whole
levels hides what is less."""


def _mean(gaps: torch.Tensor) -> torch.Tensor:
    return gaps.square().sum(1).sqrt().mean(1)


def _knobs(recipe: Recipe) -> list[Knob]:
    """The dials that can be turned bit by bit."""
    found: list[Knob] = []
    for number, step in enumerate(recipe.steps):
        op, values = transforms.resolve(step)
        for dial in op.dials:
            if dial.unit in ("switch", "bits"):
                continue
            low, high = dial.bounds("hard")
            size = PROBE * (high - low)
            found.append((number, dial, size if values[dial.name] + size <= dial.high else -size))
    return found


def _smooth(recipe: Recipe) -> Recipe:
    """Without the jumps that hide what a dial does on the whole."""
    return Recipe(tuple(step for step in recipe.steps if step.op != "posterize"))


def _turn(recipe: Recipe, knobs: Sequence[Knob], by: Sequence[float]) -> Recipe:
    steps = list(recipe.steps)
    for (number, dial, _), change in zip(knobs, by, strict=True):
        _, values = transforms.resolve(steps[number])
        values[dial.name] = dial.snap(values[dial.name] + change)
        steps[number] = Step.of(steps[number].op, **values)
    return Recipe(tuple(steps))


def _steps(
    recipe: Recipe, knobs: Sequence[Knob], gap: torch.Tensor, slopes: Sequence[torch.Tensor]
) -> list[Recipe]:
    """The recipe with its dials turned to where the differences should be least, more or less
    boldly; none where there is no dial. `slopes`: what turning each does to `gap`, `[3, N]`."""
    if not knobs:
        return []
    ways = torch.stack(list(slopes))
    size = gap.square().sum(0, keepdim=True).sqrt()
    made = []
    for floor, damping in BOLDNESS:
        # A pixel that is far off counts by its distance, not by the square of that.
        weighed = (ways / size.clamp(min=floor)).flatten(1).double()
        square = weighed @ ways.flatten(1).double().T
        aim = weighed @ gap.flatten().double()
        hold = torch.diag(damping * square.diagonal().clamp(min=1e-6) + 1e-9)
        by = -torch.linalg.solve(square + hold, aim).clamp(-10, 10)
        made.append(
            _turn(recipe, knobs, [b * k[2] for b, k in zip(by.tolist(), knobs, strict=True)])
        )
    return made


def _choose(image: Image.Image) -> npt.NDArray[np.int64]:
    """Flat indices of `PIXELS` pixels, of each lightness its share, so that their histograms are
    about the photo's."""
    order = np.argsort((np.asarray(image).reshape(-1, 3) @ np.array([2, 4, 1])).astype(np.int16), kind="stable")
    at = (np.arange(min(PIXELS, len(order))) + 0.5) * len(order) / min(PIXELS, len(order))
    return order[at.astype(int)]


def _pixels(image: Image.Image, chosen: npt.NDArray[np.int64]) -> Pixels:
    """`[N, 3]`."""
    return np.asarray(image).reshape(-1, 3)[chosen]


def _unexplained(pixels: Pixels, wanted: Pixels) -> float:
    """How far `wanted` is from the smooth function of `pixels` that comes nearest, in levels."""
    x = pixels / 255
    hats = [np.maximum(0, 1 - abs(x[:, c, None] * 12 - np.arange(13))) for c in range(3)]
    mixed = [x[:, [0]] * x[:, [1]], x[:, [0]] * x[:, [2]], x[:, [1]] * x[:, [2]]]
    ways = np.concatenate([*hats, *mixed], 1)
    square = ways.T @ ways + 1e-3 * np.eye(ways.shape[1])
    rest = wanted - ways @ np.linalg.solve(square, ways.T @ wanted)
    return float(np.sqrt((rest**2).sum(1)).mean())


def _common_size(before: Image.Image, after: Image.Image) -> tuple[int, int]:
    """That of the smaller picture, but for `MEASURED`."""
    width, height = min(before.size, after.size, key=lambda size: size[0] * size[1])
    scale = min(1.0, (MEASURED / (width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _sized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _between(one: Image.Image, other: Image.Image) -> float:
    """Mean CIE76 distance of two pictures of one size."""
    pictures = (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] for image in (one, other))
    return float(distance(*map(lab, pictures)))
