"""Two files in, the recipe that makes one of the other out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import image_io
from ..errors import ImageError, SettingsError
from ..image_io import atomic, shown_path
from ..recipe.settings import Settings
from ..transforms import describe
from .inputs import SUFFIXES

if TYPE_CHECKING:
    from ..engine.match import Match

PROPORTIONS = 0.02
"""By so much, as a share, two edits of one photo may differ in width over height."""

Show = Callable[[float, float], None]
"""Is told the share of the budget that is spent, 0..1, and the least distance so far."""


@dataclass(frozen=True)
class Matching:
    """A match of two files, checked; `run` it once.

    Raises: SettingsError, ImageError when the recipe cannot be written."""

    before: Path
    after: Path
    seconds: float | None = 10.0
    evaluations: int | None = None
    """Most candidates to look at; None: until time is up."""
    seed: int = 0
    save_recipe: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        Settings(seconds=self.seconds, evaluations=self.evaluations, seed=self.seed)
        if self.save_recipe is not None:
            if self.save_recipe.suffix.lower() in SUFFIXES:
                shown = shown_path(self.save_recipe)
                raise SettingsError(
                    f"--save-recipe {shown}: it writes JSON; choose a name such as x.json"
                )
            atomic.check(self.save_recipe, overwrite=self.overwrite)

    def run(self, show: Show, cancel: threading.Event) -> Match:
        """Matches and writes the recipe where one is asked for; `cancel` keeps the best so far.

        Raises: ImageError on files that cannot be read, or are not of one shape, or when the recipe
        cannot be written."""
        one, other = (image_io.load(path).pixels for path in (self.before, self.after))
        shapes = sorted(image.width / image.height for image in (one, other))
        if shapes[1] / shapes[0] > 1 + PROPORTIONS:
            named = " and ".join(
                f"{shown_path(path)} ({image.width} x {image.height})"
                for path, image in ((self.before, one), (self.after, other))
            )
            raise ImageError(
                f"{named} are not of one shape; give two versions of one photo, neither cropped"
            )
        from ..engine.match import match

        found = match(
            one, other, seconds=self.seconds, evaluations=self.evaluations, seed=self.seed,
            cancel=cancel, show=show,
        )  # fmt: skip
        if self.save_recipe is not None:
            text = found.recipe.to_json()
            try:
                atomic.write(self.save_recipe, f"{text}\n".encode(), overwrite=self.overwrite)
            except ImageError as e:
                raise ImageError(f"{e}; the recipe would be {text}") from None
        return found


def words(found: Match) -> list[str]:
    """Lines for a person."""
    lines = [
        describe(found.recipe),
        f"distance {found.before:.2f} -> {found.left:.2f} (mean CIE76), {found.share:.0%} of it"
        " left",
    ]
    if found.remains.words:
        lines.append("what no recipe of nulie's takes away:")
        lines += [f"  {text}" for text in found.remains.words]
    return lines


def data(matching: Matching, found: Match) -> dict[str, Any]:
    """The same for a program, as JSON has it; `recipe` is what `--recipe` reads."""
    shares = dict(vars(found.remains))
    toned, said = shares.pop("toned"), shares.pop("words")
    return {
        "before": str(matching.before),
        "after": str(matching.after),
        "recipe": json.loads(found.recipe.to_json()),
        "words": describe(found.recipe),
        "distance_before": round(found.before, 4),
        "distance_left": round(found.left, 4),
        "share_left": round(found.share, 4),
        "remains": {name: round(share, 4) for name, share in shares.items()},
        "toned": toned,
        "remains_words": list(said),
        "evaluations": found.evaluations,
        "seconds": round(found.seconds, 3),
        "stopped": found.reason,
    }
