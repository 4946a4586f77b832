"""The recipe's steps: one is chosen and changed; add, remove, reorder.

All steps share one set of controls. A row of them for each would make a web UI's page slow to load,
and gradio 3.41 cannot add components to a page that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ..recipe import Recipe, Step
from ..recipe.space import Dial
from ..transforms import get, ops, resolve
from .compat import quiet
from .session import Session

MOST_STEPS = 40
DIALS = max(len(op.dials) for op in ops().values())

Changed = Callable[[Session, Recipe], dict[Any, Any]]
Edit = Callable[[list[Step], int, str], tuple[list[Step], int]]
"""Steps, the place of the chosen one, the op in its list -> steps, the place of the chosen one."""


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
        found: dict[Any, Any] = {
            self.chosen: gr.update(
                choices=labels, value=labels[at] if labels else None, visible=bool(labels)
            ),
            self._box: gr.update(visible=bool(labels)),
        }
        if not labels:
            return found
        step = recipe.steps[at]
        dials, values = get(step.op).dials, resolve(step)[1]
        found[self.op] = gr.update(value=step.op)
        for place, slider in enumerate(self.dials):
            if place >= len(dials):
                found[slider] = gr.update(visible=False)
                continue
            dial = dials[place]
            low, high = _reach(dial, values[dial.name])
            found[slider] = gr.update(
                minimum=low,
                maximum=high,
                step=dial.step,
                value=values[dial.name],
                label=dial_name(dial),
                visible=True,
            )
        return found

    def connect(self, state: Any, changed: Changed, outputs: list[Any]) -> None:
        """`changed(session, recipe)` gives the updates of `outputs` when the recipe is another."""
        nothing = {self._box: gr.update()}
        all_outputs = [*outputs, *self.outputs]

        def on_turn(session: Session | None, label: str, op_id: str, *numbers: Any) -> Any:
            at = _place(session, label)
            # What comes late may mean a step that is no longer there.
            if session is None or at is None or session.recipe.steps[at].op != op_id:
                return {outputs[0]: gr.update()}
            steps = list(session.recipe.steps)
            steps[at] = _turned(steps[at], numbers)
            if steps[at] == session.recipe.steps[at]:  # only the focus has gone
                return {outputs[0]: gr.update()}
            return changed(session, Recipe(tuple(steps)))

        for dial in self.dials:
            # While it moves, and once more when it is let go: what is shown last is right.
            for event in (dial.input, dial.release):
                event(
                    on_turn,
                    [state, self.chosen, self.op, *self.dials],
                    outputs,
                    **quiet(latest=True, many=True),
                )

        def on_choice(session: Session | None, event: gr.SelectData) -> Any:
            at = _place(session, event.value)
            if session is None or at is None:
                return nothing
            # Without the list itself: what comes late may not choose for the user.
            return {k: v for k, v in self.show(session.recipe, at).items() if k in of_step}

        of_step = [self._box, self.op, *self.dials]
        # Gradio 4.40 also tells of choices that came from here, and `input` with the one before.
        self.chosen.select(on_choice, [state], of_step, **quiet(latest=True, many=True))

        def bind(event: Any, edit: Edit) -> None:
            def on_edit(session: Session | None, label: str, op_id: str) -> Any:
                at = _place(session, label)
                if session is None or at is None:
                    return nothing
                steps, place = edit(list(session.recipe.steps), at, op_id)
                if tuple(steps) == session.recipe.steps and place == at:
                    return nothing
                return edited(session, steps, place)

            event(on_edit, [state, self.chosen, self.op], all_outputs, **quiet(many=True))

        def edited(session: Session, steps: list[Step], at: int) -> Any:
            recipe = Recipe(tuple(steps))
            return {**changed(session, recipe), **self.show(recipe, at)}

        bind(self.op.input, _replaced)
        bind(self.earlier.click, lambda steps, at, _: _swapped(steps, at, at - 1))
        bind(self.later.click, lambda steps, at, _: _swapped(steps, at, at + 1))
        bind(self.remove.click, _removed)

        def on_add(session: Session | None, op_id: str) -> Any:
            if session is None or not op_id or len(session.recipe) >= MOST_STEPS:
                return nothing
            steps = [*session.recipe.steps, _step(op_id)]
            return edited(session, steps, len(steps) - 1)

        self.add.click(on_add, [state, self.new], all_outputs, **quiet(many=True))


def dial_name(dial: Dial) -> str:
    return dial.name if dial.unit == "factor" else f"{dial.name} ({dial.unit})"


def _labels(recipe: Recipe) -> list[str]:
    return [f"{number}: {step.op}" for number, step in enumerate(recipe.steps, 1)]


def _place(session: Session | None, label: str | None) -> int | None:
    """Which step is chosen; None when there is no such step."""
    labels = _labels(session.recipe) if session else []
    return labels.index(label) if label in labels else None


def _turned(step: Step, numbers: Sequence[float | None]) -> Step:
    """The step with the sliders' values, which may be None for a moment while one is typed."""
    dials = zip(get(step.op).dials, numbers, strict=False)
    return Step.of(
        step.op, **{d.name: d.snap(d.neutral if v is None else float(v)) for d, v in dials}
    )


def _reach(dial: Dial, value: float) -> tuple[float, float]:
    """How far a slider goes: the hard mode's range, or all of the dial's if the value needs it."""
    low, high = dial.hard or dial.soft or (dial.low, dial.high)
    return (low, high) if low <= value <= high else (dial.low, dial.high)


def _step(op_id: str) -> Step:
    return Step.of(op_id, **{d.name: d.neutral for d in get(op_id).dials})


def _replaced(steps: list[Step], at: int, op_id: str) -> tuple[list[Step], int]:
    """The step's op is another one: its dials begin where they do nothing. Lists tell of the same
    one, too, when they lose the focus."""
    if op_id in ("", None, steps[at].op):
        return steps, at
    return [*steps[:at], _step(op_id), *steps[at + 1 :]], at


def _swapped(steps: list[Step], at: int, other: int) -> tuple[list[Step], int]:
    if not 0 <= other < len(steps):
        return steps, at
    steps[at], steps[other] = steps[other], steps[at]
    return steps, other


def _removed(steps: list[Step], at: int, _: str) -> tuple[list[Step], int]:
    return steps[:at] + steps[at + 1 :], max(0, min(at, len(steps) - 2))
