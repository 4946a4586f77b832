"""Pictures in and out of files: upright RGB pixels on the way in, nothing lost on the way out."""

from .photo import Metadata, Photo
from .read import MAX_MEGAPIXELS, from_image, load, read_text
from .write import check_output, default_output, save, to_image

__all__ = [
    "MAX_MEGAPIXELS",
    "Metadata",
    "Photo",
    "check_output",
    "default_output",
    "from_image",
    "load",
    "read_text",
    "save",
    "to_image",
]
