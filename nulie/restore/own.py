"""nulie's own restorers: those that it ships, and those that its users train."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load

from ..errors import ModelError, WeightsError
from ..models import device as devices
from ..recipe import Dial
from .base import KIND, create
from .net import Net

DIALS = {
    "quality": Dial("quality", 1, 100, 100, "JPEG quality", 1),
    "sigma": Dial("sigma", 0, 75, 0, "levels", 0.1),
}
"""What a map of strength may mean."""
STRENGTH = Dial("strength", 0, 1, 0, "share")
"""How much of what the network does is done."""
FAITHFUL = Dial("faithful", 0, 1, 0, "share")
"""Of a network that was taught to look well: how much of its weights is that of the one it was made
from, which was taught to be near the truth alone."""
TILE = 512
"""Larger ones leave the cache: the whole of a picture at once takes half as long again."""


class Own:
    """A file of `nulie.restore.net.Net`. Raises: WeightsError when it is damaged."""

    multiple: int
    channels = 3

    def __init__(self, name: str, path: Path, device: str = "auto", precision: str = "auto"):
        try:
            raw = path.read_bytes()
            weights = load(raw)
            with safe_open(str(path), "pt") as file:
                self.metadata: Mapping[str, Any] = json.loads((file.metadata() or {})[KIND])
            self.net = network(weights, self.metadata)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as e:
            reason = (str(e).strip() or type(e).__name__).splitlines()[0]
            raise WeightsError(f"{path} is no restorer of nulie's, or damaged: {reason}") from e
        self.name, self.digest = name, hashlib.sha256(raw).hexdigest()
        self.device = devices.resolve(device)
        dtype = devices.dtype(precision, self.device)
        self.net.to(self.device, dtype).eval()
        self.net.to(memory_format=torch.channels_last)
        self.scale, self.halo = self.net.scale, self.net.halo
        self.multiple, self.tile = self.net.fold, TILE
        meaning = self.metadata.get("map", "")
        self.map = DIALS.get(meaning)
        self.origin = self._origin()
        self._blended = 0.0, self.net
        self.dials = (
            *((self.map,) if self.map else ()),
            *((STRENGTH,) if self.scale == 1 else ()),
            *((FAITHFUL,) if self.origin else ()),
        )

    @torch.inference_mode()
    def restore(self, image: torch.Tensor, params: Mapping[str, float | str]) -> torch.Tensor:
        """See `Restorer.restore`. The sides must be multiples of `multiple`."""
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        given = None
        if self.map is not None:
            value = float(params.get(self.map.name, self.map.neutral))
            given = torch.full((len(image),), value, device=self.device)
        made: torch.Tensor = self._net(float(params.get(FAITHFUL.name, 0)))(image, given)
        return mixed(image, made, params) if self.scale == 1 else made

    def _origin(self) -> Net | None:
        """The network that this one was made from, where it is known here, and was not changed."""
        try:
            origin = create(str(self.metadata["from"]), str(self.device), named_only=True)
        except (KeyError, ModelError):
            return None
        return origin.net if isinstance(origin, Own) else None

    def _net(self, faithful: float) -> Net:
        if faithful != self._blended[0]:
            if self.origin is None:
                known = self.metadata.get("from", "another network")
                raise WeightsError(f"{self.name} was made from {known}, and that is not here")
            ours, theirs = self.net.state_dict(), self.origin.state_dict()
            net = copy.deepcopy(self.net)
            net.load_state_dict({name: ours[name].lerp(theirs[name], faithful) for name in ours})
            self._blended = faithful, net
        return self._blended[1]


def mixed(
    image: torch.Tensor, made: torch.Tensor, params: Mapping[str, float | str]
) -> torch.Tensor:
    """As much of what was `made` of an image, at its size, as the `STRENGTH` in `params` says; all
    of it where there is none."""
    share = float(params.get(STRENGTH.name, 1.0))
    return made if share == 1 else image + share * (made - image)


def network(weights: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> Net:
    """The network whose weights these are. Raises: KeyError, RuntimeError when they are none's."""
    kernels = [value for value in weights.values() if value.ndim == 4]
    features, depth = weights["body.0.weight"].shape[0], len(kernels) - 2
    net = Net(int(metadata.get("scale", 1)), features, depth, bool(metadata.get("map")))
    net.load_state_dict({name: value.float() for name, value in weights.items()})
    return net
