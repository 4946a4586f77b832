"""The web UI as the rest of this package sees it: options, state, lock, devices, memory."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import NulieError
from ..predictor import REGISTRY
from ..predictor.loaded import PREDICTORS
from . import options

if TYPE_CHECKING:
    from PIL import Image

    from ..models.download import Progress
    from ..predictor.base import Predictor

ROOM = 1_800_000_000
"""Bytes of video memory that CLIP ViT-L/14 wants in half precision, batches included."""


Show = Callable[[float, str, "Image.Image | None"], None]
"""Share of a search that is done, a line of text, a picture where there is a new one."""


@dataclass(frozen=True)
class WebUI:
    """Modules and objects of the web UI, by the names they have there."""

    shared: Any
    """`opts`, `state`, `cmd_opts`."""
    devices: Any
    sd_models: Any
    queue_lock: Any
    """Not re-entrant: Extras operations and scripts run under it already."""
    report: Callable[..., Any]
    """`errors.report`."""
    models: Path
    """The folder of models."""
    results: Callable[[], Path]
    """Where the page's results go when no setting says otherwise."""
    memory: Any = None
    """Forge's memory management; None in others."""

    def option(self, key: str) -> Any:
        """A setting of ours, or its default as long as the web UI does not know it."""
        return getattr(self.shared.opts, options.PREFIX + key, options.default(key))

    # What the web UI shows meanwhile.

    def stopped(self) -> bool:
        """Whether the user has pressed Interrupt or Skip."""
        state = self.shared.state
        return bool(state.interrupted or state.skipped)

    def stopping(self) -> bool:
        """Whether the user has pressed Interrupt once, which means "after this image" by a setting
        of the web UI."""
        return bool(getattr(self.shared.state, "stopping_generation", False))

    def show(self, share: float, text: str = "", image: Image.Image | None = None) -> None:
        """Moves the progress bar within the present job; shows a line, a picture."""
        state = self.shared.state
        state.sampling_steps, state.sampling_step = 1000, round(1000 * min(1.0, max(0.0, share)))
        if text:
            state.textinfo = text
        if image is not None and getattr(self.shared.opts, "live_previews_enable", True):
            state.assign_current_image(image)

    @contextmanager
    def bar(self, number: int = 0, count: int = 1) -> Iterator[Show]:
        """The bar for one search of `count` within a part of a job that the web UI has counted
        as done already: it counts an image of Extras before it begins, and a batch of generated
        images once it is sampled. Their bar goes over that part again, for a higher count of parts
        would change what Interrupt means."""
        state = self.shared.state
        before = state.textinfo, state.sampling_steps
        state.job_no -= 1
        try:
            yield lambda share, text, image: self.show((number + share) / count, text, image)
        finally:
            state.job_no += 1
            state.textinfo, state.sampling_steps = before
            state.sampling_step = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Our own job: waits until nothing else runs, tells the web UI of its start and end.
        Never inside of an operation or a hook, which have the lock already."""
        with self.queue_lock:
            self.shared.state.begin(job="nulie")
            self.shared.state.job_count = 1
            try:
                with self.computing():
                    yield
            finally:
                self.shared.state.end()
                self.done()

    # What computes.

    @property
    def device(self) -> str:
        """The name of the device of our settings; `auto` is what the web UI itself would take."""
        name = str(self.option("device"))
        if name != "auto":
            return name
        device = self.devices.get_device_for("nulie")
        # nulie does not know of xpu and npu.
        return str(device) if device.type in ("cuda", "mps") else "cpu"

    def named(self, name: str = "") -> str:
        """That name, or the one of our settings where it is empty."""
        return name or str(self.option("predictor")).strip() or "auto"

    def predictor(self, name: str = "", progress: Progress | None = None) -> tuple[Predictor, str]:
        """The predictor of that name or of our settings, loaded once, and what to tell of it;
        `progress` is told how far a download is. Call it under the lock.

        Raises: UnknownModelError where it is no name, ModelError, WeightsError."""
        wanted = self.named(name)
        REGISTRY.find(wanted, named_only=True)
        folders = self.weights_folders()

        def downloading(file: str, done: int, size: int) -> None:
            self._downloading(file, done, size)
            if progress is not None:
                progress(file, done, size)

        def load(device: str) -> tuple[Predictor, str]:
            # Inference tensors (Forge generates in inference mode) could not be used outside.
            with torch.inference_mode(False), _random_kept():
                return PREDICTORS.get(wanted, device, folders=folders, progress=downloading)

        try:
            return load(self.device)
        except torch.cuda.OutOfMemoryError:
            self.devices.torch_gc()
        predictor, note = load("cpu")
        return predictor, f"{note}; " * bool(note) + "no video memory was left, so on the CPU"

    def weights_folders(self) -> tuple[Path, ...]:
        """Where weights may lie beside the usual caches."""
        extra = str(self.option("weights")).strip()
        named = [Path(extra)] if extra else []
        own = [self.models / folder for folder in ("nulie", "CLIP", "clip", "text_encoder")]
        return tuple(folder for folder in (*named, *own) if folder.is_dir())

    def _downloading(self, file: str, done: int, size: int) -> None:
        share = done / max(1, size)
        self.show(0.0, f"nulie: downloading {file}, {share:.0%} of {size / 1e6:,.0f} MB")
        if self.stopped():
            raise NulieError(f"the download of {file} was stopped; the next one goes on from there")

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Whatever mode PyTorch is in, no gradients and float32 as it is; room on the device."""
        # no_grad is per thread: never yield to somebody else's thread inside of it.
        autocast = getattr(self.devices, "without_autocast", nullcontext)
        with torch.inference_mode(False), torch.no_grad(), autocast(), self.room():
            yield

    @contextmanager
    def room(self) -> Iterator[None]:
        """Has the checkpoint leave video memory where that is short and the user wants it. What
        goes wrong with that is reported and no more: it must not cost the image that was found."""
        device = torch.device(self.device)
        if device.type != "cuda" or not self.option("make_room"):
            yield
        elif self.memory is not None:
            # Forge brings the checkpoint back by itself when it samples.
            self._tried("make room in video memory", lambda: self.memory.free_memory(ROOM, device))
            yield
        else:
            model = self.sd_models.model_data.sd_model
            if model is None or not self._short(device):
                yield
                return
            try:
                self._tried(
                    "move the checkpoint out", lambda: self.sd_models.send_model_to_cpu(model)
                )
                yield
            finally:
                # Also when it has left in part alone: the next image is sampled with it.
                self._tried("free video memory", self.devices.torch_gc)
                for _ in range(2):
                    if self._tried(
                        "bring the checkpoint back",
                        lambda: self.sd_models.send_model_to_device(model),
                    ):
                        break
                    self._tried("free video memory", self._emptied)

    def _short(self, device: torch.device) -> bool:
        """Whether there is too little memory for a predictor beside the checkpoint."""
        try:
            return torch.cuda.mem_get_info(device)[0] < ROOM
        except RuntimeError:  # who cannot tell has no memory to move either
            return False

    def _tried(self, what: str, work: Callable[[], Any]) -> bool:
        try:
            work()
        except Exception:
            self.report(f"NUlIE could not {what}", exc_info=True)
            return False
        return True

    def _emptied(self) -> None:
        """Nothing of ours stays in the way of the checkpoint."""
        PREDICTORS.clear()
        self.devices.torch_gc()

    def done(self) -> None:
        """To be called after a run of images: forgets the predictor if the user wants that."""
        if not self.option("keep"):
            self._emptied()

    def results_folder(self) -> Path:
        """Where the page's results go."""
        return Path(str(self.option("folder")).strip() or self.results())


@contextmanager
def _random_kept() -> Iterator[None]:
    """The seeds of the next images come from global random states, which loading may draw from."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


_lock = threading.Lock()
_current: list[WebUI] = []


def connect(webui: WebUI) -> None:
    """Called at each load of the scripts; the last one counts."""
    with _lock:
        _current[:] = [webui]


def current() -> WebUI:
    """The web UI that was connected.

    Raises: NulieError when that has failed."""
    if not _current:
        raise NulieError("nulie is not connected to the web UI; its log says why")
    return _current[0]


def setting(key: str) -> Any:
    """A setting of ours; its default when no web UI is connected."""
    return _current[0].option(key) if _current else options.default(key)
