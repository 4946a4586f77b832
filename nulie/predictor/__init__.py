"""Aesthetic predictors: the protocol, the ones nulie brings along, and the choice among them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PredictorError, WeightsError
from .base import Judge, Prediction, Predictor, exact_form

if TYPE_CHECKING:
    from ..models.download import Progress

__all__ = ["NAMES", "Judge", "Prediction", "Predictor", "create", "exact_form"]

CLIP_NAMES = ("clip-sac", "clip-laion", "clip-b32", "clip-b16")
NAMES = (*CLIP_NAMES, "statistics")
"""What a predictor may be called, beside `auto` and the path of a file that `nulie fit` wrote."""


def create(
    name: str = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    views: int = 1,
    head: Path | None = None,
    clip_weights: Path | None = None,
    folders: Sequence[Path] = (),
    progress: Progress | None = None,
    network: bool = True,
) -> tuple[Predictor, str]:
    """A predictor and what to tell the user of it, often nothing.

    `auto` is `clip-sac`, or `statistics` where the weights of that cannot be had. The options after
    `device` are CLIP's: see `clip.Clip`. What is missing is downloaded unless `network` is False;
    `progress` is told how far that is. Raises: PredictorError on an unknown name or device or
    options that do not go together, WeightsError when files are missing and cannot be had."""
    if name in CLIP_NAMES or name == "auto":
        from .clip import Clip

        try:
            clip = Clip(
                "clip-sac" if name == "auto" else name,
                device=device,
                precision=precision,
                views=views,
                head=head,
                weights=clip_weights,
                folders=folders,
                progress=progress,
                network=network,
            )
        except PredictorError as e:
            # What was asked for explicitly is not replaced by something else.
            asked = name != "auto" or head or clip_weights
            devices = (device, precision) != ("auto", "auto") and not isinstance(e, WeightsError)
            if asked or devices:
                raise
            return _statistics(None, device), f"judged by 'statistics', without CLIP: {e}"
        return clip, ""
    if head or clip_weights:
        raise PredictorError(f"a head and weights of CLIP are not for the predictor {name}")
    if name == "statistics":
        return _statistics(None, device), ""
    if Path(name).suffix == ".safetensors":
        return _statistics(Path(name), device), ""
    close = difflib.get_close_matches(name, ["auto", *NAMES], 1)
    hint = f"did you mean {close[0]}?" if close else f"known: auto, {', '.join(NAMES)}"
    raise PredictorError(f"no predictor is called {name!r}; {hint}")


def _statistics(path: Path | None, device: str) -> Predictor:
    from .statistics import Statistics

    # Too small a thing for a GPU: it is done before the data are there.
    return Statistics(path, device="cpu" if device == "auto" else device)
