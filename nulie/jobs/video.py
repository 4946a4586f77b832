"""What a job asks of films, and what became of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..recipe import Recipe
from . import values
from .names import MARK, at_free_name

CODECS = "h264", "hevc", "vp9", "av1", "ffv1"
NAMES = "codec", "crf", "keep_part"
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

    def data(self) -> dict[str, Any]:
        told: dict[str, Any] = {"begin": round(self.begin, 3), "frames": self.frames}
        if self.before is not None:
            told |= {"before": self.before, "after": self.after}
        return {**told, "recipe": json.loads(self.recipe.to_json())}


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

    def data(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "whole": self.whole,
            "seconds": round(self.seconds, 3),
            **({"predictor": self.predictor} if self.predictor else {}),
            "shots": [shot.data() for shot in self.shots],
        }


def line(given: str, film: Film, written: tuple[Path, ...]) -> dict[str, Any]:
    """For a program that reads JSON."""
    return {"input": given, **film.data(), "output": [str(path) for path in written]}
