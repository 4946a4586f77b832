"""Ranges of dials as a text, which one pair of sliders writes and which can be typed as well."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from ..errors import SettingsError
from ..jobs import values
from ..recipe.space import Bounds, Dial
from ..transforms import ops

DIALS = {
    op.id if len(op.dials) == 1 else f"{op.id}.{dial.name}": dial
    for op in ops().values()
    for dial in op.dials
}
"""Each dial by the name that a range has."""


def explain(name: str) -> str:
    """What turning the dial of that name does."""
    unit = DIALS[name].unit
    text = ops()[name.partition(".")[0]].help
    return text if unit == "factor" else f"{text} (in {unit})"


def usual(name: str, mode: str) -> Bounds:
    """The mode's range of the dial of that name."""
    return DIALS[name].bounds("hard" if mode == "hard" else "soft")


def bounds(text: str, name: str, mode: str) -> Bounds:
    """A dial's range by the text, or the usual one."""
    last = usual(name, mode)
    for key, value in values.entries(text).items():
        if _dial(key) is DIALS[name]:
            with suppress(SettingsError):
                (last,) = values.ranges(f"{key}={value}").values()
    return last


def write(text: str, name: str, low: float | None, high: float | None, mode: str) -> str:
    """The text with the range that the sliders say, None for a moment while one is typed."""
    dial = DIALS[name]
    entries = {k: v for k, v in values.entries(text).items() if _dial(k) is not dial}
    if low is not None and high is not None:
        half = dial.step / 2
        least, most = usual(name, mode)
        # What is as usual is not written: it is the mode's.
        if abs(low - least) > half or abs(high - most) > half:
            entries[name] = f"{low:g}:{high:g}"
    return _text(entries)


def without(text: str, used: Collection[str]) -> str:
    """The text without the ranges of ops that are not used. What is wrong stays, to be refused."""
    entries = values.entries(text).items()
    return _text({k: v for k, v in entries if _dial(k) is None or k.partition(".")[0] in used})


def _text(entries: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" if value else name for name, value in entries.items())


def _dial(name: str) -> Dial | None:
    """The dial of a range's name; an op's name alone is its first one's."""
    op_id, _, dial_name = name.partition(".")
    dials = ops()[op_id].dials if op_id in ops() else ()
    return next((d for d in dials if dial_name in ("", d.name)), None)
