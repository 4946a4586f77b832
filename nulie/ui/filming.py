"""A video on the page: its shots are looked at first, then the whole is made of what was found."""

from __future__ import annotations

from collections.abc import Generator
from html import escape
from pathlib import Path

from ..drawing import shots
from ..jobs import video
from ..jobs.events import Ended, Event, Loading, Noted, Standing
from ..jobs.host import Host as JobHost
from ..jobs.inputs import Item, is_film
from ..jobs.plan import Plan
from ..jobs.video import Film
from ..video import film
from .compat import address, link
from .running import BatchRun, Run

LOOK, MAKE, ALL = "Look at its shots", "Make the whole video", "Enhance all"
"""What the button does with one video, with one that was looked at, with anything else."""


class FilmLook(Run):
    """A search for each shot; `film` is what came of it, once it is over."""

    def __init__(self, item: Item, plan: Plan, host: JobHost) -> None:
        super().__init__()
        self.item = item
        self.film: Film | None = None
        self.notes: list[str] = []
        self._plan, self._host = plan, host
        self._latest = Loading(item, plan.judge)

    def events(self) -> Generator[Event, None, None]:
        self.film = yield from film.look(self.item, self._plan, self._host, cancel=self.cancel)

    def see(self, event: Event | Standing | Ended) -> None:
        if isinstance(event, Noted):
            self.notes.append(event.text)

    def recipe(self) -> str:
        """What was found, as a plan takes it."""
        return video.to_text(self.film.shots) if self.film is not None else ""


def only_film(items: list[Item]) -> Item | None:
    """The one video that is there, where there is nothing else."""
    return items[0] if len(items) == 1 and is_film(Path(items[0].file_name)) else None


def shown(look: FilmLook) -> str:
    """Its shots, before and after."""
    notes = "".join(f'<p class="nulie-note">{escape(text)}</p>' for text in look.notes)
    return notes + shots(look.film) if look.film is not None else notes


def result(run: BatchRun) -> str | None:
    """The video that is all a run has written, to be played and downloaded; None of others."""
    if len(run.written) != 1 or not is_film(run.written[0]):
        return None
    path = run.written[0]
    named = link(path, f"Download {path.name}", style="nulie-download")
    return f'<video controls preload="metadata" src="{address(path)}"></video><p>{named}</p>'
