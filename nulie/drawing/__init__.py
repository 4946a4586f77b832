"""HTML and SVG that the page and the report share. Knows no gradio; everything is escaped here."""

from .compare import compare, picture
from .curve import curve
from .pictures import Shown, shown
from .report import report
from .rows import Row, history, table
from .style import CSS
from .thumbs import Thumb, thumbs
from .tree import tree
from .words import spent, terms_table

__all__ = [
    "CSS",
    "Row",
    "Shown",
    "Thumb",
    "compare",
    "curve",
    "history",
    "picture",
    "report",
    "shown",
    "spent",
    "table",
    "terms_table",
    "thumbs",
    "tree",
]
