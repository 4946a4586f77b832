"""Which device computes, and in which precision."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "fp16", "bf16")


def resolve(name: str = "auto") -> torch.device:
    """`auto`, `cuda`, `cuda:1`, `mps` or `cpu` as a device that is there. Raises: ModelError."""
    import torch

    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ModelError("there is no Metal device (mps) here; use --device cpu")
        return device
    if device.type != "cuda":
        raise ModelError(f"device {name!r} is unknown; use auto, cuda, cuda:1, mps or cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        built = "" if torch.version.cuda or torch.version.hip else ", for this PyTorch has no CUDA"
        raise ModelError(f"there is no CUDA device here{built}; use --device cpu")
    if device.index is not None and device.index >= count:
        there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise ModelError(f"there is no device {name} here, only {there}")
    return device


def dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of `auto`, `fp32`, `fp16` or `bf16` on a device; `auto` is fp16 on CUDA and mps,
    bf16 on a CPU that has it in hardware, fp32 elsewhere. Raises: ModelError when the word is
    unknown or the device cannot."""
    import torch

    kind = device.type
    if precision == "auto":
        precision = "fp16" if kind != "cpu" else "bf16" if cpu_has_bf16() else "fp32"
    elif precision == "fp16" and kind == "cpu":
        raise ModelError("fp16 is for GPUs; on a CPU use --precision bf16 or fp32")
    elif precision == "bf16" and (
        kind == "mps" or (kind == "cuda" and not torch.cuda.is_bf16_supported())
    ):
        raise ModelError(f"{device} has no bf16; use --precision fp16 or fp32")
    dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    if precision not in dtypes:
        raise ModelError(f"precision {precision!r} is unknown; use {', '.join(PRECISIONS)}")
    return dtypes[precision]


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; else that is slower than float32."""
    import torch

    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        able = capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    if platform.system() == "Linux":
        # Older PyTorch, such as the webuis have, does not tell.
        try:
            flags = set(Path("/proc/cpuinfo").read_text("ascii", "replace").split())
        except OSError:
            return False
        return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})
    # Private, and absent from old versions; the only word there is on Windows.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())
