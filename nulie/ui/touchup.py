"""The recipe's steps: one is chosen and changed; add, remove, reorder.

All steps share one set of controls. A row of them for each would make a web UI's page slow to load,
and gradio 3.41 cannot add components to a page that is open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from ..recipe import Recipe, Step
from ..recipe.space import Dial
from ..transforms import get, ops, resolve
from . import edits
from .compat import quiet
from .session import Session

MOST_STEPS = 40
DIALS = max(len(op.dials) for op in ops().values())

Changed = Callable[[Session, Recipe], dict[Any, Any]]


class Steps:
    """Build with `build`; the recipe itself is the session's."""

    def build(self) -> None:
        self.chosen = gr.Radio(choices=[], label="Step to change", elem_id="nulie_steps")
        with gr.Row(visible=False, elem_id="nulie_step") as self._box:
            self.op = gr.Dropdown(
                choices=list(ops()),
                value=next(iter(ops())),
                label="Operation of this step",
                elem_id="nulie_step_op",
                scale=2,
                min_width=130,
            )
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
                choices=list(ops()),
                value=next(iter(ops())),
                label="Operation to add",
                elem_id="nulie_step_new",
                scale=3,
            )
            self.add = gr.Button("Add step", elem_id="nulie_step_add", scale=1)
            self.reset = gr.Button("Reset to what was found", elem_id="nulie_step_reset", scale=1)

    @property
    def outputs(self) -> list[Any]:
        """All that `show` may change."""
        return [self.chosen, self._box, self.op, *self.dials]

    def show(self, recipe: Recipe, at: int = 0) -> dict[Any, Any]:
        """What makes the controls show a recipe, and its step of that place."""
        labels = _labels(recipe)
        updates: dict[Any, Any] = {
            self.chosen: gr.update(
                choices=labels, value=labels[at] if labels else None, visible=bool(labels)
            ),
            self._box: gr.update(visible=bool(labels)),
        }
        if not labels:
            return updates
        step = recipe.steps[at]
        dials, values = get(step.op).dials, resolve(step)[1]
        updates[self.op] = gr.update(value=step.op)
        for place, slider in enumerate(self.dials):
            if place >= len(dials):
                updates[slider] = gr.update(visible=False)
                continue
            dial = dials[place]
            low, high = _reach(dial, values[dial.name])
            updates[slider] = gr.update(
                minimum=low,
                maximum=high,
                step=dial.step,
                value=values[dial.name],
                label=dial_name(dial),
                visible=True,
            )
        return updates

    def connect(self, state: Any, changed: Changed, outputs: list[Any]) -> None:
        """`changed(session, recipe)` gives the updates of `outputs` when the recipe is another."""
        self._changed = changed
        # An update of something, since gradio wants one.
        self._nothing = {outputs[0]: gr.update()}
        of_dials = [state, self.chosen, self.op, *self.dials]
        for dial in self.dials:
            # While it moves, and once more when it is let go: what is shown last is right.
            for event in (dial.input, dial.release):
                event(self._on_turn, of_dials, outputs, **quiet(latest=True, many=True))
        # Gradio 4.40 also tells of choices that came from here, and `input` with the one before.
        self.chosen.select(self._on_choice, [state], self._of_step, **quiet(latest=True, many=True))
        everything = [*outputs, *self.outputs]
        for event, edit in (
            (self.op.input, edits.use),
            (self.earlier.click, edits.earlier),
            (self.later.click, edits.later),
            (self.remove.click, edits.remove),
        ):
            event(
                partial(self._on_edit, edit),
                [state, self.chosen, self.op],
                everything,
                **quiet(many=True),
            )
        self.add.click(self._on_add, [state, self.new], everything, **quiet(many=True))

    @property
    def _of_step(self) -> list[Any]:
        """What shows the chosen step."""
        return [self._box, self.op, *self.dials]

    def _on_turn(self, session: Session | None, label: str, op_id: str, *numbers: Any) -> Any:
        at = _place(session, label)
        # What comes late may mean a step that is no longer there.
        if session is None or at is None or session.recipe.steps[at].op != op_id:
            return self._nothing
        steps = list(session.recipe.steps)
        steps[at] = edits.turn(steps[at], numbers)
        if steps[at] == session.recipe.steps[at]:  # only the focus has gone
            return self._nothing
        return self._changed(session, replace(session.recipe, steps=tuple(steps)))

    def _on_choice(self, session: Session | None, event: gr.SelectData) -> Any:
        at = _place(session, event.value)
        if session is None or at is None:
            return {self._box: gr.update()}
        # Without the list itself: what comes late may not choose for the user.
        return {k: v for k, v in self.show(session.recipe, at).items() if k in self._of_step}

    def _on_edit(self, edit: edits.Edit, session: Session | None, label: str, op_id: str) -> Any:
        at = _place(session, label)
        if session is None or at is None:
            return self._nothing
        steps, place = edit(list(session.recipe.steps), at, op_id)
        if tuple(steps) == session.recipe.steps and place == at:
            return self._nothing
        return self._become(session, steps, place)

    def _on_add(self, session: Session | None, op_id: str) -> Any:
        if session is None or not op_id or len(session.recipe) >= MOST_STEPS:
            return self._nothing
        steps = [*session.recipe.steps, edits.neutral(op_id)]
        return self._become(session, steps, len(steps) - 1)

    def _become(self, session: Session, steps: list[Step], at: int) -> Any:
        recipe = replace(session.recipe, steps=tuple(steps))
        return {**self._changed(session, recipe), **self.show(recipe, at)}


def dial_name(dial: Dial) -> str:
    return dial.name if dial.unit == "factor" else f"{dial.name} ({dial.unit})"


def _labels(recipe: Recipe) -> list[str]:
    return [f"{number}: {step.op}" for number, step in enumerate(recipe.steps, 1)]


def _place(session: Session | None, label: str | None) -> int | None:
    """Which step is chosen; None when there is no such step."""
    labels = _labels(session.recipe) if session else []
    return labels.index(label) if label in labels else None


def _reach(dial: Dial, value: float) -> tuple[float, float]:
    """How far a slider goes: the hard mode's range, or all of the dial's if the value needs it."""
    low, high = dial.bounds("hard")
    return (low, high) if low <= value <= high else (dial.low, dial.high)
