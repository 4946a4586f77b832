"""What has paid lately among a few choices, such as the ops."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .state import number


class Credit:
    """How often each choice has paid lately; picks in proportion to it, and starves none."""

    FLOOR = 0.05
    """Weight of a choice that never pays; that of one which always pays is 1 more."""
    MEMORY = 0.995
    """Share of a choice's past that is left after each new try of it."""

    def __init__(self, names: Iterable[str]) -> None:
        self._paid = dict.fromkeys(names, 1.0)
        self._tried = dict.fromkeys(self._paid, 2.0)

    def record(self, name: str, paid: bool) -> None:
        """One more try of a choice, and whether it has paid."""
        self._paid[name] = self.MEMORY * self._paid[name] + paid
        self._tried[name] = self.MEMORY * self._tried[name] + 1

    def pick(self, rng: random.Random, among: Sequence[str] | None = None) -> str:
        """One of all the choices, or of these."""
        names = list(self._paid if among is None else among)
        weights = [self.FLOOR + self._paid[name] / self._tried[name] for name in names]
        return rng.choices(names, weights)[0]

    def state(self) -> dict[str, dict[str, float]]:
        """Data for JSON."""
        return {"paid": self._paid, "tried": self._tried}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state` of the same choices. Raises: KeyError, TypeError, ValueError."""
        paid, tried = ({n: number(state[key][n]) for n in self._paid} for key in ("paid", "tried"))
        if not all(0 <= paid[name] <= tried[name] and tried[name] > 0 for name in paid):
            raise ValueError("choices that paid more often than they were tried")
        self._paid, self._tried = paid, tried
