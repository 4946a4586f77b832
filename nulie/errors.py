"""Exceptions of nulie.

NulieError
 +- ImageError        an image file cannot be read, is refused, or cannot be written
 |   +- PlaceError    the place takes or gives nothing for now: its disk is full, or it is gone
 +- RecipeError       bad or unknown recipe data (also a ValueError)
 +- CheckpointError   a checkpoint cannot be read, or belongs to another photo
 +- JobError          a job's journal is another one's, is in use, or began otherwise
 +- LibraryError      a library's file is another one's, or cannot be written
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


class ImageError(NulieError): ...


class PlaceError(ImageError): ...


class RecipeError(NulieError, ValueError): ...


class CheckpointError(NulieError): ...


class JobError(NulieError): ...


class LibraryError(NulieError): ...


class SettingsError(NulieError, ValueError): ...


class ExtraError(NulieError): ...


class ModelError(NulieError): ...


class UnknownModelError(ModelError): ...


class DuplicateModelError(ModelError): ...


class WeightsError(ModelError): ...


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
