"""The tree on toy functions: what it asks for, what it learns, what it remembers."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from nulie.recipe import Recipe, Step
from nulie.recipe.space import Dial, Move
from nulie.search import Improved, Node, Scored, Tree
from nulie.tree.changes import KINDS, MAX_STEPS, Child, Credit
from nulie.tree.guide import Guide
from nulie.tree.population import Population
from nulie.tree.surrogate import Floats, _squared_distances

from .toys import SPACE, Recorder, drive, toy


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


def test_no_recipe_is_asked_twice() -> None:
    recorder = Recorder()
    drive(Tree(SPACE), recorder, evaluations=3000)
    assert len(set(recorder.recipes)) == len(recorder.recipes)


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
    recorder = Recorder()
    drive(tree, recorder, evaluations=200)
    dials = {m.op: {d.name: d for d in m.dials} for m in (once, *SPACE[1:])}
    for recipe in recorder.recipes:
        assert len(recipe) <= MAX_STEPS
        assert sum(s.op == "a" for s in recipe.steps) <= 1
        for step in recipe.steps:
            assert set(dict(step.params)) == set(dials[step.op])
            for name, value in step.params:
                assert dials[step.op][name].low <= value <= dials[step.op][name].high


def test_a_step_that_does_nothing_is_never_tried() -> None:
    recorder = Recorder()
    drive(
        Tree((*SPACE, Move("d", (Dial("amount", 0.0, 1.0, 0.0, "share", 0.1),)))),
        recorder,
        evaluations=1000,
    )
    idle = {Step.of("a", factor=1.0), Step.of("b", x=0.0, y=0.0), Step.of("c", bits=8.0)}
    assert not [r for r in recorder.recipes[1:] if {*r.steps} & {*idle, Step.of("d", amount=0.0)}]


def test_elites_differ_in_what_they_do() -> None:
    tree = Tree(SPACE)
    drive(tree, evaluations=1000)
    elites = tree.elites()
    assert elites[0].score == max(node.score for node in tree.best())
    assert [e.score for e in elites] == sorted((e.score for e in elites), reverse=True)
    assert len({tree._population.niche(e.recipe) for e in elites}) == len(elites) > 6


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(SPACE, capacity=100)
    drive(tree, evaluations=5000)
    assert len(tree.best()) == 100
    assert not tree._pending
    monkeypatch.setattr(Population, "NICHES", 3)
    monkeypatch.setattr(Tree, "MOST_SEEN", 50)
    drive(tree, evaluations=500)
    assert len(tree.elites()) <= 6
    assert len(tree._seen) <= 50


def factor(*values: float) -> Recipe:
    return Recipe(tuple(Step.of("a", factor=value) for value in values))


def test_a_step_must_be_worth_its_cost() -> None:
    """Of the gain so far 0.3 %."""
    tree = Tree(SPACE)
    tree.tell([(Recipe(), 5.0), (factor(1.1), 6.0), (factor(1.1, 1.1), 6.002)])
    assert [len(node.recipe.steps) for node in tree.best()] == [1, 2, 0]
    tree.tell([(factor(1.1, 1.2), 6.004)])
    assert tree.best(1)[0].recipe == factor(1.1, 1.2)


def test_of_equals_the_first_comes_first() -> None:
    tree = Tree(SPACE)
    tree.tell([(Recipe(), 0.0), (factor(1.1), 1.0), (factor(1.2), 1.0)])
    assert [node.number for node in tree.best()] == [1, 2, 0]
    assert [node.number for node in tree.elites()] == [1, 0], "both go the same way"


def test_nodes_know_where_they_come_from() -> None:
    tree = Tree(SPACE)
    drive(tree, evaluations=600)
    known = {node.number: node for node in tree.best()}
    assert sorted(known) == list(range(601))
    assert known[0] == Node(Recipe(), toy([Recipe()])[0], -1, 0)
    assert all(0 <= node.parent < node.number for node in tree.best() if node.number)
    # Of a parent that is near: most children share steps with it.
    kin = [set(n.recipe.steps) & set(known[n.parent].recipe.steps) for n in tree.best(200)]
    assert sum(map(bool, kin)) > 50


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_change_that_pays_is_made_more_often(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tree, "GUIDED_UNTIL", 0)
    makers: dict[Recipe, str] = {}

    def spy(name: str) -> Callable[..., Child]:
        def change(*args: Any) -> Child:
            child = KINDS[name](*args)
            makers[child.recipe] = name
            return child

        return change

    monkeypatch.setattr("nulie.tree.grow.KINDS", {name: spy(name) for name in KINDS})
    asked: list[Recipe] = []

    def evaluate(recipes: Sequence[Recipe]) -> list[float]:
        asked.extend(recipes)
        pays = (makers.get(recipe) == kind for recipe in recipes)
        return [len(asked) if paid else -len(asked) for paid in pays]

    drive(Tree(SPACE), evaluate, evaluations=1000)
    made = Counter(makers[recipe] for recipe in asked if recipe in makers)
    assert made[kind] > 1.8 * max(n for name, n in made.items() if name != kind)


def test_the_op_that_pays_is_added_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tree, "GUIDED_UNTIL", 0)
    monkeypatch.setattr("nulie.tree.grow.KINDS", {"extend": KINDS["extend"]})
    monkeypatch.setattr("nulie.tree.changes.MAX_STEPS", 10**6)
    space = tuple(Move(op, (Dial("factor", 0.5, 2.0, 1.0),)) for op in "abcd")

    def evaluate(recipes: Sequence[Recipe]) -> list[float]:
        """Each step of `b` is worth a point, each other one costs a point."""
        return [sum(1 if s.op == "b" else -1 for s in r.steps) for r in recipes]

    tree = Tree(space)
    drive(tree, evaluate, evaluations=600)
    state = tree.state()["ops"]
    assert max(state["tried"], key=state["tried"].get) == "b"
    assert max(len(node.recipe.steps) for node in tree.best()) > 20


def test_credit_follows_what_pays_lately_and_starves_nobody() -> None:
    credit, rng = Credit(["new", "old", "never"]), random.Random(0)
    for _ in range(1000):
        credit.record("old", True)
    for _ in range(1000):
        credit.record("new", True)
        credit.record("old", False)
        credit.record("never", False)
    counts = Counter(credit.pick(rng) for _ in range(2000))
    assert counts["new"] > 1600
    assert 50 < counts["never"] < 200
    assert 50 < counts["old"] < 200
    assert {credit.pick(rng, ["old", "never"]) for _ in range(50)} == {"old", "never"}


def test_parents_are_the_best_mostly_and_elites_at_times() -> None:
    population, rng = Population(SPACE, 1000), random.Random(0)
    for number in range(400):
        population.add(Node(factor(1.1), -number, -1, number), -number)
    for number, step in enumerate([Step.of("b", x=0.1, y=0.0), Step.of("c", bits=4.0)], 400):
        population.add(Node(Recipe((step,)), -number, -1, number), -number)
    picks = [population.pick_parent(rng).number for _ in range(4000)]
    # The elites are nodes 0, 400 and 401; the square of chance prefers the first.
    apart = sum(number >= 400 for number in picks) / len(picks)
    assert 0.25 * (1 - 3**-0.5) < apart < 0.25 * (1 - 3**-0.5) + 0.03
    # Half of chance to the fourth power lies below a sixteenth.
    others = sorted(number for number in picks if 0 < number < 400)
    assert 30 < others[len(others) // 2] < 60
    assert others[-1] > 380
    elites = Counter(population.pick_parent(rng, elites=1.0).number for _ in range(900))
    assert sorted(elites) == [0, 400, 401]
    assert elites[0] > elites[400] > elites[401]


class Watched(Guide):
    """Notes what it is asked."""

    calls: list[tuple[str, int, Any]]

    def learn(self, lesson: Sequence[Scored]) -> None:
        self.calls.append(("learn", len(lesson), None))
        super().learn(lesson)

    def proposals(
        self, parents: Sequence[Recipe], n: int, seed: int, *, elites: int, elite_children: int
    ) -> list[Iterator[tuple[int, Recipe]]]:
        self.calls.append(("propose", n, (list(parents), elites, elite_children)))
        return super().proposals(parents, n, seed, elites=elites, elite_children=elite_children)


def test_the_surrogate_learns_from_the_start() -> None:
    tree = Tree(SPACE)
    drive(tree, evaluations=60)
    lesson = [recipe["score"] for recipe in tree.state()["lesson"]["recipes"]]
    assert len(lesson) > 40
    assert max(lesson) > min(lesson)


def test_the_surrogate_guides_three_of_four_as_long_as_evaluations_are_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[str, int, Any]] = []
    monkeypatch.setattr(Watched, "calls", calls, raising=False)
    monkeypatch.setattr("nulie.tree.grow.Guide", Watched)
    monkeypatch.setattr(Tree, "GUIDED_UNTIL", 1000)
    tree = Tree(SPACE)
    drive(tree, evaluations=1000)
    proposals = [(n, rest) for call, n, rest in calls if call == "propose"]
    assert 0.7 < sum(n for n, _ in proposals) / 1000 < 0.8
    # It learns anew when a quarter more is known, from the best at most.
    learnt = [n for call, n, _ in calls if call == "learn"]
    assert 10 < len(learnt) < 25
    assert max(learnt) == Guide.MOST
    # Two fifths choose among children of elites alone.
    parents, elites, _ = proposals[-1][1]
    assert (len(parents), elites) == (Guide.POOL, 38)
    best = {node.recipe for node in tree.elites()}
    assert sum(recipe in best for recipe in parents[-38:]) > 30
    among = sum(children for _, (_, _, children) in proposals)
    assert 0.3 < among / sum(n for n, _ in proposals) < 0.5
    # From then on it is not asked.
    before = len(calls)
    drive(tree, evaluations=1500, done=1001)
    assert len(calls) == before


def test_the_surrogate_keeps_numpy_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine OpenBLAS's threads cost ten times what they compute."""
    pools = ThreadpoolController().select(internal_api="openblas")
    # scipy, which a test before may have loaded, has one of its own.
    pools.lib_controllers = [lib for lib in pools.lib_controllers if "numpy" in lib.filepath]
    if not pools.lib_controllers:
        pytest.skip("this numpy has no OpenBLAS")
    seen: list[int] = []

    def squares(a: Floats, b: Floats) -> Floats:
        seen.extend(pool["num_threads"] for pool in pools.info())
        return _squared_distances(a, b)

    monkeypatch.setattr("nulie.tree.surrogate._squared_distances", squares)
    with pools.limit(limits=2):
        drive(Tree(SPACE), evaluations=100)
        assert {pool["num_threads"] for pool in pools.info()} == {2}
    assert set(seen) == {1}
