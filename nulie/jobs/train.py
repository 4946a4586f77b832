"""A folder of clean pictures becomes a restorer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from .. import image_io
from ..errors import ImageError, ModelError, SettingsError
from ..image_io import atomic
from ..restore import create, model_id
from .course import Course, Show

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..fit.restorers import Job, Training

KINDS = ("upscale", "repair", "denoise", "scan")
FEATURES, DEPTH = 48, 8
"""Of a network that begins anew."""
GOALS = ("perceptual", "adversarial")
"""Beside the nearness to the truth."""
MOST_PIXELS = 300_000_000
"""Of all pictures together, which are held in memory at 3 bytes each."""
APART = 0.1
"""Share of the pictures that are kept apart, to judge by; one at least, and at most `MOST_APART`.
"""
MOST_APART = 8
SHEET = 160
"""Side of the parts on the contact sheet, in pixels."""


@dataclass(frozen=True)
class Trained:
    path: Path
    sheet: Path
    """The contact sheet: each picture kept apart as it was spoiled, restored, and as it should be.
    """
    pictures: int
    steps: int
    before: float
    after: float
    """Mean PSNR in dB of the pictures kept apart; `before` of an enlargement is the bicubic one."""


@dataclass(frozen=True, kw_only=True)
class Train(Course):
    """A training, checked; `run` it once. Raises: SettingsError, ImageError."""

    kind: str
    scale: int | None = None
    """Of "upscale" alone; None for 2."""
    features: int | None = None
    depth: int | None = None
    """None for those of `start`, or of a network that begins anew."""
    perceptual: bool = False
    adversarial: bool = False
    """Whether it shall look like the truth, and real, besides being near it."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"there is no training {self.kind!r}; known: {', '.join(KINDS)}")
        if self.scale not in (None, 2, 4):
            raise SettingsError(f"--scale must be 2 or 4, not {self.scale}")
        if self.scale is not None and self.kind != "upscale":
            raise SettingsError(f"--scale is not for {self.kind}, which keeps the size")
        features = FEATURES if self.features is None else self.features
        depth = DEPTH if self.depth is None else self.depth
        if not (8 <= features <= 128 and 1 <= depth <= 32):
            raise SettingsError("--features must be within 8..128, and --depth within 1..32")
        super().__post_init__()

    @property
    def job(self) -> Job:
        from ..fit.restorers import JOBS

        return JOBS[f"x{self.scale or 2}" if self.kind == "upscale" else self.kind]

    def run(
        self, show: Show, complain: Callable[[str], None], cancel: threading.Event
    ) -> Trained | None:
        """Trains, goes on where the same command was stopped, and writes the file and a contact
        sheet. None when `cancel` was set: what was learned is kept, to go on with. `complain` is
        told of pictures that cannot be used. Raises: ModelError on too few of them, WeightsError
        on a `start` of another kind, ImageError where nothing can be written."""
        from ..fit.restorers import to_bytes
        from ..models import device as devices

        pairs = list(self._pairs(show, complain))
        if len(pairs) < 2:
            raise ModelError(
                f"{len(pairs)} of the pictures can be used, and two are the least; each side must"
                f" have at least {self.job.side} pixels"
            )
        apart = pairs[:: max(1, round(1 / APART))][:MOST_APART]
        kept = [pair for pair in pairs if not any(pair is other for other in apart)]
        training = self._training(kept, devices.resolve(self.device))
        if not self.learn(training, show, cancel, lambda off: f"{255 * off:.2f} levels off"):
            return None
        figures = self._judge(training, apart)
        asked = [f" --{goal}" for goal in GOALS if getattr(self, goal)]
        facts = {
            "made by": f"nulie train {self.kind}{''.join(asked)}",
            "pictures": str(len(kept)),
            "steps": str(training.done),
            "seed": str(self.seed),
            "before": f"{figures.before:.2f} dB",
            "after": f"{figures.after:.2f} dB",
        }
        if asked and self.start is not None:
            # With which it can be blended.
            facts["from"] = model_id(create(self.start, "cpu"))
        weights = {name: value.cpu() for name, value in training.average.items()}
        self.write(to_bytes(weights, self.job, **facts))
        return figures

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), "scale": str(self.scale or 2)}

    def _pairs(
        self, show: Show, complain: Callable[[str], None]
    ) -> Iterator[list[npt.NDArray[Any]]]:
        """Clean pictures, each with its spoiled form where there is one."""
        import numpy as np

        total = 0
        for number, item in enumerate(self.items):
            show("reading pictures", number / len(self.items))
            try:
                pair = [np.asarray(image_io.load(item.path).pixels)]
                if self.spoiled is not None:
                    pair.append(np.asarray(image_io.load(self.spoiled / item.path.name).pixels))
                    wanted = tuple(n // self.job.scale for n in pair[0].shape[:2])
                    if pair[1].shape[:2] != wanted:
                        size = f"{wanted[1]} x {wanted[0]}"
                        raise ImageError(f"{item.shown}: its spoiled form must be of {size} pixels")
            except ImageError as e:
                complain(str(e))
                continue
            total += pair[0].shape[0] * pair[0].shape[1] * len(pair)
            if total > MOST_PIXELS:
                complain(f"{item.shown} and those after it are left out: the memory is limited")
                return
            if min(pair[0].shape[:2]) >= self.job.side:
                yield pair
            else:
                complain(f"{item.shown} is too small: each side must have {self.job.side} pixels")

    def _training(self, kept: Sequence[list[npt.NDArray[Any]]], device: Any) -> Training:
        from ..fit.restorers import Training
        from ..restore.own import Own

        start, features, depth = None, self.features or FEATURES, self.depth or DEPTH
        if self.start is not None:
            known = create(self.start, "cpu")
            if not isinstance(known, Own):
                raise SettingsError(f"--from {self.start}: it is no network of nulie's")
            start = known.net.float().state_dict()
            features, layers = known.net.features, known.net.depth
            depth = self.depth or layers
            if self.features not in (None, features) or depth < layers:
                raise SettingsError(
                    f"--from {self.start}: it has {features} features and {layers} hidden layers;"
                    " leave out --features, and --depth unless it is to be deeper"
                )
        return Training(
            self.job, [pair[0] for pair in kept], [p[1] for p in kept if len(p) > 1],
            features, depth, self.seed, start, device, self.perceptual, self.adversarial,
        )  # fmt: skip

    def _judge(self, training: Training, apart: Sequence[list[npt.NDArray[Any]]]) -> Trained:
        """Restores what was kept apart, and lays it beside the truth."""
        import io

        import numpy as np
        import torch

        from ..fit.restorers import psnr, smaller

        job = self.job
        training.net.load_state_dict(training.average)
        training.net.eval()
        before, after, rows = [], [], []
        rng = np.random.default_rng(self.seed)
        for pair in apart:
            height, width = (
                min(n, 768) // (4 * job.scale) * 4 * job.scale for n in pair[0].shape[:2]
            )
            truth, strength = pair[0][:height, :width], 0.0
            if len(pair) > 1:
                seen = pair[1][: height // job.scale, : width // job.scale]
            elif job.spoil is None:
                box = (0, 0, width, height)
                seen = np.asarray(smaller(Image.fromarray(pair[0]), job.scale, box))
            else:
                seen, strength = job.spoil(truth, rng)
            tensor = torch.from_numpy(seen.copy()).permute(2, 0, 1)[None].float() / 255
            with torch.inference_mode():
                given = training.net(
                    tensor.to(training.device), torch.tensor([strength], device=training.device)
                )
            made = (given[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            large = Image.fromarray(seen).resize((width, height), Image.Resampling.BICUBIC)
            shown = np.asarray(large)
            before.append(psnr(shown, truth))
            after.append(psnr(made, truth))
            top, left = max(0, (height - SHEET) // 2), max(0, (width - SHEET) // 2)
            parts = [p[top : top + SHEET, left : left + SHEET] for p in (shown, made, truth)]
            fill = [(0, SHEET - parts[0].shape[0]), (0, SHEET - parts[0].shape[1]), (0, 0)]
            rows.append(np.concatenate([np.pad(p, fill) for p in parts], 1))
        stream = io.BytesIO()
        Image.fromarray(np.concatenate(rows)).save(stream, "PNG")
        sheet = self.path.with_suffix(".png")
        atomic.write(sheet, stream.getvalue(), overwrite=True)
        means = float(np.mean(before)), float(np.mean(after))
        return Trained(self.path, sheet, len(training.photos), training.done, *means)
