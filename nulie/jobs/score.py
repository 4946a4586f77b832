"""What a predictor says of pictures as they are."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from ..errors import NulieError
from ..image_io import Photo
from ..predictor import Predictor, exact_form, score_photos
from .events import Event, Failed, Noted
from .host import Host
from .inputs import Item
from .journal import Version
from .plan import Choice


@dataclass(frozen=True)
class Scored(Event):
    score: float
    predictor: str
    version: Version = None
    """Of the file that was looked at, where that is known."""


def score(items: Sequence[Item], choice: Choice, host: Host) -> Generator[Event, None, None]:
    """`Scored` or `Failed` for each file, of a batch the failed first. Raises: ModelError."""
    from ..transforms.preview import shrink  # with libraries that take a second
    from .file import read

    if not items:
        return
    predictor, note = yield from host.predictor(items[0], choice)
    if note:
        yield Noted(items[0], note)
    exact = exact_form(predictor)
    batch = []
    for number, item in enumerate(items, 1):
        try:
            batch.append((item, shrink(read(item, host).pixels, exact.input_size)))
        except NulieError as e:
            yield Failed(item, str(e))
        if len(batch) == exact.batch_size or (batch and number == len(items)):
            scores = score_photos(exact, [preview for _, preview in batch])
            for (one, _), worth in zip(batch, scores, strict=True):
                yield Scored(one, worth, predictor.name)
            batch.clear()


def of_photo(photo: Photo, predictor: Predictor) -> float:
    """The score of a photo by the exact form of a predictor."""
    from ..transforms.preview import shrink

    exact = exact_form(predictor)
    return score_photos(exact, [shrink(photo.pixels, exact.input_size)])[0]
