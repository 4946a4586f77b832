"""Recipes to scores: previews are rendered and judged, in threads or beside what a device does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from PIL import Image

from ..memory import give_back_of
from ..recipe import Recipe
from ..threads import one_core
from ..transforms.preview import Renderer
from ..transforms.sample import sample

GRAIN, MOST_THREADS, SHARED_OUT = 32_768, 4, 8
"""Torch uses one core for an op on fewer elements than GRAIN. Where previews are that small,
batches are shared out among MOST_THREADS at most, SHARED_OUT recipes or more to each."""

Render = Callable[[Sequence[Recipe]], torch.Tensor]
"""Recipes to their previews, `[B, 3, H, W]` uint8."""
Totals = Callable[[torch.Tensor], Sequence[float]]
"""Previews to what they are worth, higher is better."""


def renderer(image: Image.Image, preview: torch.Tensor, *others: Image.Image) -> Renderer:
    """Renders recipes on the `preview` of an image, or on the sheet of several of one size. What
    ops measure is measured of all together; histograms are the images' own."""
    images = (image, *others)
    whole = (len(images) * image.height, image.width) == preview.shape[1:]
    return Renderer(preview, None if whole else sample(*images), count=len(images))


class Evaluator:
    """Scores recipes on one photo's preview. To be used in a `with`, which ends its threads."""

    def __init__(self, render: Render, totals: Totals, preview: torch.Tensor) -> None:
        """`render` and `totals` are called from several threads where `threads` is more than 1.
        `preview` is the photo's, `[3, H, W]` uint8, on the device that computes."""
        self._render = render
        self._totals = totals
        on_gpu = preview.device.type == "cuda"
        small = preview.numel() < GRAIN and preview.device.type == "cpu"
        self.threads = min(MOST_THREADS, torch.get_num_threads()) if small else 1
        self._workers = ThreadPoolExecutor(self.threads, "nulie") if self.threads > 1 else None
        new_stream: Any = torch.cuda.Stream  # has no types
        self._stream = new_stream(preview.device) if on_gpu else None
        self.ahead = 0 if self._stream is None else 1
        """How many batches are best begun before the scores of the one before are read."""

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers is not None:
            give_back_of(self._workers, self.threads)
            self._workers.shutdown()
            self._workers = None

    def __call__(self, recipes: Sequence[Recipe]) -> Sequence[float]:
        """What each recipe is worth, in their order; on a GPU read back when first looked at."""
        if self._workers is None or len(recipes) < 2 * SHARED_OUT:
            return self._score(recipes)
        parts = [recipes[i :: self.threads] for i in range(self.threads)]
        totals = list(self._workers.map(self._score, parts))
        return [totals[i % self.threads][i // self.threads] for i in range(len(recipes))]

    def render(self, recipes: Sequence[Recipe]) -> torch.Tensor:
        """Previews `[B, 3, H, W]` uint8, made beside what the device is busy with: ops that read
        statistics wait for their own stream alone, not for the predictor's work."""
        if self._stream is None:
            return self._render(recipes)
        before = torch.cuda.current_stream(self._stream.device)
        with torch.cuda.stream(self._stream):
            batch = self._render(recipes)
        before.wait_stream(self._stream)
        batch.record_stream(before)
        return batch

    def _score(self, recipes: Sequence[Recipe]) -> Sequence[float]:
        if self._workers is None:
            return self._totals(self.render(recipes))
        # Each thread has a core for itself: torch's own threads would only wait for one another,
        # and a host that loaded torch before nulie has them spin meanwhile.
        torch.get_num_threads()  # has torch set this thread up now, which it would else do later
        with one_core("openmp"):
            return self._totals(self.render(recipes))
