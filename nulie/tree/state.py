"""A tree's state as data for JSON; what reads raises KeyError, TypeError, ValueError."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from reprlib import repr  # of a value of any size, which damage may have made
from typing import Any

from ..recipe import Recipe, Step
from .node import ORPHAN, Node

LAYOUT = 2
"""Number of the layout of `Tree.state`. The first one had no number, and lists for nodes."""


def nodes(state: Mapping[str, Any]) -> list[Node]:
    """The nodes that a tree of this state remembers, best first. Raises: as all that reads."""
    return list(map(read_node, present_layout(state)["nodes"]))


def present_layout(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state in the layout of this version, whichever it was written in."""
    if "layout" not in state:
        return _from_first(state)
    if state["layout"] != LAYOUT:
        raise ValueError(f"layout {state['layout']!r} of a tree is unknown")
    return state


def write_steps(recipe: Recipe) -> list[dict[str, Any]]:
    """The steps of a recipe, as they stand in its own JSON."""
    return [{"op": step.op, **dict(step.params)} for step in recipe.steps]


def read_steps(data: Sequence[Mapping[str, Any]]) -> Recipe:
    return Recipe(tuple(_read_step(**item) for item in data))


def _read_step(op: str, **params: Any) -> Step:
    if not isinstance(op, str):
        raise TypeError(f"{op!r} is no op")
    values = {name: number(value) for name, value in params.items()}
    if not all(map(math.isfinite, values.values())):
        raise ValueError(f"{op}: {params} are not finite")
    return Step.of(op, **values)


def write_node(node: Node) -> dict[str, Any]:
    steps = write_steps(node.recipe)
    return {"steps": steps, "score": node.score, "parent": node.parent, "number": node.number}


def read_node(data: Mapping[str, Any]) -> Node:
    """Parents are older than their children, so every chain of parents comes to an end."""
    own, parent = count(data["number"]), data["parent"]
    if parent != ORPHAN and count(parent) >= own:
        raise ValueError(f"node {own} cannot be made from node {parent}")
    score = number(data["score"])
    if math.isnan(score):
        raise ValueError(f"score of node {own} is NaN")
    return Node(read_steps(data["steps"]), score, parent, own)


def number(data: Any) -> float:
    """A number, be it infinite or NaN, that can be reckoned with."""
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        raise TypeError(f"{repr(data)} is no number")
    if abs(data) > 1e12 and data not in (math.inf, -math.inf):
        raise ValueError(f"{repr(data)} is too large")
    return float(data)


def integer(data: Any) -> int:
    if type(data) is not int:
        raise TypeError(f"{repr(data)} is no whole number")
    return data


def count(data: Any) -> int:
    if not 0 <= integer(data) < 2**63:
        raise ValueError(f"{repr(data)} counts nothing")
    return integer(data)


def _from_first(state: Mapping[str, Any]) -> dict[str, Any]:
    version, numbers, gauss = state["rng"]
    base, top = state["scores"]
    learnt, lesson = state["learnt"]
    return {
        "layout": LAYOUT,
        "rng": {"version": version, "numbers": numbers, "gauss": gauss},
        "nodes": [_node(*node) for node in state["nodes"]],
        "worth": state["worth"],
        "elites": [_node(*node) for node in state["elites"]],
        "seen": state["seen"],
        "kinds": dict(zip(("paid", "tried"), state["kinds"], strict=True)),
        "ops": dict(zip(("paid", "tried"), state["ops"], strict=True)),
        "evaluations": state["told"],
        "base": base,
        "top": top,
        "probes": [{"steps": _steps(steps), "op": op} for steps, op in state["probes"]],
        "lesson": {
            "evaluations": learnt,
            "recipes": [{"steps": _steps(steps), "score": score} for steps, score in lesson],
        },
    }


def _node(steps: Sequence[Any], score: float, parent: int, number: int) -> dict[str, Any]:
    return {"steps": _steps(steps), "score": score, "parent": parent, "number": number}


def _steps(steps: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"op": op, **params} for op, params in steps]
