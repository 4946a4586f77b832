"""What differs between gradio 3.41, 4.40 and 6, at one place."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import gradio as gr

OWN = "nulie-"
"""Start of the name of a folder for uploads that is ours alone."""
MAJOR = int(gr.__version__.split(".")[0])
_HERE = str(Path(__file__).parent)
_log = logging.getLogger(__name__)
HIDDEN: Any = "hidden" if MAJOR >= 6 else False
"""Value of `visible` for what is not seen, but there: scripts press it."""


def quiet(*, queue: bool = True, latest: bool = False, many: bool = False) -> dict[str, Any]:
    """Options of an event: no spinner over its outputs, no entry in the API.

    `latest`: of events that come faster than they can be handled, only the last counts. `many`:
    visitors do not wait for each other (newer gradio lets one at a time run by default)."""
    options: dict[str, Any] = {"show_progress": "hidden", "queue": queue}
    options |= {"api_visibility": "private"} if MAJOR >= 6 else {"api_name": False}
    if latest and MAJOR >= 4:
        options["trigger_mode"] = "always_last"
    if many and MAJOR >= 4:
        options["concurrency_limit"] = None
    return options


def on(events: Sequence[Any], act: Callable[..., Any] | None, *args: Any, **options: Any) -> None:
    """Each of the events calls `act`: one entry of the page where gradio can, which is lighter."""
    if MAJOR >= 4:
        gr.on(list(events), act, *args, **options)
    else:
        for event in events:
            event(act, *args, **options)


def uploads(value: Any, *, once: bool = False) -> list[tuple[Path, str]]:
    """Path and original name of each file of a File component's value.

    `once`: they are read but once; gradio 3.41 gives copies, whose originals go at once."""
    files = []
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        path = str(getattr(item, "name", item))
        original = str(getattr(item, "orig_name", None) or path)
        if once and original != path:
            forget(Path(original))
        files.append((Path(path), Path(original).name))
    return files


def upload_folder() -> Path:
    """Where gradio puts uploads."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")


def forget(path: Path) -> None:
    """Deletes an upload that has been read, if it lies where gradio puts uploads."""
    folder = upload_folder()
    with suppress(OSError, ValueError):
        if path.resolve().is_relative_to(folder.resolve()):
            path.unlink()
            path.parent.rmdir()
            if folder.name.startswith(OWN):
                # gradio makes an empty file for each upload, and forgets it.
                for stray in folder.glob("tmp*"):
                    if stray.is_file() and not stray.stat().st_size:
                        stray.unlink()


def here(text: str) -> str:
    """A message without remedies that are options of the command line."""
    parts = [part for part in text.split("; ") if " --" not in part]
    if " --predictor" in text:
        parts.append("others can be chosen under Predictor and seed")
    return "; ".join(parts)


def address(path: Path) -> str:
    """Of a file of the results folder, for an attribute."""
    # Relative, so that it holds behind a proxy and inside another page.
    route = "gradio_api/file=" if MAJOR >= 5 else "file="
    return escape(route + quote(path.resolve().as_posix()))


def link(path: Path, text: str, *, style: str = "") -> str:
    """A link that downloads a file of the results folder."""
    return (
        f'<a class="{style}" href="{address(path)}" download="{escape(path.name)}" target="_blank"'
        f' rel="noopener">{escape(text)}</a>'
    )


def theme() -> Any:
    """The default one, without its fonts, which would come from another server, and with colours
    that can be told from what is behind them."""
    looks = {
        "body_text_color_subdued": ("*neutral_600", "*neutral_300"),
        "block_info_text_color": ("*neutral_600", "*neutral_300"),
        "input_placeholder_color": ("*neutral_500", "*neutral_400"),
        "link_text_color": ("*primary_700", "*primary_300"),
        "button_primary_background_fill": ("*primary_700", "*primary_700"),
        "button_primary_background_fill_hover": ("*primary_800", "*primary_600"),
        "button_primary_text_color": ("white", "white"),
        "button_cancel_background_fill": ("#b91c1c", "#b91c1c"),
        "button_cancel_text_color": ("white", "white"),
    }
    dark = {f"{name}_dark": color for name, (_, color) in looks.items()}
    light = {name: color for name, (color, _) in looks.items()}
    fonts: Any = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
    return gr.themes.Default(**fonts).set(color_accent="*primary_600", **light, **dark)


def blocks(title: str, look: Any = None) -> Any:
    options = {"theme": look or theme()} if MAJOR < 6 else {}
    return gr.Blocks(analytics_enabled=False, title=title, **options)


def script(code: str) -> dict[str, Any]:
    """The option of an event that has the browser run a function before the server's."""
    return {"js" if MAJOR >= 4 else "_js": code}


def take_over() -> None:
    """In a process that is the page's alone: handlers get whatever a request says, if only of the
    right type, since gradio has an error of its own for each number out of range; and what it finds
    wrong with a request is a line in the log, unless it comes from a handler."""
    for kind, read in _READ.items():
        kind.preprocess = lambda self, value, read=read: read(value)
    lenient = SimpleNamespace(**{**vars(traceback), "print_exc": _complain})
    for name in ("blocks", "queueing", "routes", "utils"):
        module: Any = import_module(f"gradio.{name}")
        if hasattr(module, "traceback"):
            module.traceback = lenient


def _complain(*_: Any, **__: Any) -> None:
    kind, error, trace = sys.exc_info()
    if any(frame.filename.startswith(_HERE) for frame in traceback.extract_tb(trace)):
        traceback.print_exc()
    else:
        _log.warning("%s: %.200s", getattr(kind, "__name__", ""), error)


def _number(value: Any) -> float | None:
    """None for what is no number, as for an emptied field."""
    return value if isinstance(value, (int, float)) and abs(value) < 1e300 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


_READ: dict[Any, Callable[[Any], Any]] = {
    **dict.fromkeys((gr.Number, gr.Slider), _number),
    **dict.fromkeys((gr.Textbox, gr.Dropdown, gr.Radio), _text),
    **{gr.CheckboxGroup: _texts, gr.Checkbox: bool},
}
"""What reads the values of components."""
