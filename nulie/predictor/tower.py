"""CLIP's image tower: built without its text tower, in a fast and in an exact form.

The transformer is open_clip's, whichever version is installed. Its activation is QuickGELU, for
OpenAI's weights were trained with that: q(x) = x sigmoid(1.702 x) = silu(1.702 x) / 1.702. The two
factors go into the layers before and behind, so that one fused SiLU does the work of three passes
over the largest tensor there is (a tenth of the time in bfloat16).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from ..errors import ModelError, WeightsError
from ..models.locks import Locks
from . import checkpoints

SIZE = 224
"""Pixels of the square that the towers see."""

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_QUICK = 1.702


@dataclass(frozen=True)
class Arch:
    """Shape of an image tower; one head of attention per 64 of width."""

    patch: int
    width: int
    layers: int
    dim: int
    """Numbers in an embedding."""


ARCHS = {
    "ViT-L-14": Arch(patch=14, width=1024, layers=24, dim=768),
    "ViT-B-16": Arch(patch=16, width=768, layers=12, dim=512),
    "ViT-B-32": Arch(patch=32, width=768, layers=12, dim=512),
}

_masters: WeakValueDictionary[tuple[object, ...], nn.Module] = WeakValueDictionary()
_encoders: WeakValueDictionary[tuple[object, ...], Encoder] = WeakValueDictionary()
_loading = Locks()


def load(name: str, path: Path | None, device: torch.device, dtype: torch.dtype) -> Encoder:
    """The encoder `name` with the weights of a file, or with random ones where `path` is None.

    Whoever asks for the same again while it is in use gets the same object: a second predictor on
    the same encoder costs no memory. Raises: WeightsError when the file does not fit.
    """
    source: tuple[object, ...] = ("random",)
    if path is not None and path.is_file():
        stat = path.stat()
        source = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    key = (ARCHS[name], *source)
    whole = (*key, device, dtype)
    # A host may run us inside its inference mode; weights born there could never leave it.
    with _loading.of(key), torch.inference_mode(False), torch.no_grad():
        encoder = _encoders.get(whole)
        if encoder is None:
            master = _masters.get(key)
            if master is None:
                tower = _build(ARCHS[name])
                tensors = checkpoints.read(path) if path else _random_tensors(tower)
                master = _masters[key] = _fill(tower, tensors, name, path)
            encoder = _encoders[whole] = Encoder(master, device, dtype)
    return encoder


class Encoder:
    """Pixels to embeddings, on one device and in one precision, and in float32 on demand.

    The float32 weights stay in main memory. On a CPU they compute the exact embeddings; another
    device borrows them block by block, so that it never holds more than one block of them.
    """

    def __init__(self, master: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        if device.type == "cpu" and dtype == torch.float32:
            self._fast = master
        else:
            self._fast = _copy(master, device, dtype)
        if dtype == torch.float32:
            self._exact = self._fast
        else:
            self._exact = master if device.type == "cpu" else _borrowing(master, device)
        self._mean = torch.tensor(_MEAN, device=device)[:, None, None]
        self._std = torch.tensor(_STD, device=device)[:, None, None]

    @torch.no_grad()
    def embed(self, pixels: torch.Tensor, exact: bool = False) -> torch.Tensor:
        """`[B, 3, 224, 224]` uint8 on this device to `[B, D]` float32 of unit length."""
        tower = self._exact if exact else self._fast
        values = self.normalize(pixels).to(torch.float32 if exact else self.dtype)
        if self.device.type in {"cpu", "cuda"}:
            # A host's autocast would make float32 what it is not.
            with torch.autocast(self.device.type, enabled=False):
                features = tower(values)
        else:
            features = tower(values)
        return nn.functional.normalize(features.float(), dim=-1)

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[B, 3, H, W]` uint8 to float32 around zero, to the bit as open_clip's transform does
        with ToTensor and Normalize."""
        return (pixels.float() / 255).sub_(self._mean).div_(self._std)


def _build(arch: Arch) -> nn.Module:
    """The tower without weights: takes no memory, no time, and no random numbers."""
    try:
        from open_clip.transformer import LayerNorm, VisionTransformer
    except ImportError as e:
        raise ModelError(
            f"the CLIP predictors need open_clip ({e}); run 'pip install open_clip_torch'"
        ) from e
    with torch.device("meta"):
        tower: nn.Module = VisionTransformer(
            image_size=SIZE,
            patch_size=arch.patch,
            width=arch.width,
            layers=arch.layers,
            heads=arch.width // 64,
            mlp_ratio=4.0,
            output_dim=arch.dim,
            act_layer=partial(nn.SiLU, inplace=True),
            norm_layer=LayerNorm,
        )
    return tower.eval().requires_grad_(False)


def _fill(
    tower: nn.Module, tensors: dict[str, torch.Tensor], name: str, path: Path | None
) -> nn.Module:
    """Gives the tower float32 copies of `tensors`, which it empties on the way."""
    for key, parameter in list(tower.named_parameters()):
        tensor = tensors.pop(key, None)
        if tensor is None or tensor.shape != parameter.shape:
            what = "lacks" if tensor is None else f"has another shape ({list(tensor.shape)}) of"
            raise WeightsError(
                f"{path} is not CLIP {name}: it {what} {checkpoints.PREFIX}{key}"
                f" {list(parameter.shape)}"
            )
        # A copy, for what the file's tensors lie in may be the file itself, mapped to memory.
        value = tensor.to(torch.float32, copy=True)
        if ".mlp.c_fc." in key:
            value *= _QUICK
        elif key.endswith(".mlp.c_proj.weight"):
            value /= _QUICK
        _set(tower, key, value)
    return tower


def _set(module: nn.Module, key: str, value: torch.Tensor) -> None:
    owner, _, leaf = key.rpartition(".")
    setattr(module.get_submodule(owner), leaf, nn.Parameter(value, requires_grad=False))


def _copy(master: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    twin = _hollow(master)
    for key, value in master.named_parameters():
        _set(twin, key, value.to(device, dtype))
    return twin


def _hollow(master: nn.Module) -> nn.Module:
    """The same modules with parameters that hold nothing; `master` stays as it is."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in master.parameters()
    }
    return deepcopy(master, memo)


def _borrowing(master: nn.Module, device: torch.device) -> nn.Module:
    """A float32 tower on `device` whose blocks have their weights there only while they compute.

    For some finalists the way over the bus costs a fraction of a second; to keep the weights there
    would triple what the model takes of the device.
    """
    twin = _hollow(master)
    prefix = "transformer.resblocks."
    for key, value in master.named_parameters():
        if not key.startswith(prefix):
            _set(twin, key, value.to(device))
    blocks = zip(
        master.get_submodule(prefix[:-1]).children(),
        twin.get_submodule(prefix[:-1]).children(),
        strict=True,
    )
    for lender, block in blocks:
        weights = dict(lender.named_parameters())
        block.register_forward_pre_hook(partial(_borrow, weights=weights, device=device))
        block.register_forward_hook(partial(_give_back, weights=weights))
    return twin


def _borrow(
    block: nn.Module, _: Any, *, weights: Mapping[str, torch.Tensor], device: torch.device
) -> None:
    for key, value in weights.items():
        _set(block, key, value.to(device))


def _give_back(block: nn.Module, *_: Any, weights: Mapping[str, torch.Tensor]) -> None:
    for key, value in weights.items():
        _set(block, key, torch.empty_like(value, device="meta"))


def _random_tensors(tower: nn.Module) -> dict[str, torch.Tensor]:
    """Weights for tests and benchmarks, the same each time, of such sizes that signals neither
    die nor explode; from a generator of their own."""
    generator = torch.Generator().manual_seed(0)
    layers = len(list(tower.get_submodule("transformer.resblocks").children()))
    tensors = {}
    for key, parameter in tower.named_parameters():
        value = torch.empty(parameter.shape).normal_(generator=generator)
        if key.endswith(("out_proj.weight", "c_proj.weight")):
            value *= (2 * layers * parameter.shape[1]) ** -0.5
        elif key == "proj":
            value *= parameter.shape[0] ** -0.5
        elif key == "positional_embedding":
            value *= 0.3
        elif parameter.ndim > 1:
            value *= parameter[0].numel() ** -0.5
        else:
            value *= 0.1
            if "ln_" in key and key.endswith("weight"):
                value += 1
        tensors[key] = value
    return tensors
