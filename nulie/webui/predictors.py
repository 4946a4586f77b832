"""Predictors loaded inside a web UI, with no trace left in what it samples images with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..errors import NulieError
from ..models.download import Progress
from ..models.store import remedy
from ..predictor import REGISTRY, Predictor
from ..predictor.loaded import PREDICTORS
from ..predictor.published import WEIGHTS
from . import state
from .host import WebUI

REMEDY = "put a copy into the folder that Settings, NUlIE names, or choose another predictor there"
"""What a user of the web UI can do, who has no command line, when weights are missing."""


def load(webui: WebUI, name: str, progress: Progress | None = None) -> tuple[Predictor, str]:
    """The predictor of that name on the device of our settings, loaded once, and what to tell the
    user of it. Called by any thread, while the web UI waits: under its lock, unless it is `ready`.

    Raises: UnknownModelError where it is no name, for it may come from a request, and must neither
    be code to import nor a file to open; NulieError, also when the user stops a download."""
    REGISTRY.find(name, named_only=True)
    try:
        predictor, note = _load(webui, name, webui.device, progress)
    except torch.cuda.OutOfMemoryError:
        webui.devices.torch_gc()
        predictor, note = _load(webui, name, "cpu", progress)
        note = f"{note}; " * bool(note) + "no video memory was left, so on the CPU"
    except NulieError as e:
        raise type(e)(_here(str(e))) from None
    return predictor, _here(note)


def _here(text: str) -> str:
    """The text in words that mean something in a web UI."""
    for weights in WEIGHTS.values():
        text = text.replace(remedy(weights), REMEDY)
    return text


def ready(webui: WebUI, name: str) -> bool:
    """Whether there would be nothing to load."""
    return PREDICTORS.ready(name, webui.device, webui.weights_folders())


def forget(webui: WebUI) -> None:
    """Leaves the memory of all predictors to the web UI."""
    PREDICTORS.clear()
    webui.devices.torch_gc()


def end_run(webui: WebUI) -> None:
    """To be called after a run of images: forgets the predictors if the user wants that."""
    if not webui.option("keep"):
        forget(webui)


def _load(webui: WebUI, name: str, device: str, progress: Progress | None) -> tuple[Predictor, str]:
    def tell(file: str, done: int, size: int) -> None:
        if progress is not None:
            progress(file, done, size)
        if state.stopped(webui):
            raise NulieError(f"the download of {file} was stopped; the next one goes on from there")

    folders = webui.weights_folders()
    if PREDICTORS.ready(name, device, folders):
        # Draws nothing. The lock may be somebody else's, whose draws must not be taken back.
        return PREDICTORS.get(name, device, folders=folders)
    # The modes are those of a thread. Inference tensors (Forge generates in inference mode) could
    # not be used outside of it.
    with torch.inference_mode(False), torch.no_grad(), _same_random_states():
        return PREDICTORS.get(name, device, folders=folders, progress=tell)


@contextmanager
def _same_random_states() -> Iterator[None]:
    """Loading may draw from the states that the seeds of the next images come from."""
    python, numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(of_torch)
