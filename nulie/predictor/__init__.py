"""Aesthetic predictors: the protocol, the ones that nulie brings along, and the choice among them."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..errors import PredictorError
from .base import Judge, Prediction, Predictor, exact_form

__all__ = ["NAMES", "Judge", "Prediction", "Predictor", "create", "exact_form"]

NAMES = ("statistics",)
"""What `--predictor` takes, beside `auto` and a file that `nulie fit` wrote."""


def create(name: str = "auto", *, device: str = "auto") -> tuple[Predictor, str]:
    """A predictor by name or by the path of a fitted file, and what to tell the user of the choice,
    often nothing.

    Raises: PredictorError on an unknown name or device, WeightsError when its files cannot be had.
    """
    if name in ("auto", "statistics"):
        from .statistics import Statistics

        return Statistics(device=device), ""
    if Path(name).suffix == ".safetensors":
        from .statistics import Statistics

        return Statistics(Path(name), device=device), ""
    close = difflib.get_close_matches(name, ["auto", *NAMES], 1)
    hint = f"did you mean {close[0]}?" if close else f"known: auto, {', '.join(NAMES)}"
    raise PredictorError(f"no predictor is called {name!r}; {hint}")
