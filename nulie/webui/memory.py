"""The modes that nulie computes in inside a web UI, and its place in video memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from . import predictors
from .host import WebUI

ROOM = 1_800_000_000
"""Bytes of video memory that CLIP ViT-L/14 wants in half precision, batches included."""


@contextmanager
def computing(webui: WebUI) -> Iterator[None]:
    """Whatever mode PyTorch is in, no gradients and float32 as it is; room on the device."""
    # The modes are those of a thread: never yield to somebody else's inside of it.
    autocast = getattr(webui.devices, "without_autocast", nullcontext)
    with torch.inference_mode(False), torch.no_grad(), autocast(), room(webui):
        yield


@contextmanager
def room(webui: WebUI) -> Iterator[None]:
    """Has the checkpoint leave video memory where that is short and the user wants it. What goes
    wrong with that is reported and no more: it must not cost an image that has been made."""
    device = torch.device(webui.device)
    if device.type != "cuda" or not webui.option("make_room"):
        yield
    elif webui.memory is not None:
        # Forge brings the checkpoint back by itself when it samples.
        _try(webui, "make room in video memory", lambda: _free(webui.memory))
        yield
    elif _is_short(device) and (model := webui.sd_models.model_data.sd_model) is not None:
        with _checkpoint_away(webui, model):
            yield
    else:
        yield


@contextmanager
def _checkpoint_away(webui: WebUI, model: Any) -> Iterator[None]:
    def come_back() -> None:
        webui.sd_models.send_model_to_device(model)

    try:
        _try(webui, "move the checkpoint out", lambda: webui.sd_models.send_model_to_cpu(model))
        yield
    finally:
        # Also when it has left in part alone: the next image is sampled with it.
        _try(webui, "free video memory", webui.devices.torch_gc)
        if not _try(webui, "bring the checkpoint back", come_back):
            # Now nothing of ours stays in its way.
            _try(webui, "free video memory", lambda: predictors.forget(webui))
            _try(webui, "bring the checkpoint back", come_back)


def _free(memory: Any) -> None:
    # It compares devices by its own name of them: "cuda" would not be its "cuda:0".
    memory.free_memory(ROOM, memory.get_torch_device())


def _is_short(device: torch.device) -> bool:
    """Whether there is too little memory for a predictor beside the checkpoint."""
    try:
        return torch.cuda.mem_get_info(device)[0] < ROOM
    except RuntimeError:  # who cannot tell has no memory to move either
        return False


def _try(webui: WebUI, what: str, work: Callable[[], Any]) -> bool:
    """Whether it worked; if not, it is reported."""
    try:
        work()
    except Exception:
        webui.report(f"NUlIE could not {what}", exc_info=True)
        return False
    return True
