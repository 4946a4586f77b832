"""How many candidates a CPU judges by CLIP in a while, found out before anything is loaded."""

from __future__ import annotations

import time
from functools import cache

import torch

from ..models import device as devices
from .tower import ARCHS, SIZE, Arch

IMAGES = 2
"""Images whose tokens are multiplied to see how fast a CPU is."""
SECONDS, TIMES = 0.05, 5
"""So long at most it is tried again, and so many times: the quickest counts, for a machine may be
busy with other things."""


@cache
def evaluations(seconds: float, encoder: str = "ViT-L-14") -> float:
    """About so many candidates, each in one view, an encoder's tower judges on this CPU, were it
    nothing but products of matrices; found out once a process, in a tenth of a second or so.

    An upper bound: on an idle CPU most of a tower's time goes into those products. With two busy
    cores of an EPYC 0.7 to 1.1 s a candidate were foretold for ViT-L/14, and 1.4 s it took."""
    arch = ARCHS[encoder]
    dtype = devices.dtype("auto", torch.device("cpu"))
    tokens = IMAGES * _tokens(arch)
    with torch.no_grad():
        values = torch.ones(tokens, arch.width, dtype=dtype)
        weights = torch.ones(4 * arch.width, arch.width, dtype=dtype)
        torch.nn.functional.linear(values[:8], weights)  # the first one starts threads
        taken: list[float] = []
        start = time.perf_counter()
        while not taken or (len(taken) < TIMES and sum(taken) < SECONDS):
            torch.nn.functional.linear(values, weights)
            now = time.perf_counter()
            taken.append(now - start)
            start = now
    rate = tokens * values.shape[1] * len(weights) / max(min(taken), 1e-9)
    return seconds * rate / multiplications(arch)


def multiplications(arch: Arch) -> int:
    """Products of two numbers that a tower takes for one image, counted from its shape: those of
    the patches with their weights; in each layer the twelve squares of its width for each token
    (queries, keys, values, what they give, and four times the width there and back) and those of
    all tokens with all tokens, twice; and the last projection. 81e9 for ViT-L/14."""
    tokens, width = _tokens(arch), arch.width
    patches = (tokens - 1) * 3 * arch.patch**2 * width
    layer = 12 * tokens * width**2 + 2 * tokens**2 * width
    return patches + arch.layers * layer + width * arch.dim


def _tokens(arch: Arch) -> int:
    """One for each patch and one for the whole."""
    patches: int = (SIZE // arch.patch) ** 2
    return patches + 1
