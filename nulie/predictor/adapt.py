"""A predictor of somebody's own, made whole.

    class Taste:
        def judge(self, photo):
            return lambda batch: -(batch.float().mean((1, 2, 3)) - 140).abs()

is enough: `adapt` adds a name, a size, a device and a number of candidates at once, and takes
plain scores for a `Prediction`.

    class Enhancer:
        def render(self, photo):
            return (photo.float() * 1.2).clamp(max=255)

is enough as well: it says what the photo should look like, and becomes a target.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from ..errors import ModelError
from .base import (
    Enhancing,
    Judge,
    Judging,
    NoteKeeper,
    PhotoScorer,
    Prediction,
    Predictor,
    Reduced,
)

if TYPE_CHECKING:
    import torch

INPUT_SIZE = 224
"""Short side of the previews for a predictor that names none."""
BATCH_SIZE = 16
"""Candidates at once for a predictor that names no number."""


def adapt(
    predictor: Judging | Enhancing, *, name: str = "", device: torch.device | None = None
) -> Predictor:
    """The predictor with everything that a search asks of it; a whole one does not change by it.

    One that has no method `judge` but `render` becomes a `Target`. What it has as attributes of
    its own counts; `name` (else its class's) and `device` (else the CPU) are for one that has none.
    Raises: ModelError when it has neither method, or facts that cannot be."""
    from .target import Enhanced, Target

    if isinstance(predictor, _Adapted):
        return predictor
    name = str(getattr(predictor, "name", "") or name or type(predictor).__name__)
    judges, renders = (callable(getattr(predictor, method, None)) for method in ("judge", "render"))
    if isinstance(predictor, type) or not (judges or renders):
        raise ModelError(
            f"{name} has no method judge(photo) and none render(photo), so it is no predictor"
        )
    for fact in ("input_size", "batch_size"):
        value = getattr(predictor, fact, 1)
        if not isinstance(value, int) or value < 1:
            raise ModelError(f"{fact} of the predictor {name} is {value!r}, not a number from 1")
    if isinstance(predictor, Target):
        return predictor
    if judges:
        return _Adapted(cast(Judging, predictor), name, device)
    return Enhanced(
        cast(Enhancing, predictor),
        name=name,
        input_size=getattr(predictor, "input_size", INPUT_SIZE),
        batch_size=getattr(predictor, "batch_size", Target.batch_size),
        device=_device(predictor, device),
    )


def _device(own: Any, device: torch.device | None) -> torch.device:
    """Its own device, else the one given, else the CPU."""
    import torch

    return torch.device(getattr(own, "device", None) or device or "cpu")


class _Adapted:
    """Satisfies `Predictor` and all that one may be besides."""

    def __init__(self, own: Judging, name: str, device: torch.device | None) -> None:
        self.name = name
        self._own: Any = own
        self.device = _device(own, device)
        self.notes: list[str] = own.notes if isinstance(own, NoteKeeper) else []

    @property
    def input_size(self) -> int:
        return getattr(self._own, "input_size", INPUT_SIZE)

    @property
    def batch_size(self) -> int:
        """Asked for anew each time: it shrinks when memory runs out."""
        return getattr(self._own, "batch_size", BATCH_SIZE)

    def exact(self) -> Predictor:
        if not isinstance(self._own, Reduced):
            return self
        return adapt(self._own.exact(), name=self.name, device=self.device)

    def judge(self, photo: torch.Tensor) -> Judge:
        import torch

        with torch.no_grad():
            judge = self._own.judge(photo)

        def whole(batch: torch.Tensor) -> Prediction:
            with torch.no_grad():
                return self._prediction(judge(batch), len(batch))

        return whole

    def predict(self, photos: Iterable[torch.Tensor]) -> Prediction:
        import torch

        photos = list(photos)
        if isinstance(self._own, PhotoScorer):
            with torch.no_grad():
                return self._prediction(self._own.predict(photos), len(photos))
        one_by_one = [self.judge(photo)(photo[None]).scores for photo in photos]
        return Prediction(torch.cat(one_by_one))

    def _prediction(self, said: Any, count: int) -> Prediction:
        """Raises: ModelError when there is not one score for each of `count` candidates."""
        import torch

        if isinstance(said, Prediction):
            return said
        try:
            scores = torch.as_tensor(said, dtype=torch.float32).flatten()
        except (TypeError, ValueError, RuntimeError):
            raise ModelError(
                f"the predictor {self.name} gave {type(said).__name__}, not scores"
            ) from None
        if len(scores) != count:
            raise ModelError(
                f"the predictor {self.name} gave {len(scores)} scores for {count} candidates"
            )
        return Prediction(scores)
