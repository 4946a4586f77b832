"""Several photos: a search for each, or one recipe for all."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from .. import image_io
from ..drawing import Shown, shown
from ..engine.objective import Objective, Terms
from ..errors import ImageError, NulieError, RecipeError
from ..image_io import Photo
from ..predictor import exact_form
from ..recipe import Recipe
from ..recipe.settings import Settings
from ..transforms import check, describe, render
from ..transforms.preview import shrink
from . import saving, words
from .compat import link, quiet, uploaded
from .host import Host
from .opened import Opened
from .options import Options
from .running import Outcome, Run
from .session import Session, Sessions
from .single import INTERVAL, check_upload

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"))
SEARCH, APPLY = "search for each photo", "one recipe for all"
THUMB = 96

_Told = tuple[str, float, str]
"""What to say meanwhile, how much of the photo is done, the token of its run."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """What is the same for all photos of a batch."""

    settings: Settings
    predictor: str
    recipe: Recipe | None
    """The one for all; None: a search for each."""
    into: Callable[[], Path]
    """The folder for them, which is made when it is first asked for."""
    format: str
    quality: int
    stop: threading.Event


@dataclass
class _Row:
    """A photo of the batch and what became of it."""

    name: str
    state: str = "waiting"
    thumb: Shown | None = None
    before: float | None = None
    after: float | None = None
    recipe: Recipe | None = None
    path: Path | None = None


class Batch:
    """The tab of several photos."""

    def __init__(self, host: Host, state: Any, sessions: Sessions, options: Options) -> None:
        self._host = host
        self._state = state
        self._sessions = sessions
        self._options = options

    def build(self) -> None:
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                self.files = gr.File(
                    label="Photos", file_count="multiple", elem_id="nulie_batch_files", height=160
                )
                self.folder = gr.Textbox(
                    label="Or a folder on the server",
                    elem_id="nulie_batch_folder",
                    visible=self._host.folders,
                )
                self.what = gr.Radio(
                    choices=[SEARCH, APPLY], value=SEARCH, label="What to do",
                    elem_id="nulie_batch_what",
                )  # fmt: skip
                self.recipe = gr.Textbox(
                    label="Recipe for all (JSON; empty: the one on the Photo tab)",
                    elem_id="nulie_batch_recipe",
                    lines=2,
                    visible=False,
                )
                with gr.Row():
                    self.format = gr.Dropdown(
                        choices=list(saving.FORMATS),
                        value=self._host.format,
                        label="Format of all",
                        elem_id="nulie_batch_format",
                        min_width=140,
                    )
                    self.quality = gr.Number(
                        value=0, precision=0, minimum=0, maximum=100, min_width=140,
                        label="Quality (0: as the photo)", elem_id="nulie_batch_quality",
                    )  # fmt: skip
                with gr.Row():
                    self.run = gr.Button(
                        "Enhance all", variant="primary", elem_id="nulie_batch_run"
                    )
                    self.stop = gr.Button(
                        "Stop", variant="stop", elem_id="nulie_batch_stop", interactive=False
                    )
                gr.HTML(
                    '<p class="nulie-note">Mode, seconds for each photo, guards, predictor and'
                    " operations are those of the Photo tab.</p>"
                )
            with gr.Column(scale=2, min_width=340):
                self.status = gr.HTML(words.status(""), elem_id="nulie_batch_status")
                self.table = gr.HTML("", elem_id="nulie_batch_table")
                self.zip = gr.HTML("", elem_id="nulie_batch_zip")

    def connect(self) -> None:
        self.run.click(
            self._on_run,
            [
                *(self._state, self.files, self.folder, self.what, self.recipe),
                *(self.format, self.quality, *self._options.inputs),
            ],
            [self._state, self.status, self.table, self.zip, self.run, self.stop],
            **quiet(many=True),
        )
        self.stop.click(self._on_stop, [self._state], None, **quiet(queue=False))
        self.what.input(
            lambda what: gr.update(visible=what == APPLY),
            [self.what],
            [self.recipe],
            **quiet(queue=False),
        )

    def _on_stop(self, session: Session | None) -> None:
        if session is not None:
            session.stop()

    def _on_run(
        self,
        session: Session | None,
        files: Any,
        folder: str,
        what: str,
        recipe_text: str,
        format: str,
        quality: float,
        *values: Any,
    ) -> Iterator[dict[Any, Any]]:
        session = self._sessions.touch(session)
        stop = threading.Event()
        try:
            items = self._items(files, folder)
            settings, predictor = self._options.read(values)
            recipe = self._recipe(session, recipe_text) if what == APPLY else None
            with session.lock:
                if session.batch_stop is not None:
                    raise ImageError("a batch of yours is under way; stop it first")
                session.batch_stop = stop
        except NulieError as e:
            yield {self._state: session, self.status: words.error(str(e))}
            return
        rows = [_Row(name) for _, name in items]
        into = cache(lambda: saving.new_folder(self._host, session, "batch"))
        try:
            plan = _Plan(
                settings, predictor, recipe, into, format, int(quality or 0), stop
            )  # fmt: skip
            yield {
                self._state: session,
                self.zip: "",
                self.run: gr.update(interactive=False),
                self.stop: gr.update(interactive=True),
                self.table: _table(rows),
            }
            for number, ((path, _), row) in enumerate(zip(items, rows, strict=True)):
                if self._stopped(stop):
                    break
                row.state = "under way"
                yield {self.table: _table(rows)}
                lead = f"{number + 1} of {len(rows)}, {row.name}: "
                try:
                    for line, part, token in self._one(session, path, row, plan):
                        share = (number + part) / len(rows)
                        said = words.status(lead + line, share=share, token=token)
                        yield {self.status: said}
                except NulieError as e:
                    row.state = str(e)
                except Exception as e:
                    _log.exception("batch: %s", row.name)
                    row.state = f"failed ({type(e).__name__}: {e})"
                yield {self.table: _table(rows)}
        finally:
            session.batch_stop = None
            if session.batch_run is not None:  # the page was closed
                session.batch_run.stop(drop=True)
                session.batch_run = None
        yield self._ended(rows, stopped=self._stopped(stop))

    def _stopped(self, stop: threading.Event) -> bool:
        return stop.is_set() or self._host.interrupted()

    @staticmethod
    def _recipe(session: Session, text: str) -> Recipe:
        """The one for all. Raises: RecipeError."""
        recipe = check(Recipe.from_json(text)) if text.strip() else session.recipe
        if not recipe.steps:
            raise RecipeError("no recipe yet; write one here, or make one on the Photo tab")
        return recipe

    def _ended(self, rows: list[_Row], *, stopped: bool) -> dict[Any, Any]:
        done = [row.path for row in rows if row.path]
        for row in rows:
            if row.state == "waiting":
                row.state = "not begun"
        text = f"{len(done)} of {len(rows)} photos done" + (", then stopped" if stopped else "")
        updates = {
            self.status: words.status(text),
            self.table: _table(rows),
            self.run: gr.update(interactive=True),
            self.stop: gr.update(interactive=False),
        }
        if done:
            try:
                archive = _zipped(done)
            except OSError as e:
                updates[self.status] = words.error(
                    f"{done[0].parent}: no zip ({e.strerror}); {text}"
                )
            else:
                named = f"Download all as {archive.name}"
                self._host.saved(archive)
                updates[self.zip] = f"<p>{link(archive, named, style='nulie-download')}</p>"
        return updates

    def _items(self, files: Any, folder: str) -> list[tuple[Path, str]]:
        found = uploaded(files)
        if self._host.folders and (folder or "").strip():
            found += [(p, p.name) for p in _pictures(Path(folder.strip()).expanduser())]
        if not found:
            raise ImageError("no photos yet; drop some first")
        return [(path, saving.safe_name(name)) for path, name in found]

    def _one(self, session: Session, path: Path, row: _Row, plan: _Plan) -> Iterator[_Told]:
        """One photo from file to file."""
        check_upload(path, row.name)
        photo = image_io.load(path, name=row.name)
        yield "read", 0.0, ""
        if plan.recipe is not None:
            image = render(plan.recipe, photo.pixels)
            marks = yield from self._marks(photo, image, plan)
            if marks is None:
                row.state = "stopped"
                return
            base, terms, by = marks
            row.before, row.after, row.recipe = base.score, terms.score, plan.recipe
        else:
            outcome = yield from self._search(session, photo, row, plan)
            if outcome is None:
                row.state = "stopped"
                return
            best = outcome.variants[0] if outcome.variants else None
            row.before = outcome.base.score
            row.after = best.terms.score if best else row.before
            row.recipe = best.recipe if best else Recipe()
            image = render(row.recipe, photo.pixels)
            by = outcome.predictor
        row.thumb = shown(image, photo, THUMB)
        row.path = self._write(photo, path, image, row, plan, by)
        self._host.saved(row.path)
        row.state = "done"

    def _search(
        self, session: Session, photo: Photo, row: _Row, plan: _Plan
    ) -> Generator[_Told, None, Outcome | None]:
        run = Run(Opened.of(photo, row.name), plan.settings, plan.predictor, self._host)
        session.batch_run = run
        run.start()
        try:
            while not run.wait(INTERVAL):
                state = run.state()
                share = words.share(state, plan.settings)
                self._host.progress(share, f"nulie: {row.name}", None)
                yield words.progress(state, plan.settings, run.stopping), share, state.token
        finally:
            run.stop(drop=run.outcome is None)
            session.batch_run = None
        if run.left:
            plan.stop.set()
        if run.error:
            raise ImageError(run.error)
        return run.outcome

    def _marks(
        self, photo: Photo, changed: Image.Image, plan: _Plan
    ) -> Generator[_Told, None, tuple[Terms, Terms, str] | None]:
        """Marks of a photo and of a picture made from it, and who gave them, when its turn has
        come; None when stopped before. Yields what to say meanwhile.

        Raises: ModelError, WeightsError."""
        predictor, _ = self._host.predictor(plan.predictor, None)
        exact = exact_form(predictor)
        ticket = self._host.line.join(str(predictor.device))
        try:
            while not ticket.wait(INTERVAL):
                if self._stopped(plan.stop):
                    return None
                yield words.waiting(ticket.place()), 0.0, ""
            with self._host.turn():
                small = [
                    shrink(i, exact.input_size).to(exact.device) for i in (photo.pixels, changed)
                ]
                objective = Objective(exact, small[0], plan.settings)
                return objective.base, objective(small[1][None])[0], predictor.name
        finally:
            ticket.leave()

    def _write(self, photo: Photo, path: Path, image: Any, row: _Row, plan: _Plan, by: str) -> Path:
        assert row.recipe is not None
        score = {"before": row.before, "after": row.after, "by": by}
        into = plan.into()
        target = image_io.default_output(Path(row.name), into, photo=photo)
        as_it_is = not row.recipe.steps and plan.format == saving.AS_IT_CAME
        if as_it_is and image_io.same_format(photo, target) and not target.exists():
            # Encoding anew would lose for nothing.
            return Path(shutil.copyfile(path, target))
        return saving.save(
            photo,
            row.name,
            image,
            row.recipe,
            into,
            score=score,
            format=plan.format,
            quality=plan.quality,
        )


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, without nulie's own results. Raises: ImageError."""
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as e:
        raise ImageError(f"{folder}: no folder that can be read ({e.strerror})") from None
    inputs = [p for p in found if not re.search(r"_nulie(_\d+)?$", p.stem)]
    if not inputs:
        raise ImageError(f"{folder}: no photos in this folder")
    return inputs


def _zipped(paths: list[Path]) -> Path:
    """Beside them. Stored, not compressed: pictures are so already."""
    into = paths[0].parent
    archive = into / f"nulie-{into.name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in paths:
            file.write(path, path.name)
    return archive


def _table(rows: list[_Row]) -> str:
    body = []
    for row in rows:
        thumb = f'<img src="{row.thumb.uri}" alt="">' if row.thumb else ""
        before = f"{row.before:.2f}" if row.before is not None else ""
        after = f"{row.after:.2f}" if row.after is not None else ""
        what = link(row.path, row.path.name) if row.path else escape(row.name)
        said = describe(row.recipe) if row.recipe is not None else row.state
        body.append(
            f'<tr><td class="nulie-pic">{thumb}</td><th scope="row">{what}<br>'
            f"<small>{escape(said)}</small></th><td>{before}</td><td>{after}</td></tr>"
        )
    return (
        '<table class="nulie-terms"><thead><tr><th></th><th scope="col">photo</th>'
        '<th scope="col">before</th><th scope="col">after</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
