"""Device memory that CLIP takes at most, reckoned on a machine without the device.

    python -m benchmarks.memory [--predictor clip-sac ...]

PyTorch's fake tensors have a shape, a dtype and a device, but no numbers: the real code runs on a
CUDA device that is not there, and what lives at the same time is added up. A real device needs
more: its allocator rounds up, and libraries have a work space of some dozen MB.
"""

from __future__ import annotations

import argparse
import gc
import weakref
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nulie.models import device
from nulie.predictor import CLIP_NAMES, tower
from nulie.predictor.clip import Clip

from .common import machine, table

LONG = 336
"""Pixels of a preview's long side: a photo of 3:2."""


class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of the storages on a CUDA device that are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor) and result.device.type == "cuda":
                storage = result.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if key not in self._known:
                    self._known.add(key)
                    self.now += size
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, key, size)
        return results

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def peaks(name: str) -> dict[str, float]:
    """Bytes of the weights alone, and at most: in a search with batches of the usual size and of
    twice that, which is the largest it tries, and when finalists are scored exactly."""
    absent = torch.device("cuda", 0)
    with (
        patch.object(device, "resolve", lambda _="auto": absent),
        patch.object(tower, "_masters", weakref.WeakValueDictionary()),
        patch.object(tower, "_encoders", weakref.WeakValueDictionary()),
        FakeTensorMode(allow_non_fake_inputs=True),
        Living() as living,
    ):
        predictor = Clip(name, random_weights=True)
        gc.collect()
        bytes_of = {"weights": float(living.now)}
        exact = predictor.exact()
        for what, judge, rows in (
            ("usual batch", predictor, predictor.batch_size),
            ("twice that", predictor, 2 * predictor.batch_size),
            ("exact, one finalist", exact, 1),
            ("exact, a batch", exact, exact.batch_size),
        ):
            living.peak = living.now
            batch = torch.empty(rows, 3, tower.SIZE, LONG, dtype=torch.uint8, device=absent)
            judge.judge(batch[0])(batch)
            bytes_of[what] = float(living.peak)
            del batch
    return bytes_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictor", nargs="+", default=list(CLIP_NAMES), choices=CLIP_NAMES)
    options = parser.parse_args()
    rows = []
    for name in options.predictor:
        bytes_of = peaks(name)
        rows.append([name, *(f"{size / 1e6:,.0f}" for size in bytes_of.values())])
    print(f"MB on a pretended CUDA device in half precision, {machine()}\n")
    print(table(["predictor", *bytes_of], rows))


if __name__ == "__main__":
    main()
