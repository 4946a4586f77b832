"""Aesthetic heads: one affine map from an image embedding to a score.

A head is a linear layer, or a stack of linear layers with nothing but dropout between, which is
one affine map as well. Files are read as plain tensors; no code in them is run.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..models.contents import is_safetensors, unpickle

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, Any]

ACTIVATIONS = "activations"
"""Key by which a file says what stands between its layers: metadata of a `.safetensors`, an entry
beside the tensors in a `.pth`. The value `none` makes a stack of layers acceptable."""

_LAION_STACK = {"layers.0": 1024, "layers.2": 128, "layers.4": 64, "layers.6": 16, "layers.7": 1}
"""Layers and widths of LAION's `*-linearMSE.pth` heads. The last two follow one another directly;
with activations the same program numbers its layers 0, 3, 6, 9, 11 (`*-reluMSE.pth`)."""

NUMPYS = {"F64", "F32", "F16"}
"""Kinds of numbers in a `.safetensors` that NumPy knows as well."""


@dataclass(frozen=True)
class Head:
    """score = embedding . weight + bias, for embeddings of unit length."""

    weight: torch.Tensor
    """`[D]` float32."""
    bias: float
    source: str = ""
    """File it was read from."""

    def __call__(self, embeddings: torch.Tensor) -> torch.Tensor:
        """`[B, D]` float32 of unit length to `[B]` float32, on the same device."""
        # No matrix product, which a host's autocast or TF32 would compute in lower precision.
        return (embeddings * self.weight.to(embeddings.device)).sum(-1) + self.bias


def load(path: Path, width: int | None = None) -> Head:
    """The head in a file, see `affine`."""
    import torch

    weight, bias = affine(path, width)
    return Head(torch.from_numpy(weight), bias, str(path))


def affine(path: Path, width: int | None = None) -> tuple[Array, float]:
    """Weight `[D]` float32 and bias of the head in a `.safetensors` or `.pth` file; `width` is the
    encoder's D. Does without PyTorch, whose import takes a second, where the file does.

    One linear layer is taken as it is. A stack of layers is collapsed where the file shows that
    nothing nonlinear stands between them (see `_evidence`) and refused otherwise, for a plain
    dictionary of weights does not say whether activations do. Raises: WeightsError.
    """
    arrays, said = _read(path)
    layers = _layers(path, arrays)
    missing = None if len(layers) == 1 else _evidence(layers, said)
    if missing:
        raise WeightsError(f"{path} cannot serve as head: {missing}")
    weight, bias = collapse([layers[name] for name in layers])
    if width is not None and len(weight) != width:
        raise WeightsError(
            f"{path} is a head for embeddings of {len(weight)} numbers, "
            f"but this encoder gives {width}"
        )
    return weight.astype("float32"), bias


def width_of(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """D of the embeddings that tensors of these shapes are a head for; None where they are no
    linear layers that lead to one score."""
    if any(name.rpartition(".")[2] not in ("weight", "bias") for name in shapes):
        return None
    layers = [shapes[name] for name in sorted(shapes, key=_natural) if name.endswith("weight")]
    if not layers or any(len(shape) != 2 for shape in layers) or layers[-1][0] != 1:
        return None
    return layers[0][1]


def collapse(layers: list[tuple[Array, Array]]) -> tuple[Array, float]:
    """Linear layers, each (weight `[out, in]`, bias `[out]`), the first applied first and the last
    with out = 1, as one: weight `[in]` float64 and bias. Computed in float64."""
    first, *rest = [(w.astype(float), b.astype(float)) for w, b in layers]
    weight, bias = first
    for w, b in rest:
        weight, bias = w @ weight, w @ bias + b
    return weight[0], bias.item()


def _read(path: Path) -> tuple[dict[str, Array], str | None]:
    """Arrays by name, and what the file says of its activations."""
    if path.is_file() and is_safetensors(path):
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "np") as file:
                said = (file.metadata() or {}).get(ACTIVATIONS)
                kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
                if NUMPYS.issuperset(kinds.values()):
                    return {name: file.get_tensor(name) for name in kinds}, said
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name).double().numpy() for name in kinds}, said
        except (OSError, SafetensorError) as e:
            raise WeightsError(f"{path} cannot be read as a head: {e}") from e
    else:
        import torch

        try:
            entries = unpickle(path)
        except WeightsError:
            raise
        except FileNotFoundError:
            raise WeightsError(f"{path} does not exist") from None
        except Exception as e:
            # Damaged files end in errors of zip, pickle, or torch, and with no common class.
            kind = "a whole module or code" if zipfile.is_zipfile(path) else "no PyTorch file"
            raise WeightsError(
                f"{path} cannot be read as plain tensors ({kind}?); "
                "save the state_dict, or a .safetensors file"
            ) from e
        said = entries.get(ACTIVATIONS)
    tensors = {k: v for k, v in entries.items() if isinstance(v, torch.Tensor)}
    found = {name: tensor.detach().double().numpy() for name, tensor in tensors.items()}
    return found, None if said is None else str(said)


def _layers(path: Path, arrays: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Linear layers by name in the order of their numbers, checked to fit one another."""
    import numpy as np

    layers = {}
    for key in sorted(arrays, key=_natural):
        name, _, part = key.rpartition(".")
        weight, bias = arrays[key], arrays.get(f"{name}.bias" if name else "bias")
        if part == "bias" and (f"{name}.weight" if name else "weight") in arrays:
            continue
        if part != "weight" or weight.ndim != 2:
            shape = "x".join(map(str, weight.shape))
            raise WeightsError(
                f"{path} cannot serve as head: {key} ({shape}) belongs to no linear layer, "
                "and only linear layers are understood"
            )
        layers[name] = (weight, np.zeros(len(weight)) if bias is None else bias)
    widths = [w.shape for w, _ in layers.values()]
    chained = all(a[0] == b[1] for a, b in pairwise(widths))
    biased = all(b.shape == w.shape[:1] for w, b in layers.values())
    if not layers or widths[-1][0] != 1 or not chained or not biased:
        sizes = ", ".join(f"{w[1]} to {w[0]}" for w in widths) or "none"
        raise WeightsError(
            f"{path} cannot serve as head: its linear layers ({sizes}) do not lead to one score"
        )
    if not all(np.isfinite(array).all() for pair in layers.values() for array in pair):
        raise WeightsError(f"{path} cannot serve as head: it holds numbers that are not finite")
    return layers


def _evidence(layers: Mapping[str, tuple[Array, Array]], said: str | None) -> str | None:
    """None where these several layers are known to be one affine map, else why they are not.

    Enough is: the file's own word; the numbering of LAION's linear heads; or the bare names 0, 1,
    2, ... of an nn.Sequential, which runs its members and nothing else, here linear layers alone.
    Names such as `layers.0`, `layers.1` or `fc1`, `fc2` are no evidence: the usual forward puts
    an activation between them that leaves no trace in the file.
    """
    if said is not None:
        if said.strip().lower() == "none":
            return None
        return f"it has activations between its layers ({said}), so it is no affine map"
    if {name: len(w) for name, (w, _) in layers.items()} == _LAION_STACK:
        return None
    if list(layers) == [str(i) for i in range(len(layers))]:
        return None
    names = ", ".join(layers)
    return (
        f"its {len(layers)} linear layers ({names}) may have activations between them, which such "
        "a file does not show and which would make it no affine map; where there are none, save "
        f"it as .safetensors with the metadata {ACTIVATIONS}=none, or as one linear layer"
    )


def _natural(key: str) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", key)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
