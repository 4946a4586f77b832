"""The recipe's steps as rows of sliders: add, remove, reorder, change.

The number of rows is fixed, since gradio 3.41 cannot add components to a page that is open; the
rows that are not needed are hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..recipe import Recipe, Step
from ..search import Tree
from ..space import Dial
from ..transforms import Param, get, ops, resolve
from .compat import quiet, unsaved

ROWS = Tree.MAX_STEPS
DIALS = max(len(op.params) for op in ops().values())


@dataclass(frozen=True)
class _Row:
    box: Any
    op: Any
    dials: tuple[Any, ...]
    up: Any
    down: Any
    remove: Any


Changed = Callable[..., Any]


class Rows:
    """Build with `build`; `inputs` are the components that hold the recipe."""

    def build(self) -> None:
        self._rows = [self._row(number) for number in range(1, ROWS + 1)]
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
    def inputs(self) -> list[Any]:
        """Of each row the op and the dials."""
        return [c for row in self._rows for c in (row.op, *row.dials)]

    @property
    def outputs(self) -> list[Any]:
        """All that `show` may change."""
        return [*self.inputs, *(row.box for row in self._rows)]

    def read(self, values: tuple[Any, ...]) -> Recipe:
        """The recipe from the values of `inputs`."""
        steps = []
        for at in range(0, len(values), 1 + DIALS):
            op_id, *dials = values[at : at + 1 + DIALS]
            if op_id:
                op = get(op_id)
                numbers = zip(op.dials, dials, strict=False)
                steps.append(
                    Step.of(op_id, **{d.name: d.snap(_number(v, d.neutral)) for d, v in numbers})
                )
        return Recipe(tuple(steps))

    def show(self, recipe: Recipe) -> dict[Any, Any]:
        """What makes the rows show a recipe."""
        updates: dict[Any, Any] = {}
        for number, row in enumerate(self._rows):
            step = recipe.steps[number] if number < len(recipe) else None
            updates[row.box] = gr.update(visible=step is not None)
            updates[row.op] = gr.update(value=step.op if step else None)
            params = get(step.op).params if step else ()
            values = resolve(step)[1] if step else {}
            for place, dial in enumerate(row.dials):
                if place < len(params):
                    param = params[place]
                    low, high = _reach(param, values[param.dial.name])
                    updates[dial] = gr.update(
                        minimum=low,
                        maximum=high,
                        step=param.dial.step,
                        value=values[param.dial.name],
                        label=dial_name(param.dial),
                        visible=True,
                    )
                else:
                    updates[dial] = gr.update(visible=False)
        return updates

    def connect(self, state: Any, turned: Changed, arranged: Changed, outputs: list[Any]) -> None:
        """`turned(session, recipe)` when a dial was turned, `arranged(session, recipe)` when steps
        came, went or moved; both give updates of `outputs`, to which `arranged` adds the rows."""
        inputs = [state, *self.inputs]

        def on_turn(session: Any, *values: Any) -> Any:
            return turned(session, self.read(values))

        def bind(event: Any, edit: Callable[[list[Step]], list[Step]]) -> None:
            def on_arrange(session: Any, *values: Any) -> Any:
                recipe = Recipe(tuple(edit(list(self.read(values).steps))))
                return {**arranged(session, recipe), **self.show(recipe)}

            event(on_arrange, inputs, [*outputs, *self.outputs], **quiet(many=True))

        for number, row in enumerate(self._rows):
            for dial in row.dials:
                # While it moves, and once more when it is let go: what is shown last is right.
                dial.input(on_turn, inputs, outputs, **quiet(latest=True, many=True))
                dial.release(on_turn, inputs, outputs, **quiet(latest=True, many=True))
            bind(row.op.input, lambda steps, n=number: _neutral(steps, n))  # type: ignore[misc]
            bind(row.up.click, lambda steps, n=number: _swapped(steps, n - 1))  # type: ignore[misc]
            bind(row.down.click, lambda steps, n=number: _swapped(steps, n))  # type: ignore[misc]
            bind(row.remove.click, lambda steps, n=number: steps[:n] + steps[n + 1 :])  # type: ignore[misc]

        def on_add(session: Any, op_id: str, *values: Any) -> Any:
            recipe = self.read(values)
            if len(recipe) < ROWS and op_id:
                recipe = recipe.then(_step(op_id))
            return {**arranged(session, recipe), **self.show(recipe)}

        self.add.click(
            on_add,
            [state, self.new, *self.inputs],
            [*outputs, *self.outputs],
            **quiet(many=True),
        )

    def _row(self, number: int) -> _Row:
        with gr.Row(visible=False, elem_id=f"nulie_step_{number}") as box:
            op = gr.Dropdown(
                choices=list(ops()),
                value=None,
                label=f"Step {number}",
                elem_id=f"nulie_step_{number}_op",
                scale=2,
                min_width=130,
            )
            dials = tuple(
                gr.Slider(
                    0, 1, value=0, label=f"Dial {place} of step {number}", min_width=150,
                    elem_id=f"nulie_step_{number}_dial_{place}", scale=4, visible=place == 1,
                )
                for place in range(1, DIALS + 1)
            )  # fmt: skip
            up, down, remove = (
                gr.Button(
                    word, elem_id=f"nulie_step_{number}_{word.lower()}", scale=0, min_width=60,
                    size="sm",
                )
                for word in ("Up", "Down", "Remove")
            )  # fmt: skip
        for component in (op, *dials):
            unsaved(component)
        return _Row(box, op, dials, up, down, remove)


def dial_name(dial: Dial) -> str:
    return dial.name if dial.unit == "factor" else f"{dial.name} ({dial.unit})"


def _number(value: Any, neutral: float) -> float:
    return neutral if value is None else float(value)


def _reach(param: Param, value: float) -> tuple[float, float]:
    """How far a slider goes: the hard mode's range, or all of the dial's if the value needs it."""
    low, high = param.hard or param.soft or (param.dial.low, param.dial.high)
    return (low, high) if low <= value <= high else (param.dial.low, param.dial.high)


def _step(op_id: str) -> Step:
    return Step.of(op_id, **{d.name: d.neutral for d in get(op_id).dials})


def _neutral(steps: list[Step], number: int) -> list[Step]:
    """The row's op is another one: its dials begin where they do nothing."""
    if number < len(steps):
        steps[number] = _step(steps[number].op)
    return steps


def _swapped(steps: list[Step], number: int) -> list[Step]:
    if 0 <= number < len(steps) - 1:
        steps[number], steps[number + 1] = steps[number + 1], steps[number]
    return steps
