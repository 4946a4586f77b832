"""A tree that grows from the best recipes: it is asked for recipes and told their scores."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from ..recipe import Recipe, Space
from .changes import KINDS, MAX_STEPS, Child, Choices, Credit, probes
from .guide import Guide
from .node import ORPHAN, Node, Scored
from .population import Population
from .state import LAYOUT, count, integer, number, present_layout, read_steps, write_steps


class _Origin(NamedTuple):
    """Number of a recipe's parent; the kind of change and the op that get the credit, if any."""

    parent: int = ORPHAN
    credit: tuple[str, str] | None = None


class Tree:
    """Grows from the best nodes, and from the best of each niche: a child adds a step to a good
    recipe, or changes one of its steps, or crosses it with another good one. Which kind of change
    and which op are tried next follows what has paid so far; early on most children are those of
    which a surrogate hopes for most. Deterministic for a seed and a sequence of scores. At most
    `capacity` nodes are remembered, the best ones."""

    STEP_COST = 0.003
    """Share of the gain so far that a step must be worth."""
    GUIDED_UNTIL = 3000
    """Evaluations that a surrogate guides; later a node costs less without, and gains as much."""
    UNGUIDED_SHARE = 0.25
    """Share of those evaluations in which the surrogate has no say."""
    LESSON_GROWTH = 1.25
    """Growth of what is known after which the surrogate learns anew."""
    FROM_ELITES = 0.4
    """Share of the guided that are children of elites alone, since another basin may be deeper."""
    MOST_SEEN = 1_000_000
    """Recipes that are known to have been tried; a repeated one costs one evaluation, no more."""

    def __init__(self, space: Space, seed: int = 0, *, capacity: int = 4096) -> None:
        self._moves = {move.op: move for move in space}
        self._index = {move.op: i for i, move in enumerate(space)}
        rng = self._rng = random.Random(seed)
        self._population = Population(space, capacity)
        self._seen: set[int] = set()
        self._pending: dict[Recipe, _Origin] = {}
        self._kinds = Credit(KINDS)
        self._ops = Credit(self._moves)
        pick_parent, pick_op = self._population.pick_parent, partial(self._ops.pick, rng)
        self._choices = Choices(self._moves, rng, pick_op, lambda: pick_parent(rng).recipe)
        self._evaluations = 0
        self._base = self._top = 0.0
        self._probes = [probe for probe in probes(space) if self._does_something(probe.recipe)]
        rng.shuffle(self._probes)
        self._guide = Guide(space, MAX_STEPS)
        self._learnt_at = 0.0

    def best(self, n: int | None = None) -> list[Node]:
        """The `n` best nodes, or all that are remembered, best first."""
        return self._population.best(n)

    def elites(self) -> Sequence[Node]:
        """The best node of each niche, a set of ops turned up or down; best first, all unlike."""
        return self._population.elites()

    def ask(self, n: int) -> list[Recipe]:
        """Up to `n` recipes that were not tried before, none when no new one can be thought of."""
        if not len(self._population):
            return [Recipe()]
        recipes = self._fresh(n, self._probe())
        if len(recipes) < n:
            recipes += self._ask_guide(n - len(recipes))
            recipes += self._fresh(n - len(recipes), self._change(tries=200 + 20 * n))
        return recipes

    def tell(self, results: Sequence[Scored]) -> None:
        """Learns from scores, higher is better. Raises: ValueError on NaN."""
        for recipe, score in results:
            if math.isnan(score):
                raise ValueError(f"score of {recipe} is NaN")
            self._add(recipe, score)
        self._population.forget()
        if len(self._seen) > self.MOST_SEEN:
            self._seen.clear()

    def state(self) -> dict[str, Any]:
        """All that the tree has learnt, as data for JSON. To be taken between `tell` and `ask`."""
        version, numbers, gauss = self._rng.getstate()
        return {
            "layout": LAYOUT,
            "rng": {"version": version, "numbers": list(numbers), "gauss": gauss},
            **self._population.state(),
            "seen": sorted(self._seen),
            "kinds": self._kinds.state(),
            "ops": self._ops.state(),
            "evaluations": self._evaluations,
            "base": self._base,
            "top": self._top,
            "probes": [{"steps": write_steps(p.recipe), "op": p.op} for p in self._probes],
            "lesson": {
                "evaluations": self._learnt_at,
                "recipes": [{"steps": write_steps(r), "score": s} for r, s in self._guide.lesson],
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from the `state` of a tree of the same space, also one that an earlier version
        has written. Raises: IndexError, KeyError, TypeError, ValueError when it is none."""
        state = present_layout(state)
        lesson = state["lesson"]
        rng, gauss = state["rng"], state["rng"]["gauss"]
        gauss = None if gauss is None else number(gauss)
        self._rng.setstate((rng["version"], tuple(map(count, rng["numbers"])), gauss))
        self._population.restore(state)
        self._seen = set(map(integer, state["seen"]))
        self._kinds.restore(state["kinds"])
        self._ops.restore(state["ops"])
        self._evaluations = count(state["evaluations"])
        self._base, self._top = number(state["base"]), number(state["top"])
        self._probes = [
            Child(read_steps(p["steps"]), self._moves[p["op"]].op) for p in state["probes"]
        ]
        self._learnt_at = number(lesson["evaluations"])
        results = [(read_steps(r["steps"]), number(r["score"])) for r in lesson["recipes"]]
        remembered = [*self.best(), *self.elites()]
        if any(node.number >= self._evaluations for node in remembered):
            raise ValueError(f"a node later than {self._evaluations} evaluations")
        self._check(node.recipe for node in remembered)
        self._check(recipe for recipe, _ in [*self._probes, *results])
        if results:
            self._guide.learn(results)

    def _check(self, recipes: Iterable[Recipe]) -> None:
        """Raises: KeyError, ValueError when one is not made of the space's moves."""
        for step in (step for recipe in recipes for step in recipe.steps):
            move, values = self._moves[step.op], dict(step.params)
            if [name for name, _ in move.idle] != list(values):
                raise ValueError(f"{step} is no step of this search")
            for dial in move.dials:
                dial.to_unit(values[dial.name])  # no logarithm of a factor of 0

    def _fresh(self, n: int, some: Iterator[tuple[Recipe, _Origin]]) -> list[Recipe]:
        """The first `n` that are worth a try."""
        return list(islice((recipe for recipe, origin in some if self._admit(recipe, origin)), n))

    def _probe(self) -> Iterator[tuple[Recipe, _Origin]]:
        while self._probes:
            recipe, op = self._probes.pop()
            yield recipe, _Origin(0, ("extend", op))

    def _ask_guide(self, n: int) -> list[Recipe]:
        """Of up to `n` recipes the share that the surrogate chooses: those it hopes for most."""
        if self._evaluations >= self.GUIDED_UNTIL:
            return []
        n = sum(self._rng.random() >= self.UNGUIDED_SHARE for _ in range(n))
        if n == 0:
            return []
        if self._evaluations >= self._learnt_at * self.LESSON_GROWTH:
            self._guide.learn([(node.recipe, node.score) for node in self.best(self._guide.MOST)])
            self._learnt_at = self._evaluations
        if not self._guide.ready:
            return []
        rng, population = self._rng, self._population
        elite_children = sum(rng.random() < self.FROM_ELITES for _ in range(n))
        elites = round(self.FROM_ELITES * self._guide.POOL)
        parents = [population.pick_parent(rng) for _ in range(self._guide.POOL - elites)]
        parents += [population.pick_parent(rng, elites=1.0) for _ in range(elites)]
        known, seed = [node.recipe for node in parents], rng.getrandbits(64)
        shares = {"elites": elites, "elite_children": elite_children}
        proposals = self._guide.proposals(known, n, seed, **shares)
        admitted = (
            next((r for i, r in ranked if self._admit(r, _Origin(parents[i].number))), None)
            for ranked in proposals
        )
        return [recipe for recipe in admitted if recipe is not None]

    def _change(self, tries: int) -> Iterator[tuple[Recipe, _Origin]]:
        """Changes of good recipes, so many at most: a small discrete space may hold nothing new."""
        for _ in range(tries):
            parent = self._population.pick_parent(self._rng)
            kind = self._kinds.pick(self._rng)
            recipe, op = KINDS[kind](parent.recipe, self._choices)
            yield recipe, _Origin(parent.number, (kind, op))

    def _admit(self, recipe: Recipe, origin: _Origin) -> bool:
        """Whether the recipe is worth a try; from then on it counts as tried."""
        key = self._key(recipe)
        if key in self._seen or not self._does_something(recipe):
            return False
        self._seen.add(key)
        self._pending[recipe] = origin
        return True

    def _add(self, recipe: Recipe, score: float) -> None:
        origin = self._pending.pop(recipe, _Origin())
        if self._evaluations == 0:
            self._base = self._top = score
        self._top = max(self._top, score)
        worth = score - self.STEP_COST * len(recipe.steps) * (self._top - self._base)
        # A child that joins the best tenth of what is remembered has paid.
        tenth = max(1, len(self._population) // 10)
        node = Node(recipe, score, origin.parent, self._evaluations)
        paid = self._population.add(node, worth) < tenth
        if origin.credit is not None:
            kind, op = origin.credit
            self._kinds.record(kind, paid)
            self._ops.record(op, paid)
        self._evaluations += 1

    def _does_something(self, recipe: Recipe) -> bool:
        moves = self._moves
        return bool(recipe.steps) and all(moves[step.op].changes(step) for step in recipe.steps)

    def _key(self, recipe: Recipe) -> int:
        """Hash of a recipe that is the same in every process, as those of strings are not."""
        return hash(tuple((self._index[s.op], *(v for _, v in s.params)) for s in recipe.steps))
