"""Plain values, as options, forms and requests have them, to what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..recipe import Bounds, Recipe, Settings
from ..transforms.strength import scale

_SHARES = ("min_light", "min_color", "min_contrast")
NO_GUARDS: Mapping[str, Any] = {**dict.fromkeys(_SHARES, 0.0), "protect_skin": False}
"""Nothing holds a result to the photo: what is wanted is shown, be it pale or dark."""
GUARDS = {name.rpartition("_")[2]: name for name in (*NO_GUARDS, "keep_content")}
"""Their names in a text of guards, to those of `Settings`."""


def settings(values: Mapping[str, Any]) -> Settings:
    """What `values` ask of a search: by the names of `Settings`' fields. What is missing or None
    has its default; `ops` may be a text, `ranges` whatever `ranges` reads; without a budget there
    is the usual time, and with `evaluations` alone no other limit.

    Raises: SettingsError on a value without a meaning."""
    given = {name: value for name, value in values.items() if value is not None}
    wanted: dict[str, Any] = {"seconds": None} if "evaluations" in given else {}
    wanted |= {name: read(name, given[name]) for name, read in _READERS.items() if name in given}
    return Settings(**wanted)


def number(name: str, value: Any) -> float:
    """Raises: SettingsError when the value of that name is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        option = name.replace("_", "-")
        raise SettingsError(f"{option} must be a number, not {_short(value)}") from None


def whole(name: str, value: Any) -> int:
    """Raises: SettingsError when the value of that name is no whole number."""
    if isinstance(value, int):
        return int(value)  # of any length
    found = number(name, value)
    if not math.isfinite(found) or found != int(found):
        option = name.replace("_", "-")
        raise SettingsError(f"{option} must be a whole number, not {_short(value)}")
    return int(found)


def strength(value: Any) -> float:
    """How far recipes are to be turned. Raises: SettingsError when that has no meaning."""
    found = number("strength", value)
    scale(Recipe(), found)
    return found


def guards(text: str) -> dict[str, float]:
    """What a text such as `light=0.9, color=0.97, contrast=0.97, skin=1` says of guards, by names
    of `Settings`; 0 is off. Raises: SettingsError."""
    given = entries(text)
    if unknown := sorted(given.keys() - GUARDS.keys()):
        known = ", ".join(f"{name}=NUMBER" for name in GUARDS)
        raise SettingsError(f"guard {unknown[0]!r} is unknown; known: {known}")
    return {GUARDS[name]: number(name, value) for name, value in given.items()}


def ranges(given: str | Mapping[str, Any] | Iterable[str]) -> dict[str, Bounds]:
    """Bounds of dials by name, from `{"saturation": (1, 1.3)}`, from `["saturation=1:1.3"]`, or
    from the text `saturation=1:1.3, gamma.gain=0.9:1`. Raises: SettingsError on another form."""
    if isinstance(given, Mapping):
        return {name: _pair(name, value) for name, value in given.items()}
    bounds = {}
    for name, text in entries(given if isinstance(given, str) else ",".join(given)).items():
        low, colon, high = text.partition(":")
        if not colon:
            raise _no_range(f"{name}={text}" if text else name)
        bounds[name] = _pair(f"{name}={text}", (low, high))
    return bounds


def entries(text: str) -> dict[str, str]:
    """The parts of `a=1:2, b=3:4` by name, right or wrong; what has no `=` is all name."""
    parts = (part.partition("=") for part in text.replace("\n", ",").split(","))
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}


def kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as JSON keeps them."""
    return {
        name: {"path": str(value)} if isinstance(value, Path) else value
        for name, value in values.items()
    }


def unkept(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `kept` was told."""
    return {
        name: Path(value["path"]) if isinstance(value, dict) and [*value] == ["path"] else value
        for name, value in values.items()
    }


def _pair(name: str, value: Sequence[Any]) -> Bounds:
    try:
        low, high = value
        return float(low), float(high)
    except (TypeError, ValueError):
        raise _no_range(name) from None


def _no_range(text: str) -> SettingsError:
    form = "write it as NAME=LOW:HIGH, such as saturation=1.0:1.3"
    return SettingsError(f"range {_short(text)}: {form}")


def _ops(given: str | Iterable[str]) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(part.strip() for part in parts if part.strip())


def _short(value: object) -> str:
    text = str(value).strip() or "nothing"
    return text if len(text) < 80 else f"{text[:77]}..."


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "mode": lambda _, value: str(value),
    "protect_skin": lambda _, value: bool(value),
    "ops": lambda _, value: _ops(value),
    "ranges": lambda _, value: ranges(value),
    **dict.fromkeys(("evaluations", "seed", "top"), whole),
    **dict.fromkeys((*_SHARES, "seconds", "keep_content", "patience"), number),
}
