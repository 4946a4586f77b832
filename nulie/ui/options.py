"""The controls of a search, made from the settings' defaults and the table of ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..errors import SettingsError
from ..jobs import reference
from ..jobs.names import safe_name
from ..jobs.reference import Reference
from ..transforms import ops
from . import ranges, scripts
from .compat import on, quiet, uploads
from .host import Host

RESTORED = {
    "repair traces of JPEG, as far as there are any": "repair",
    "take noise away, as far as there is any": "denoise",
    "clean a scanned page: halftone, grain, dust": "scan",
    "give a black-and-white photo colours, which are guessed": "colorize",
}
"""What a plan calls it."""
NOT_RESTORED = {**dict.fromkeys(RESTORED.values()), "upscale": None, "search": True}
SAME, NO_SEARCH = "the same size", "none"
MODE_NAMES = {
    "soft": "soft: gentle, looks like a good print",
    "hard": "hard: drastic, anything goes",
    NO_SEARCH: "none: no search, restore only",
}
SHARES = ("min_light", "min_color", "min_contrast")
NUMBERS = ("seconds", "top", *SHARES, "keep_content", "seed")
OTHERS = (
    *("mode", "early", "protect_skin", "predictor", "used", "ranges", "restore", "upscale", "like"),
)
"""Controls, by their names in a plan; the last one's value is a file."""


class Options:
    """Build with `first` and `more`; then `inputs` are the components, and `values` says what
    theirs mean.

    All dials share one pair of sliders: a pair for each would make a web UI's page slow to load.
    What is set with them is written down as text, which can be typed as well."""

    def __init__(self, host: Host) -> None:
        self._host, self._defaults = host, host.defaults

    def first(self) -> None:
        """What everybody sets."""
        defaults = self._defaults
        self.mode = gr.Radio(
            choices=list(MODE_NAMES.values()), value=MODE_NAMES[defaults.mode], label="Mode",
            elem_id="nulie_mode",
        )  # fmt: skip
        with gr.Row():
            self.seconds = gr.Number(
                value=defaults.seconds or 10.0, label="Seconds to search", elem_id="nulie_seconds",
                min_width=120,
            )  # fmt: skip
            self.top = gr.Number(
                value=defaults.top, precision=0, label="Variants to find", elem_id="nulie_top",
                min_width=120,
            )  # fmt: skip
        self.early = gr.Checkbox(
            value=True, label="End earlier when nothing is left to gain", elem_id="nulie_early"
        )

    def more(self) -> None:
        """What has good defaults, folded away."""
        defaults = self._defaults
        with gr.Accordion("Restore", open=False, elem_id="nulie_restore"):
            self._build_restore()
        with gr.Accordion("Guards", open=False, elem_id="nulie_guards"):
            self.min_light, self.min_color, self.min_contrast = (
                gr.Slider(
                    0, 1, value=getattr(defaults, name), step=0.01, elem_id=f"nulie_{name}",
                    label=f"Minimum {what} (share of the photo's; 0 is off)",
                )
                for name, what in zip(SHARES, ("light", "colour", "contrast"), strict=True)
            )  # fmt: skip
            self.keep_content = gr.Slider(
                0, 50, value=defaults.keep_content, step=0.5, elem_id="nulie_keep_content",
                label="Keep content (points lost per unit of drift; 0 is off)",
            )  # fmt: skip
            self.protect_skin = gr.Checkbox(
                value=defaults.protect_skin, label="Do not let skin get darker",
                elem_id="nulie_protect_skin",
            )  # fmt: skip
        with gr.Accordion("Predictor and seed", open=False, elem_id="nulie_predictor_box"):
            self.like = gr.File(
                label="Make it look like: a picture whose colours and light are wanted; it judges"
                " in place of the predictor, and guards are off where they stand as they come",
                file_count="single", elem_id="nulie_like", height=120,
            )  # fmt: skip
            self.predictor = gr.Dropdown(
                choices=list(self._host.predictors), value=self._host.predictors[0],
                label="Predictor (who judges)", elem_id="nulie_predictor",
            )  # fmt: skip
            self.seed = gr.Number(
                value=defaults.seed, precision=0, label="Seed", elem_id="nulie_seed"
            )
        with gr.Accordion("Operations and their ranges", open=False, elem_id="nulie_ops"):
            self._build_ops()
        self._connect()

    def _build_restore(self) -> None:
        self.restore = gr.CheckboxGroup(
            choices=list(RESTORED), value=list(RESTORED)[:2], label="Before the search",
            elem_id="nulie_restored",
        )  # fmt: skip
        self.upscale = gr.Dropdown(
            choices=[SAME, "1.5", "2", "4"], value=SAME, allow_custom_value=True,
            label="Enlarge the result (a factor, or 4000x, x3000)", elem_id="nulie_upscale",
        )  # fmt: skip
        gr.HTML(scripts.hints(list(RESTORED.values()).index("colorize")))

    def _build_ops(self) -> None:
        mode = self._defaults.mode
        self.used = gr.CheckboxGroup(
            choices=list(ops()), value=_ops_of(mode), label="Operations to search with",
            elem_id="nulie_used",
        )  # fmt: skip
        first = next(iter(ranges.DIALS))
        dial = ranges.DIALS[first]
        low, high = ranges.usual(first, mode)
        self.dial = gr.Dropdown(
            choices=list(ranges.DIALS), value=first, label="Range to change",
            info=ranges.explain(first), elem_id="nulie_dial",
        )  # fmt: skip
        self.low, self.high = (
            gr.Slider(
                dial.low, dial.high, value=value, step=dial.step, label=word,
                elem_id=f"nulie_range_{word.lower()}",
            )
            for word, value in (("Least", low), ("Most", high))
        )  # fmt: skip
        self.ranges = gr.Textbox(
            "", label="Ranges of your own (empty: those of the mode)",
            placeholder="brightness=0.8:1.2, gamma.gain=0.9:1", elem_id="nulie_ranges",
        )  # fmt: skip

    def _connect(self) -> None:
        # While it moves, and once more when it is let go: what is written last is right.
        inputs = [self.dial, self.low, self.high, self.ranges, self.mode]
        events = [e for slider in (self.low, self.high) for e in (slider.input, slider.release)]
        on(events, self._on_range, inputs, [self.ranges], **quiet(latest=True, many=True))
        shown = [self.low, self.high, self.dial]
        chosen = [self.dial, self.ranges, self.mode]
        self.dial.input(self._on_dial, chosen, shown, **quiet(many=True))
        # Not `input`: gradio 6 sends the text before the last letter.
        self.ranges.blur(self._on_dial, chosen, shown, **quiet(many=True))
        of_mode = [self.used, self.ranges, *shown]
        self.mode.input(self._on_mode, [self.mode, self.dial], of_mode, **quiet(many=True))

    @property
    def inputs(self) -> list[Any]:
        return [getattr(self, name) for name in (*NUMBERS, *OTHERS)]

    def values(self, values: Sequence[Any]) -> dict[str, Any]:
        """Those of `inputs` as values of a plan.

        Raises: SettingsError on a predictor that the page does not offer, ImageError on a picture
        to be like that cannot be read."""
        given = dict(zip((*NUMBERS, *OTHERS), values, strict=True))
        # Old gradio lets any text through, and a predictor may be a file's path or code to import.
        if given["predictor"] not in self._host.predictors:
            raise SettingsError(f"no predictor on this page is called {given['predictor']!r}")
        like = self._like(given.pop("like"))
        if like is not None:
            given["predictor"] = ""
            for name in (*SHARES, "protect_skin"):
                if given[name] == getattr(self._defaults, name):
                    del given[name]  # nobody has asked for it
        mode, chosen, early = _mode(given["mode"]), given.pop("used"), given.pop("early")
        used = [op_id for op_id in ops() if op_id in chosen]
        search = given["mode"] != MODE_NAMES[NO_SEARCH]
        restored = _restored(given.pop("restore"), given.pop("upscale"))
        return {
            **given,
            # An emptied field does not ask for the default.
            **{name: "" for name in NUMBERS if name in given and given[name] is None},
            **restored,
            "search": search,
            "like": like,
            "mode": mode,
            "patience": self._defaults.patience if early else 0.0,
            "device": self._host.device,
            "ops": None if used == _ops_of(mode) else used,
            "ranges": ranges.without(given["ranges"] or "", used),
        }

    def _like(self, value: Any) -> Reference | None:
        for path, original in uploads(value):
            name = safe_name(original)
            self._host.work.check(path, name)
            return reference.read(path, name)
        return None

    def _on_range(
        self, name: str, low: float | None, high: float | None, text: str, mode: str
    ) -> str:
        return ranges.write(text or "", _dial(name), low, high, _mode(mode))

    def _on_dial(self, name: str, text: str, mode: str) -> list[Any]:
        name = _dial(name)
        dial = ranges.DIALS[name]
        ends = [
            gr.update(minimum=dial.low, maximum=dial.high, step=dial.step, value=value)
            for value in ranges.bounds(text or "", name, _mode(mode))
        ]
        return [*ends, gr.update(info=ranges.explain(name))]

    def _on_mode(self, mode: str, name: str) -> list[Any]:
        return [_ops_of(_mode(mode)), "", *self._on_dial(name, "", mode)]


def _restored(chosen: Sequence[str], upscale: Any) -> dict[str, Any]:
    """What is to be restored, as values of a plan."""
    size = str(upscale or "").strip()
    asked = {name: "auto" for label, name in RESTORED.items() if label in chosen}
    return {**asked, "upscale": None if size == SAME else size}


def _mode(label: str) -> str:
    """The mode of a button, whose label is its value; soft where there is to be no search."""
    mode = next((mode for mode, name in MODE_NAMES.items() if name == label), label)
    return "soft" if mode == NO_SEARCH else mode


def _dial(name: str) -> str:
    """The name of a dial; that of the first one for what is none."""
    return name if name in ranges.DIALS else next(iter(ranges.DIALS))


def _ops_of(mode: str) -> list[str]:
    return [op.id for op in ops().values() if any(getattr(d, mode, None) for d in op.dials)]
