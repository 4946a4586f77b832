"""How a search grows: changes of good recipes, what a surrogate hopes of them, shorter ones."""

from .grow import Tree
from .node import Evaluate, Node, Scored
from .shorten import shorten
from .state import nodes

__all__ = ["Evaluate", "Node", "Scored", "Tree", "nodes", "shorten"]
