"""Networks that restore a picture: larger, without the traces of JPEG, without noise."""

from . import catalog  # fills the registry
from .base import REGISTRY, Restorer, create, files, find, model_id, trained_folder

__all__ = [
    "REGISTRY",
    "Restorer",
    "catalog",
    "create",
    "files",
    "find",
    "model_id",
    "trained_folder",
]
