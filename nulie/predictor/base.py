"""What a predictor is: it looks at the input once, then judges batches of candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Prediction:
    """What a predictor says of a batch of B candidates."""

    scores: torch.Tensor
    """`[B]` float32, higher is better, on the predictor's device."""
    embeddings: torch.Tensor | None = None
    """`[B, D]` float32 of unit length, where the predictor has embeddings."""
    colors: torch.Tensor | None = None
    """`[B, 3, N]` CIELAB of the pixels at `target.spread`, where the predictor has looked at these:
    the guards then need not look again."""


Judge = Callable[["torch.Tensor"], Prediction]
"""Scores a batch `[B, 3, H, W]` uint8 of candidates made from one photo, without gradients.

H and W are those of the preview given to `Predictor.judge`; the batch may be on any device."""


class Judging(Protocol):
    """The one method that a predictor of your own must have; `adapt` adds what it leaves out."""

    def judge(
        self, photo: torch.Tensor
    ) -> Callable[[torch.Tensor], Prediction | torch.Tensor | Sequence[float]]:
        """As `Predictor.judge`; the judge may also return plain scores, one for each candidate."""
        ...


@runtime_checkable
class Enhancing(Protocol):
    """The one method of a function from picture to picture, such as a network that retouches, by
    which `adapt` makes a target of it: candidates are worth the more, the nearer they come."""

    def render(self, photo: torch.Tensor) -> torch.Tensor:
        """What the photo's preview, `[3, H, W]` uint8, should look like: levels from 0 to 255 of
        the same shape, as a tensor or an array; fractions are rounded."""
        ...


class Predictor(Protocol):
    """One method and four facts; anything with these can drive the search.

    Predictors keep no state between photos, so one model may serve several searches. What more
    one may be: `Reduced`, `NoteKeeper`, `PhotoScorer`.
    """

    @property
    def name(self) -> str:
        """What the user calls it, such as `clip-sac`."""
        ...

    @property
    def input_size(self) -> int:
        """Short side in pixels of the previews it wants."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes; candidates are best rendered there."""
        ...

    @property
    def batch_size(self) -> int:
        """How many candidates at once make good use of the device."""
        ...

    def judge(self, photo: torch.Tensor) -> Judge:
        """Looks once at the input's preview, `[3, H, W]` uint8 with min(H, W) = `input_size`
        (the long side at most 8 times that), and returns the judge of its candidates."""
        ...


@runtime_checkable
class Reduced(Protocol):
    """A predictor that searches in reduced precision, and has a slower, exact form of itself."""

    def exact(self) -> Predictor:
        """The form that decides in the end; it shares the weights."""
        ...


@runtime_checkable
class NoteKeeper(Protocol):
    """A predictor that has something to tell while it works, such as that memory ran out."""

    notes: list[str]
    """Lines for the user, the oldest first. Whoever shows them removes them: see `take_notes`."""


@runtime_checkable
class PhotoScorer(Protocol):
    """A predictor that judges photos by themselves and takes different ones at once."""

    def predict(self, photos: Iterable[torch.Tensor]) -> Prediction:
        """Previews of different photos, each `[3, H, W]` uint8, scored as one batch."""
        ...


def exact_form(predictor: Predictor) -> Predictor:
    """What scores the finalists: the predictor itself, unless it has an exact form."""
    return predictor.exact() if isinstance(predictor, Reduced) else predictor


def take_notes(predictor: Predictor) -> list[str]:
    """What it has to tell since the last call; of several threads only one is told a line."""
    lines: list[str] = []
    if isinstance(predictor, NoteKeeper):
        with suppress(IndexError):
            while True:
                lines.append(predictor.notes.pop(0))
    return lines


def score_photos(predictor: Predictor, photos: Sequence[torch.Tensor]) -> list[float]:
    """The scores of photos as they are, by their previews `[3, H, W]` uint8, in one batch where
    the predictor takes different ones."""
    if isinstance(predictor, PhotoScorer):
        scores: list[float] = predictor.predict(photos).scores.tolist()
        return scores
    return [float(predictor.judge(photo)(photo[None]).scores[0]) for photo in photos]
