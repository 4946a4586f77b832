"""What a restorer is, a model that makes one picture from another, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ModelError, WeightsError
from ..models import digests
from ..models.registry import Registry, instance
from ..recipe import Dial

if TYPE_CHECKING:
    import torch

KIND = "nulie restorer"
"""The entry of a `.safetensors` file's metadata that says what network of nulie's it holds, as
JSON: its scale, what its map of strength means, how it was made."""
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
"""Of files of weights."""
FACTS = ("name", "digest", "scale", "channels", "halo", "multiple", "tile", "dials")


class Restorer(Protocol):
    """One method and eight facts. A restorer keeps no state between pictures."""

    @property
    def name(self) -> str:
        """What a recipe calls it, such as `x2`."""

    @property
    def digest(self) -> str:
        """SHA-256 of its weights, in lower-case hex."""

    @property
    def scale(self) -> int:
        """By how much both sides grow; 1 where they do not."""

    @property
    def channels(self) -> int:
        """C of the pictures it takes: 3 for RGB, 1 for grey."""

    @property
    def halo(self) -> int | None:
        """Pixels of the input, on each side, that a pixel of the output depends on; None where
        it may depend on all of them."""

    @property
    def multiple(self) -> int:
        """What the sides of its pictures must be divisible by, and where tiles may begin."""

    @property
    def tile(self) -> int:
        """Side of the tiles that suit it, in pixels of the input."""

    @property
    def dials(self) -> tuple[Dial, ...]:
        """What can be turned, such as a strength."""

    def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
        """`[1, C, H, W]` float in 0..1 to `[1, C, scale H, scale W]` alike, on any device. `params`
        are a recipe's: of dials that are missing there the neutral point counts."""


def model_id(restorer: Restorer) -> str:
    """`NAME@sha256`, as recipes have it."""
    return f"{restorer.name}@{restorer.digest}"


def create(
    model: str, device: str = "auto", *, named_only: bool = False, folders: Sequence[Path] = ()
) -> Restorer:
    """The restorer of a name, of a file or of `module:Name`, see `find`; or, of a recipe's
    `NAME@sha256`, the one whose weights have that digest.

    Raises: UnknownModelError, ModelError; WeightsError where the digest is another one."""
    name, _, digest = model.partition("@")
    restorer = find(name, named_only=named_only, folders=folders)(device)
    if digest and restorer.digest != digest:
        raise WeightsError(
            f"the recipe was made with other weights of the restorer {name}: their SHA-256 begins"
            f" with {digest[:12]}, that of those here with {restorer.digest[:12]}"
        )
    return restorer


def find(
    name: str, *, named_only: bool = False, folders: Sequence[Path] = ()
) -> Callable[[str], Restorer]:
    """What loads a restorer, with a device's name: see `Registry.find`. Names are also those of
    `files`, with or without what they end with. Raises: as that does."""
    known = files(folders)
    name = next((called for called, path in known.items() if path.name == name), name)
    return REGISTRY.find(name, named_only=named_only, files=known)


def files(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The user's own restorers by name: those that were trained here, and files in `folders`."""
    found = (path for folder in folders for path in sorted(folder.glob("*.*")))
    kept = [path for path in found if path.suffix.lower() in SUFFIXES]
    return {
        name_of(path): path for path in (*kept, *sorted(trained_folder().glob("*.safetensors")))
    }


def name_of(path: Path) -> str:
    """What the restorer in a file is called, in recipes, too."""
    return re.sub(r"[@\s,=]+", "_", path.stem)[:100]


def trained_folder() -> Path:
    """Where `nulie train` keeps what it has made."""
    return digests.cache_folder() / "trained"


def _own(thing: Any, name: str, device: str) -> Restorer:
    restorer: Restorer = instance(thing, device)
    missing = [fact for fact in (*FACTS, "restore") if not hasattr(restorer, fact)]
    if missing:
        raise ModelError(f"{name} is no restorer, for it has no {', '.join(missing)}")
    return restorer


REGISTRY: Registry[str, Restorer] = Registry("restorer", "nulie.restorers", _own)
"""Every restorer, loaded with a device's name. A package adds its own by an entry point."""
