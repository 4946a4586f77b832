"""Exceptions of nulie.

NulieError
 +- ImageError        an image file cannot be read, is refused, or cannot be written
 +- RecipeError       bad or unknown recipe data (also a ValueError)
 +- CheckpointError   a checkpoint cannot be read, or belongs to another photo
 +- ExtraError        a package that one of nulie's extras brings along is not installed
 +- SettingsError     an option has no meaning or contradicts another (also a ValueError)
 +- ModelError        a model, such as a predictor, is unknown or cannot run here
     +- UnknownModelError    no model is called that
     +- DuplicateModelError  several models claim one name
     +- WeightsError         a weights file is missing, unreachable, or fails its digest
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class NulieError(Exception):
    """Base of everything nulie raises on purpose; shells catch this one and print its message.

    The message is one line that names the file or value at fault and the remedy."""


class ImageError(NulieError):
    """An image file cannot be read, is of a kind that is refused, or cannot be written."""


class RecipeError(NulieError, ValueError):
    """A recipe names an unknown op, a wrong parameter, or a value out of range."""


class CheckpointError(NulieError):
    """A checkpoint cannot be read, or belongs to another photo or predictor."""


class SettingsError(NulieError, ValueError):
    """An option has no meaning, is out of range, or contradicts another."""


class ExtraError(NulieError):
    """A package that one of nulie's extras brings along is not installed."""


class ModelError(NulieError):
    """A model, be it a predictor or a restorer, is unknown or cannot run on this machine."""


class UnknownModelError(ModelError):
    """No model is called that."""


class DuplicateModelError(ModelError):
    """Several models claim one name."""


class WeightsError(ModelError):
    """A weights file is missing, cannot be fetched, or fails its SHA-256 check."""


PredictorError = ModelError
"""The name of ModelError in version 1, when predictors were the only models."""


@contextmanager
def needed_for(what: str, package: str, *, extra: str) -> Iterator[None]:
    """Around the import of a package that only `what` needs. Raises: ExtraError where it is not
    installed, naming the extra that brings it; whatever else goes wrong comes out as it is."""
    try:
        yield
    except ModuleNotFoundError as e:
        if e.name != package:
            raise
        raise ExtraError(
            f"{what} needs {package}; install that, or nulie with its extra [{extra}]"
        ) from None
