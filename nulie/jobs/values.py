"""Plain values, as options, forms and requests have them, to what they mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import SettingsError
from ..recipe.settings import Settings

Bounds = tuple[float, float]


def settings(values: Mapping[str, Any]) -> Settings:
    """What `values` ask of a search: by the names of `Settings`' fields. What is missing or None
    has its default; `ops` may be a text, `ranges` whatever `ranges` reads; without a budget there
    is the usual time, and with `evaluations` alone no other limit.

    Raises: SettingsError on a value without a meaning."""
    defaults = Settings()
    given = {name: value for name, value in values.items() if value is not None}
    seconds = None if "evaluations" in given else defaults.seconds
    return Settings(
        mode=str(given.get("mode", defaults.mode)),
        seconds=number(given, "seconds", seconds),
        evaluations=whole(given, "evaluations", None),
        seed=whole(given, "seed", defaults.seed) or 0,
        ops=_ops(given.get("ops")),
        ranges=ranges(given.get("ranges", {})),
        min_light=number(given, "min_light", defaults.min_light) or 0.0,
        keep_content=number(given, "keep_content", defaults.keep_content) or 0.0,
        protect_skin=bool(given.get("protect_skin", defaults.protect_skin)),
        top=whole(given, "top", defaults.top) or 0,
    )


def number(values: Mapping[str, Any], name: str, default: float | None) -> float | None:
    """The number of that name. Raises: SettingsError when it is none."""
    value = values.get(name)
    if value is None:
        return default
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise SettingsError(f"{_option(name)} must be a number, not {_short(value)}") from None


def whole(values: Mapping[str, Any], name: str, default: int | None) -> int | None:
    """The whole number of that name. Raises: SettingsError when it is none."""
    if isinstance(values.get(name), int):
        return int(values[name])  # of any length
    value = number(values, name, None)
    if value is None:
        return default
    if not math.isfinite(value) or value != int(value):
        raise SettingsError(f"{_option(name)} must be a whole number, not {_short(values[name])}")
    return int(value)


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


def _pair(name: str, value: Sequence[Any]) -> Bounds:
    try:
        low, high = value
        return float(low), float(high)
    except (TypeError, ValueError):
        raise _no_range(name) from None


def _no_range(text: str) -> SettingsError:
    return SettingsError(
        f"range {_short(text)}: write it as NAME=LOW:HIGH, such as saturation=1.0:1.3"
    )


def _ops(given: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(part.strip() for part in parts if part.strip())


def _option(name: str) -> str:
    return name.replace("_", "-")


def _short(value: object) -> str:
    text = str(value).strip() or "nothing"
    return text if len(text) < 80 else f"{text[:77]}..."
