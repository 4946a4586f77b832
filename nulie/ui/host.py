"""What the page must know of the program that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from .. import predictor
from ..errors import ImageError
from ..image_io.read import HAS_AVIF
from ..jobs.host import Host as JobHost
from ..jobs.host import load_from
from ..jobs.names import at_free_name
from ..models.pool import Pool
from ..recipe.settings import Settings
from ..video import film

LARGEST_UPLOAD = 300
"""Megabytes; a TIFF of the largest picture that is read may be more, but not a photo."""

FORMATS = {
    **{"as the photo": None, "PNG": ".png", "JPEG": ".jpg", "WebP": ".webp", "TIFF": ".tif"},
    **({"AVIF": ".avif"} if HAS_AVIF else {}),
}
"""Suffix of results by what the page calls the format."""


def _jobs() -> JobHost:
    """Of a page that has its process to itself: what it loads stays loaded."""
    return JobHost(load=load_from(Pool(predictor.create)))


@dataclass(frozen=True)
class Host:
    """The defaults are those of the page on its own."""

    results: Path | Callable[[], Path]
    """Folder for what is saved; the server must allow it to be fetched from."""
    private: bool = False
    """Whether each visitor's results go into a folder with a name nobody can guess."""
    heading: bool = True
    """Whether the page says what it is."""
    defaults: Settings = field(default_factory=Settings)
    predictors: tuple[str, ...] = ("auto", *predictor.NAMES)
    device: str = "auto"
    """Where predictors work."""
    jobs: JobHost = field(default_factory=_jobs)
    """How predictors are loaded, the line before each device, the program's own lock and stop."""
    progress: Callable[[float, str, Image.Image | None], None] = lambda share, text, image: None
    """Told during a search: share done, a line of text, the best preview where it is a new one."""
    format: str = "as the photo"
    """First choice of the format to save in; one of `FORMATS`."""
    saved: Callable[[Path], None] = lambda path: None
    """Told of each file that was written, so that the server can let it be fetched. Called by any
    thread."""
    open_folder: Callable[[Path], None] | None = None
    """Shows a folder on the server's screen; None hides the button."""
    folders: bool = False
    """Whether a batch may name a folder of the server."""
    targets: tuple[str, ...] = ()
    """Where else results can be sent; each has a button. The page is in a frame then, and the one
    around it has the functions of `javascript/nulie.js`."""
    give: Callable[[Image.Image, str], str] = lambda image, text: ""
    """Keeps a result, with the photo's generation parameters, for the page around; its ticket."""
    take: Callable[[str], bytes | None] = lambda ticket: None
    """The picture's file that the page around has a ticket for; None if it is gone."""
    theme: Any = None
    """gradio's; None: the page's own."""

    @property
    def work(self) -> JobHost:
        """`jobs`, with the page's limit of a file's size, and with videos."""
        return replace(self.jobs, check=check_upload, film=film.process)

    def results_folder(self) -> Path:
        return Path(self.results() if callable(self.results) else self.results)

    def folder(self, own: str) -> Path:
        """Where a visitor's files go whose `own` folder is called that."""
        return self.results_folder() / own if self.private else self.results_folder()

    def new_folder(self, own: str, name: str) -> Path:
        """One for several files, that nobody else has. Raises: ImageError."""

        def make(path: Path) -> Path:
            path.mkdir(parents=True)
            return path

        path = self.folder(own) / time.strftime(f"{name}-%Y%m%d-%H%M%S")
        try:
            return at_free_name(path, make, clash=FileExistsError)
        except OSError as e:
            raise ImageError(f"{path}: cannot be made ({e.strerror})") from None


def form(format: str, quality: float | None) -> dict[str, object]:
    """The controls of format and quality as values of a plan; 0: as the photo."""
    return {"suffix": FORMATS.get(format), "quality": int(quality or 0) or None, "numbered": True}


def check_upload(path: Path, name: str) -> None:
    """Raises: ImageError when a file is too large to be looked at."""
    try:
        size = path.stat().st_size
    except OSError as e:
        raise ImageError(f"{name}: the upload did not arrive ({e.strerror})") from None
    if size > LARGEST_UPLOAD * 1_000_000:
        raise ImageError(f"{name}: is larger than {LARGEST_UPLOAD} MB; scale it down first")
