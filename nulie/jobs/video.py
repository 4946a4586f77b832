"""What a job asks of films, and what became of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RecipeError, SettingsError
from ..image_io import shown_path
from ..recipe import Recipe
from . import values
from .inputs import SUFFIXES, reading
from .names import MARK, at_free_name
from .recipes import of_text

CODECS = "h264", "hevc", "vp9", "av1", "ffv1"
NAMES = "codec", "crf", "keep_part"
KEY, FORMAT = "nulie video", 1
"""What a file of a film's recipes says that it is."""
MOST_SHOTS = 100_000
PART = "_part"
"""What the name of a result has at its end that was stopped and is not whole."""


@dataclass(frozen=True)
class Video:
    """How films are written; `read` checks it."""

    codec: str | None = None
    """One of `CODECS`; None: the film's own where that can be written."""
    crf: int | None = None
    """Quality, the lower the better; None: as is usual for the codec."""
    keep_part: bool = False
    """Whether what was done is kept, as a film of its own, of one that is stopped."""


def read(given: Mapping[str, Any]) -> Video:
    """From values by `NAMES`. Raises: SettingsError."""
    codec, crf = given.get("codec"), given.get("crf")
    if codec is not None and codec not in CODECS:
        raise SettingsError(f"codec {codec!r} is unknown; known: {', '.join(CODECS)}")
    if crf is not None:
        crf = values.whole("crf", crf)
        if not 0 <= crf <= 63:
            raise SettingsError(f"crf must be within 0..63, not {crf}")
    return Video(codec, crf, bool(given.get("keep_part", False)))


def target(name: Path, folder: Path | None, suffix: str) -> Path:
    """The result's path for a film called `name`."""
    return (folder or name.parent) / f"{name.stem}{MARK}{suffix}"


def part(path: Path) -> Path:
    """The name of what is not whole of the result at `path`; one that is free."""
    named = path.with_name(f"{path.stem}{PART}{path.suffix}")
    return at_free_name(named, lambda free: free, clash=OSError)


@dataclass(frozen=True)
class Shot:
    """Frames with one recipe."""

    begin: float
    """When, in seconds of the film."""
    frames: int
    recipe: Recipe
    before: float | None = None
    after: float | None = None
    """Mean scores of its key frames; None where nobody judged."""
    like: int | None = None
    """Number of the earlier shot that it looks like, and whose recipe it has, from 1."""
    cut: bool = True
    """Whether it begins with a cut."""

    def data(self) -> dict[str, Any]:
        told: dict[str, Any] = {"begin": round(self.begin, 3), "frames": self.frames}
        told["cut"] = self.cut
        if self.before is not None:
            told |= {"before": self.before, "after": self.after}
        if self.like is not None:
            told["like"] = self.like
        return {**told, "recipe": json.loads(self.recipe.to_json())}


@dataclass(frozen=True)
class KeyFrame:
    """One that stands for a shot, as JPEGs of the same shape."""

    before: bytes
    after: bytes
    size: tuple[int, int]


@dataclass(frozen=True)
class Film:
    """What became of a film."""

    name: str
    shots: tuple[Shot, ...]
    frames: int
    seconds: float
    """That it took."""
    predictor: str = ""
    whole: bool = True
    keys: tuple[KeyFrame, ...] = field(default=(), repr=False)
    """One of each shot, where somebody wants to see them."""

    def data(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "whole": self.whole,
            "seconds": round(self.seconds, 3),
            **({"predictor": self.predictor} if self.predictor else {}),
            "shots": [shot.data() for shot in self.shots],
        }


def to_text(shots: Iterable[Shot]) -> str:
    """JSON for `shots`."""
    told = ",\n".join(json.dumps(shot.data()) for shot in shots)
    return f'{{"{KEY}": {FORMAT}, "shots": [\n{told}\n]}}\n'


def shots(given: str | Path | Mapping[str, Any]) -> tuple[Shot, ...]:
    """From a file, a text of `to_text`, or its data; none where it is a recipe of another kind.
    Raises: RecipeError."""
    shown = "the recipe"
    if isinstance(given, Path):
        if given.suffix.lower() in SUFFIXES:
            return ()
        shown = shown_path(given)
        with reading(shown, RecipeError, "is no recipe; give a JSON file or an image"):
            given = given.read_text(encoding="utf-8-sig")
    data: Any = given
    if isinstance(given, str):
        try:
            data = json.loads(given)
        except (ValueError, RecursionError):
            return ()  # an infotext, or what is refused as a recipe
    if not isinstance(data, Mapping) or KEY not in data:
        return ()
    if data[KEY] != FORMAT:
        raise RecipeError(f"{shown}: is of a format for videos that this version does not read")
    each = data.get("shots")
    if not isinstance(each, list) or not 0 < len(each) <= MOST_SHOTS:
        raise RecipeError(f"{shown}: has no shots")
    return tuple(_shot(one, f"{shown}: shot {number}") for number, one in enumerate(each, 1))


def _shot(data: Any, shown: str) -> Shot:
    try:
        recipe = of_text(json.dumps(data["recipe"]))
        begin, frames = float(data["begin"]), int(data["frames"])
        before, after = (
            None if data.get(name) is None else float(data[name]) for name in ("before", "after")
        )
        like = None if data.get("like") is None else int(data["like"])
        cut = bool(data.get("cut", True))
    except RecipeError as e:
        raise RecipeError(f"{shown}: {e}") from None
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise RecipeError(f"{shown}: has no begin, number of frames and recipe") from None
    if not (frames >= 0 and 0 <= begin < float("inf")):
        raise RecipeError(f"{shown}: begin and frames cannot be below 0")
    return Shot(begin, frames, recipe, before, after, like, cut)


def line(given: str, film: Film, written: tuple[Path, ...]) -> dict[str, Any]:
    """For a program that reads JSON."""
    return {"input": given, **film.data(), "output": [str(path) for path in written]}
