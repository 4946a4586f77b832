"""Restorers of other people, in any architecture that spandrel knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import WeightsError, needed_for
from ..models import device as devices
from ..recipe import Dial
from .own import STRENGTH, mixed

HEAVY = 256
"""Side of tiles: such networks are large, and slow on a CPU."""


def require() -> None:
    """Before a file is downloaded that could not be used. Raises: ExtraError without spandrel."""
    with needed_for("a model of other people", "spandrel", extra="restore"):
        import spandrel  # noqa: F401


class Community:
    """A file of weights, loaded by spandrel's restricted reader, which runs no code of it.

    Raises: ExtraError without spandrel, WeightsError on a file that it does not know."""

    halo: int | None = None
    tile = HEAVY

    def __init__(self, name: str, path: Path, device: str = "auto", precision: str = "auto"):
        require()
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

        self.device = devices.resolve(device)
        try:
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
            model = ModelLoader(self.device).load_from_file(path)
        except UnsupportedModelError:
            raise WeightsError(f"{path} is of no architecture that spandrel knows") from None
        except Exception as e:
            # Pickle, zip and spandrel have no common class of errors.
            reason = (str(e).strip() or type(e).__name__).splitlines()[0]
            raise WeightsError(f"{path} is no model that can be used here: {reason}") from e
        if not isinstance(model, ImageModelDescriptor):
            raise WeightsError(f"{path} is a model that needs more than a picture: {model.purpose}")
        if model.input_channels != model.output_channels or model.input_channels not in (1, 3):
            channels = f"{model.input_channels} channels to {model.output_channels}"
            raise WeightsError(f"{path} makes {channels}; only 1 to 1 and 3 to 3 are for pictures")
        dtype = devices.dtype(precision, self.device)
        able = {torch.float16: model.supports_half, torch.bfloat16: model.supports_bfloat16}
        self.dtype = dtype if able.get(dtype, True) else torch.float32
        self.model = model.eval()
        self.name = name
        self.scale, self.channels = model.scale, model.input_channels
        needs = model.size_requirements
        self.multiple = max(1, needs.multiple_of)
        self.dials: tuple[Dial, ...] = (STRENGTH,) if self.scale == 1 else ()

    @torch.inference_mode()
    def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
        """See `Restorer.restore`."""
        image = image.to(self.device)
        # The network alone is rounded, not the picture that it adds to: that would be seen.
        rounded = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype if rounded else None, enabled=rounded):
            made: torch.Tensor = self.model(image).float()
        return mixed(image, made, params) if self.scale == 1 else made
