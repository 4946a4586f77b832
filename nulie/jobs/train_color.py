"""A folder of colour photographs becomes a model that colours."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import image_io
from ..errors import ImageError, ModelError, SettingsError
from ..image_io import atomic, shown_path
from ..restore import catalog, trained_folder
from .inputs import Item

if TYPE_CHECKING:
    import numpy as np

    from ..fit.colors import Training

Show = Callable[[str, float], None]
SIDE = 256
"""To which the short side of the photographs is reduced."""
LEAST = 64
"""The short side that a photograph must have."""
APART, MOST_APART = 10, 40
"""One photograph of so many is kept apart, and at most so many in all."""
KEEP = 120
"""Seconds between two writings of the state."""


@dataclass(frozen=True)
class TrainColor:
    """A training, checked; `run` it once. Raises: SettingsError, ImageError."""

    items: Sequence[Item]
    name: str
    minutes: float = 30.0
    steps: int | None = None
    """In place of `minutes`."""
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", self.name):
            raise SettingsError(f"--name {self.name!r}: use letters, digits, - and _")
        if self.name in (*catalog.OWN, *catalog.PUBLISHED):
            raise SettingsError(f"--name {self.name}: nulie has a restorer of that name")
        if not 0 < self.minutes <= 10_000:
            raise SettingsError(f"--minutes must be above 0, not {self.minutes:g}")
        if self.steps is not None and self.steps < 1:
            raise SettingsError(f"--steps must be at least 1, not {self.steps}")
        atomic.check(self.path, overwrite=self.overwrite)

    @property
    def path(self) -> Path:
        return trained_folder() / f"{self.name}.safetensors"

    def run(
        self, show: Show, complain: Callable[[str], None], cancel: threading.Event
    ) -> Any:
        photos = list(self._photos(show, complain))
        if len(photos) < 2:
            raise ModelError(
                f"{len(photos)} of the photographs can be used, and two are the least; they must be"
                f" in colour, and each side must have at least {LEAST} pixels"
            )
        apart = photos[::APART][:MOST_APART]
        kept = [photo for photo in photos if not any(photo is other for other in apart)]
        training = self._training(kept)
        state = self.path.with_suffix(".state")
        spent = self._go_on(training, state)
        begin = last = time.monotonic()

        def share() -> float:
            if self.steps is not None:
                return training.done / self.steps
            return (spent + time.monotonic() - begin) / (60 * self.minutes)

        off = 0.0
        while (done := share()) < 1:
            if cancel.is_set() or time.monotonic() - last > KEEP:
                last = time.monotonic()
                self._keep(training, state, spent + last - begin)
                if cancel.is_set():
                    return None
            now = training.step(done)
            off = now if not off else 0.98 * off + 0.02 * now
            show(f"step {training.done:,}, off by {off:.2f} of what grey is", done)
        return training

    def _photos(self, show: Show, complain: Callable[[str], None]) -> Iterator[np.ndarray]:
        """At their small size."""
        import numpy as np

        for number, item in enumerate(self.items):
            show("reading photographs", number / len(self.items))
            try:
                pixels = image_io.load(item.path).pixels
            except ImageError as e:
                complain(str(e))
                continue
            least = min(pixels.size)
            if least < LEAST:
                complain(f"{item.shown} is too small: each side must have {LEAST} pixels")
                continue
            if least > SIDE:
                size = tuple(max(1, round(n * SIDE / least)) for n in pixels.size)
                pixels = pixels.resize(size, Image.Resampling.BOX)
            yield np.array(pixels)

    def _training(self, kept: Sequence[np.ndarray]) -> Training:
        import torch

        from ..fit.colors import Training
        from ..models import device as devices
        from ..models import store
        from ..restore.color_models import MOBILENET
        from ..restore.color_net import Features

        path = store.obtain(MOBILENET)
        features = Features(torch.load(path, map_location="cpu", weights_only=True))
        return Training(features, kept, self.seed, device=devices.resolve(self.device))

    def _settings(self) -> dict[str, Any]:
        """What must be the same for a training to be gone on with."""
        settings = asdict(self)
        for free in ("items", "overwrite", "device"):
            del settings[free]
        return {name: str(value) for name, value in settings.items()} | {
            "pictures": str(len(self.items))
        }

    def _go_on(self, training: Training, state: Path) -> float:
        """Seconds that were spent before."""
        import torch

        if not state.is_file():
            return 0.0
        try:
            kept = torch.load(state, map_location=training.device, weights_only=True)
            settings = kept["settings"]
            if settings == self._settings():
                training.load_state(kept["training"])
                return float(kept["seconds"])
        except Exception as e:
            raise ModelError(f"{shown_path(state)} is damaged; delete it to begin anew") from e
        other = [name for name, value in self._settings().items() if settings.get(name) != value]
        raise SettingsError(
            f"a training called {self.name} was stopped that had another {' and '.join(other)};"
            f" go on with that, or delete {shown_path(state)}"
        )

    def _keep(self, training: Training, state: Path, seconds: float) -> None:
        import torch

        stream = io.BytesIO()
        kept = {"training": training.state(), "settings": self._settings(), "seconds": seconds}
        torch.save(kept, stream)
        atomic.write(state, stream.getvalue(), overwrite=True)
