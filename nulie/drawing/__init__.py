"""HTML and SVG that the page and the report share. Knows no gradio; everything is escaped here."""

from .compare import compare, picture
from .curve import curve
from .pictures import DataImage, embed
from .report import report
from .rows import Row, history, table
from .style import CSS
from .thumbs import Thumb, thumbs
from .tree import tree
from .words import cost, terms_table

__all__ = [
    "CSS",
    "DataImage",
    "Row",
    "Thumb",
    "compare",
    "cost",
    "curve",
    "embed",
    "history",
    "picture",
    "report",
    "table",
    "terms_table",
    "thumbs",
    "tree",
]
