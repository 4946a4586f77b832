"""Networks that restore a picture: larger, without the traces of JPEG, without noise."""

from .base import REGISTRY, Restorer, create, model_id

__all__ = ["REGISTRY", "Restorer", "create", "model_id"]
