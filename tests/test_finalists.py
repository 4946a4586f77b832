"""Which finalist wins, on trees made for the purpose."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pytest
import torch
from PIL import Image

from nulie.color import distance, lab
from nulie.engine import Enhancement, Finished
from nulie.engine.events import Variant
from nulie.engine.finalists import (
    LONG,
    MIN_DISTANCE,
    MIN_GAIN,
    MOST_LOSS,
    TRIES_A_VARIANT,
    UNSEEN,
    UNSEEN_OF_LONG,
    Effort,
    Election,
    Finalist,
    acceptable_loss,
    is_distinct,
    most_readable,
)
from nulie.engine.objective import Terms
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings
from nulie.search import Node

from .conftest import FakePredictor, picture

IMAGE = Image.new("RGB", (2, 2))


def finalist(steps: int, total: float, level: int = 128) -> Finalist:
    recipe = Recipe((Step.of("brightness", factor=1.1),) * steps)
    terms = Terms(total, total, 1.0, 0.0, None, None, None, True)
    preview = torch.full((1, 3, 2, 2), level, dtype=torch.uint8)
    return Finalist(Variant(recipe, terms), IMAGE, preview)


def winner(*group: tuple[int, float, int], base: float = 0.0) -> int:
    """The number of steps of the one that wins, of (steps, total, level of its picture); about here
    a level is 0.4 units."""
    return len(most_readable([finalist(*g) for g in group], base).variant.recipe)


def test_a_shorter_recipe_may_cost_what_the_eye_does_not_see() -> None:
    assert UNSEEN == 0.5
    assert winner((5, 2.0, 128), (4, 1.91, 129)) == 4
    assert winner((5, 2.0, 128), (4, 1.91, 130)) == 5


def test_what_leaves_a_recipe_long_may_cost_more() -> None:
    assert (LONG, UNSEEN_OF_LONG) == (6, 1.5)
    assert winner((9, 2.0, 128), (7, 1.91, 131)) == 7
    assert winner((9, 2.0, 128), (7, 1.91, 133)) == 9
    assert winner((9, 2.0, 128), (6, 1.91, 131)) == 9


def test_however_little_is_seen_a_share_of_the_gain_stays() -> None:
    """Of the gain, not of the score."""
    assert MOST_LOSS == 0.12
    assert winner((5, 9.0, 128), (4, 8.89, 128), base=8.0) == 4
    assert winner((5, 9.0, 128), (4, 8.87, 128), base=8.0) == 5


def test_what_is_no_worse_may_look_otherwise() -> None:
    assert MIN_GAIN == 0.02
    assert winner((5, 2.0, 128), (4, 1.99, 200)) == 4
    assert winner((5, 2.0, 128), (4, 2.1, 200)) == 4
    assert winner((5, 2.0, 128), (4, 1.97, 200)) == 5


def test_a_small_gain_may_be_lost_but_for_the_least() -> None:
    assert acceptable_loss(0.1) == MIN_GAIN
    assert acceptable_loss(10.0) == 10 * MOST_LOSS


def test_looks_that_are_alike_are_not_distinct() -> None:
    grey = torch.full((1, 3, 4, 4), 128, dtype=torch.uint8)
    close, far = grey + 3, grey + 12  # about 1.2 and 4.7 units of lightness
    assert is_distinct(grey, [])
    assert not is_distinct(grey, [lab(close)])
    assert is_distinct(grey, [lab(far)])
    assert not is_distinct(grey, [lab(far), lab(close)])


@pytest.mark.parametrize(
    ("budget", "evaluations", "seconds", "reason", "effort"),
    [
        # A quarter of the evaluations, within bounds, and all the time it needs.
        ({"seconds": None, "evaluations": 400}, 400, 2.0, "evaluations", (math.inf, 100)),
        ({"seconds": None, "evaluations": 8}, 8, 2.0, "evaluations", (math.inf, 8)),
        ({"seconds": None, "evaluations": 9000}, 9000, 2.0, "evaluations", (math.inf, 300)),
        # Half a second's worth, and half a second.
        ({"seconds": 5.0}, 1000, 5.0, "time", (100.5, 100)),
        ({"seconds": 1.0}, 100, 1.0, "time", (100.5, 50)),
        # A twentieth of a long search, a tenth of its evaluations.
        ({"seconds": 100.0}, 2000, 100.0, "time", (105.0, 200)),
        # Who has ended it does not want to wait.
        ({"seconds": 100.0}, 2000, 9.0, "cancelled", (100.0, 0)),
        ({"seconds": None, "evaluations": 400}, 100, 9.0, "cancelled", (100.0, 0)),
    ],
)  # fmt: skip
def test_an_election_costs_in_proportion_to_the_search(
    budget: dict[str, Any], evaluations: int, seconds: float, reason, effort: tuple[float, int]
) -> None:
    found = Effort.after(Settings(**budget), evaluations, seconds, reason, 100.0)
    assert (found.deadline, found.tries) == effort


def test_what_looks_like_a_refused_node_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best nodes are much alike, so full size would refuse one after the other."""
    tried = []

    def refused(election: Election, node: Node, *_: Any) -> None:
        tried.append(election._look(node.recipe))

    monkeypatch.setattr(Election, "_winner", refused)
    settings = Settings(seconds=None, evaluations=600)
    *_, last = Enhancement(picture(64, 48), FakePredictor(target=200.0), settings).events()
    assert isinstance(last, Finished)
    assert not last.result.variants
    assert len(tried) == TRIES_A_VARIANT
    for one, other in combinations(tried, 2):
        assert distance(one, other).item() >= MIN_DISTANCE
