"""`nulie tree FILE`: what a search tried and what it gave, from its checkpoint."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .. import tree
from ..errors import CheckpointError
from ..jobs import checkpoints
from ..recipe import Recipe
from ..tree import Node
from . import arguments

DESCRIPTION = """\
Prints the tree of a checkpoint: each node's score, what its recipe changes in its parent's, and
below it, indented, its children. Nodes that were forgotten are left out; their children hang
from the nearest ancestor that is remembered, or from the input. The best path is marked by *.
"""
EPILOG = "example:\n  nulie tree run.json --dot | dot -Tsvg > run.svg\n"


def parser() -> arguments.Parser:
    parser = arguments.Parser("nulie tree", "FILE [options]", DESCRIPTION, EPILOG)
    parser.add_argument("file", type=Path, help="checkpoint, see nulie --checkpoint")
    parser.add_argument("--dot", action="store_true", help="as a graph for Graphviz")
    most = "best nodes to show (default 200; 0: all)"
    parser.add_argument("--most", type=int, default=200, metavar="N", help=most)
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    checkpoint = checkpoints.read(options.file)
    try:
        shown = _choose(tree.nodes(checkpoint.tree), options.most)
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{options.file}: the checkpoint's tree is damaged: {e!r}") from None
    print("\n".join(_dot(shown) if options.dot else _text(shown)))
    return 0


def _choose(nodes: list[Node], most: int) -> dict[int, Node]:
    """The best nodes by number with all their remembered ancestors, and the input as number 0."""
    by_number = {node.number: node for node in nodes}
    by_number.setdefault(0, Node(Recipe(), math.nan, -1, 0))
    chosen = {0: by_number[0]}
    for node in sorted(nodes, key=lambda n: -n.score)[: most or None]:
        at: Node | None = node
        while at is not None and at.number not in chosen:
            chosen[at.number] = at
            at = by_number.get(at.parent)
    return {
        number: node if number == 0 or node.parent in chosen else replace(node, parent=0)
        for number, node in chosen.items()
    }


def _best_path(nodes: dict[int, Node]) -> set[int]:
    best = max(nodes.values(), key=lambda n: -math.inf if math.isnan(n.score) else n.score)
    at, path = best.number, {best.number}
    while at != 0:
        at = nodes[at].parent
        path.add(at)
    return path


def _text(nodes: dict[int, Node]) -> Iterator[str]:
    best = _best_path(nodes)
    children: defaultdict[int, list[Node]] = defaultdict(list)
    for node in sorted(nodes.values(), key=lambda n: -n.score):
        if node.number != 0:
            children[node.parent].append(node)
    waiting = [(0, nodes[0])]
    while waiting:
        depth, node = waiting.pop()
        mark = "*" if node.number in best else " "
        yield f"{mark} {node.score:8.4f}  {'  ' * depth}{_words(node, nodes)}"
        waiting += [(depth + 1, child) for child in reversed(children[node.number])]


def _dot(nodes: dict[int, Node]) -> Iterator[str]:
    best = _best_path(nodes)
    yield 'digraph nulie {\n  rankdir=LR;\n  node [shape=box, fontname="sans-serif"];'
    for number, node in nodes.items():
        label = json.dumps(f"{_words(node, nodes)}\n{node.score:.4f}")
        yield f"  n{number} [label={label}{', penwidth=3' if number in best else ''}];"
        if number != 0:
            yield f"  n{node.parent} -> n{number};"
    yield "}"


def _words(node: Node, nodes: dict[int, Node]) -> str:
    """What the recipe has that its parent's has not, with `-` before what was dropped."""
    if node.number == 0:
        return "input"
    own, before = (list(map(str, n.recipe.steps)) for n in (node, nodes[node.parent]))
    gone = [f"-{step}" for step in before if step not in own]
    return ", ".join([step for step in own if step not in before] + gone) or "another order"
