"""Which finalist wins: candidates by Pillow, distinct variants of them, readable recipes.

Candidates are made as large as the predictor can make use of, and the one that wins at full size,
too: where it does not hold there what it promised, the next one is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from PIL import Image

from ..color import distance, lab
from ..predictor.base import Predictor
from ..recipe import Recipe, Settings, Space
from ..search import Node, Reason, Tree
from ..transforms import freeze
from ..tree.shorten import shorten
from .evaluate import Evaluator, renderer
from .events import Variant
from .objective import Objective
from .pipeline import apply_to_pixels
from .together import Together, sheet

MIN_DISTANCE = 2.3
"""Mean CIE76 from which on two variants are distinct, the least one notices (Mahy et al., 1994)."""
LONG = 6
"""Steps from which on a recipe is long."""
UNSEEN, UNSEEN_OF_LONG = 0.5, 1.5
"""Mean CIE76 distance of the previews up to which a picture counts as unchanged by what its recipe
has lost in all; and while that is long still. Far below what is noticed of a whole picture, for
what is lost should not be seen in a part of it either; twice as much costs a decibel."""
MOST_LOSS = 0.12
"""Share of the gain that a shorter recipe may cost at most, however little is to be seen of it."""
PREVIEW_SHARE = 0.8
"""Share of all that which the preview may use up: full size differs a little."""
MIN_GAIN = 0.02
"""Points by which a result must beat the input, and a step the recipe without it: a change that the
predictor hardly sees, such as a blur on a preview of 64 pixels, is not made by chance."""
FINAL_SECONDS, FINAL_SHARE = 0.5, 0.05
"""Time for further finalists: so many seconds, or that share of the search's where it is more."""
FEWEST_TRIES, MOST_TRIES = 8, 300
"""Evaluations that readable recipes may cost."""
CHOICES = 12
"""Distinct candidates among which a predictor chooses that was not asked in the search."""
WALKED, AT_ONCE = 512, 64
"""Best nodes looked through for variants, beside the best of each niche; and how many at once."""
FINALISTS, TRIES_A_VARIANT = 3, 3
"""Candidates of other ops made of a node; nodes tried for each variant."""
TIMES = 4
"""Short side of what candidates are made of, in those of previews."""


@dataclass(frozen=True)
class Finalist:
    variant: Variant
    image: Image.Image
    preview: torch.Tensor
    """`[1, 3, H, W]` uint8, as the predictor sees it."""


@dataclass(frozen=True)
class Effort:
    """What an election may cost."""

    deadline: float
    """By the run's clock: until then more than one finalist a variant is worth its time."""
    tries: int
    """Evaluations that readable recipes may take, all variants together."""

    @classmethod
    def after(
        cls, settings: Settings, evaluations: int, seconds: float, reason: Reason, now: float
    ) -> Effort:
        """In proportion to the search before it; hardly any where a user has ended that."""
        if reason == "cancelled":
            return cls(now, 0)
        if settings.seconds is None:
            deadline, tries = math.inf, evaluations // 4
        else:
            deadline = now + max(FINAL_SECONDS, FINAL_SHARE * settings.seconds)
            rate = evaluations / max(seconds, 1e-3)
            tries = max(evaluations // 10, int(FINAL_SECONDS * rate))
        return cls(deadline, min(MOST_TRIES, max(FEWEST_TRIES, tries)))


class Election:
    """The end of a run: the best nodes of its tree become variants."""

    def __init__(
        self, image: Image.Image, predictor: Predictor, preview: torch.Tensor, settings: Settings,
        *, judge: Objective | Together, evaluator: Evaluator, floor: float, space: Space,
        spent: tuple[int, float], reason: Reason, clock: Callable[[], float], choices: int = 1,
        others: Sequence[Image.Image] = (),
    ) -> None:  # fmt: skip
        """`predictor` is the one that decides, by the marks of `judge`, and `preview` the image's,
        `[3, H, W]` uint8, as it wants it; `floor` is what the image is worth to the search, which
        has `spent` evaluations and seconds. With more than one of `choices` the predictor is
        another than the search's, and so many of its best nodes that look distinct are marked anew
        before any is rendered. With `others` all get one recipe, and `preview` is their sheet, see
        `Enhancement`."""
        self._image, self._predictor, self._preview = image, predictor, preview
        self._others = others
        self._whole = image, *others
        side = TIMES * predictor.input_size
        self._small = tuple(_smaller(one, side, Image.Resampling.BICUBIC) for one in self._whole)
        # What is averaged has a narrower histogram, so ops measure pixels as they are.
        self._grid = tuple(_smaller(one, side, Image.Resampling.NEAREST) for one in self._whole)
        self._judge = judge
        self.base = self._judge.base
        self._least = self.base.total + MIN_GAIN
        """What a variant is worth more than, and what one made smaller must seem to be."""
        self._least_of_small = self._least
        if self._is_reduced:
            # Its marks are off by about as much as the image's own, and full size decides.
            seen = self._finalist(Recipe(), self._small).variant.terms.total
            self._least_of_small = seen + MIN_GAIN / 2
        self._doubted: tuple[float, Recipe] | None = None
        """The best that a guard has refused when it was made smaller, which may be too strict: it
        is tried at full size where nothing else is left."""
        self._evaluator, self._floor, self._space = evaluator, floor, space
        self._top, self._clock = settings.top, clock
        self._choices = 1 if reason == "cancelled" else choices
        self._effort = Effort.after(settings, *spent, reason, clock())

    def hold(self, tree: Tree) -> tuple[tuple[Variant, ...], Image.Image]:
        """Walks down the best nodes: what beats the input at full size, too, and looks unlike the
        variants before it, is a variant. Gives them best first, and the best one's image, or the
        input's pixels where there is none."""
        ranked = [node for node in tree.best() if node.score > self._floor]
        # The best nodes are much alike; those of the niches are not.
        elites = (node for node in tree.elites() if node.score > self._floor)
        walked = list(dict.fromkeys([*ranked[:WALKED], *elites]))
        if self._choices > 1:
            walked = self._choose(walked)
        variants: list[Variant] = []
        looks: list[torch.Tensor] = []
        seen: list[torch.Tensor] = []
        image = self._image
        for node in islice(self._walk(walked, seen), TRIES_A_VARIANT * self._top):
            winner = self._winner(node, ranked, looks)
            if winner is None:
                # What looks like it is refused at full size, too.
                seen.append(self._look(node.recipe))
                continue
            # Of all the images that win, only one is kept in memory.
            if all(winner.variant.terms.total > v.terms.total for v in variants):
                image = winner.image
            variants.append(winner.variant)
            looks.append(lab(winner.preview))
            seen.append(self._look(winner.variant.recipe))
            if len(variants) == self._top:
                break
        if not variants and self._doubted is not None:
            made = self._finalist(self._doubted[1], self._whole)
            if self._is_variant(made, looks, self._least):
                variants, image = [made.variant], made.image
        variants.sort(key=lambda v: -v.terms.total)
        return tuple(variants), image

    def _choose(self, walked: Sequence[Node]) -> list[Node]:
        """The first of these nodes that look distinct, those first that the predictor likes most;
        and after them the others."""
        looks: list[torch.Tensor] = []
        chosen: list[Node] = []
        for node in islice(self._walk(walked, looks), self._choices):
            chosen.append(node)
            looks.append(self._look(node.recipe))
        render = renderer(self._image, self._preview, *self._others)
        size = self._predictor.batch_size
        totals: list[float] = []
        for at in range(0, len(chosen), size):
            batch = render([node.recipe for node in chosen[at : at + size]])
            totals += [terms.total for terms in self._judge(batch)]
        worth = dict(zip(chosen, totals, strict=True))
        best_first = sorted(chosen, key=lambda node: -worth[node])
        return [*best_first, *(node for node in walked if node not in worth)]

    def _look(self, recipe: Recipe) -> torch.Tensor:
        """CIELAB of its preview as the search sees it."""
        return lab(self._evaluator.render([recipe]))

    def _walk(self, nodes: Sequence[Node], looks: Sequence[torch.Tensor]) -> Iterator[Node]:
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
                    previews = lab(self._evaluator.render([n.recipe for n in part]))
                while seen < len(looks) and previews is not None:
                    apart &= (distance(previews, looks[seen]) >= MIN_DISTANCE).cpu()
                    seen += 1
                if apart[i]:
                    yield node

    def _winner(
        self, node: Node, ranked: Sequence[Node], looks: Sequence[torch.Tensor]
    ) -> Finalist | None:
        """Of the node's candidates the most readable that is a variant at full size."""
        recipes = iter(dict.fromkeys(self._candidates(node, ranked)))
        while group := self._finalists(recipes, looks):
            while group:
                winner = most_readable([*group.values()], self.base.total)
                recipe = next(recipe for recipe, one in group.items() if one is winner)
                if not self._is_reduced:
                    return winner
                winner = self._finalist(recipe, self._whole)
                if self._is_variant(winner, looks, self._least):
                    return winner
                del group[recipe]
        return None

    def _finalists(
        self, recipes: Iterator[Recipe], looks: Sequence[torch.Tensor]
    ) -> dict[Recipe, Finalist]:
        """Of the candidates that are left those that are variants: as many as there is time for."""
        group: dict[Recipe, Finalist] = {}
        for recipe in recipes:
            made = self._finalist(recipe, self._small if self._is_reduced else self._whole)
            if self._is_variant(made, looks, self._least_of_small):
                group[recipe] = made
            elif self._is_reduced and not made.variant.terms.admissible:
                doubt = made.variant.terms.total, recipe
                self._doubted = max(self._doubted or doubt, doubt, key=lambda pair: pair[0])
            if group and self._clock() > self._effort.deadline:
                break
        return group

    @property
    def _is_reduced(self) -> bool:
        return self._small[0] is not self._image

    def _finalist(self, recipe: Recipe, images: Sequence[Image.Image]) -> Finalist:
        if images is not self._whole:
            recipe = freeze(recipe, *self._grid)
        elif self._others:
            recipe = freeze(recipe, *images)
        made = [apply_to_pixels(recipe, one) for one in images]
        preview = sheet(made, self._predictor.input_size).to(self._predictor.device)[None]
        return Finalist(Variant(recipe, self._judge(preview)[0]), made[0], preview)

    def _is_variant(self, made: Finalist, looks: Sequence[torch.Tensor], least: float) -> bool:
        return made.variant.terms.total > least and is_distinct(made.preview, looks)

    def _candidates(self, node: Node, ranked: Sequence[Node]) -> list[Recipe]:
        """A node shortened, as it is, half shortened, and the best nodes made by other ops."""
        shorter = self._shorten(node, ranked)
        recipes: dict[tuple[str, ...], Recipe] = {}
        for other in (node, *ranked):
            if len(recipes) < FINALISTS:
                recipes.setdefault(tuple(step.op for step in other.recipe.steps), other.recipe)
        first, *rest = recipes.values()
        return [shorter[0], first, shorter[len(shorter) // 2], *rest]

    def _shorten(self, node: Node, ranked: Sequence[Node]) -> list[Recipe]:
        """The shortest first. Starts from the shortest of the nodes that are about as good, unless
        several variants are wanted, which might then start from the same."""
        loss = PREVIEW_SHARE * acceptable_loss(node.score - self._floor)
        alike = self._alike(node.recipe)
        start = node
        if self._top == 1:
            good = [n for n in ranked[:WALKED] if n.score >= node.score - loss / 2]
            good = sorted(good, key=lambda n: len(n.recipe))[:AT_ONCE]
            same = alike([n.recipe for n in good])
            start = next((n for n, fits in zip(good, same, strict=True) if fits), node)
        most, given = self._effort.tries // self._top, (self._evaluator, self._space)
        return shorten(start.recipe, node.score, *given, loss=loss, most=most, alike=alike)

    def _alike(self, recipe: Recipe) -> Callable[[Sequence[Recipe]], list[bool]]:
        """Which recipes give previews on which the eye sees no difference to that of this one."""
        look = self._look(recipe)

        def alike(recipes: Sequence[Recipe]) -> list[bool]:
            apart = distance(lab(self._evaluator.render(recipes)), look).tolist()
            return [d <= PREVIEW_SHARE * unseen(r) for d, r in zip(apart, recipes, strict=True)]

        return alike


def _smaller(image: Image.Image, short_side: int, way: Image.Resampling) -> Image.Image:
    """The image, or what is left of it with that short side where that is much less."""
    scale = short_side / min(image.size)
    if scale > 0.7:
        return image
    size = (round(image.width * scale), round(image.height * scale))
    # Nearest does without a first reduction, which would average.
    return image.resize(size, way, reducing_gap=None if way == Image.Resampling.NEAREST else 2.0)


def unseen(recipe: Recipe) -> float:
    """How far what a shortened recipe makes may be from what it was, in CIE76 units."""
    return UNSEEN_OF_LONG if len(recipe) > LONG else UNSEEN


def acceptable_loss(gain: float) -> float:
    return max(MOST_LOSS * gain, MIN_GAIN)


def most_readable(finalists: Sequence[Finalist], base: float) -> Finalist:
    """The shortest that is as good as the best, or looks like it and is about as good."""
    best = max(finalists, key=lambda f: f.variant.terms.total)
    total = best.variant.terms.total
    loss, look = acceptable_loss(total - base), lab(best.preview)

    def good_enough(finalist: Finalist) -> bool:
        lost = total - finalist.variant.terms.total
        if lost <= MIN_GAIN:
            return True
        apart = distance(lab(finalist.preview), look).item()
        return lost <= loss and apart <= unseen(finalist.variant.recipe)

    good = filter(good_enough, finalists)
    return min(good, key=lambda f: len(f.variant.recipe))


def is_distinct(preview: torch.Tensor, looks: Iterable[torch.Tensor]) -> bool:
    """Whether `[1, 3, H, W]` uint8 looks unlike every one of `looks`, which are CIELAB."""
    look = lab(preview)
    return all(float(distance(look, other)) >= MIN_DISTANCE for other in looks)
