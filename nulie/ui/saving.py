"""Where a visitor's results go, and in what formats."""

from __future__ import annotations

import time
from pathlib import Path

from ..errors import ImageError
from ..image_io.read import HAS_AVIF
from ..jobs.names import at_free_name
from .host import Host
from .session import Session

FORMATS = {
    "as the photo": None,
    "PNG": ".png",
    "JPEG": ".jpg",
    "WebP": ".webp",
    "TIFF": ".tif",
    **({"AVIF": ".avif"} if HAS_AVIF else {}),
}
"""Suffix of results by what the page calls the format."""


def folder(host: Host, session: Session) -> Path:
    """Where this visitor's files go."""
    results = host.results_folder()
    return results / session.folder if host.private else results


def new_folder(host: Host, session: Session, name: str) -> Path:
    """A folder of this visitor's for several files, that nobody else has. Raises: ImageError."""

    def make(path: Path) -> Path:
        path.mkdir(parents=True)
        return path

    path = folder(host, session) / time.strftime(f"{name}-%Y%m%d-%H%M%S")
    try:
        return at_free_name(path, make, clash=FileExistsError)
    except OSError as e:
        raise ImageError(f"{path}: cannot be made ({e.strerror})") from None


def values(format: str, quality: float | None) -> dict[str, object]:
    """The controls of format and quality as values of a plan; 0: as the photo."""
    return {"suffix": FORMATS.get(format), "quality": int(quality or 0) or None, "numbered": True}
