"""A folder of colour photographs becomes a model that colours."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import image_io
from ..errors import ImageError, ModelError, SettingsError
from ..image_io import atomic, shown_path
from ..restore import catalog, trained_folder
from ..restore.color_models import REGISTRY
from .inputs import Item

if TYPE_CHECKING:
    import numpy as np

    from ..fit.colors import Figures, Training

Show = Callable[[str, float], None]
SIDE = 256
"""To which the short side of the photographs is reduced."""
LEAST = 64
"""The short side that a photograph must have."""
LEAST_COLOR = 5
"""Levels by which the channels of a photograph differ on the mean where there is colour in it."""
APART, MOST_APART = 10, 40
"""One photograph of so many is kept apart, and at most so many in all."""
SHOWN, PART = 8, 160
"""Rows of the contact sheet, and the side of its parts."""
KEEP = 120
"""Seconds between two writings of the state."""


@dataclass(frozen=True)
class TrainedColor:
    path: Path
    sheet: Path
    """The contact sheet: some that were kept apart grey, coloured, and as they were."""
    pictures: int
    steps: int
    figures: Mapping[str, Figures]
    """By the variant, on the photographs kept apart."""

    def table(self) -> str:
        lines = ["photographs kept apart   off by (a*, b*)   better than grey   colourfulness"]
        grey = next(iter(self.figures.values())).grey
        lines.append(f"  {'grey':20} {grey:16.1f}")
        lines += [
            f"  {name:20} {row.off:16.1f} {row.better:18.0%} {row.colorful:15.2f}"
            for name, row in self.figures.items()
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class TrainColor:
    """A training, checked; `run` it once. Raises: SettingsError, ImageError."""

    items: Sequence[Item]
    name: str
    minutes: float = 30.0
    steps: int | None = None
    """In place of `minutes`."""
    start: str | None = None
    """Name or file of a model of nulie's to begin with."""
    spoiled: Path | None = None
    """Must be None: photographs are made grey here."""
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", self.name):
            raise SettingsError(f"--name {self.name!r}: use letters, digits, - and _")
        if self.name in (*catalog.OWN, *catalog.PUBLISHED, *REGISTRY.names()):
            raise SettingsError(f"--name {self.name}: nulie has a restorer of that name")
        if not 0 < self.minutes <= 10_000:
            raise SettingsError(f"--minutes must be above 0, not {self.minutes:g}")
        if self.steps is not None and self.steps < 1:
            raise SettingsError(f"--steps must be at least 1, not {self.steps}")
        if self.spoiled is not None:
            raise SettingsError("--spoiled is not for color: its photographs are made grey")
        atomic.check(self.path, overwrite=self.overwrite)

    @property
    def path(self) -> Path:
        return trained_folder() / f"{self.name}.safetensors"

    def run(
        self, show: Show, complain: Callable[[str], None], cancel: threading.Event
    ) -> TrainedColor | None:
        """As `Train.run`: goes on where the same command was stopped, writes the file and a contact
        sheet; None when `cancel` was set. Raises: ModelError on too few photographs, WeightsError
        without the network that it sees with, ImageError where nothing can be written."""
        from ..fit.colors import gain, to_bytes

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
        while (spent_share := share()) < 1:
            if cancel.is_set() or time.monotonic() - last > KEEP:
                last = time.monotonic()
                self._keep(training, state, spent + last - begin)
                if cancel.is_set():
                    return None
            now = training.step(spent_share)
            off = now if not off else 0.98 * off + 0.02 * now
            show(f"step {training.done:,}, off by {off:.2f} of what grey is", spent_share)
        lively = gain(training, apart)
        done = {"pictures": len(kept), "steps": training.done, "seed": self.seed}
        data = to_bytes(training.average, gain=lively, made="by nulie train color", **done)
        atomic.write(self.path, data, overwrite=self.overwrite)
        state.unlink(missing_ok=True)
        return self._judge(apart, len(kept), training.done)

    def _judge(self, apart: Sequence[np.ndarray], pictures: int, steps: int) -> TrainedColor:
        """Colours what was kept apart, and lays it beside the truth."""
        import numpy as np

        from ..fit.colors import figures
        from ..image_io import Photo
        from ..restore import colorize
        from ..restore.color_models import Own

        colorist = Own(self.name, self.path, self.device)
        made = {
            variant: [
                np.asarray(
                    colorize.restore(
                        Photo(Image.fromarray(photo)), colorist, {"variant": variant}
                    ).pixels
                )
                for photo in apart
            ]
            for variant in colorize.VARIANTS
        }
        rows = {variant: figures(apart, done) for variant, done in made.items()}
        parts = [
            [photo.mean(2, keepdims=True).repeat(3, 2).astype(np.uint8), guess, photo]
            for photo, guess in zip(apart[:SHOWN], made["plain"], strict=False)
        ]
        cells = [[np.asarray(_square(part)) for part in row] for row in parts]
        sheet = self.path.with_suffix(".png")
        stream = io.BytesIO()
        lines = [np.concatenate(row, 1) for row in cells]
        Image.fromarray(np.concatenate(lines)).save(stream, "PNG")
        atomic.write(sheet, stream.getvalue(), overwrite=True)
        return TrainedColor(self.path, sheet, pictures, steps, rows)

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
            if not colored(pixels):
                complain(f"{item.shown} is left out: it has no colours to learn from")
                continue
            if least > SIDE:
                width, height = (max(1, round(n * SIDE / least)) for n in pixels.size)
                pixels = pixels.resize((width, height), Image.Resampling.BOX)
            yield np.array(pixels)

    def _training(self, kept: Sequence[np.ndarray]) -> Training:
        from ..fit.colors import Training
        from ..models import device as devices
        from ..models import store
        from ..models.contents import unpickle
        from ..restore.color_models import MOBILENET, Own, create
        from ..restore.color_net import Features

        start = None
        if self.start is not None:
            known = create(self.start, "cpu")
            if not isinstance(known, Own):
                raise SettingsError(f"--from {self.start}: it is no model of nulie's that colours")
            start = known.net.state_dict()
        features = Features(unpickle(store.obtain(MOBILENET)))
        return Training(features, kept, self.seed, start, devices.resolve(self.device))

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


def colored(picture: Image.Image) -> bool:
    """Whether channels differ by some levels, on the mean."""
    import numpy as np

    small = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), np.int16)
    return float((small.max(2) - small.min(2)).mean()) > LEAST_COLOR


def _square(pixels: np.ndarray) -> Image.Image:
    """The middle of a picture as a part of the contact sheet."""
    picture = Image.fromarray(pixels)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.resize((PART, PART), Image.Resampling.BOX, (left, top, left + side, top + side))
