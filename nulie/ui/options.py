"""The controls of a search, made from the settings' defaults and the table of ops."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gradio as gr

from ..errors import SettingsError
from ..recipe.settings import Settings
from ..recipe.space import Bounds, Mode, find_mode
from ..transforms import MODES, ops, space
from .compat import quiet
from .host import Host

MODE_NAMES = {
    "soft": "soft: gentle, looks like a good print",
    "hard": "hard: drastic, anything goes",
}


class Options:
    """Build with `first` and `more`; then `inputs` are the components and `read` their values.

    All dials share one pair of sliders, for two for each would make a web UI's page slow to load;
    what is set with them is written down as text, which can be typed as well."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._defaults = host.defaults

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
            self._build_ops()
        self._connect()

    def _build_ops(self) -> None:
        mode = find_mode(self._defaults.mode)
        self.used = gr.CheckboxGroup(
            choices=list(ops()),
            value=_ops_of(mode),
            label="Operations to search with",
            elem_id="nulie_used",
        )
        first = next(iter(_DIALS))
        dial = _DIALS[first]
        low, high = dial.bounds(mode)
        self.dial = gr.Dropdown(
            choices=list(_DIALS),
            value=first,
            label="Range to change",
            info=_help(first),
            elem_id="nulie_dial",
        )
        with gr.Row():
            self.low, self.high = (
                gr.Slider(
                    dial.low,
                    dial.high,
                    value=value,
                    step=dial.step,
                    label=word,
                    elem_id=f"nulie_range_{word.lower()}",
                    min_width=120,
                )
                for word, value in (("Least", low), ("Most", high))
            )
        self.ranges = gr.Textbox(
            "",
            label="Ranges of your own (empty: those of the mode)",
            placeholder="brightness=0.8:1.2, gamma.gain=0.9:1",
            elem_id="nulie_ranges",
        )

    def _connect(self) -> None:
        # While it moves, and once more when it is let go: what is written last is right.
        inputs = [self.dial, self.low, self.high, self.ranges, self.mode]
        for slider in (self.low, self.high):
            for event in (slider.input, slider.release):
                event(self._on_range, inputs, [self.ranges], **quiet(latest=True, many=True))
        shown = [self.low, self.high, self.dial]
        chosen = [self.dial, self.ranges, self.mode]
        self.dial.input(self._on_dial, chosen, shown, **quiet(many=True))
        # Not `input`: gradio 6 sends the text before the last letter.
        self.ranges.blur(self._on_dial, chosen, shown, **quiet(many=True))
        self.mode.input(
            self._on_mode,
            [self.mode, self.dial],
            [self.used, self.ranges, *shown],
            **quiet(many=True),
        )

    @property
    def inputs(self) -> list[Any]:
        return [
            *(self.mode, self.seconds, self.top, self.min_light, self.keep_content),
            *(self.protect_skin, self.predictor, self.seed, self.used, self.ranges),
        ]

    def read(self, values: tuple[Any, ...]) -> tuple[Settings, str]:
        """The settings and the predictor's name from the values of `inputs`.

        Raises: SettingsError."""
        mode_name, seconds, top, min_light, keep_content, skin, predictor, seed, *of_ops = values
        mode = _mode(mode_name)
        used = [op_id for op_id in ops() if op_id in of_ops[0]]
        ranges = _ranges(of_ops[1], mode, used)
        if not used:
            raise SettingsError("all operations are switched off; switch one on")
        if seconds is None or seed is None or top is None:
            raise SettingsError("seconds, variants and seed must be numbers")
        # Old gradio lets any text through, and a predictor may be a file's path or code to import.
        if predictor not in self._host.predictors:
            raise SettingsError(f"no predictor on this page is called {predictor!r}")
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

    def _on_range(
        self, name: str, low: float | None, high: float | None, text: str, mode_name: str
    ) -> str:
        """The text with what the sliders say of their dial."""
        dial = _DIALS[name]
        entries = {k: v for k, v in _entries(text).items() if _whole_name(k) != name}
        if low is not None and high is not None:
            step = dial.step
            usual = dial.bounds(_mode(mode_name))
            # A range of the user's own limits the op to once, so only real changes count.
            if abs(low - usual[0]) > step / 2 or abs(high - usual[1]) > step / 2:
                entries[name] = f"{low:g}:{high:g}"
        return ", ".join(f"{key}={value}" if value else key for key, value in entries.items())

    def _on_dial(self, name: str, text: str, mode_name: str) -> list[Any]:
        """The sliders of the dial that was chosen."""
        dial = _DIALS[name]
        bounds = dial.bounds(_mode(mode_name))
        for key, value in _entries(text).items():
            with suppress(SettingsError):
                if _whole_name(key) == name:
                    bounds = _pair(key, value)
        ends = [
            gr.update(minimum=dial.low, maximum=dial.high, step=dial.step, value=value)
            for value in bounds
        ]
        return [*ends, gr.update(info=_help(name))]

    def _on_mode(self, mode_name: str, name: str) -> list[Any]:
        return [_ops_of(_mode(mode_name)), "", *self._on_dial(name, "", mode_name)]


_DIALS = {
    op.id if len(op.dials) == 1 else f"{op.id}.{dial.name}": dial
    for op in ops().values()
    for dial in op.dials
}
"""Each dial by the name that a range has."""


def _whole_name(name: str) -> str:
    """A range's name as `_DIALS` has it: an op's name alone stands for its first dial, and the
    dial of an op with one may be named. Unknown names stay as they are."""
    op_id, _, dial_name = name.partition(".")
    dials = ops()[op_id].dials if op_id in ops() else ()
    dial = next((d for d in dials if dial_name in ("", d.name)), None)
    if dial is None:
        return name
    return op_id if len(dials) == 1 else f"{op_id}.{dial.name}"


def _help(name: str) -> str:
    unit = _DIALS[name].unit
    said = ops()[name.partition(".")[0]].help
    return said if unit == "factor" else f"{said} (in {unit})"


def _entries(text: str) -> dict[str, str]:
    """`a=1:2, b=3:4` in parts, right or wrong."""
    parts = (part.partition("=") for part in (text or "").replace("\n", ",").split(","))
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}


def _pair(name: str, value: str) -> Bounds:
    low, colon, high = value.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise SettingsError(
            f"range {name}: write it as NAME=LEAST:MOST, such as {name}=1:1.3"
        ) from None


def _ranges(text: str, mode: Mode, used: Sequence[str]) -> dict[str, Bounds]:
    """The ranges of the ops that are used. Raises: SettingsError."""
    found = {}
    for name, value in _entries(text).items():
        pair = _pair(name, value)
        space(mode, None, {name: pair})  # complains of the rest
        if name.partition(".")[0] in used:
            found[name] = pair
    return found


def _mode(name: str) -> Mode:
    """Raises: SettingsError."""
    return find_mode(next((m for m in MODES if MODE_NAMES[m] == name), name))


def _ops_of(mode: Mode) -> list[str]:
    return [op.id for op in ops().values() if any(getattr(d, mode) for d in op.dials)]
