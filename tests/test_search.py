"""The tree and its driver on toy functions: no image is needed."""

from __future__ import annotations

import itertools
import json
import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from nulie.recipe import Recipe, Step
from nulie.recipe.space import Dial, Move
from nulie.search import Improved, Progress, Tree, run
from nulie.tree.surrogate import _squares

SPACE = (
    Move("a", (Dial("factor", 0.5, 2.0, 1.0),)),
    Move("b", (Dial("x", 0.0, 1.0, 0.0, "share", 0.01), Dial("y", 0.0, 1.0, 0.0, "share", 0.01))),
    Move("c", (Dial("bits", 1.0, 8.0, 8.0, "bits", 1.0),)),
)


def totals(recipe: Recipe) -> dict[str, float]:
    found = {"factor": 1.0, "x": 0.0, "y": 0.0, "bits": 8.0}
    for step in recipe.steps:
        for name, value in step.params:
            found[name] = found[name] * value if name == "factor" else value
    return found


def toy(recipes):
    """Best, 0, at factor 3 (two steps of `a`), x 0.3, y 0.7; c only harms."""
    scores = []
    for recipe in recipes:
        t = totals(recipe)
        scores.append(
            -abs(math.log(t["factor"] / 3))
            - abs(t["x"] - 0.3) - abs(t["y"] - 0.7) - (8 - t["bits"]) / 8
        )  # fmt: skip
    return scores


def drive(strategy, evaluate=toy, **budget):
    """All events of a run, and why it ended."""
    steps = run(strategy, evaluate, base_score=evaluate([Recipe()])[0], **budget)
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value


def test_finds_the_optimum_of_a_toy_function() -> None:
    for seed in range(5):
        tree = Tree(SPACE, seed)
        drive(tree, evaluations=2000)
        assert tree.best(1)[0].score > -0.1


def test_same_seed_same_run_whatever_the_time() -> None:
    runs = [drive(Tree(SPACE, 7), evaluations=500, seconds=s)[0] for s in (None, 1000.0)]
    first, second = ([e for e in events if isinstance(e, Improved)] for events in runs)
    assert [(e.recipe, e.score, e.evaluations) for e in first] == [
        (e.recipe, e.score, e.evaluations) for e in second
    ]
    assert drive(Tree(SPACE, 8), evaluations=500)[0][-2:] != runs[0][-2:]


@pytest.mark.parametrize("evaluations", [1, 2, 31, 500])
def test_spends_exactly_its_evaluations(evaluations: int) -> None:
    asked = []
    events, reason = drive(
        Tree(SPACE), lambda rs: asked.extend(rs) or toy(rs), evaluations=evaluations
    )
    assert len(asked) - 1 == evaluations == events[-1].evaluations
    assert reason == "evaluations"


def test_no_recipe_is_asked_twice() -> None:
    asked = []
    drive(Tree(SPACE), lambda rs: asked.extend(rs) or toy(rs), evaluations=3000)
    assert len(set(asked)) == len(asked)


def test_the_best_score_never_falls_and_improvements_are_told() -> None:
    events, _ = drive(Tree(SPACE), evaluations=1000)
    best = [e.best_score for e in events if isinstance(e, Progress)]
    assert best == sorted(best)
    improved = [e.score for e in events if isinstance(e, Improved)]
    assert improved == sorted(set(improved))
    assert improved[-1] == best[-1]


def test_time_is_kept_to_within_a_batch_and_batches_to_a_tenth() -> None:
    now = [0.0]

    def slow(recipes):
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
    now, sizes = [0.0], []

    def device(recipes):
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


def test_an_evaluation_longer_than_the_budget_ends_after_one() -> None:
    now = [0.0]

    def slow(recipes):
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


def test_nan_is_refused_with_the_recipe() -> None:
    tree = Tree(SPACE)
    tree.tell([(Recipe(), 0.0)])
    recipe = tree.ask(1)[0]
    with pytest.raises(ValueError, match=recipe.steps[0].op):
        tree.tell([(recipe, math.nan)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_steps_stay_inside_their_dials(seed: int) -> None:
    once = Move("a", (Dial("factor", 1.0, 1.3, 1.0),), once=True)
    tree = Tree((once, *SPACE[1:]), seed)
    asked: list[Recipe] = []
    drive(tree, lambda rs: asked.extend(rs) or toy(rs), evaluations=200)
    dials = {m.op: {d.name: d for d in m.dials} for m in (once, *SPACE[1:])}
    for recipe in asked:
        assert len(recipe) <= Tree.MAX_STEPS
        assert sum(s.op == "a" for s in recipe.steps) <= 1
        for step in recipe.steps:
            assert set(dict(step.params)) == set(dials[step.op])
            for name, value in step.params:
                assert dials[step.op][name].low <= value <= dials[step.op][name].high


def test_a_step_that_does_nothing_is_never_tried() -> None:
    tree, asked = Tree((*SPACE, Move("d", (Dial("amount", 0.0, 1.0, 0.0, "share", 0.1),)))), []
    drive(tree, lambda rs: asked.extend(rs) or toy(rs), evaluations=1000)
    idle = {Step.of("a", factor=1.0), Step.of("b", x=0.0, y=0.0), Step.of("c", bits=8.0)}
    assert not [r for r in asked[1:] if {*r.steps} & {*idle, Step.of("d", amount=0.0)}]


def test_elites_differ_in_what_they_do() -> None:
    tree = Tree(SPACE)
    drive(tree, evaluations=1000)
    elites = tree.elites()
    assert elites[0].score == max(node.score for node in tree.best())
    assert [e.score for e in elites] == sorted((e.score for e in elites), reverse=True)
    assert len({tree._niche(e.recipe) for e in elites}) == len(elites) > 6


def test_memory_is_bounded() -> None:
    tree = Tree(SPACE, capacity=100)
    drive(tree, evaluations=5000)
    assert len(tree.best()) == 100
    assert not tree._asked
    tree.NICHES = 3
    drive(tree, evaluations=500)
    assert len(tree.elites()) <= 6


@pytest.mark.parametrize("evaluations", [1, 2, 31, 500])
def test_batches_ahead_are_begun_before_scores_are_read(evaluations: int) -> None:
    log = []

    class Lazy(list):
        def __iter__(self):
            log.append("read")
            return super().__iter__()

    def evaluate(recipes):
        log.append("begin")
        return Lazy(toy(recipes))

    tree = Tree(SPACE)
    steps = run(tree, evaluate, base_score=-9, evaluations=evaluations, ahead=1)
    assert [e for e in steps if isinstance(e, Progress)][-1].evaluations == evaluations
    assert not tree._asked
    tree.NICHES = 3
    drive(tree, evaluations=500)
    assert len(tree.elites()) <= 6
    batches = log.count("begin")
    assert log.count("read") == batches
    assert log[-1] == "read"
    if batches > 1:
        assert log[:2] == ["begin", "begin"]


@pytest.mark.parametrize("stop", [1, 10, 130, 700])
def test_a_restored_tree_goes_on_as_if_nothing_had_happened(stop: int) -> None:
    whole = Tree(SPACE, 5)
    drive(whole, evaluations=1200)
    first = Tree(SPACE, 5)
    at, best = 0, toy([Recipe()])[0]
    for event in run(first, toy, base_score=best, evaluations=1200):
        if isinstance(event, Progress):
            at, best = event.evaluations, event.best_score
            if at >= stop:
                break
    second = Tree(SPACE, 99)
    second.restore(json.loads(json.dumps(first.state())))
    drive(second, evaluations=1200, done=at, best_score=best)
    assert second.best() == whole.best()
    assert second.state() == whole.state()


def test_the_surrogate_keeps_numpy_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine OpenBLAS's threads cost ten times what they compute."""
    pools = ThreadpoolController().select(internal_api="openblas")
    if not pools.lib_controllers:
        pytest.skip("this numpy has no OpenBLAS")
    seen = []

    def squares(a, b):
        seen.extend(pool["num_threads"] for pool in pools.info())
        return _squares(a, b)

    monkeypatch.setattr("nulie.tree.surrogate._squares", squares)
    with pools.limit(limits=2):
        drive(Tree(SPACE), evaluations=100)
        assert {pool["num_threads"] for pool in pools.info()} == {2}
    assert set(seen) == {1}
