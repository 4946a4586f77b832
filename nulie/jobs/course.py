"""A training as a job: checked before it begins, gone on with where the same command stopped."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ModelError, SettingsError
from ..image_io import atomic, shown_path
from ..restore import catalog, color_models, trained_folder
from .inputs import Item

if TYPE_CHECKING:
    import torch

KEEP = 120
"""Seconds between two writings of the state."""

Show = Callable[[str, float], None]
"""Is told what goes on, in words, and the share of it that is done, 0..1."""


class Training(Protocol):
    """What learns, see `nulie.fit`."""

    done: int
    """Steps."""
    device: torch.device

    def step(self, share: float) -> float:
        """One step, with so much of the training done; how far off it was."""

    def state(self) -> dict[str, Any]:
        """What `load_state` needs in order to go on, for `torch.save`."""

    def load_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Course:
    """What all trainings have in common. Raises: SettingsError, ImageError."""

    items: Sequence[Item]
    name: str
    """What is made is called so, and found by that name."""
    spoiled: Path | None = None
    """Folder with the same pictures, by the same names, as they are to be mended."""
    minutes: float = 30.0
    steps: int | None = None
    """In place of `minutes`: then the same command always makes the same file, on one machine."""
    start: str | None = None
    """Name or file of a model of nulie's to begin with."""
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", self.name):
            raise SettingsError(f"--name {self.name!r}: use letters, digits, - and _")
        if self.name in (*catalog.OWN, *catalog.PUBLISHED, *color_models.REGISTRY.names()):
            raise SettingsError(f"--name {self.name}: nulie has a restorer of that name")
        if not 0 < self.minutes <= 10_000:
            raise SettingsError(f"--minutes must be above 0, not {self.minutes:g}")
        if self.steps is not None and self.steps < 1:
            raise SettingsError(f"--steps must be at least 1, not {self.steps}")
        atomic.check(self.path, overwrite=self.overwrite)

    @property
    def path(self) -> Path:
        return trained_folder() / f"{self.name}.safetensors"

    def learn(
        self, training: Training, show: Show, cancel: threading.Event, words: Callable[[float], str]
    ) -> bool:
        """Takes all steps, from where the same command was stopped; `words` says a mean of what
        `step` gave. False when `cancel` was set: what was learned is kept, to go on with. Raises:
        SettingsError where another command was stopped, ModelError where its state is damaged,
        ImageError where it cannot be written."""
        spent = self._go_on(training)
        begin = last = time.monotonic()
        off = 0.0
        while True:
            now = time.monotonic()
            seconds = spent + now - begin
            share = training.done / self.steps if self.steps else seconds / (60 * self.minutes)
            if share >= 1:
                return True
            if cancel.is_set() or now - last > KEEP:
                last = now
                self._keep(training, seconds)
                if cancel.is_set():
                    return False
            error = training.step(share)
            off = error if not off else 0.98 * off + 0.02 * error
            show(f"step {training.done:,}, {words(off)}", share)

    def write(self, data: bytes) -> None:
        """What was made takes its name, and the state goes. Raises: ImageError."""
        atomic.write(self.path, data, overwrite=self.overwrite)
        self._state.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.path.with_suffix(".state")

    def _settings(self) -> dict[str, str]:
        """What must be the same for a training to be gone on with."""
        settings = asdict(self)
        for free in ("items", "overwrite", "device"):
            del settings[free]
        return {name: str(value) for name, value in settings.items()} | {
            "pictures": str(len(self.items))
        }

    def _go_on(self, training: Training) -> float:
        """Seconds that were spent before."""
        import torch

        if not self._state.is_file():
            return 0.0
        shown = shown_path(self._state)
        try:
            kept = torch.load(self._state, map_location=training.device, weights_only=True)
            settings = kept["settings"]
            if settings == self._settings():
                training.load_state(kept["training"])
                return float(kept["seconds"])
        except Exception as e:
            raise ModelError(f"{shown} is damaged; delete it to begin anew") from e
        other = [name for name, value in self._settings().items() if settings.get(name) != value]
        raise SettingsError(
            f"a training called {self.name} was stopped that had another {' and '.join(other)};"
            f" go on with that, or delete {shown}"
        )

    def _keep(self, training: Training, seconds: float) -> None:
        import torch

        stream = io.BytesIO()
        kept = {"training": training.state(), "settings": self._settings(), "seconds": seconds}
        torch.save(kept, stream)
        atomic.write(self._state, stream.getvalue(), overwrite=True)
