"""What became of one photo, and how that is told as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from ..engine import Result
from ..engine.objective import Terms
from ..engine.pipeline import apply
from ..image_io import Photo
from ..recipe import Recipe
from ..search import Node
from .recipes import TEXT_KEY


@dataclass(frozen=True)
class Outcome:
    """Of a search (`result` says how it went) or of a recipe that was applied."""

    name: str
    before: Photo
    """What the search, or the recipe, began with."""
    made: Photo | None
    """`after`, as long as it is held: see `light`."""
    recipe: Recipe
    """All of it: what was restored before the search, what that found, what came after."""
    predictor: str = ""
    """Who judged; empty when nobody did."""
    base: Terms | None = None
    terms: Terms | None = None
    """The marks of `before` and of `after`."""
    result: Result | None = None
    points: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    """(seconds, best score) at each improvement of the search."""
    nodes: Sequence[Node] = field(default=(), repr=False)
    models: Any = field(default=None, repr=False)
    """Those of the recipe's steps, see `engine.pipeline.apply`."""

    @property
    def after(self) -> Photo:
        """The best variant, or the photo itself when nothing beat it."""
        return self.variant(0)

    @property
    def changed(self) -> bool:
        return self.result is None or bool(self.result.variants) or self.recipe != Recipe()

    @property
    def stopped(self) -> bool:
        """Whether somebody ended the search before its time."""
        return self.result is not None and self.result.reason == "cancelled"

    def recipes(self) -> tuple[Recipe, ...]:
        """Of each variant, the best first; of none when nothing was done to the photo."""
        if self.result is None or not self.result.variants:
            return (self.recipe,) if self.changed else ()
        first, last = self.recipe.before, self.recipe.after
        return tuple(Recipe(v.recipe.steps, first, last) for v in self.result.variants)

    def variant(self, number: int) -> Photo:
        """A variant at full size; number 0 is the best."""
        if number == 0 and self.made is not None:
            return self.made
        if not self.changed:
            return self.before
        recipe = self.recipes()[number]
        # What was restored before a search is what it began with.
        first = recipe.before if self.result is None else ()
        return apply(Recipe(recipe.steps, first, recipe.after), self.before, self.models)

    def light(self) -> Outcome:
        """To be kept: without the nodes and the full size, which take most of the memory."""
        result = self.result and replace(self.result, image=self.before.pixels)
        return replace(self, made=None, result=result, nodes=())

    def told(self) -> Outcome:
        """To be handed to another process: what can be said of it, without pictures and models."""
        bare = Photo(Image.new("RGB", (1, 1)), format=self.before.format)
        result = self.result and replace(self.result, image=bare.pixels)
        return replace(self, before=bare, made=None, result=result, nodes=(), models=None)

    def score(self, number: int = 0) -> dict[str, Any]:
        """What a variant's file says of its scores; empty when nobody judged."""
        terms = self.terms
        if self.result is not None and self.result.variants:
            terms = self.result.variants[number].terms
        if self.base is None or terms is None:
            return {}
        return {"before": self.base.score, "after": terms.score, "by": self.predictor}

    def data(self) -> dict[str, Any]:
        result = self.result
        if result is None:
            return {"recipe": recipe_data(self.recipe)}
        return {
            "predictor": self.predictor,
            "changed": self.changed,
            "before": asdict(result.base),
            "variants": [
                {"recipe": recipe_data(recipe), "after": asdict(v.terms)}
                for recipe, v in zip(self.recipes(), result.variants, strict=False)
            ],
            "recipe": recipe_data(self.recipe),
            "evaluations": result.evaluations,
            "seconds": round(result.seconds, 3),
            "reason": result.reason,
        }


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(recipe.to_json())
    return data


def file_text(recipe: Recipe, score: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The text that a result carries: its recipe, and its scores where there are any."""
    data = {**recipe_data(recipe), **({"score": dict(score)} if score else {})}
    return {TEXT_KEY: json.dumps(data)}


def line(given: str, outcome: Outcome, written: Sequence[Path]) -> dict[str, Any]:
    return {"input": given, **outcome.data(), "output": [str(p) for p in written]}
