"""What the page must know of the program that shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..jobs.queue import LINE, Line
from ..predictor import NAMES
from ..recipe.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from ..models.download import Progress
    from ..predictor.base import Predictor


def shared_predictor(name: str, progress: Progress | None = None) -> tuple[Predictor, str]:
    """That of this process, on the best device."""
    from ..predictor.loaded import PREDICTORS

    return PREDICTORS.get(name, progress=progress)


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
    predictors: tuple[str, ...] = ("auto", *NAMES)
    predictor: Callable[[str, Progress | None], tuple[Predictor, str]] = shared_predictor
    """Name to a loaded predictor and what to tell of the choice; told how far a download is. Called
    by the search's thread."""
    line: Line = LINE
    """Where searches wait for their device."""
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered by the thread of a search while it runs: the host's own lock, its job's start and
    end."""
    interrupted: Callable[[], bool] = lambda: False
    """Polled during a search: whether the host wants it to end with the best so far."""
    progress: Callable[[float, str, Image.Image | None], None] = lambda share, text, image: None
    """Told during a search: share done, a line of text, the best preview where it is a new one."""
    format: str = "as the photo"
    """First choice of the format to save in; one of `saving.FORMATS`."""
    saved: Callable[[Path], None] = lambda path: None
    """Told of each file that was written, so that the server can let it be fetched."""
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

    def results_folder(self) -> Path:
        return Path(self.results() if callable(self.results) else self.results)
