"""Several results as one file."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import ImageError
from ..image_io import shown_path


def pack(paths: Sequence[Path]) -> Path:
    """A zip of files beside the first of them, named after their folder; stored, not compressed,
    for pictures are so already. One that is there is replaced. Raises: ImageError."""
    folder = paths[0].parent
    archive = folder / f"nulie-{folder.name}.zip"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for path in paths:
                file.write(path, path.name)
    except OSError as e:
        raise ImageError(f"{shown_path(archive)}: no zip ({e.strerror or e})") from None
    return archive
