"""The controls of a search, made from the settings' defaults and the table of ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors import SettingsError
from ..settings import Settings
from ..transforms import MODES, Op, Param, ops
from ..transforms.base import Bounds
from .compat import quiet, unsaved
from .host import Host
from .touchup import dial_name

MODE_NAMES = {
    "soft": "soft: gentle, looks like a good print",
    "hard": "hard: drastic, anything goes",
}


@dataclass(frozen=True)
class _Range:
    param: Param
    low: Any
    high: Any


@dataclass(frozen=True)
class _Switch:
    op: Op
    used: Any
    ranges: tuple[_Range, ...]


class Options:
    """Build with `first` and `more`; then `inputs` are the components and `read` their values."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._defaults = host.defaults
        self._switches: list[_Switch] = []

    def first(self) -> None:
        """What everybody sets."""
        defaults = self._defaults
        self.mode = gr.Radio(
            choices=list(MODE_NAMES.values()),
            value=MODE_NAMES[defaults.mode],
            label="Mode",
            elem_id="nulie_mode",
        )
        with gr.Row():
            self.seconds = gr.Number(
                value=defaults.seconds or 10.0,
                label="Seconds to search",
                elem_id="nulie_seconds",
                minimum=0.5,
                min_width=120,
            )
            self.top = gr.Number(
                value=defaults.top, precision=0, minimum=1, maximum=12,
                label="Variants to find", elem_id="nulie_top", min_width=120,
            )  # fmt: skip

    def more(self) -> None:
        """What has good defaults, folded away."""
        defaults = self._defaults
        with gr.Accordion("Guards", open=False, elem_id="nulie_guards"):
            self.min_light = gr.Slider(
                0, 1, value=defaults.min_light, step=0.01, elem_id="nulie_min_light",
                label="Minimum light (share of the photo's; 0 is off)",
            )  # fmt: skip
            self.keep_content = gr.Slider(
                0, 50, value=defaults.keep_content, step=0.5, elem_id="nulie_keep_content",
                label="Keep content (points lost per unit of drift; 0 is off)",
            )  # fmt: skip
            self.protect_skin = gr.Checkbox(
                value=defaults.protect_skin,
                label="Do not let skin get darker",
                elem_id="nulie_protect_skin",
            )
        with gr.Accordion("Predictor and seed", open=False, elem_id="nulie_predictor_box"):
            self.predictor = gr.Dropdown(
                choices=list(self._host.predictors),
                value=self._host.predictors[0],
                label="Predictor (who judges)",
                elem_id="nulie_predictor",
            )
            self.seed = gr.Number(
                value=defaults.seed, precision=0, label="Seed", elem_id="nulie_seed"
            )
        with gr.Accordion("Operations and their ranges", open=False, elem_id="nulie_ops"):
            for op in ops().values():
                self._switches.append(self._switch(op))
        for component in (self.seconds, self.min_light, self.keep_content):
            # A webui would write them to a file, which then hides its own setting and later ranges.
            unsaved(component)
        self.mode.input(self._on_mode, [self.mode], self._of_ops(), **quiet(queue=False))

    @property
    def inputs(self) -> list[Any]:
        return [
            *(self.mode, self.seconds, self.top, self.min_light, self.keep_content),
            *(self.protect_skin, self.predictor, self.seed, *self._of_ops()),
        ]

    def read(self, values: tuple[Any, ...]) -> tuple[Settings, str]:
        """The settings and the predictor's name from the values of `inputs`.

        Raises: SettingsError."""
        mode_name, seconds, top, min_light, keep_content, skin, predictor, seed, *rest = values
        mode = _mode(mode_name)
        used: list[str] = []
        ranges: dict[str, Bounds] = {}
        left = iter(rest)
        for switch in self._switches:
            on = bool(next(left))
            bounds = [(next(left), next(left)) for _ in switch.ranges]
            if not on:
                continue
            used.append(switch.op.id)
            for part, (low, high) in zip(switch.ranges, bounds, strict=True):
                name = f"{switch.op.id}.{part.param.dial.name}"
                if low is None or high is None:
                    raise SettingsError(f"{name}: a range needs two numbers")
                usual = _bounds(part.param, mode)
                step = part.param.dial.step
                # A range of the user's own limits the op to once, so only real changes count.
                if abs(low - usual[0]) > step / 2 or abs(high - usual[1]) > step / 2:
                    ranges[name] = (float(low), float(high))
        if not used:
            raise SettingsError("all operations are switched off; switch one on")
        if seconds is None or seed is None or top is None:
            raise SettingsError("seconds, variants and seed must be numbers")
        settings = Settings(
            mode=mode,
            seconds=float(seconds),
            seed=int(seed),
            ops=None if used == _ops_of(mode) else tuple(used),
            ranges=ranges,
            min_light=float(min_light),
            keep_content=float(keep_content),
            protect_skin=bool(skin),
            top=int(top),
        )
        return settings, str(predictor)

    def _of_ops(self) -> list[Any]:
        return [
            component
            for switch in self._switches
            for component in (
                switch.used,
                *(c for part in switch.ranges for c in (part.low, part.high)),
            )
        ]

    def _switch(self, op: Op) -> _Switch:
        mode = self._defaults.mode
        used = gr.Checkbox(
            value=op.id in _ops_of(mode), label=f"{op.id}: {op.help}", elem_id=f"nulie_op_{op.id}"
        )
        unsaved(used)
        ranges = []
        for param in op.params:
            low, high = _bounds(param, mode)
            with gr.Row():
                ends = [
                    gr.Slider(
                        param.dial.low,
                        param.dial.high,
                        value=value,
                        step=param.dial.step,
                        label=f"{op.id} {dial_name(param.dial)}, {word}",
                        elem_id=f"nulie_{op.id}_{param.dial.name}_{word}",
                        min_width=120,
                    )
                    for word, value in (("least", low), ("most", high))
                ]
            for end in ends:
                unsaved(end)
            ranges.append(_Range(param, *ends))
        return _Switch(op, used, tuple(ranges))

    def _on_mode(self, mode_name: str) -> list[Any]:
        mode = _mode(mode_name)
        updates: list[Any] = []
        for switch in self._switches:
            updates.append(gr.update(value=switch.op.id in _ops_of(mode)))
            for part in switch.ranges:
                updates += [gr.update(value=value) for value in _bounds(part.param, mode)]
        return updates


def _mode(name: str) -> str:
    return next((m for m in MODES if MODE_NAMES[m] == name), name)


def _ops_of(mode: str) -> list[str]:
    return [op.id for op in ops().values() if any(getattr(p, mode) for p in op.params)]


def _bounds(param: Param, mode: str) -> Bounds:
    """The mode's range, or that of the other mode where it leaves the dial alone."""
    neutral = (param.dial.neutral, param.dial.neutral)
    return getattr(param, mode) or param.hard or param.soft or neutral
