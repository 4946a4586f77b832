"""A tree that grows from the best recipes: it is asked for recipes and told their scores."""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..recipe import Recipe, Step
from ..recipe.space import Move, Space
from .evaluate import Scored
from .guide import Guide


@dataclass(frozen=True, slots=True)
class Node:
    """A recipe that was scored. `number` counts evaluations from 0, the input itself."""

    recipe: Recipe
    score: float
    parent: int
    number: int


class Tree:
    """Grows from the best nodes, and from the best of each niche: a child adds a step to a good
    recipe, or changes one of its steps, or crosses it with another good one. Which kind of change
    and which op are tried next follows what has paid so far; early on most children are those of
    which a surrogate hopes for most.

    Deterministic for a seed and a sequence of scores. At most `capacity` nodes are remembered; the
    worst are forgotten.
    """

    MAX_STEPS = 10
    """Longer recipes gain nothing and cannot be read."""
    STEP_COST = 0.003
    """Share of the gain so far that a step must be worth."""
    FREE = 0.25
    """Share of the evaluated that the surrogate has no say in."""
    GUIDED = 3000
    """So many evaluations have its guidance; after them a node costs less, and gains as much."""
    LEARNS = 1.25
    """Growth of what is known after which the surrogate learns anew."""
    NICHED = 0.25
    """Share of the parents that are the best of a niche, not of all."""
    ASIDE = 0.4
    """Share of the guided that choose among children of the niches alone: what the surrogate hopes
    for most lies near the best nodes, and another basin may be deeper."""
    NICHES = 512
    """So many niches at least are remembered, the worst forgotten."""
    NEAR = 0.9
    """Share of new steps that are not far from doing nothing."""

    def __init__(self, space: Space, seed: int = 0, *, capacity: int = 4096) -> None:
        self._moves = {move.op: move for move in space}
        self._index = {move.op: i for i, move in enumerate(space)}
        # Where among a step's values the one of the op's first dial stands.
        self._lead = {
            move.op: sorted(d.name for d in move.dials).index(move.dials[0].name) for move in space
        }
        self._rng = random.Random(seed)
        self._capacity = capacity
        self._nodes: list[Node] = []  # best first
        self._keys: list[float] = []  # their negated scores, for bisection
        self._seen: set[int] = set()
        self._elites: dict[frozenset[tuple[str, bool]], Node] = {}
        self._ranked: list[Node] = []  # the elites, best first
        self._asked: dict[Recipe, tuple[int, str, str]] = {}
        self._kinds = _Credit(["extend", "refine", "cross", "drop", "swap"])
        self._ops = _Credit(list(self._moves))
        self._told = 0
        self._base = 0.0
        self._top = 0.0
        self._probes = self._first_probes(space)
        self._guide = Guide(space, self.MAX_STEPS)
        self._learnt = 0.0
        self._lesson: list[Scored] = []
        self._fitted = False

    def best(self, n: int | None = None) -> list[Node]:
        """The `n` best nodes, or all that are remembered, best first."""
        return self._nodes[:n]

    def elites(self) -> list[Node]:
        """The best node of each niche, best first. A niche is a set of ops, each turned up or down;
        all are unlike each other, where the best nodes are much the same."""
        return sorted(self._elites.values(), key=lambda node: -node.score)

    def ask(self, n: int) -> list[Recipe]:
        if not self._nodes:
            return [Recipe()]
        self._ranked = self.elites()
        found: list[Recipe] = []
        while self._probes and len(found) < n:
            self._take(found, 0, "extend", *self._probes.pop())
        if len(found) == n:
            return found
        free = n - len(found)
        if self._told < self.GUIDED:
            free = sum(self._rng.random() < self.FREE for _ in range(free))
        self._guided(found, n - len(found) - free)
        for _ in range(200 + 20 * n):  # a small discrete space may hold nothing new
            if len(found) == n:
                break
            node = self._parent()
            kind = self._kinds.choose(self._rng)
            recipe, op = getattr(self, f"_{kind}")(node.recipe)
            self._take(found, node.number, kind, recipe, op)
        return found

    def state(self) -> dict[str, Any]:
        """All that the tree has learnt, as data for JSON. To be taken between `tell` and `ask`."""
        kind, numbers, spare = self._rng.getstate()
        return {
            "rng": [kind, list(numbers), spare],
            "nodes": [[_plain(n.recipe), n.score, n.parent, n.number] for n in self._nodes],
            "worth": [-key for key in self._keys],
            "elites": [
                [_plain(n.recipe), n.score, n.parent, n.number] for n in self._elites.values()
            ],
            "seen": sorted(self._seen),
            "kinds": self._kinds.state(),
            "ops": self._ops.state(),
            "told": self._told,
            "scores": [self._base, self._top],
            "probes": [[_plain(recipe), op] for recipe, op in self._probes],
            "learnt": [self._learnt, [[_plain(r), score] for r, score in self._lesson]],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from the `state` of a tree of the same space.

        Raises: KeyError, TypeError, ValueError when it is none."""
        kind, numbers, spare = state["rng"]
        self._rng.setstate((kind, tuple(numbers), spare))
        self._nodes = [Node(_recipe(r), s, p, n) for r, s, p, n in state["nodes"]]
        self._keys = [-worth for worth in state["worth"]]
        elites = [Node(_recipe(r), s, p, n) for r, s, p, n in state["elites"]]
        self._elites = {self._niche(node.recipe): node for node in elites}
        self._seen = set(state["seen"])
        self._kinds.restore(state["kinds"])
        self._ops.restore(state["ops"])
        self._told = int(state["told"])
        self._base, self._top = state["scores"]
        self._probes = [(_recipe(recipe), op) for recipe, op in state["probes"]]
        self._learnt, lesson = state["learnt"]
        if lesson:
            self._learn([(_recipe(recipe), score) for recipe, score in lesson])

    def _take(self, found: list[Recipe], parent: int, kind: str, recipe: Recipe, op: str) -> bool:
        """Adds the recipe to those that were found, if it is worth a try; whether it is."""
        key = self._key(recipe)
        if key in self._seen or not self._works(recipe):
            return False
        self._seen.add(key)
        self._asked[recipe] = (parent, kind, op)
        found.append(recipe)
        return True

    def _guided(self, found: list[Recipe], n: int) -> None:
        """Takes up to `n` recipes that the surrogate hopes for most."""
        if n == 0:
            return
        if self._told >= self._learnt * self.LEARNS:
            self._learn([(node.recipe, node.score) for node in self._nodes[: self._guide.MOST]])
            self._learnt = self._told
        if not self._fitted:
            return
        # Those of the niches alone come last.
        among = sum(self._rng.random() < self.ASIDE for _ in range(n))
        apart = round(self.ASIDE * self._guide.POOL)
        parents = [self._parent() for _ in range(self._guide.POOL - apart)]
        parents += [self._parent(niched=1.0) for _ in range(apart)]
        recipes = [node.recipe for node in parents]
        seed = self._rng.getrandbits(64)
        for choices in self._guide.proposals(recipes, n, seed, apart=apart, among=among):
            for parent, recipe in choices:
                if self._take(found, parents[parent].number, "", recipe, ""):
                    break

    def _learn(self, lesson: list[Scored]) -> None:
        self._lesson = lesson
        self._fitted = self._guide.learn(*map(list, zip(*lesson, strict=True)))

    def tell(self, results: Sequence[Scored]) -> None:
        for recipe, score in results:
            if math.isnan(score):
                raise ValueError(f"score of {recipe} is NaN")
            parent, kind, op = self._asked.pop(recipe, (-1, "", ""))
            if not self._told:
                self._base = self._top = score
            self._top = max(self._top, score)
            worth = score - self.STEP_COST * len(recipe) * (self._top - self._base)
            place = bisect.bisect_right(self._keys, -worth)
            if kind:
                # A child that joins the best tenth of what is remembered has paid.
                paid = place < max(1, len(self._nodes) // 10)
                self._kinds.give(kind, paid)
                self._ops.give(op, paid)
            node = Node(recipe, score, parent, self._told)
            if place < self._capacity:
                self._keys.insert(place, -worth)
                self._nodes.insert(place, node)
            niche = self._niche(recipe)
            if niche not in self._elites or self._elites[niche].score < score:
                self._elites[niche] = node
            self._told += 1
        del self._keys[self._capacity :], self._nodes[self._capacity :]
        if len(self._elites) > 2 * self.NICHES:
            self._elites = {self._niche(n.recipe): n for n in self.elites()[: self.NICHES]}
        if len(self._seen) > 1_000_000:  # a repeated recipe costs one evaluation, no more
            self._seen.clear()

    def _first_probes(self, space: Space) -> list[tuple[Recipe, str]]:
        """Each op alone, a little and somewhat more to either side of where it does nothing: large
        shares of the way of a dial that does little, small ones where the ends are far out."""
        probes = {}
        for move in space:
            lead = move.dials[0]
            ways = (0.1, 0.25) if lead.low > 0 and lead.high < 2 * lead.low else (0.04, 0.12)
            for way in (sign * way for way in ways for sign in (-1, 1)):
                values = {}
                for dial in move.dials:
                    turn = way if dial is lead else 0.0
                    values[dial.name] = dial.from_unit(_inside(dial.middle, turn))
                probes[Recipe((Step.of(move.op, **values),))] = move.op
        found = [(recipe, op) for recipe, op in probes.items() if self._works(recipe)]
        self._rng.shuffle(found)
        return found

    def _parent(self, niched: float = NICHED) -> Node:
        """A node by its rank: the best ones mostly, any one at times. Or, a share of `niched`, the
        best of a niche, which keeps alive what is not yet as good as it may get."""
        if self._rng.random() < niched:
            return self._ranked[int(len(self._ranked) * self._rng.random() ** 2)]
        return self._nodes[int(len(self._nodes) * self._rng.random() ** 4)]

    def _works(self, recipe: Recipe) -> bool:
        """Whether the recipe has steps and none of them does nothing."""
        moves = self._moves
        return bool(recipe.steps) and all(moves[step.op].changes(step) for step in recipe.steps)

    def _niche(self, recipe: Recipe) -> frozenset[tuple[str, bool]]:
        return frozenset(
            (s.op, s.params[lead][1] > self._moves[s.op].idle[lead][1])
            for s in recipe.steps
            for lead in (self._lead[s.op],)
        )

    # The kinds of change: a recipe to another one and the op that was changed.

    def _extend(self, recipe: Recipe) -> tuple[Recipe, str]:
        present = {s.op for s in recipe.steps}
        free = [o for o, m in self._moves.items() if not (m.once and o in present)]
        if len(recipe) >= self.MAX_STEPS or not free:
            return self._refine(recipe)
        op = self._ops.choose(self._rng, free)
        step = self._random_step(self._moves[op])
        at = len(recipe) if self._rng.random() < 0.7 else self._rng.randint(0, len(recipe))
        return Recipe((*recipe.steps[:at], step, *recipe.steps[at:])), op

    def _refine(self, recipe: Recipe) -> tuple[Recipe, str]:
        if not recipe.steps:
            return self._extend(recipe)
        size = 0.5 * 0.02 ** self._rng.random()  # of a dial's whole way: from half to a hundredth
        some = self._rng.random()
        chosen = self._rng.randrange(len(recipe))
        steps = tuple(
            self._moved(step, size) if i == chosen or self._rng.random() < some else step
            for i, step in enumerate(recipe.steps)
        )
        return Recipe(steps), recipe.steps[chosen].op

    def _cross(self, recipe: Recipe) -> tuple[Recipe, str]:
        """Moves along the difference of two good recipes of the same ops, as differential
        evolution does (Storn and Price, 1997); joins the halves of two others."""
        other = self._parent().recipe
        third = self._parent().recipe
        ops = [s.op for s in recipe.steps]
        if ops and ops == [s.op for s in other.steps] == [s.op for s in third.steps]:
            scale = self._rng.uniform(0.3, 1.0)
            steps = tuple(
                self._along(a, b, c, scale)
                for a, b, c in zip(recipe.steps, other.steps, third.steps, strict=True)
            )
            return Recipe(steps), self._rng.choice(ops)
        cut, rest = self._rng.randint(0, len(recipe)), self._rng.randint(0, len(other))
        joined = (*recipe.steps[:cut], *other.steps[rest:])[: self.MAX_STEPS]
        if not joined or not self._allowed(joined):
            return self._refine(recipe)
        return Recipe(joined), joined[-1].op

    def _drop(self, recipe: Recipe) -> tuple[Recipe, str]:
        if len(recipe) < 2:
            return self._refine(recipe)
        at = self._rng.randrange(len(recipe))
        return Recipe(recipe.steps[:at] + recipe.steps[at + 1 :]), recipe.steps[at].op

    def _swap(self, recipe: Recipe) -> tuple[Recipe, str]:
        if len(recipe) < 2:
            return self._refine(recipe)
        steps = list(recipe.steps)
        a, b = self._rng.sample(range(len(steps)), 2)
        steps[a], steps[b] = steps[b], steps[a]
        return Recipe(tuple(steps)), steps[a].op

    def _key(self, recipe: Recipe) -> int:
        """Hash of a recipe that is the same in every process, as those of strings are not."""
        return hash(tuple((self._index[s.op], *(v for _, v in s.params)) for s in recipe.steps))

    def _allowed(self, steps: Sequence[Step]) -> bool:
        ops = [s.op for s in steps]
        return all(ops.count(op) == 1 for op in set(ops) if self._moves[op].once)

    def _random_step(self, move: Move) -> Step:
        """Near where the dials do nothing, from half their way to a fiftieth; or anywhere."""
        near, size = self._rng.random() < self.NEAR, 0.5 * 0.04 ** self._rng.random()
        values = {}
        for dial in move.dials:
            at = _inside(dial.middle, self._rng.gauss(0, size)) if near else self._rng.random()
            values[dial.name] = dial.from_unit(at)
        return Step.of(move.op, **values)

    def _moved(self, step: Step, size: float) -> Step:
        values = dict(step.params)
        for dial in self._moves[step.op].dials:
            at = dial.to_unit(values[dial.name]) + self._rng.gauss(0, size)
            values[dial.name] = dial.from_unit(at)
        return Step.of(step.op, **values)

    def _along(self, start: Step, ahead: Step, behind: Step, scale: float) -> Step:
        values, far, near = dict(start.params), dict(ahead.params), dict(behind.params)
        for dial in self._moves[start.op].dials:
            way = dial.to_unit(far[dial.name]) - dial.to_unit(near[dial.name])
            values[dial.name] = dial.from_unit(dial.to_unit(values[dial.name]) + scale * way)
        return Step.of(start.op, **values)


def _inside(at: float, way: float) -> float:
    """`at + way`, or as far to the other side where that leaves [0, 1]."""
    return at + way if 0 <= at + way <= 1 else at - way


class _Credit:
    """How often each choice has paid lately; chooses in proportion to it, none ever starved."""

    FLOOR = 0.05
    MEMORY = 0.995

    def __init__(self, names: list[str]) -> None:
        self._paid = dict.fromkeys(names, 1.0)
        self._tried = dict.fromkeys(names, 2.0)

    def give(self, name: str, paid: bool) -> None:
        self._paid[name] = self.MEMORY * self._paid[name] + paid
        self._tried[name] = self.MEMORY * self._tried[name] + 1

    def state(self) -> list[dict[str, float]]:
        return [self._paid, self._tried]

    def restore(self, state: Sequence[Mapping[str, float]]) -> None:
        self._paid, self._tried = dict(state[0]), dict(state[1])

    def choose(self, rng: random.Random, among: Sequence[str] | None = None) -> str:
        names = list(among if among is not None else self._paid)
        weights = [self.FLOOR + self._paid[n] / self._tried[n] for n in names]
        return rng.choices(names, weights)[0]


def _plain(recipe: Recipe) -> list[Any]:
    return [[step.op, dict(step.params)] for step in recipe.steps]


def _recipe(plain: Sequence[Any]) -> Recipe:
    return Recipe(tuple(Step.of(op, **params) for op, params in plain))
