"""`nulie tree FILE`: what a search tried and what it gave, from its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..jobs import checkpoints
from . import arguments

DESCRIPTION = """\
Prints the tree of a checkpoint: each node's score, what its recipe changes in its parent's, and
below it, indented, its children. Nodes that were forgotten are left out; their children hang
from the nearest ancestor that is remembered, or from the input. The best path is marked by *.
"""
Node = tuple[list[Any], float, int, int]
"""Steps, score, parent's number, number."""


def parser() -> arguments.Parser:
    parser = arguments.Parser(
        prog="nulie tree",
        usage="nulie tree FILE [options]",
        description=DESCRIPTION,
        epilog="example:\n  nulie tree run.json --dot | dot -Tsvg > run.svg\n",
    )
    parser.add_argument("file", type=Path, help="checkpoint, see nulie --checkpoint")
    parser.add_argument("--dot", action="store_true", help="as a graph for Graphviz")
    parser.add_argument(
        "--most",
        type=int,
        default=200,
        metavar="N",
        help="best nodes to show (default 200; 0: all)",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    checkpoint = checkpoints.read(options.file)
    try:
        nodes = [(r, float(s), int(p), int(n)) for r, s, p, n in checkpoint.tree["nodes"]]
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{options.file}: the checkpoint's tree is damaged: {e!r}") from None
    shown = _chosen(nodes, options.most)
    print("\n".join(_dot(shown) if options.dot else _text(shown)))
    return 0


def _chosen(nodes: list[Node], most: int) -> dict[int, Node]:
    """The best nodes by number with all their remembered ancestors, and the input as number 0."""
    by_number = {node[3]: node for node in nodes}
    by_number.setdefault(0, ([], float("nan"), -1, 0))
    found: dict[int, Node] = {0: by_number[0]}
    for node in sorted(nodes, key=lambda n: -n[1])[: most or None]:
        at: Node | None = node
        while at is not None and at[3] not in found:
            found[at[3]] = at
            at = by_number.get(at[2])
    return {
        number: node if number == 0 or node[2] in found else (node[0], node[1], 0, number)
        for number, node in found.items()
    }


def _best_path(nodes: dict[int, Node]) -> set[int]:
    at = max(nodes.values(), key=lambda n: -float("inf") if n[1] != n[1] else n[1])[3]
    path = {at}
    while at != 0:
        at = nodes[at][2]
        path.add(at)
    return path


def _children(nodes: dict[int, Node]) -> dict[int, list[Node]]:
    found: dict[int, list[Node]] = {}
    for node in sorted(nodes.values(), key=lambda n: -n[1]):
        if node[3] != 0:
            found.setdefault(node[2], []).append(node)
    return found


def _text(nodes: dict[int, Node]) -> Iterator[str]:
    children, best = _children(nodes), _best_path(nodes)
    waiting = [(0, nodes[0])]
    while waiting:
        depth, node = waiting.pop()
        mark = "*" if node[3] in best else " "
        words = _words(node, nodes)
        yield f"{mark} {node[1]:8.4f}  {'  ' * depth}{words}"
        waiting += [(depth + 1, child) for child in reversed(children.get(node[3], []))]


def _dot(nodes: dict[int, Node]) -> Iterator[str]:
    best = _best_path(nodes)
    yield 'digraph nulie {\n  rankdir=LR;\n  node [shape=box, fontname="sans-serif"];'
    for number, node in nodes.items():
        label = json.dumps(f"{_words(node, nodes)}\n{node[1]:.4f}")
        yield f"  n{number} [label={label}{', penwidth=3' if number in best else ''}];"
        if number != 0:
            yield f"  n{node[2]} -> n{number};"
    yield "}"


def _words(node: Node, nodes: dict[int, Node]) -> str:
    """What the recipe has that its parent's has not, with `-` before what was dropped."""
    if node[3] == 0:
        return "input"
    own, before = (list(map(_step, n[0])) for n in (node, nodes[node[2]]))
    gone = [f"-{step}" for step in before if step not in own]
    return ", ".join([step for step in own if step not in before] + gone) or "another order"


def _step(step: Sequence[Any]) -> str:
    op, params = step
    return " ".join([op, *(f"{name}={value:g}" for name, value in params.items())])
