"""The tree on toy functions: what it asks for, what it learns, what it remembers."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from nulie import transforms
from nulie.engine import Enhancement, Finished
from nulie.engine.checkpoint import Checkpoint, digest
from nulie.recipe import Recipe, Step
from nulie.recipe.space import Dial, Move
from nulie.search import Improved, Node, Progress, Tree, run
from nulie.tree import nodes
from nulie.tree.changes import KINDS, MAX_STEPS, Child
from nulie.tree.credit import Credit
from nulie.tree.guide import Guide
from nulie.tree.population import Population
from nulie.tree.surrogate import _squared_distances

from .conftest import FakePredictor, picture
from .toys import SPACE, drive, toy

DATA = Path(__file__).parent / "data"


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
    asked = []
    drive(Tree(SPACE), lambda rs: asked.extend(rs) or toy(rs), evaluations=3000)
    assert len(set(asked)) == len(asked)


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
        assert len(recipe) <= MAX_STEPS
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

    def evaluate(recipes):
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

    def evaluate(recipes):
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

    def learn(self, lesson):
        self.calls.append(("learn", len(lesson), None))
        super().learn(lesson)

    def proposals(self, parents, n, seed, *, elites, elite_children):
        self.calls.append(("propose", n, (list(parents), elites, elite_children)))
        return super().proposals(parents, n, seed, elites=elites, elite_children=elite_children)


def test_the_surrogate_guides_three_of_four_as_long_as_evaluations_are_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[str, int, Any]] = []
    monkeypatch.setattr(Watched, "calls", calls, raising=False)
    monkeypatch.setattr("nulie.tree.grow.Guide", Watched)
    monkeypatch.setattr(Tree, "GUIDED_UNTIL", 1000)
    tree, asked = Tree(SPACE), []

    def evaluate(recipes):
        asked.append(len(recipes))
        return toy(recipes)

    drive(tree, evaluate, evaluations=1000)
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
        return _squared_distances(a, b)

    monkeypatch.setattr("nulie.tree.surrogate._squared_distances", squares)
    with pools.limit(limits=2):
        drive(Tree(SPACE), evaluations=100)
        assert {pool["num_threads"] for pool in pools.info()} == {2}
    assert set(seen) == {1}


def old_state() -> dict[str, Any]:
    """Of the tree in a checkpoint that version 1 wrote, with lists for nodes."""
    return dict(Checkpoint.from_json((DATA / "checkpoint-1.json").read_text()).tree)


def test_a_state_of_version_1_is_read() -> None:
    state, tree = old_state(), Tree(transforms.space("soft"))
    tree.restore(state)
    assert nodes(state) == nodes(tree.state()) == tree.best()
    numbers = [number for _, _, _, number in state["nodes"]]
    assert [node.number for node in tree.best()] == numbers
    steps, score, parent, number = state["nodes"][0]
    recipe = Recipe(tuple(Step.of(op, **params) for op, params in steps))
    assert tree.best(1) == [Node(recipe, score, parent, number)]


def test_a_state_of_version_1_goes_on_as_it_did_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the surrogate, whose last digits depend on the machine."""
    monkeypatch.setattr(Tree, "GUIDED_UNTIL", 0)
    expected = json.loads((DATA / "checkpoint-1-continued.json").read_text())
    checkpoint = Checkpoint.from_json((DATA / "checkpoint-1.json").read_text())
    tree = Tree(transforms.space("soft"))
    tree.restore(checkpoint.tree)
    asked: list[Recipe] = []

    def evaluate(recipes):
        asked.extend(recipes)
        turns = [[abs(value - 1.1) for s in r.steps for _, value in s.params] for r in recipes]
        return [
            round(10.2 - 0.1 * abs(sum(t) - 0.7) - 0.01 * len({s.op for s in r.steps}), 6)
            for r, t in zip(recipes, turns, strict=True)
        ]

    done, best = checkpoint.evaluations, checkpoint.best_score
    list(run(tree, evaluate, base_score=0, evaluations=400, done=done, best_score=best))
    assert [str(recipe) for recipe in asked[:20]] == expected["asked"]
    assert [str(recipe) for recipe in asked[-20:]] == expected["last"]
    best_nodes = [[str(n.recipe), n.score, n.parent, n.number] for n in tree.best(20)]
    assert best_nodes == expected["best"]


def test_a_checkpoint_of_version_1_is_gone_on_from() -> None:
    checkpoint = Checkpoint.from_json((DATA / "checkpoint-1.json").read_text())
    checkpoint = replace(checkpoint, photo=digest(picture()))  # as this machine draws it
    run = Enhancement(picture(), FakePredictor(), checkpoint.settings, resume=checkpoint)
    last = list(run.events())[-1]
    assert isinstance(last, Finished)
    assert last.result.evaluations == 400
    assert last.result.terms.total > 9.9


REFUSALS = (IndexError, KeyError, TypeError, ValueError)


def damages() -> list[tuple[str, Callable[[dict[str, Any]], object]]]:
    return [
        ("a list", lambda s: s.update(nodes=[])),
        ("another layout", lambda s: s.update(layout=9)),
        ("no numbers for chance", lambda s: s["rng"].update(numbers=[1, 2])),
        ("chance below 0", lambda s: s["rng"]["numbers"].__setitem__(3, -1)),
        ("a hash that is none", lambda s: s["seen"].append(math.inf)),
        ("a factor of 0", lambda s: s["nodes"][3].update(steps=[{"op": "a", "factor": 0.0}])),
        ("a ring of parents", lambda s: s["nodes"][3].update(parent=s["nodes"][3]["number"])),
        ("a younger parent", lambda s: s["nodes"][3].update(parent=10**6)),
        ("NaN", lambda s: s["nodes"][3].update(score=math.nan)),
        ("a score that is none", lambda s: s["nodes"][3].update(score="9")),
        ("a number that is none", lambda s: s["nodes"][3].update(number=1.5)),
        ("an unknown op", lambda s: s["nodes"][3].update(steps=[{"op": "z"}])),
        ("a dial too few", lambda s: s["nodes"][3].update(steps=[{"op": "b", "x": 1.0}])),
        (
            "a dial not finite",
            lambda s: s["elites"][3].update(steps=[{"op": "a", "factor": 1e999}]),
        ),
        ("a dial that is text", lambda s: s["nodes"][3].update(steps=[{"op": "a", "factor": ""}])),
        ("a worth too few", lambda s: s["worth"].pop()),
        ("no elites", lambda s: s.update(elites=[])),
        ("nothing of an op", lambda s: s["ops"]["paid"].pop("a")),
        ("pay without a try", lambda s: s["kinds"]["tried"].update(swap=0.0)),
        ("fewer evaluations than nodes", lambda s: s.update(evaluations=90)),
        ("a count below 0", lambda s: s.update(evaluations=-1)),
        ("a lesson of something else", lambda s: s["lesson"].update(recipes=[{"steps": 3}])),
    ]


@pytest.mark.parametrize(
    "damage", [pytest.param(function, id=name) for name, function in damages()]
)
def test_a_damaged_state_is_refused(damage: Callable[[dict[str, Any]], object]) -> None:
    tree = Tree(SPACE)
    drive(tree, evaluations=100)
    state = json.loads(json.dumps(tree.state()))
    Tree(SPACE).restore(state)
    damage(state)
    with pytest.raises(REFUSALS):
        Tree(SPACE).restore(state)


@pytest.mark.parametrize("key", sorted(old_state()))
@pytest.mark.parametrize("value", [None, 3, "text", [[3]], {"a": 1}], ids=repr)
def test_a_damaged_state_of_version_1_is_refused(key: str, value: object) -> None:
    with pytest.raises(REFUSALS):
        Tree(transforms.space("soft")).restore({**old_state(), key: value})
    missing = old_state()
    del missing[key]
    with pytest.raises(REFUSALS):
        Tree(transforms.space("soft")).restore(missing)


@pytest.mark.parametrize("parents", [(2, 1), (1, 1), (-2, 0)])
def test_parents_that_go_round_in_a_ring_are_refused(parents: tuple[int, int]) -> None:
    state = {"nodes": [[[], 1.0, -1, 0], [[], 1.0, parents[0], 1], [[], 1.0, parents[1], 2]]}
    with pytest.raises(ValueError, match=r"node|-2"):
        nodes({**old_state(), **state})
