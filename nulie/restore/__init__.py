"""Networks that restore a picture: larger, without the traces of JPEG, without noise."""

from .base import Restorer, model_id
from .choice import REGISTRY, create

__all__ = ["REGISTRY", "Restorer", "create", "model_id"]
