"""A picture that others are to look like."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from .. import image_io
from ..image_io import Photo, shown_path
from .look import LONGEST, scale_down

if TYPE_CHECKING:
    from ..predictor import Predictor


@dataclass(frozen=True)
class Reference:
    name: str
    pixels: Image.Image = field(repr=False)
    """RGB, its long side `LONGEST` at most: colours need no more."""
    path: Path | None = None

    @property
    def judge(self) -> str:
        """The name of the predictor: the report says that it has judged."""
        return f"likeness to {self.name}"

    def predictor(self, device: str = "auto") -> Predictor:
        """Made anew each time, in milliseconds. Raises: ModelError when there is no such device."""
        from ..predictor.like import Like
        from ..transforms.preview import shrink

        # Too small a thing for a GPU.
        like = Like(
            shrink(self.pixels, Like.input_size), device="cpu" if device == "auto" else device
        )
        like.name = self.judge
        return like


def read(given: Path | Photo | Image.Image, name: str = "") -> Reference:
    """From a file, or a picture in memory; `name` is for people. Raises: ImageError."""
    if isinstance(given, Path):
        photo, path = image_io.load(given, name=name or None), given
    else:
        photo = given if isinstance(given, Photo) else image_io.from_image(given)
        path = None
    name = name or (shown_path(Path(path.name)) if path else "the reference")
    return Reference(name, scale_down(photo.pixels, LONGEST), path)
