"""What a file of weights says of itself, learned without loading it or running its code. Two kinds,
told by what is in them: `.safetensors`, and PyTorch's pickles of plain tensors alone."""

from __future__ import annotations

import inspect
import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import WeightsError

_LONGEST_HEADER = 100_000_000
"""Bytes; the limit of safetensors itself."""


@dataclass(frozen=True)
class Contents:
    path: Path
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of a `.safetensors`, its metadata; of a pickle, the strings beside the tensors."""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of each tensor, by name. Empty for a TorchScript archive, which hides them in its code."""
    script: bool = False


def look(path: Path) -> Contents:
    """Raises: WeightsError when the file is missing, damaged, or no file of weights."""
    if not path.is_file():
        raise WeightsError(f"{path} does not exist, or is no file")
    try:
        if is_safetensors(path):
            return _header(path)
        if is_torchscript(path):
            return Contents(path, script=True)
        return _pickle(path)
    except WeightsError:
        raise
    except Exception as e:
        # Damaged files end in errors of json, zip, pickle, or torch: no common class.
        raise WeightsError(f"{path} cannot be read as a file of weights: {trouble(path)}") from e


def trouble(path: Path) -> str:
    """Why a file of weights cannot be read, in words of our own: PyTorch's tell how to have it run
    the code of a stranger."""
    if is_safetensors(path):
        return "it is damaged or cut short; get a whole copy of it"
    if zipfile.is_zipfile(path):
        objects = "it holds whole objects or code, which is never run, or is damaged"
        return f"{objects}; save the state_dict alone, or a .safetensors file"
    return "it is cut short, or something else; get a whole copy of it"


def is_safetensors(path: Path) -> bool:
    """Its header is JSON, after eight bytes of length; a pickle begins otherwise."""
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def is_torchscript(path: Path) -> bool:
    """Whether it is an archive with code in it, such as OpenAI's."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def unpickle(path: Path) -> Mapping[str, Any]:
    """The entries of a PyTorch file on the CPU, mapped from the file where torch can.

    Raises: WeightsError when they are no dictionary; on a damaged file, or one with code in it,
    whatever zip, pickle or torch raise: they have no common class."""
    import torch

    # torch.serialization.load, for a web UI may have put its own guard in the place of torch.load,
    # which knows no `weights_only` and answers None.
    load = torch.serialization.load
    warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
    mappable = zipfile.is_zipfile(path) and "mmap" in inspect.signature(load).parameters
    mapped: dict[str, Any] = {"mmap": True} if mappable else {}  # since torch 2.1
    entries = load(str(path), map_location="cpu", weights_only=True, **mapped)
    if isinstance(entries, Mapping):
        entries = entries.get("state_dict", entries)
    if not isinstance(entries, Mapping):
        raise WeightsError(f"{path} is no dictionary of tensors")
    return entries


def _header(path: Path) -> Contents:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _LONGEST_HEADER:
            raise WeightsError(f"{path} is damaged: a header of {length} bytes is too long")
        header = json.loads(stream.read(length))
    metadata = header.pop("__metadata__", {})
    return Contents(path, metadata, {name: tuple(said["shape"]) for name, said in header.items()})


def _pickle(path: Path) -> Contents:
    import torch

    entries = unpickle(path)
    words = {name: value for name, value in entries.items() if isinstance(value, str)}
    # Trainers put what they have made one level down, under names such as params_ema.
    inner = [value for value in entries.values() if isinstance(value, Mapping)]
    tensors = [
        (str(name), value)
        for group in (*inner, entries)
        for name, value in group.items()
        if isinstance(value, torch.Tensor)
    ]
    return Contents(path, words, {name: tuple(value.shape) for name, value in tensors})
