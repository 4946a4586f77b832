"""The state of a tree as data: its layouts, and what can be read from it without a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .node import Node

LAYOUT = 2
"""Number of the layout of `Tree.state`. The first one had no number, and lists for nodes."""


def nodes(state: Mapping[str, Any]) -> list[Node]:
    """The nodes that a tree of this state remembers, best first.

    Raises: KeyError, TypeError, ValueError when it is none."""
    return [Node.from_json(node) for node in present_layout(state)["nodes"]]


def present_layout(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state in the layout of this version, whichever it was written in.

    Raises: KeyError, TypeError, ValueError when it is in none of them."""
    if "layout" not in state:
        return _from_first(state)
    if state["layout"] != LAYOUT:
        raise ValueError(f"layout {state['layout']!r} of a tree is unknown")
    return state


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
        "kinds": _credit(*state["kinds"]),
        "ops": _credit(*state["ops"]),
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


def _credit(paid: Mapping[str, float], tried: Mapping[str, float]) -> dict[str, Any]:
    return {"paid": paid, "tried": tried}
