"""The driver of a search: its budget, its batches, its events, on toy functions."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from nulie.recipe import Recipe
from nulie.recipe.space import Dial, Move
from nulie.search import LEAST_WAIT, Improved, Progress, Tree, run

from .toys import SPACE, Recorder, drive, toy


@pytest.mark.parametrize("evaluations", [1, 2, 31, 500])
def test_spends_exactly_its_evaluations(evaluations: int) -> None:
    recorder = Recorder()
    events, reason = drive(Tree(SPACE), recorder, evaluations=evaluations)
    assert len(recorder.recipes) - 1 == evaluations == events[-1].evaluations
    assert reason == "evaluations"


def test_the_best_score_never_falls_and_improvements_are_told() -> None:
    events, _ = drive(Tree(SPACE), evaluations=1000)
    best = [e.best_score for e in events if isinstance(e, Progress)]
    assert best == sorted(best)
    improved = [e.score for e in events if isinstance(e, Improved)]
    assert improved == sorted(set(improved))
    assert improved[-1] == best[-1]


def test_time_is_kept_to_within_a_batch_and_batches_to_a_tenth() -> None:
    now = [0.0]

    def slow(recipes: Sequence[Recipe]) -> list[float]:
        now[0] += 0.05 * len(recipes)
        return toy(recipes)

    steps = run(Tree(SPACE), slow, base_score=0, seconds=20, clock=lambda: now[0])
    ends = [e.seconds for e in steps if isinstance(e, Progress)]
    batches = [b - a for a, b in itertools.pairwise([0.0, *ends])]
    assert max(batches) <= 2.0
    assert 20 <= ends[-1] < 22
    assert max(batches) > 1.0  # and they do grow


@pytest.mark.parametrize(
    ("alone", "most", "found"),
    [
        (1.0, 128, 32),  # a device that computes all at once: twice the usual number
        (1.0, 16, 16),  # nothing gained from the usual number on
        (0.0, 128, 8),  # nothing gained by any number: half of the usual one
    ],
)
def test_batches_take_the_size_that_pays(alone: float, most: int, found: int) -> None:
    now, sizes = [0.0], list[int]()

    def device(recipes: Sequence[Recipe]) -> list[float]:
        sizes.append(len(recipes))
        # A fixed cost each time that so many are taken in, or one for each.
        now[0] += alone * -(-len(recipes) // most) or 0.1 * len(recipes)
        return toy(recipes)

    list(run(Tree(SPACE), device, base_score=0, seconds=60, batch=16, clock=lambda: now[0]))
    assert sizes[-8:-3] == [found] * 5  # the last ones are what there was time for
    assert max(sizes) <= 32
    sizes.clear()
    steps = run(Tree(SPACE), device, base_score=0, evaluations=400, batch=16, clock=lambda: now[0])
    list(steps)
    assert max(sizes) == 16  # the same in every run


@pytest.mark.parametrize("seconds", [3.0, 20.0, 47.7])
def test_nothing_is_begun_that_cannot_end_in_time_but_one_evaluation(seconds: float) -> None:
    now = [0.0]

    def slow(recipes: Sequence[Recipe]) -> list[float]:
        now[0] += 0.7 * len(recipes)
        return toy(recipes)

    steps = run(Tree(SPACE), slow, base_score=0, seconds=seconds, clock=lambda: now[0])
    ends = [e.seconds for e in steps if isinstance(e, Progress)]
    assert seconds <= ends[-1] < seconds + 0.7


def test_what_an_earlier_run_has_spent_counts() -> None:
    now = [100.0]

    def slow(recipes: Sequence[Recipe]) -> list[float]:
        now[0] += 1.0 * len(recipes)
        return toy(recipes)

    tree = Tree(SPACE)
    drive(tree, evaluations=50)
    budget: dict[str, Any] = {"seconds": 60.0, "done": 50, "spent": 30.0, "best_score": 9.0}
    events = list(run(tree, slow, base_score=-9, clock=lambda: now[0], **budget))
    # A quarter of what is known, and from then on, with a known speed, a tenth of the time.
    assert [e.evaluations for e in events] == [62, 68, 74, 80]
    assert [e.seconds for e in events] == [42, 48, 54, 60]
    assert {e.best_score for e in events if isinstance(e, Progress)} == {9.0}, (
        "no recipe of the toy is worth as much"
    )


def test_one_slow_batch_makes_the_next_ones_small() -> None:
    """But a quick one after it does not make them as large again at once."""
    now, sizes = [0.0], list[int]()

    def device(recipes: Sequence[Recipe]) -> list[float]:
        sizes.append(len(recipes))
        slow = len(recipes) > 250 and max(sizes[:-1]) <= 250
        now[0] += (1.0 if slow else 0.001) * len(recipes)
        return toy(recipes)

    budget: dict[str, Any] = {"seconds": 1000.0, "evaluations": 5000, "batch": 512}
    list(run(Tree(SPACE), device, base_score=0, clock=lambda: now[0], **budget))
    slow = next(i for i, size in enumerate(sizes) if size > 250)
    # A tenth of the time at a second each, then at half a second, and so on.
    assert sizes[slow + 1 : slow + 3] == [100, 200]


def test_batches_grow_with_what_is_known() -> None:
    recorder = Recorder()
    drive(Tree(SPACE), recorder, evaluations=400)
    sizes = recorder.sizes[1:]  # without the input
    known = [sum(sizes[:i]) for i in range(len(sizes))]
    assert sizes[:-1] == [min(32, max(1, n // 4)) for n in known[:-1]]


def test_a_busy_moment_does_not_decide_on_the_size() -> None:
    """The quickest of three batches counts."""
    now, sizes = [0.0], list[int]()

    def device(recipes: Sequence[Recipe]) -> list[float]:
        sizes.append(len(recipes))
        busy = len(recipes) == 16 and 16 not in sizes[:-1]
        now[0] += 20.0 if busy else 1.0  # all at once, so the largest batches are the cheapest
        return toy(recipes)

    list(run(Tree(SPACE), device, base_score=0, seconds=600, batch=16, clock=lambda: now[0]))
    assert sizes[-8:-4] == [32] * 4


def test_an_evaluation_longer_than_the_budget_ends_after_one() -> None:
    now = [0.0]

    def slow(recipes: Sequence[Recipe]) -> list[float]:
        now[0] += 60.0
        return toy(recipes)

    steps = run(Tree(SPACE), slow, base_score=0, seconds=5, clock=lambda: now[0])
    assert [e.evaluations for e in steps if isinstance(e, Progress)] == [1]


def test_cancel_ends_within_a_batch() -> None:
    cancel = threading.Event()
    steps = run(Tree(SPACE), toy, base_score=-9, evaluations=10**9, cancel=cancel)
    events = [next(steps)]
    cancel.set()
    events += list(steps)
    assert len([e for e in events if isinstance(e, Progress)]) == 1


def steps_at(*rises: int, patience: float, **more: Any) -> tuple[int, str]:
    """How many evaluations a search takes whose best score rises by a point at these, and why it
    ends."""
    count = 0

    def evaluate(recipes: Sequence[Recipe]) -> list[float]:
        nonlocal count
        scores = []
        for _ in recipes:
            count += 1
            scores.append(float(sum(count > rise for rise in rises)))
        return scores

    budget = {"base_score": 0.0, "evaluations": 20_000, "batch": 1, **more}
    events, reason = [], None
    steps = run(Tree(SPACE), evaluate, patience=patience, **budget)
    while reason is None:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            reason = stop.value
    return count, reason


@pytest.mark.parametrize(
    ("rises", "patience", "ends"),
    [
        ((), 1.0, LEAST_WAIT),
        ((99,), 1.0, 100 + LEAST_WAIT),
        ((499, 899), 1.0, 900 * 2),
        ((499, 899), 0.1, 900 + LEAST_WAIT),
        ((899,), 3.0, LEAST_WAIT),  # it never gets there
        ((399, 799), 3.0, 4 * 800),
    ],
)
def test_patience_ends_where_nothing_is_left_to_gain(
    rises: tuple[int, ...], patience: float, ends: int
) -> None:
    assert steps_at(*rises, patience=patience, rise=0.5) == (ends, "saturated")


def test_without_patience_the_budget_is_spent() -> None:
    assert steps_at(evaluations=3000, patience=0.0) == (3000, "evaluations")


def test_small_rises_add_up_to_one() -> None:
    """Each is half of what counts, and comes just in time."""
    assert steps_at(399, 799, 1199, patience=1.0, rise=2.0) == (LEAST_WAIT, "saturated")
    assert steps_at(199, 399, 799, patience=1.0, rise=2.0) == (900, "saturated")
    assert steps_at(199, 399, 799, patience=1.0, rise=1.0) == (1600, "saturated")


def test_patience_counts_from_where_a_run_goes_on() -> None:
    goes_on = {"done": 10_000, "spent": 9.0, "best_score": 0.0, "rise": 0.5}
    assert steps_at(patience=1.0, **goes_on) == (LEAST_WAIT, "saturated")


def test_a_small_discrete_space_is_exhausted() -> None:
    tree = Tree((Move("c", (Dial("bits", 1.0, 8.0, 8.0, "bits", 1.0),), once=True),))
    events, reason = drive(tree, evaluations=10**6)
    assert reason == "exhausted"
    assert events[-1].evaluations == 7, "8 bits are the input itself"


@pytest.mark.parametrize("score", [0.0, -math.inf])
def test_survives_equal_and_infinite_scores(score: float) -> None:
    events, reason = drive(Tree(SPACE), lambda rs: [score] * len(rs), evaluations=300)
    assert reason == "evaluations"
    assert not [e for e in events if isinstance(e, Improved)]


@pytest.mark.parametrize("evaluations", [1, 2, 31, 500])
def test_batches_ahead_are_begun_before_scores_are_read(evaluations: int) -> None:
    log: list[str] = []

    class Lazy(list[float]):
        def __iter__(self) -> Iterator[float]:
            log.append("read")
            return super().__iter__()

    def evaluate(recipes: Sequence[Recipe]) -> Lazy:
        log.append("begin")
        return Lazy(toy(recipes))

    tree = Tree(SPACE)
    steps = run(tree, evaluate, base_score=-9, evaluations=evaluations, ahead=1)
    assert [e for e in steps if isinstance(e, Progress)][-1].evaluations == evaluations
    assert not tree._pending
    batches = log.count("begin")
    assert log.count("read") == batches
    assert log[-1] == "read"
    if batches > 1:
        assert log[:2] == ["begin", "begin"]
