"""The state of a tree as data: gone on from, of this version and of the first, or refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nulie.engine import Enhancement, Finished
from nulie.engine.checkpoint import Checkpoint, digest
from nulie.recipe import Recipe, Step, version1
from nulie.search import Node, Progress, Tree, run
from nulie.tree import nodes

from .conftest import FakePredictor, picture
from .toys import SPACE, drive, toy

DATA = Path(__file__).parent / "data"


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


def old_state() -> dict[str, Any]:
    """Of the tree in a checkpoint that version 1 wrote, with lists for nodes."""
    return dict(Checkpoint.from_json((DATA / "checkpoint-1.json").read_text()).tree)


def test_a_state_of_version_1_is_read() -> None:
    state, tree = old_state(), Tree(version1.space("soft", None, {}))
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
    tree = Tree(version1.space("soft", None, {}))
    tree.restore(checkpoint.tree)
    asked: list[Recipe] = []

    def evaluate(recipes: Sequence[Recipe]) -> list[float]:
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
        Tree(version1.space("soft", None, {})).restore({**old_state(), key: value})
    missing = old_state()
    del missing[key]
    with pytest.raises(REFUSALS):
        Tree(version1.space("soft", None, {})).restore(missing)


@pytest.mark.parametrize("parents", [(2, 1), (1, 1), (-2, 0)])
def test_parents_that_go_round_in_a_ring_are_refused(parents: tuple[int, int]) -> None:
    state = {"nodes": [[[], 1.0, -1, 0], [[], 1.0, parents[0], 1], [[], 1.0, parents[1], 2]]}
    with pytest.raises(ValueError, match=r"node|-2"):
        nodes({**old_state(), **state})
