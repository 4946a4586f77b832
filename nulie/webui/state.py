"""The web UI's state: what it shows meanwhile, and whether the user has pressed a stop button."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image

from .host import WebUI

Show = Callable[[float, str, Image.Image | None], None]
"""Takes the share of the work that is done, a line of text, a picture where there is a new one."""


def stopped(webui: WebUI) -> bool:
    """Whether the user has pressed Interrupt or Skip."""
    state = webui.shared.state
    return bool(state.interrupted or state.skipped)


def stopping(webui: WebUI) -> bool:
    """Whether the user has pressed Interrupt once, where that means "after this image"."""
    return bool(getattr(webui.shared.state, "stopping_generation", False))


def show(webui: WebUI, share: float, text: str = "", image: Image.Image | None = None) -> None:
    """Moves the progress bar within the present job; shows a line, a picture."""
    state = webui.shared.state
    state.sampling_steps, state.sampling_step = 1000, round(1000 * min(1.0, max(0.0, share)))
    if text:
        state.textinfo = text
    if image is not None and getattr(webui.shared.opts, "live_previews_enable", True):
        state.assign_current_image(image)


@contextmanager
def bar(webui: WebUI, number: int = 0, count: int = 1) -> Iterator[Show]:
    """The bar for one image of `count` within a part of a job that the web UI has counted as done
    already: it counts an image of Extras before it begins, and a batch of generated images once it
    is sampled. The bar goes over that part again, for a higher count of parts would change what
    Interrupt means."""
    state = webui.shared.state
    before = state.textinfo, state.sampling_steps
    state.job_no -= 1
    try:
        yield lambda share, text, image: show(webui, (number + share) / count, text, image)
    finally:
        state.job_no += 1
        state.textinfo, state.sampling_steps = before
        state.sampling_step = 0
