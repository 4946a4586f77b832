"""Points of a photo whose colour somebody knows, as texts such as `120,80=#aa3322`."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import SettingsError

PARAM = "hint"
"""Such parameters of a step are hints, each with a number behind its name."""
MOST = 99
_FORM = "write it as X,Y=#RRGGBB, in pixels from the left and the top, or as 25%,50%=#RRGGBB"


class Hint(NamedTuple):
    x: float
    y: float
    """Shares of the width and the height, 0..1."""
    color: tuple[int, int, int]
    """sRGB levels; its lightness does not count."""

    def __str__(self) -> str:
        return f"{self.x:.4%},{self.y:.4%}=#{bytes(self.color).hex()}"


def parse(text: str, size: tuple[int, int] | None = None) -> Hint:
    """Pixels are those of a photo of that `(width, height)`; without one any are taken as they
    are. Raises: SettingsError on another form, and on a point outside the photo."""
    number = r"\s*(\d{1,6}(?:\.\d{0,6})?)(%?)\s*"
    found = re.fullmatch(rf"{number},{number}=\s*#?([0-9a-fA-F]{{6}})\s*", str(text))
    if found is None:
        raise SettingsError(f"--hint {text}: {_FORM}")
    shares = []
    parts = zip(found.group(1, 3), found.group(2, 4), size or (0, 0), strict=True)
    for value, percent, side in parts:
        share = float(value) / 100 if percent else (float(value) + 0.5) / side if side else 0.0
        if not 0 <= share <= 1:
            where = f"{size[0]} x {size[1]} pixels" if size else "100 %"
            raise SettingsError(f"--hint {text}: the point is outside the photo of {where}")
        shares.append(share)
    return Hint(shares[0], shares[1], tuple(bytes.fromhex(found[5])))  # type: ignore[arg-type]
