"""nulie's settings in the web UI, as data; `scripts/nulie_settings.py` registers them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..predictor import NAMES
from ..recipe.settings import Settings

PREFIX = "nulie_"
SECTION = ("nulie", "NUlIE")


@dataclass(frozen=True)
class Option:
    """One setting. The web UI refuses values whose type is not that of the default."""

    key: str
    """Without the prefix."""
    default: Any
    label: str
    component: str
    """Name of gradio's class."""
    arguments: dict[str, Any] = field(default_factory=dict)
    info: str = ""
    reload: bool = False
    """Whether it counts from the next Reload UI on."""


def span(low: float, high: float, step: float) -> dict[str, float]:
    """Arguments of a slider."""
    return {"minimum": low, "maximum": high, "step": step}


OPTIONS = (
    Option(
        "predictor", "auto", "Predictor (who judges)", "Dropdown", {"choices": ["auto", *NAMES]},
        "auto: clip-sac, or statistics where its 1.7 GB of weights cannot be had",
    ),
    Option(
        "weights", "", "Folder with CLIP and head weights", "Textbox", {},
        "looked into first; then the models folder, then the usual caches; else they are downloaded"
        " when they are first needed",
    ),
    Option(
        "device", "auto", "Device", "Dropdown", {"choices": ["auto", "cuda", "mps", "cpu"]},
        "auto: the web UI's own",
    ),
    Option(
        "keep", True, "Keep the predictor in memory between runs", "Checkbox", {},
        "off: it is loaded anew each time",
    ),
    Option(
        "make_room", True,
        "Move the checkpoint out of video memory during a search where there is too little",
        "Checkbox", {}, "takes seconds each time",
    ),
    Option(
        "seconds", Settings().seconds, "Seconds to search by default", "Slider", span(1, 120, 1),
        reload=True,
    ),
    Option(
        "folder", "", "Folder for the results of the NUlIE tab", "Textbox", {},
        "empty: a folder nulie beside the results of Extras",
    ),
    Option(
        "format", "as the photo", "Format of the results of the NUlIE tab", "Dropdown",
        {"choices": ["as the photo", "PNG", "JPEG", "WebP", "TIFF"]}, reload=True,
    ),
)  # fmt: skip


def default(key: str) -> Any:
    """Raises: KeyError on an unknown key."""
    return {option.key: option.default for option in OPTIONS}[key]
