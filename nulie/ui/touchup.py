"""The recipe's steps: one is chosen and changed; add, remove, reorder.

All steps share one set of controls. A row of them for each would make a web UI's page slow to load,
and gradio 3.41 cannot add components to a page that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any

import gradio as gr

from ..recipe import Recipe, Step
from ..recipe.space import Dial
from ..transforms import get, ops, resolve
from ..transforms.strength import MOST, scale
from .compat import on, quiet
from .session import Session

MOST_STEPS = 40
DIALS = max(len(op.dials) for op in ops().values())

Changed = Callable[[Session, Recipe], dict[Any, Any]]
Edit = Callable[[list[Step], int, str], tuple[list[Step], int]]
"""Steps, the place of the chosen one, the op in its list -> steps, the place of the chosen one."""


class Steps:
    """Build with `build`; the recipe itself is the session's."""

    def build(self) -> None:
        self.strength = gr.Slider(
            0, MOST, value=1, step=0.05, label="Strength of the whole recipe",
            elem_id="nulie_strength",
        )  # fmt: skip
        self.chosen = gr.Radio(choices=[], label="Step to change", elem_id="nulie_steps")
        with gr.Row(visible=False, elem_id="nulie_step") as self._box:
            self.op = gr.Dropdown(
                choices=list(ops()), value=next(iter(ops())), label="Operation of this step",
                elem_id="nulie_step_op", scale=2, min_width=130,
            )  # fmt: skip
            self.dials = [
                gr.Slider(
                    0, 1, value=0, label=f"Dial {place}", min_width=150, scale=3,
                    elem_id=f"nulie_step_dial_{place}", visible=place == 1,
                )
                for place in range(1, DIALS + 1)
            ]  # fmt: skip
            self.earlier, self.later, self.remove = (
                gr.Button(
                    word, elem_id=f"nulie_step_{word.lower()}", scale=0, min_width=90,
                    size="sm",
                )
                for word in ("Earlier", "Later", "Remove")
            )  # fmt: skip
        with gr.Row():
            self.new = gr.Dropdown(
                choices=list(ops()), value=next(iter(ops())), label="Operation to add",
                elem_id="nulie_step_new", scale=3,
            )  # fmt: skip
            self.add = gr.Button("Add step", elem_id="nulie_step_add", scale=1)
            self.reset = gr.Button("Reset to what was found", elem_id="nulie_step_reset", scale=1)

    @property
    def outputs(self) -> list[Any]:
        """All that `show` may change."""
        return [self.strength, self.chosen, self._box, self.op, *self.dials]

    def show(self, recipe: Recipe, at: int = 0) -> dict[Any, Any]:
        """What makes the controls show a recipe, and its step of that place."""
        labels = _labels(recipe)
        there = bool(labels)
        chosen = gr.update(choices=labels, value=labels[at] if there else None, visible=there)
        updates: dict[Any, Any] = {
            self.strength: gr.update(value=1),
            self.chosen: chosen,
            self._box: gr.update(visible=there),
        }
        if not there:
            return updates
        step = recipe.steps[at]
        values = resolve(step)[1]
        updates[self.op] = gr.update(value=step.op)
        for slider, dial in zip_longest(self.dials, get(step.op).dials):
            updates[slider] = _slider(dial, values[dial.name]) if dial else gr.update(visible=False)
        return updates

    def connect(self, state: Any, changed: Changed, outputs: list[Any]) -> None:
        """`changed(session, recipe)` gives the updates of `outputs` when the recipe is another."""
        self._changed = changed
        # An update of something, since gradio wants one.
        self._nothing = {outputs[0]: gr.update()}
        of_dials = [state, self.chosen, self.op, *self.dials]
        # While it moves, and once more when it is let go: what is shown last is right.
        events = [event for dial in self.dials for event in (dial.input, dial.release)]
        changes = [*outputs, self.strength]
        on(events, self._on_turn, of_dials, changes, **quiet(latest=True, many=True))
        # Gradio 4.40 also tells of choices that came from here, and `input` with the one before.
        of_step = self.outputs[2:]
        self.chosen.select(self._on_choice, [state], of_step, **quiet(latest=True, many=True))
        everything = [*outputs, *self.outputs]
        events = [self.strength.input, self.strength.release]
        whole = [state, self.strength]
        on(events, self._on_strength, whole, everything, **quiet(latest=True, many=True))
        chosen = [state, self.chosen, self.op]
        for event, edit in (
            (self.op.input, _use),
            (self.earlier.click, partial(_move, by=-1)),
            (self.later.click, partial(_move, by=1)),
            (self.remove.click, _remove),
        ):
            event(partial(self._on_edit, edit), chosen, everything, **quiet(many=True))
        self.add.click(self._on_add, [state, self.new], everything, **quiet(many=True))

    def _on_turn(self, session: Session | None, label: str, op_id: str, *numbers: Any) -> Any:
        at = _place(session, label)
        # What comes late may mean a step that is no longer there.
        if session is None or at is None or session.recipe.steps[at].op != op_id:
            return self._nothing
        steps = list(session.recipe.steps)
        steps[at] = _turn(steps[at], numbers)
        if steps[at] == session.recipe.steps[at]:  # only the focus has gone
            return self._nothing
        changed = self._changed(session, replace(session.recipe, steps=tuple(steps)))
        return {**changed, self.strength: gr.update(value=1)}

    def _on_strength(self, session: Session | None, strength: float | None) -> Any:
        if session is None or strength is None:
            return self._nothing
        full = session.full
        recipe = scale(full, min(MOST, max(0.0, strength)))
        if recipe == session.recipe:
            return self._nothing
        updates = {**self._changed(session, recipe), **self.show(recipe)}
        session.full = full
        del updates[self.strength]
        return updates

    def _on_choice(self, session: Session | None, event: gr.SelectData) -> Any:
        at = _place(session, event.value)
        if session is None or at is None:
            return {self._box: gr.update()}
        # Without the list itself: what comes late may not choose for the user.
        kept = (self.chosen, self.strength)
        return {k: v for k, v in self.show(session.recipe, at).items() if k not in kept}

    def _on_edit(self, edit: Edit, session: Session | None, label: str, op_id: str) -> Any:
        at = _place(session, label)
        if session is None or at is None:
            return self._nothing
        steps, place = edit(list(session.recipe.steps), at, op_id)
        if tuple(steps) == session.recipe.steps and place == at:
            return self._nothing
        return self._become(session, steps, place)

    def _on_add(self, session: Session | None, op_id: str) -> Any:
        if session is None or op_id not in ops() or len(session.recipe) >= MOST_STEPS:
            return self._nothing
        steps = [*session.recipe.steps, _neutral(op_id)]
        return self._become(session, steps, len(steps) - 1)

    def _become(self, session: Session, steps: list[Step], at: int) -> Any:
        recipe = replace(session.recipe, steps=tuple(steps))
        return {**self._changed(session, recipe), **self.show(recipe, at)}


def _labels(recipe: Recipe) -> list[str]:
    return [f"{number}: {step.op}" for number, step in enumerate(recipe.steps, 1)]


def _place(session: Session | None, label: str | None) -> int | None:
    """Which step is chosen; None when there is no such step."""
    labels = _labels(session.recipe) if session else []
    return labels.index(label) if label in labels else None


def _slider(dial: Dial, value: float) -> Any:
    """A dial on a slider over the hard mode's range, or all of the dial's if the value needs it."""
    low, high = dial.bounds("hard")
    if not low <= value <= high:
        low, high = dial.low, dial.high
    label = dial.name if dial.unit == "factor" else f"{dial.name} ({dial.unit})"
    return gr.update(
        minimum=low, maximum=high, step=dial.step, value=value, label=label, visible=True
    )


def _neutral(op_id: str) -> Step:
    return Step.of(op_id, **{d.name: d.neutral for d in get(op_id).dials})


def _turn(step: Step, numbers: Sequence[float | None]) -> Step:
    """The step with the sliders' values, which may be None for a moment while one is typed."""
    dials = zip(get(step.op).dials, numbers, strict=False)
    return Step.of(
        step.op, **{d.name: d.snap(d.neutral if v is None else float(v)) for d, v in dials}
    )


def _use(steps: list[Step], at: int, op_id: str) -> tuple[list[Step], int]:
    """The step's op is another one. Lists tell of the same one, too, when they lose the focus."""
    if op_id not in ops() or op_id == steps[at].op:
        return steps, at
    return [*steps[:at], _neutral(op_id), *steps[at + 1 :]], at


def _move(steps: list[Step], at: int, _: str, *, by: int) -> tuple[list[Step], int]:
    if not 0 <= at + by < len(steps):
        return steps, at
    step = steps.pop(at)
    return [*steps[: at + by], step, *steps[at + by :]], at + by


def _remove(steps: list[Step], at: int, _: str) -> tuple[list[Step], int]:
    return steps[:at] + steps[at + 1 :], max(0, min(at, len(steps) - 2))
