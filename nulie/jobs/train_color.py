"""A folder of colour photographs becomes a model that colours."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import image_io
from ..errors import ImageError, ModelError, SettingsError
from ..image_io import atomic
from .course import Course, Show

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..fit.colors import Figures, Training

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


@dataclass(frozen=True, kw_only=True)
class TrainColor(Course):
    """A training, checked; `run` it once. Raises: SettingsError, ImageError."""

    def __post_init__(self) -> None:
        if self.spoiled is not None:
            raise SettingsError("--spoiled is not for color: its photographs are made grey")
        super().__post_init__()

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
        if not self.learn(training, show, cancel, lambda off: f"off by {off:.2f} of what grey is"):
            return None
        lively = gain(training, apart)
        done = {"pictures": len(kept), "steps": training.done, "seed": self.seed}
        data = to_bytes(training.average, gain=lively, made="by nulie train color", **done)
        self.write(data)
        return self._judge(apart, len(kept), training.done)

    def _judge(self, apart: Sequence[npt.NDArray[Any]], pictures: int, steps: int) -> TrainedColor:
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

    def _photos(self, show: Show, complain: Callable[[str], None]) -> Iterator[npt.NDArray[Any]]:
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

    def _training(self, kept: Sequence[npt.NDArray[Any]]) -> Training:
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


def colored(picture: Image.Image) -> bool:
    """Whether channels differ by some levels, on the mean."""
    import numpy as np

    small = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), np.int16)
    return float((small.max(2) - small.min(2)).mean()) > LEAST_COLOR


def _square(pixels: npt.NDArray[Any]) -> Image.Image:
    """The middle of a picture as a part of the contact sheet."""
    picture = Image.fromarray(pixels)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.resize((PART, PART), Image.Resampling.BOX, (left, top, left + side, top + side))
