"""The predictors of this process."""

from __future__ import annotations

from typing import Any

from ..models.pool import Pool
from .base import Predictor


def _create(*args: Any, **options: Any) -> tuple[Predictor, str]:
    from . import create

    return create(*args, **options)


PREDICTORS: Pool[tuple[Predictor, str]] = Pool(_create)
"""Predictors and what to tell the user of the choice; see `predictor.create`."""
