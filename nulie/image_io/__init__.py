"""Pictures in and out of files: upright RGB pixels on the way in, nothing lost on the way out."""

from .photo import Metadata, Photo
from .read import MAX_MEGAPIXELS, from_image, load, read_text, reads, reason, shown_path
from .write import check_output, default_output, same_format, save, to_image

__all__ = [
    "MAX_MEGAPIXELS", "Metadata", "Photo", "check_output", "default_output", "from_image", "load",
    "read_text", "reads", "reason", "same_format", "save", "shown_path", "to_image",
]  # fmt: skip
