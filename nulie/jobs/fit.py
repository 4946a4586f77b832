"""A folder of good photographs becomes a predictor's file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .. import image_io
from ..errors import ImageError, SettingsError
from ..image_io import atomic, shown_path
from .inputs import Item

EXAMPLES, STEPS = 40_000, 1_000
"""What one unit of effort is."""
LEAST_STEPS = 20
"""With fewer the rate of learning has no time to rise and fall."""

Show = Callable[[str, float], None]
"""Is told what is going on and the share of it that is done, 0..1."""


@dataclass(frozen=True)
class Fit:
    """A fit of `statistics`, checked; `run` it once. Raises: SettingsError, ImageError."""

    items: Sequence[Item]
    output: Path
    effort: float = 1.0
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.effort <= 1_000:
            raise SettingsError(f"effort must be above 0 and at most 1000, not {self.effort:g}")
        if self.output.suffix != ".safetensors":
            shown = shown_path(self.output)
            raise SettingsError(f"--output {shown}: choose a name that ends in .safetensors")
        atomic.check(self.output, overwrite=self.overwrite)

    def run(self, show: Show, complain: Callable[[str], None]) -> int:
        """Fits and writes the file; how many photographs it was fitted to. `complain` is told of
        those that cannot be read. Raises: ImageError, ModelError on too few photographs."""
        from ..fit import fit
        from ..predictor import statistics

        taken = 0

        def photos() -> Iterator[Image.Image]:
            nonlocal taken
            for number, item in enumerate(self.items):
                show("reading photographs", number / len(self.items))
                try:
                    photo = image_io.load(item.path)
                except ImageError as e:
                    complain(str(e))
                    continue
                taken += 1
                yield photo.pixels

        examples, steps = (round(usual * self.effort) for usual in (EXAMPLES, STEPS))
        steps = max(LEAST_STEPS, steps)
        weights = fit(photos(), seed=self.seed, examples=examples, steps=steps, progress=show)
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "weights.safetensors"
            statistics.write(weights, part)
            atomic.write(self.output, part.read_bytes(), overwrite=self.overwrite)
        return taken
