"""How a search grows: changes of good recipes, what a surrogate hopes of them, shorter ones."""

from .evaluate import Evaluate, Scored
from .grow import Node, Tree
from .shorten import shorten

__all__ = ["Evaluate", "Node", "Scored", "Tree", "shorten"]
