"""How large a picture is to become."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ImageError, SettingsError

LIMIT = 268_000_000
"""Pixels of a result at most: of 16384 x 16384. More fits into the memory of few machines, and
into few formats of files."""
MOST = 64
"""The largest factor."""
_FORM = "write a factor such as 2, a share such as 50%, or sides such as 4000x, x3000, 4000x3000"


@dataclass(frozen=True)
class Size:
    """A factor, or a box of pixels into which the picture is to fit as large as it can."""

    text: str
    factor: float | None = None
    width: int | None = None
    height: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """The size that a picture of that size is to have. Raises: ImageError above `LIMIT`."""
        factor = self.factor
        if factor is None:
            shares = [self.width and self.width / width, self.height and self.height / height]
            factor = min(share for share in shares if share)
        made = max(1, round(factor * width)), max(1, round(factor * height))
        if made[0] * made[1] > LIMIT:
            asked = f"{made[0]} x {made[1]} pixels ({made[0] * made[1] / 1e6:,.0f} megapixels)"
            raise ImageError(
                f"--upscale {self.text} would make {asked}; at most {LIMIT / 1e6:.0f} are made"
            )
        return made


def parse(text: str) -> Size:
    """`2`, `1.5`, `50%`, `4000x`, `x3000` or `4000x3000`. Raises: SettingsError."""
    text = str(text).strip().lower()
    number = re.fullmatch(r"(\d{1,6}(?:\.\d{0,6})?)(%|x)?", text)
    factor = float(number[1]) / (100 if number[2] == "%" else 1) if number else 0
    sides = re.fullmatch(r"(\d{1,6})?x(\d{1,6})?", text)
    # Nobody wants a width of 2 pixels: 2x is a factor.
    if sides and (sides[1] or sides[2]) and not 0 < factor <= MOST:
        width, height = (int(side) if side else None for side in sides.groups())
        if width != 0 and height != 0:
            return Size(text, None, width, height)
    if not 0.01 <= factor <= MOST:
        raise SettingsError(f"--upscale {text or 'nothing'}: {_FORM}")
    return Size(text, factor)
