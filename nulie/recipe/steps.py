"""Recipes: immutable chains of steps, well formed; their meaning is `nulie.transforms`' affair."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import RecipeError
from . import layout
from .layout import Carried

Params = tuple[tuple[str, float], ...]
Measured = tuple[tuple[str, Carried], ...]


@dataclass(frozen=True, slots=True, init=False)
class Step:
    """One op application: `op` is the op's id, `params` sorted (name, value) pairs.

    `frozen` is None for a step that measures the picture it is applied to, where its op measures
    anything. A frozen step carries what was measured, as sorted (name, value) pairs, none where its
    op measures nothing, and does the same to every picture."""

    op: str
    params: Params = ()
    frozen: Measured | None = None

    def __init__(self, op: str, params: Params = (), frozen: Measured | None = None) -> None:
        # A search makes many, and the constructor that a dataclass writes takes twice as long.
        _set_op(self, op)
        _set_params(self, params)
        _set_frozen(self, frozen)

    def __hash__(self) -> int:
        return hash((self.op, self.params))  # that differ in `frozen` alone are seldom together

    @classmethod
    def of(cls, op: str, **params: float) -> Step:
        return cls(op, tuple(sorted(params.items())))

    def __str__(self) -> str:
        return " ".join([self.op, *(f"{name}={value:g}" for name, value in self.params)])


@dataclass(frozen=True, slots=True)
class ModelStep:
    """One application of a model: `op` says what it is to do, `model` which weights do it, as
    `NAME@SHA256`; `params` are sorted (name, value) pairs, each a finite number or a short text.

    Raises: RecipeError on anything else."""

    op: str
    model: str
    params: tuple[tuple[str, float | str], ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^@\s]{1,100}@[0-9a-f]{64}", self.model):
            form = "NAME@SHA256, with 64 hexadecimal digits"
            raise RecipeError(f"{self.op}: model {self.model!r} is not of the form {form}")
        for name, value in self.params:
            if name in layout.RESERVED:
                raise RecipeError(f"{self.op}: no parameter can be called {name!r}")
            layout.number_or_text(name, value)

    @classmethod
    def of(cls, op: str, model: str, **params: float | str) -> ModelStep:
        return cls(op, model, tuple(sorted(params.items())))

    @property
    def name(self) -> str:
        return self.model.partition("@")[0]

    @property
    def digest(self) -> str:
        return self.model.partition("@")[2]

    def __str__(self) -> str:
        words = (f"{n}={v}" if isinstance(v, str) else f"{n}={v:g}" for n, v in self.params)
        return " ".join([f"{self.op} by {self.name}", *words])


Ops = tuple[Step, ...]
ModelSteps = tuple[ModelStep, ...]


@dataclass(frozen=True, slots=True, init=False)
class Recipe:
    """Steps in the order they are applied: models' steps `before`, the run of ops that a search
    turns, models' steps `after`. The empty recipe leaves an image as it is."""

    steps: Ops = ()
    before: ModelSteps = ()
    after: ModelSteps = ()

    def __init__(self, steps: Ops = (), before: ModelSteps = (), after: ModelSteps = ()) -> None:
        _set_steps(self, steps)  # as in Step
        _set_before(self, before)
        _set_after(self, after)

    def __hash__(self) -> int:
        return hash(self.steps)

    @property
    def entries(self) -> tuple[ModelStep | Step, ...]:
        return (*self.before, *self.steps, *self.after)

    @property
    def frozen(self) -> bool:
        """Whether every op's step carries what was measured, so that none measures."""
        return all(step.frozen is not None for step in self.steps)

    def thaw(self) -> Recipe:
        """The same recipe without what it carries: it measures each picture anew."""
        return Recipe(tuple(Step(s.op, s.params) for s in self.steps), self.before, self.after)

    def then(self, step: Step) -> Recipe:
        """The recipe with one more step at the end of its run of ops."""
        return Recipe((*self.steps, step), self.before, self.after)

    def __len__(self) -> int:
        return len(self.before) + len(self.steps) + len(self.after)

    def __str__(self) -> str:
        return ", ".join(map(str, self.entries)) or "unchanged"

    def to_json(self) -> str:
        """One line of JSON for `from_json`. Without ops, models' steps are all read as `before`."""
        frozen = self.frozen
        return layout.dump(frozen, [_write_entry(entry, frozen) for entry in self.entries])

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads format 1, too. A byte order mark at the start is passed over.

        Raises: RecipeError on malformed JSON, an unknown format number, more than 1,000 steps, a
        model's step between two ops, a value that is no finite number (or, of a model, no short
        text), or a recipe that says it is not frozen and is."""
        number, frozen, items = layout.load(text)
        run: list[Step] = []
        beside: tuple[list[ModelStep], list[ModelStep]] = [], []
        for place, item in enumerate(items, 1):
            try:
                entry = _read_entry(item, number, frozen)
            except RecipeError as e:
                raise RecipeError(f"step {place}: {e}") from None
            if isinstance(entry, ModelStep):
                beside[bool(run)].append(entry)
            elif beside[1]:
                raise RecipeError(
                    f"step {place}: {entry.op} comes after a model that comes after an op; models"
                    " stand before or after all ops"
                )
            else:
                run.append(entry)
        recipe = cls(tuple(run), *map(tuple, beside))
        if run and frozen is False and recipe.frozen:
            raise RecipeError('the recipe says that it is not "frozen", but each step is')
        return recipe


# The setters of the slots, which a frozen class does not bar.
_set_op, _set_params, _set_frozen = (vars(Step)[f.name].__set__ for f in fields(Step))
_set_steps, _set_before, _set_after = (vars(Recipe)[f.name].__set__ for f in fields(Recipe))


def _write_entry(entry: ModelStep | Step, frozen: bool) -> dict[str, Any]:
    """A step as it stands in JSON; `frozen`: whether the whole recipe is."""
    if isinstance(entry, ModelStep):
        return {"op": entry.op, "model": entry.model, **dict(entry.params)}
    data: dict[str, Any] = {"op": entry.op, **dict(entry.params)}
    if entry.frozen or (entry.frozen is not None and not frozen):
        data["frozen"] = layout.write_carried(entry.frozen)
    return data


def _read_entry(data: Any, number: int, frozen: bool | None) -> ModelStep | Step:
    """The inverse of `_write_entry`, for a recipe of this format. Raises: RecipeError."""
    if not isinstance(data, Mapping) or not isinstance(data.get("op"), str):
        raise RecipeError('it has no "op" name')
    special = {"op"} if number == 1 else {"op", "frozen"}
    if number > 1 and "model" in data:
        if not isinstance(data["model"], str):
            raise RecipeError(f'"model" is {data["model"]!r}; it must be NAME@SHA256')
        params = {
            k: layout.number_or_text(k, v) for k, v in data.items() if k not in ("op", "model")
        }
        return ModelStep(data["op"], data["model"], tuple(sorted(params.items())))
    values = {k: layout.number(k, v) for k, v in data.items() if k not in special}
    measured = None
    if number > 1 and ("frozen" in data or frozen):
        measured = layout.read_carried(data.get("frozen", {}))
    return Step(data["op"], tuple(sorted(values.items())), measured)
