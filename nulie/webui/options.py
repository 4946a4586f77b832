"""nulie's settings in the web UI, as data; `scripts/nulie_settings.py` registers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..predictor import NAMES
from ..recipe.settings import Settings

PREFIX = "nulie_"
SECTION = ("nulie", "NUlIE")


@dataclass(frozen=True)
class Control:
    """What the user sets, for good or for an image. The web UI refuses values of a setting whose
    type is not that of the default."""

    name: str
    label: str
    component: str
    """Name of gradio's class."""
    default: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)
    info: str = ""
    reload: bool = False
    """Whether a setting counts from the next Reload UI on."""


def span(low: float, high: float, step: float) -> dict[str, float]:
    """Arguments of a slider."""
    return {"minimum": low, "maximum": high, "step": step}


OPTIONS = (
    Control(
        "predictor", "Predictor (who judges)", "Dropdown", "auto", {"choices": ["auto", *NAMES]},
        "auto: clip-sac; where its 1.7 GB of weights cannot be had, retouch (2.4 MB) or statistics",
    ),
    Control(
        "weights", "Folder with weights of predictors", "Textbox", "", {},
        "looked into first; then the models folder, then the usual caches; else they are downloaded"
        " when they are first needed",
    ),
    Control(
        "device", "Device", "Dropdown", "auto", {"choices": ["auto", "cuda", "mps", "cpu"]},
        "auto: the web UI's own",
    ),
    Control(
        "keep", "Keep the predictor in memory between runs", "Checkbox", True, {},
        "off: it is loaded anew each time",
    ),
    Control(
        "make_room",
        "Move the checkpoint out of video memory during a search where there is too little",
        "Checkbox", True, {}, "takes seconds each time",
    ),
    Control(
        "seconds", "Seconds to search by default", "Slider", Settings().seconds, span(1, 120, 1),
        reload=True,
    ),
    Control(
        "folder", "Folder for the results of the NUlIE tab", "Textbox", "", {},
        "empty: a folder nulie beside the results of Extras",
    ),
    Control(
        "format", "Format of the results of the NUlIE tab", "Dropdown", "as the photo",
        {"choices": ["as the photo", "PNG", "JPEG", "WebP", "TIFF"]}, reload=True,
    ),
)  # fmt: skip


def default(name: str) -> Any:
    """Raises: KeyError on an unknown name."""
    return {option.name: option.default for option in OPTIONS}[name]
