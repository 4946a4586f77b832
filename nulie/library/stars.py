"""Stars from scores, by thresholds."""

from __future__ import annotations

from bisect import bisect_right

from ..errors import SettingsError


def thresholds(text: str) -> tuple[float, ...]:
    """The least scores of 1 to 5 stars, from a text such as `5,5.5,6,6.5,7`. Raises:
    SettingsError."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != 5 or list(found) != sorted(set(found)):
        raise SettingsError(
            f"stars {text!r}: give five rising scores, those of 1 to 5 stars, such as 5,5.5,6,6.5,7"
        )
    return found


def stars(score: float, least: tuple[float, ...]) -> int:
    """0 to 5."""
    return bisect_right(least, score)
