"""CLIP with an aesthetic head: the predictors `clip-sac`, `clip-laion`, `clip-b16`, `clip-b32`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError, UnknownModelError, WeightsError
from ..models import device as devices
from ..models.download import Progress
from ..models.store import obtain
from . import heads
from .base import Judge, Prediction
from .published import CLIP, WEIGHTS

if TYPE_CHECKING:
    import torch

    from .tower import Encoder


_ROWS = {"ViT-L-14": 8, "ViT-B-16": 16, "ViT-B-32": 32}
"""Images at once from which a CPU with bfloat16 gains nothing more."""


class Clip:
    """Predicts how much people like a photo from its CLIP embedding.

    `precision` and `views` are those of the search; `exact()` gives the same predictor in float32
    with both views, for the finalists. `head` and `weights` are files of the user's own, `weights`
    for the encoder in the form of OpenAI or open_clip; `folders` are further places to look for
    the usual files. With `random_weights` nothing is read or fetched and the scores mean nothing:
    for benchmarks.

    Raises: ModelError when the device or precision cannot be had, WeightsError when files are
    missing and cannot be fetched (within 5 seconds when offline), or are not what they should be.
    """

    input_size = 224

    def __init__(
        self,
        name: str = "clip-sac",
        *,
        device: str = "auto",
        precision: str = "auto",
        views: int = 1,
        head: Path | None = None,
        weights: Path | None = None,
        folders: Sequence[Path] = (),
        progress: Progress | None = None,
        network: bool = True,
        random_weights: bool = False,
    ) -> None:
        if name not in CLIP:
            raise UnknownModelError(
                f"no CLIP predictor is called {name!r}; known: {', '.join(CLIP)}"
            )
        if views not in (1, 2):
            raise ModelError(f"views is {views}, but there are 1 or 2: as is, and mirrored")
        if find_spec("open_clip") is None:
            raise ModelError(f"{name} needs open_clip; run 'pip install open_clip_torch'")
        if (device, precision) != ("auto", "auto"):
            # Before 1.7 GB come for a device that is not there.
            devices.dtype(precision, devices.resolve(device))
        # Files first: where they are missing that is known before anything slow is imported.
        encoder, scorer = (WEIGHTS[part] for part in CLIP[name])
        for given in filter(None, (head, weights)):
            if not given.is_file():
                raise WeightsError(f"{given} does not exist; check its name")
        if not random_weights:
            head, weights = (
                given or obtain(part, folders=folders, progress=progress, network=network)
                for given, part in ((head, scorer), (weights, encoder))
            )
        import torch

        from . import tower

        self.name = name
        self.views = views
        self.device = devices.resolve(device)
        self.precision = devices.dtype(precision, self.device)
        self.sources = tuple(str(path) for path in (weights, head) if path)
        """The files it was read from: encoder, head."""
        self.batch_limit: int | None = None
        """Images, mirrored ones counted, that the device takes at once; None while it takes all."""
        self.notes: list[str] = []
        """See `NoteKeeper`; shared with the exact form."""
        self._exact = False
        self._rows = _ROWS[encoder.name]
        self.batch_size = self._batch_size()
        with torch.inference_mode(False):
            width = tower.ARCHS[encoder.name].dim
            score = heads.load(head, width) if head else _random_head(width)
            self._head = replace(score, weight=score.weight.to(self.device))
        self._encoder: Encoder = tower.load(
            encoder.name, None if random_weights else weights, self.device, self.precision
        )

    def exact(self) -> Clip:
        """This predictor in float32 and with both views; it shares the weights."""
        import torch

        twin = copy.copy(self)
        twin._exact, twin.views, twin.precision = True, 2, torch.float32
        twin.batch_limit = None
        twin.batch_size = twin._batch_size()
        return twin

    def _batch_size(self) -> int:
        """Candidates at once. Float32 on a CPU gains little from more than one; a GPU wants
        many, and with four times as many as a CPU it stays below 2 GB."""
        import torch

        rows = self._rows
        if self.device.type != "cpu":
            rows *= 4
        elif self.precision == torch.float32:
            rows //= 4
        return max(1, min(rows, self.batch_limit or rows) // self.views)

    def judge(self, photo: torch.Tensor) -> Judge:
        """The judge of candidates made from `photo`, `[3, H, W]` uint8. It needs no look at the
        photo itself, and takes batches `[B, 3, H, W]` uint8 of any H, W >= 224 on any device."""
        self._square(photo)
        return self._judge

    def predict(self, photos: Iterable[torch.Tensor]) -> Prediction:
        """Previews of different photos, each `[3, H, W]` uint8, scored as one batch."""
        import torch

        return self._judge(torch.stack([self._square(photo) for photo in photos]))

    def describe(self, photos: Iterable[torch.Tensor]) -> torch.Tensor:
        """Previews of different photos, each `[3, H, W]` uint8, as `[B, D]` float32: the mean
        embedding of their views, of which a head says what it says of the photo."""
        import torch

        pixels = torch.stack([self._square(photo) for photo in photos]).to(self.device)
        if self.views == 2:
            pixels = torch.cat([pixels, pixels.flip(-1)])
        with torch.no_grad():
            embeddings = self._embed(pixels)
            return embeddings.view(self.views, -1, embeddings.shape[-1]).mean(0)

    def mark(self, described: torch.Tensor) -> torch.Tensor:
        """The scores `[B]` of what `describe` has given."""
        return self._head(described)

    def _judge(self, batch: torch.Tensor) -> Prediction:
        """`[B, 3, H, W]` uint8 to scores `[B]` and embeddings `[B, D]` of the view as it is."""
        import torch

        pixels = self._square(batch).to(self.device, non_blocking=True)
        if self.views == 2:
            pixels = torch.cat([pixels, pixels.flip(-1)])
        with torch.no_grad():
            embeddings = self._embed(pixels)
            scores = self._head(embeddings).view(self.views, -1).mean(0)
        return Prediction(scores, embeddings[: len(batch)])

    def _square(self, pixels: torch.Tensor) -> torch.Tensor:
        """The middle 224 x 224 of `[..., 3, H, W]` uint8, by the rule of torchvision's CenterCrop,
        which rounds halves to the even side."""
        import torch

        size = self.input_size
        if pixels.dtype != torch.uint8 or pixels.shape[-3] != 3 or min(pixels.shape[-2:]) < size:
            raise ModelError(
                f"{self.name} takes [3, H, W] uint8 with H, W >= {size}, "
                f"not {list(pixels.shape)} {pixels.dtype}"
            )
        top, left = (round((length - size) / 2) for length in pixels.shape[-2:])
        return pixels[..., top : top + size, left : left + size]

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """In one go, or in parts that the device has memory for."""
        import torch

        done = [self._head.weight.new_empty(0, len(self._head.weight))]
        start, failed = 0, 0
        while start < len(pixels):
            rows = pixels[start : start + (self.batch_limit or len(pixels))]
            try:
                done.append(self._encoder.embed(rows, self._exact))
                start += len(rows)
            except RuntimeError as e:
                # CUDA has a class for it, Metal only the words.
                if "out of memory" not in str(e).lower():
                    raise
                failed = len(rows)
            # Outside of the handler, for the exception holds on to what was to be freed.
            if failed:
                self._shrink(failed)
                failed = 0
        return torch.cat(done)

    def _shrink(self, rows: int) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if rows <= 1:
            raise ModelError(
                f"{self.device} has no memory left for a single image; close other programs, or "
                "use a smaller predictor (clip-b32) or --device cpu"
            )
        self.batch_limit = rows // 2
        self.batch_size = self._batch_size()
        self.notes.append(
            f"{self.device} ran out of memory at batch {rows}; going on with {self.batch_limit}"
        )


def _random_head(width: int) -> heads.Head:
    import torch

    generator = torch.Generator().manual_seed(1)
    weight = torch.empty(width).normal_(generator=generator)
    return heads.Head(weight * (20 / weight.norm()), 5.0)
