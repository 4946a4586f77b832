"""What a predictor says of pictures as they are."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from .. import image_io
from ..errors import NulieError
from ..image_io import Photo
from ..predictor import Predictor, exact_form, score_photos
from ..transforms.preview import shrink
from .events import Event, Failed, Noted
from .host import Host
from .inputs import Item
from .loading import load
from .plan import Choice

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Scored(Event):
    """A file's score."""

    score: float
    predictor: str


def score(items: Sequence[Item], choice: Choice, host: Host) -> Generator[Event, None, None]:
    """Yields `Scored` or `Failed` for each file, in their order but for the failed ones, which come
    first of their batch. Raises: ModelError, WeightsError."""
    if not items:
        return
    predictor, note = yield from load(items[0], choice, host)
    if note:
        yield Noted(items[0], note)
    exact = exact_form(predictor)
    failed: list[Failed] = []
    previews = _previews(items, exact, host, failed)
    while batch := list(islice(previews, exact.batch_size)):
        yield from failed
        failed.clear()
        scores = score_photos(exact, [preview for _, preview in batch])
        for (item, _), one in zip(batch, scores, strict=True):
            yield Scored(item, one, predictor.name)
    yield from failed


def of_photo(photo: Photo, predictor: Predictor) -> float:
    """The score of a photo by the exact form of a predictor."""
    exact = exact_form(predictor)
    return score_photos(exact, [shrink(photo.pixels, exact.input_size)])[0]


def _previews(
    items: Sequence[Item], predictor: Predictor, host: Host, failed: list[Failed]
) -> Iterator[tuple[Item, torch.Tensor]]:
    """What the predictor is to see of each file; those that cannot be read go to `failed`."""
    for item in items:
        try:
            host.check(item.path, item.shown)
            photo = image_io.load(item.path, name=item.name or None)
            yield item, shrink(photo.pixels, predictor.input_size)
        except NulieError as e:
            failed.append(Failed(item, str(e)))
