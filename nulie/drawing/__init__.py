"""HTML and SVG that the page and the report share. Knows no gradio; everything is escaped here."""

from .compare import compare, picture
from .curve import curve
from .pictures import Shown, shown
from .report import report
from .style import CSS
from .tree import tree
from .words import terms_table

__all__ = [
    "CSS",
    "Shown",
    "compare",
    "curve",
    "picture",
    "report",
    "shown",
    "terms_table",
    "tree",
]
