"""The single photo: drop, enhance, choose, touch up, keep."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from .. import image_io
from ..drawing import compare, curve, picture, terms_table
from ..errors import ImageError, NulieError
from ..recipe import Recipe
from ..transforms import check, describe, render
from . import saving, words
from .compat import HIDDEN, forget, link, quiet, script, uploaded
from .host import Host
from .opened import Opened
from .options import Options
from .running import Outcome, Run
from .session import Saved, Session, Sessions
from .touchup import MOST_STEPS, Steps

LARGEST_UPLOAD = 300
"""Megabytes; a TIFF of the largest picture that is read may be more, but not a photo."""
INTERVAL = 0.25
"""Seconds between two live updates."""
HISTORY = 30

_log = logging.getLogger(__name__)


class Single:
    """The tab of a single photo. `build` makes the components, `connect` gives them life."""

    def __init__(self, host: Host, state: Any, sessions: Sessions, options: Options) -> None:
        self._host = host
        self._state = state
        self._sessions = sessions
        self._options = options
        self._steps = Steps()

    def build(self) -> None:
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                self._build_input()
            with gr.Column(scale=2, min_width=340):
                self._build_view()
        if self._host.targets:
            self._build_exchange()

    def _build_input(self) -> None:
        self.file = gr.File(
            label="Photo (JPEG, PNG, WebP, TIFF, ...)",
            file_count="single",
            elem_id="nulie_photo",
            height=150,
        )
        self._options.first()
        with gr.Row():
            self.enhance = gr.Button("Enhance", variant="primary", elem_id="nulie_enhance")
            self.stop = gr.Button("Stop", variant="stop", elem_id="nulie_stop", interactive=False)
        self._options.more()

    def _build_view(self) -> None:
        self.view = gr.HTML(words.EMPTY, elem_id="nulie_view")
        self.status = gr.HTML("", elem_id="nulie_status")
        with gr.Row(visible=False, elem_id="nulie_keep") as self.keep:
            self.save = gr.Button("Save at full size", variant="primary", elem_id="nulie_save")
            self.again = gr.Button("Use result as input", elem_id="nulie_output_to_input")
        self.saved = gr.HTML("", elem_id="nulie_saved", visible=False)
        self.curve = gr.HTML("", elem_id="nulie_curve", visible=False)
        self.thumbs = gr.HTML("", elem_id="nulie_variants", visible=False)
        self.variant = gr.Radio(
            choices=[], label="Variant shown", visible=False, elem_id="nulie_variant"
        )
        self.words = gr.HTML("", elem_id="nulie_words", visible=False)
        with gr.Accordion(
            "Touch up", open=False, visible=False, elem_id="nulie_touchup"
        ) as self.touchup:
            self._steps.build()
        with gr.Accordion(
            "Recipe as a file", open=False, elem_id="nulie_recipe_box", visible=False
        ) as self.recipe_box:
            self.recipe = gr.Textbox(
                label="Recipe (JSON)", lines=3, elem_id="nulie_recipe", interactive=True
            )
            with gr.Row():
                self.apply = gr.Button("Apply this recipe", elem_id="nulie_recipe_apply")
                gr.HTML(words.COPY)
            self.recipe_file = gr.File(
                label="Apply a recipe file (JSON, or a picture saved by nulie)",
                elem_id="nulie_recipe_file",
                height=140,
            )
        with gr.Accordion(
            "Format and history", open=False, elem_id="nulie_format_box", visible=False
        ) as self.format_box:
            with gr.Row():
                self.format = gr.Dropdown(
                    choices=list(saving.FORMATS),
                    value=self._host.format,
                    label="Format to save as",
                    elem_id="nulie_format",
                )
                self.quality = gr.Slider(
                    0, 100, value=0, step=1, elem_id="nulie_quality",
                    label="Quality of JPEG, WebP, AVIF (0: as the photo, at least 90)",
                )  # fmt: skip
            if self._host.open_folder:
                self.open = gr.Button("Open the results folder", elem_id="nulie_open_folder")
            self.history = gr.HTML("", elem_id="nulie_history")
        with gr.Accordion(
            "How it was found", open=False, visible=False, elem_id="nulie_how"
        ) as self.how:
            self.terms = gr.HTML("", elem_id="nulie_terms")
            self.climb = gr.HTML("", elem_id="nulie_climb")
            self.tree = gr.HTML("", elem_id="nulie_tree")

    def _build_exchange(self) -> None:
        """What the page around needs; the page on its own has none of it."""
        with gr.Row(elem_id="nulie_host_buttons"):
            self.send = {
                target: gr.Button(f"Send to {target}", elem_id=f"nulie_send_to_{target}")
                for target in self._host.targets
            }
        self.note = gr.Textbox("", elem_id="nulie_note", label="nulie note", visible=HIDDEN)
        self.take = gr.Button("nulie take", elem_id="nulie_take", visible=HIDDEN)

    @property
    def _results(self) -> list[Any]:
        """What changes with a new result, beside the view."""
        return [
            *(self.view, self.status, self.keep, self.thumbs, self.variant, self.words),
            *(self.touchup, self.recipe_box, self.format_box, self.recipe, self.how),
            *(self.terms, self.climb, self.tree, self.curve, *self._steps.outputs),
        ]

    def connect(self) -> None:
        state, host = self._state, self._host
        self.file.upload(
            self._on_file,
            [state, self.file],
            [state, self.file, self.saved, *self._results],
            **quiet(many=True),
        )
        self.enhance.click(
            self._on_enhance,
            [state, *self._options.inputs],
            [state, self.view, self.status, self.curve, self.enhance, self.stop],
            **quiet(many=True),
        ).then(self._on_finished, [state], self._results, **quiet(many=True))
        self.stop.click(self._on_stop, [state], None, **quiet(queue=False))
        self.variant.input(
            self._on_variant,
            [state, self.variant],
            [*self._shown, self.terms, *self._steps.outputs],
            **quiet(many=True),
        )
        self._steps.connect(state, self._turned, self._shown)
        self._steps.reset.click(
            self._on_reset, [state], [*self._shown, *self._steps.outputs], **quiet(many=True)
        )
        self.save.click(
            self._on_save,
            [state, self.format, self.quality],
            [self.view, self.status, self.saved, self.history],
            **quiet(many=True),
        )
        self.again.click(
            self._on_again, [state], [state, self.saved, *self._results], **quiet(many=True)
        )
        self.apply.click(
            self._on_apply,
            [state, self.recipe],
            [self.status, *self._shown, *self._steps.outputs],
            **quiet(many=True),
        )
        self.recipe_file.upload(
            self._on_recipe_file,
            [state, self.recipe_file],
            [self.recipe_file, self.status, *self._shown, *self._steps.outputs],
            **quiet(many=True),
        )
        if host.open_folder:
            self.open.click(self._on_open, [state], [self.status], **quiet(many=True))
        if host.targets:
            self._connect_exchange()

    def _connect_exchange(self) -> None:
        state = self._state
        self.take.click(
            self._on_take,
            [state, self.note],
            [state, self.file, self.saved, *self._results],
            **script(words.TICKET),
            **quiet(many=True),
        )
        for target, button in self.send.items():
            button.click(
                partial(self._on_send, target),
                [state],
                [self.note, self.status],
                **quiet(many=True),
            )
        self.note.change(None, [self.note], None, **script(words.SENT), **quiet(queue=False))

    @property
    def _shown(self) -> list[Any]:
        """What follows the recipe on the sliders."""
        return [self.view, self.words, self.recipe]

    # What happens when. Each handler gives updates by component.

    def _on_file(self, session: Session | None, value: Any) -> dict[Any, Any]:
        session = self._sessions.touch(session)
        updates: dict[Any, Any] = {self._state: session, self.file: gr.update(value=None)}
        files = uploaded(value, once=True)
        if not files:
            return {**updates, self.status: words.error("the upload did not arrive; try it again")}
        path, name = files[0]
        name = saving.safe_name(name)
        try:
            check_upload(path, name)
            opened = Opened.of(image_io.load(path, name=name), name)
        except NulieError as e:
            return {**updates, self.status: words.error(str(e))}
        finally:
            forget(path)
        return {**updates, **self._open(session, opened)}

    def _on_take(self, session: Session | None, ticket: str) -> dict[Any, Any]:
        """A picture that comes from the page around."""
        session = self._sessions.touch(session)
        try:
            data = self._host.take(ticket)
            if data is None:
                raise ImageError("the picture did not arrive; send it again")
            photo = image_io.load(io.BytesIO(data), name="the picture")
            opened = Opened.of(photo, "picture.png")
        except NulieError as e:
            return {self._state: session, self.status: words.error(str(e))}
        return {self._state: session, **self._open(session, opened)}

    def _open(self, session: Session, opened: Opened) -> dict[Any, Any]:
        session.clear()
        session.opened = opened
        return {
            self.view: picture(opened.before, "before", size=opened.photo.size),
            self.status: words.about(opened),
            self.saved: _html(""),
            self.keep: gr.update(visible=True),
            self.curve: _html(""),
            self.thumbs: _html(""),
            self.variant: gr.update(choices=[], value=None, visible=False),
            self.how: gr.update(visible=False),
            self.terms: "",
            self.tree: "",
            self.touchup: gr.update(visible=True),
            self.recipe_box: gr.update(visible=True),
            self.format_box: gr.update(visible=True),
            self.words: _html(""),
            self.recipe: gr.update(value=Recipe().to_json()),
            **self._steps.show(Recipe()),
        }

    def _on_enhance(self, session: Session | None, *values: Any) -> Iterator[dict[Any, Any]]:
        session = self._sessions.touch(session)
        try:
            opened = session.need()
            settings, predictor = self._options.read(values)
        except NulieError as e:
            yield {self._state: session, self.status: words.error(str(e))}
            return
        with session.lock:
            if session.run is not None:
                busy = True
            else:
                busy = False
                run = session.run = Run(opened, settings, predictor, self._host)
        if busy:
            yield {self._state: session}
            return
        session.outcome = None
        run.start()
        try:
            yield {
                self._state: session,
                self.status: words.searching(run.state(), settings, False),
                self.enhance: gr.update(interactive=False),
                self.stop: gr.update(interactive=True),
            }
            yield from self._watch(run, opened)
        finally:
            # Also when the page was closed, which shows as GeneratorExit.
            run.stop(drop=run.outcome is None)
            session.run = None
        end: dict[Any, Any] = {
            self.enhance: gr.update(interactive=True),
            self.stop: gr.update(interactive=False),
        }
        if session.opened is opened:
            session.outcome = run.outcome
            if run.error:
                end[self.status] = words.error(run.error)
            elif run.outcome is None:
                end[self.status] = words.status("Stopped before anything was found.")
        yield end

    def _watch(self, run: Run, opened: Opened) -> Iterator[dict[Any, Any]]:
        """Live updates, a few a second, until the run is over."""
        last: Recipe | None = None
        told = -1
        while not run.wait(INTERVAL if told > 0 else 0.05):
            state = run.state()
            if told == 0 == state.evaluations and state.phase == "searching":
                continue
            told = state.evaluations
            updates: dict[Any, Any] = {
                self.status: words.searching(state, run.settings, run.stopping)
            }
            image = None
            if state.phase == "searching":
                updates[self.curve] = _html(curve(run.points(), state.base, state.seconds))
                if state.recipe != last:
                    last = state.recipe
                    image = render(last, opened.small)
                    updates[self.view] = picture(
                        opened.live(last), "best so far", size=opened.photo.size
                    )
            text = f"nulie: {state.evaluations:,} nodes, best {state.best:.2f}"
            self._host.progress(words.share(state, run.settings), text, image)
            yield updates

    def _on_stop(self, session: Session | None) -> None:
        if session is not None:
            session.stop()

    def _on_finished(self, session: Session | None) -> dict[Any, Any]:
        outcome = session.outcome if session else None
        if session is None or outcome is None:
            return {self.words: gr.update()}
        recipe = outcome.variants[0].recipe if outcome.variants else Recipe()
        session.recipe = recipe
        opened = outcome.opened
        best = outcome.variants[0].terms if outcome.variants else outcome.base
        labels = _labels(outcome)
        view = compare(opened.before, outcome.after, size=opened.photo.size)
        if not outcome.variants:
            view = picture(opened.before, "stays as it is", size=opened.photo.size)
        return {
            self.view: view,
            self.status: words.found(outcome),
            self.curve: _html(""),
            self.climb: curve(outcome.points, outcome.base.total, outcome.seconds),
            self.thumbs: _html(_thumbs(outcome) if len(labels) > 1 else ""),
            self.variant: gr.update(
                choices=labels, value=labels[0] if labels else None, visible=len(labels) > 1
            ),
            self.words: _html(words.words(recipe)),
            self.recipe: gr.update(value=recipe.to_json()),
            self.how: gr.update(visible=True),
            self.terms: terms_table(outcome.base, best),
            self.tree: outcome.tree,
            **self._steps.show(recipe),
        }

    def _on_variant(self, session: Session | None, label: str) -> Iterator[dict[Any, Any]]:
        outcome = session.outcome if session else None
        if session is None or outcome is None or label not in (labels := _labels(outcome)):
            yield {self.words: gr.update()}
            return
        variant = outcome.variants[labels.index(label)]
        session.recipe = variant.recipe
        yield {
            **self._turned(session, variant.recipe),
            **self._steps.show(variant.recipe),
            self.terms: terms_table(outcome.base, variant.terms),
        }
        opened = outcome.opened
        yield {
            self.view: compare(
                opened.before, opened.settled(variant.recipe), size=opened.photo.size
            )
        }

    def _turned(self, session: Session | None, recipe: Recipe) -> dict[Any, Any]:
        """The recipe was changed by hand: look at it at once, on the small copy."""
        if session is None or session.opened is None:
            return {self.words: _html(words.error("no photo yet; drop one first"))}
        opened = self._sessions.touch(session).opened
        session.recipe = recipe
        if opened is None:
            return {self.words: _html(words.error("no photo yet; drop one first"))}
        return {
            self.view: compare(opened.quick, opened.live(recipe), size=opened.photo.size),
            self.words: _html(words.words(recipe)),
            self.recipe: gr.update(value=recipe.to_json()),
        }

    def _on_reset(self, session: Session | None) -> dict[Any, Any]:
        outcome = session.outcome if session else None
        recipe = outcome.variants[0].recipe if outcome and outcome.variants else Recipe()
        return {**self._turned(session, recipe), **self._steps.show(recipe)}

    def _on_apply(self, session: Session | None, text: str) -> dict[Any, Any]:
        try:
            recipe = _short_enough(check(Recipe.from_json(text or "")))
        except NulieError as e:
            return {self.status: words.error(str(e))}
        return {
            self.status: words.status("Recipe applied; save it when you like it."),
            **self._turned(session, recipe),
            **self._steps.show(recipe),
        }

    def _on_recipe_file(self, session: Session | None, value: Any) -> dict[Any, Any]:
        updates = {self.recipe_file: gr.update(value=None)}
        for path, name in uploaded(value, once=True):
            try:
                recipe = saving.read_recipe(path, name)
            except NulieError as e:
                return {**updates, self.status: words.error(str(e))}
            finally:
                forget(path)
            return {**updates, **self._on_apply(session, recipe.to_json())}
        return updates

    def _on_save(
        self, session: Session | None, format: str, quality: float
    ) -> Iterator[dict[Any, Any]]:
        try:
            if session is None:
                raise ImageError("no photo yet; drop one first")
            opened, recipe = session.need(), session.recipe
            yield {self.status: words.status("saving at full size")}
            image = render(recipe, opened.photo.pixels)
            path = saving.save(
                opened.photo,
                opened.name,
                image,
                recipe,
                saving.folder(self._host, session),
                score=_score(session, recipe),
                format=format,
                quality=int(quality or 0),
            )
        except NulieError as e:
            yield {self.status: words.error(str(e))}
            return
        self._host.saved(path)
        entry = Saved(path, describe(recipe), opened.live(recipe))
        session.saved = [*session.saved, entry][-HISTORY:]
        size = path.stat().st_size
        after = opened.settled(recipe)
        yield {
            self.view: compare(opened.before, after, size=opened.photo.size),
            self.status: words.status(f"Saved {path.name}, {_bytes(size)}, with its metadata."),
            self.saved: _html(link(path, f"Download {path.name}", style="nulie-download")),
            self.history: _history(session),
        }

    def _on_again(self, session: Session | None) -> dict[Any, Any]:
        """The result is the photo from now on."""
        if session is None or session.opened is None:
            return {self.status: words.error("no photo yet; drop one first")}
        opened, recipe = session.opened, session.recipe
        photo = replace(opened.photo, pixels=render(recipe, opened.photo.pixels))
        updates = self._open(session, Opened.of(photo, opened.name))
        return {self._state: session, **updates}

    def _on_open(self, session: Session | None) -> dict[Any, Any]:
        assert self._host.open_folder is not None
        folder = saving.folder(self._host, session or Session())
        try:
            if not folder.is_dir():
                folder = self._host.results_folder()
                folder.mkdir(parents=True, exist_ok=True)
            self._host.open_folder(folder)
        except OSError as e:
            return {self.status: words.error(f"{folder}: cannot be opened ({e.strerror or e})")}
        return {self.status: words.status(f"The results are in {folder}.")}

    def _on_send(self, target: str, session: Session | None) -> dict[Any, Any]:
        """The result, or the photo as it is, for the page around. The note says whether there is a
        text with it."""
        if session is None or session.opened is None:
            return {self.note: "", self.status: words.error("no photo yet; drop one first")}
        opened, recipe = session.opened, session.recipe
        image = image_io.to_image(
            opened.photo,
            render(recipe, opened.photo.pixels),
            text={"nulie": recipe.to_json()} if recipe.steps else {},
        )
        # Extras has no controls that a text could set.
        text = "" if target == "extras" else opened.photo.metadata.text.get("parameters", "")
        ticket = self._host.give(image, text)
        return {
            self.note: json.dumps({"target": target, "ticket": ticket, "text": bool(text)}),
            self.status: gr.update(),
        }


def _html(text: str) -> Any:
    """Takes no room when it is empty."""
    return gr.update(value=text, visible=bool(text))


def check_upload(path: Path, name: str) -> None:
    """Raises: ImageError when a file is too large to be looked at."""
    try:
        size = os.stat(path).st_size  # noqa: PTH116
    except OSError as e:
        raise ImageError(f"{name}: the upload did not arrive ({e.strerror})") from None
    if size > LARGEST_UPLOAD * 1_000_000:
        raise ImageError(f"{name}: is larger than {LARGEST_UPLOAD} MB; scale it down first")


def _short_enough(recipe: Recipe) -> Recipe:
    if len(recipe) > MOST_STEPS:
        raise ImageError(
            f"the recipe has {len(recipe)} steps, and the page shows {MOST_STEPS} at most"
        )
    return recipe


def _score(session: Session, recipe: Recipe) -> dict[str, Any] | None:
    """The scores of a recipe that the search found; one made by hand has none."""
    outcome = session.outcome
    for variant in outcome.variants if outcome else ():
        if outcome and variant.recipe == recipe and outcome.opened is session.opened:
            before, after = outcome.base.score, variant.terms.score
            return {"before": before, "after": after, "by": outcome.predictor}
    return None


def _labels(outcome: Outcome) -> list[str]:
    return [f"{n}: {v.terms.score:.2f}" for n, v in enumerate(outcome.variants, 1)]


def _thumbs(outcome: Outcome) -> str:
    """The variants as pictures; a click on one is a click on its radio button."""
    buttons = []
    for number, variant in enumerate(outcome.variants):
        click = f"document.querySelectorAll('#nulie_variant input')[{number}].click()"
        shown = outcome.opened.live(variant.recipe)
        said = escape(describe(variant.recipe))
        buttons.append(
            f'<button type="button" class="nulie-thumb" title="{said}" onclick="{escape(click)}">'
            f'<img src="{shown.uri}" alt="variant {number + 1}: {said}">'
            f"{number + 1}: {variant.terms.score:.2f}</button>"
        )
    return f'<div class="nulie-thumbs">{"".join(buttons)}</div>'


def _history(session: Session) -> str:
    rows = [
        f'<div class="nulie-saved"><img src="{saved.thumb.uri}" alt="">'
        f"<span>{link(saved.path, saved.path.name)}<br><small>{escape(saved.words)}</small></span>"
        "</div>"
        for saved in reversed(session.saved)
    ]
    return f"<p><b>Saved so far</b></p>{''.join(rows)}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
