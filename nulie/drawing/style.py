"""The look, in one string that goes into the page as a style element. Colors are the host's."""

from __future__ import annotations

from pathlib import Path

CSS = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
