"""HTML and SVG that the page and the report share. Knows no gradio; everything is escaped here."""

from .curve import curve
from .pictures import DataImage, Thumb, compare, embed, encode, picture, thumbs
from .report import CSS, film_report, report, shots
from .tables import Row, cost, history, table, terms_table
from .tree import tree

__all__ = [
    "CSS", "DataImage", "Row", "Thumb", "compare", "cost", "curve", "embed", "encode",
    "film_report", "history", "picture", "report", "shots", "table", "terms_table", "thumbs",
    "tree",
]  # fmt: skip
