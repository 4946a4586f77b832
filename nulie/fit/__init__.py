"""How the models that nulie brings along are made."""

from .statistics import fit

__all__ = ["fit"]
