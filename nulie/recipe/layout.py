"""The JSON of recipes as plain data: its frame, and which values may stand in it.

    {"nulie": 2, "frozen": false, "steps": [{"op": "contrast", "factor": 1.1}, ...]}

One list in order. A step with "model" is a model's; such steps stand before or after the run of
ops. A frozen recipe's ops carry what they measured under "frozen". Format 1 has neither.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from reprlib import repr  # of a value of any size, which a stranger may have written
from typing import Any

from ..errors import RecipeError

FORMAT = 2
"""Of the layout that is written; readers refuse others, so a change of meaning needs a new one."""
READABLE = (1, 2)
RESERVED = frozenset({"op", "model", "frozen"})
"""Keys of a step that are no parameters."""
MOST_STEPS, MOST_TEXT, MOST_CARRIED = 1000, 200, 4096
"""Steps of a recipe, characters of a parameter's text, and numbers, or characters in base64, of one
statistic at most."""

Carried = float | tuple[float, ...] | bytes
"""What was measured: a number, several, or a table of levels."""


def dump(frozen: bool, steps: list[dict[str, Any]]) -> str:
    return json.dumps({"nulie": FORMAT, "frozen": frozen, "steps": steps}, allow_nan=False)


def load(text: str) -> tuple[int, bool | None, list[Any]]:
    """The format's number, whether it says that it is frozen, its steps. Raises: RecipeError."""
    try:
        data = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as e:  # of more than 4,300 digits, too
        raise RecipeError(f"not a nulie recipe, for it is no JSON: {e}") from None
    if not isinstance(data, dict) or "nulie" not in data:
        raise RecipeError('not a nulie recipe: it has no "nulie" format number')
    number = data["nulie"]
    if type(number) is not int or number not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise RecipeError(
            f"recipe format {repr(number)} is unknown; this version reads formats {known}"
        )
    frozen = data.get("frozen") if number > 1 else None
    if not isinstance(frozen, bool | None):
        raise RecipeError(f'"frozen" is {repr(frozen)}; it must be true or false')
    steps = data.get("steps")
    if not isinstance(steps, list):
        raise RecipeError('not a nulie recipe: "steps" is no list')
    if len(steps) > MOST_STEPS:
        raise RecipeError(f"a recipe has {MOST_STEPS:,} steps at most, and this has {len(steps):,}")
    return number, frozen, steps


def number(name: str, value: Any) -> float:
    """Raises: RecipeError on anything but a finite number."""
    # bool is an int to Python, but nobody means 1.0 by true.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"{name}={repr(value)} is no number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise RecipeError(f"{name}={repr(value)} is not finite")
    return found


def number_or_text(name: str, value: Any) -> float | str:
    """Raises: RecipeError on anything but a finite number or a short text."""
    if not isinstance(value, str):
        return number(name, value)
    if len(value) > MOST_TEXT:
        raise RecipeError(f"{name} has {len(value):,} characters; {MOST_TEXT} at most")
    return value


def read_carried(data: Any) -> tuple[tuple[str, Carried], ...]:
    """What stands under "frozen" in a step. Raises: RecipeError."""
    if not isinstance(data, Mapping):
        raise RecipeError(f'"frozen" is {repr(data)}; it must be what was measured, by name')
    return tuple(sorted((name, _read_statistic(name, value)) for name, value in data.items()))


def write_carried(carried: tuple[tuple[str, Carried], ...]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in carried
    }


def _read_statistic(name: str, value: Any) -> Carried:
    if isinstance(value, str | list) and len(value) > MOST_CARRIED:
        kind = "characters" if isinstance(value, str) else "numbers"
        raise RecipeError(f"{name} has {len(value):,} {kind}; {MOST_CARRIED:,} at most")
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise RecipeError(f"{name} is no table in base64") from None
    if isinstance(value, list):
        for item in value:
            number(name, item)
        return tuple(value)
    number(name, value)
    finite: float = value  # as it is: whole numbers stay whole, and are written so again
    return finite
