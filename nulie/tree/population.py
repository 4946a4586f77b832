"""The nodes that are remembered: the best of all, and the best of each niche."""

from __future__ import annotations

import bisect
import random
from collections.abc import Mapping, Sequence
from typing import Any

from ..recipe import Recipe, Space
from .node import Node
from .state import number, read_node, write_node

Niche = frozenset[tuple[str, bool]]
"""Which ops a recipe has, each turned up (True) or down."""


class Population:
    """Nodes in two lists: all, by their worth, and the elites, the best of each niche. Recipes of
    one niche do much the same, those of two do not, where the best nodes are all much alike."""

    NICHES = 512
    """So many niches at least are remembered, the worst forgotten."""
    ELITE_PARENTS = 0.25

    def __init__(self, space: Space, capacity: int) -> None:
        """At most `capacity` nodes beside the elites are remembered after `forget`."""
        self._capacity = capacity
        # For each op where among a step's values its first dial's stands, and that which does
        # nothing.
        self._leads: dict[str, tuple[int, float]] = {}
        for move in space:
            lead = [name for name, _ in move.idle].index(move.dials[0].name)
            self._leads[move.op] = lead, move.idle[lead][1]
        self._nodes: list[Node] = []  # best first
        self._keys: list[float] = []  # their negated worths, for bisection
        self._elites: dict[Niche, Node] = {}
        self._ranked: list[Node] | None = None  # the elites, best first

    def __len__(self) -> int:
        return len(self._nodes)

    def best(self, n: int | None = None) -> list[Node]:
        return self._nodes[:n]

    def elites(self) -> Sequence[Node]:
        if self._ranked is None:
            self._ranked = sorted(self._elites.values(), key=lambda node: -node.score)
        return self._ranked

    def niche(self, recipe: Recipe) -> Niche:
        """Raises: KeyError when a step is none of the space's."""
        turns = []
        for step in recipe.steps:
            lead, neutral = self._leads[step.op]
            turns.append((step.op, step.params[lead][1] > neutral))
        return frozenset(turns)

    def add(self, node: Node, worth: float) -> int:
        """Remembers a node; its rank by `worth` among all, from 0, the older before its equals."""
        rank = bisect.bisect_right(self._keys, -worth)
        if rank < self._capacity:
            self._keys.insert(rank, -worth)
            self._nodes.insert(rank, node)
        niche = self.niche(node.recipe)
        if niche not in self._elites or self._elites[niche].score < node.score:
            self._elites[niche] = node
            self._ranked = None
        return rank

    def forget(self) -> None:
        del self._keys[self._capacity :], self._nodes[self._capacity :]
        if len(self._elites) > 2 * self.NICHES:
            self._elites = {self.niche(n.recipe): n for n in self.elites()[: self.NICHES]}
            self._ranked = None

    def pick_parent(self, rng: random.Random, *, elites: float = ELITE_PARENTS) -> Node:
        """A node by its rank: the best ones mostly, any one at times. Or, a share of `elites`, one
        of the elites, which keeps alive what is not yet as good as it may get."""
        if rng.random() < elites:
            ranked = self.elites()
            return ranked[int(len(ranked) * rng.random() ** 2)]
        return self._nodes[int(len(self._nodes) * rng.random() ** 4)]

    def state(self) -> dict[str, Any]:
        """Data for JSON. To be taken after `forget`."""
        return {
            "nodes": list(map(write_node, self._nodes)),
            "worth": [-key for key in self._keys],
            "elites": list(map(write_node, self._elites.values())),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state` of the same space. Raises: as `Tree.restore` does."""
        nodes, elites = (list(map(read_node, state[key])) for key in ("nodes", "elites"))
        keys = [-number(worth) for worth in state["worth"]]
        if len(nodes) != len(keys) or bool(nodes) != bool(elites):
            raise ValueError(f"{len(nodes)} nodes, {len(keys)} worths, {len(elites)} elites")
        self._nodes, self._keys = nodes, keys
        self._elites = {self.niche(node.recipe): node for node in elites}
        self._ranked = None
