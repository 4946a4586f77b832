"""The choice among restorers: those of installed packages and of the user."""

from __future__ import annotations

from typing import Any

from ..errors import ModelError, WeightsError
from ..models.registry import Registry, instance
from .base import FACTS, Restorer


def create(model: str, device: str = "auto", *, named_only: bool = False) -> Restorer:
    """The restorer of a name, of a file or of `module:Name`, as in `Registry.find`; or, of a
    recipe's `NAME@sha256`, the one whose weights have that digest.

    Raises: UnknownModelError, ModelError; WeightsError where the digest is another one."""
    name, _, digest = model.partition("@")
    restorer = REGISTRY.find(name, named_only=named_only)(device)
    if digest and restorer.digest != digest:
        raise WeightsError(
            f"the recipe was made with other weights of the restorer {name}: their SHA-256 begins"
            f" with {digest[:12]}, that of those here with {restorer.digest[:12]}"
        )
    return restorer


def _own(thing: Any, name: str, device: str) -> Restorer:
    restorer = instance(thing, device)
    missing = [fact for fact in (*FACTS, "restore") if not hasattr(restorer, fact)]
    if missing:
        raise ModelError(f"{name} is no restorer, for it has no {', '.join(missing)}")
    made: Restorer = restorer
    return made


REGISTRY: Registry[str, Restorer] = Registry("restorer", "nulie.restorers", _own)
"""Every restorer that can be chosen, loaded with the name of a device. A package adds its own by
an entry point of that group."""
