"""The predictors of this process."""

from __future__ import annotations

from ..models.pool import Pool
from .choice import Choice, create

PREDICTORS: Pool[Choice] = Pool(create)
"""Predictors and what to tell the user of the choice; see `create`. Empty until one is asked for.
"""
