"""The tree of a search as SVG: its best branches, from the photo at the left to the finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from ..recipe import Recipe, Step
from ..search import Node
from ..transforms import describe

MOST_DRAWN = 140
MOST_CHILDREN = 3
WIDTH, ROW, MARGIN = 960, 15, 16
# Dark blue, teal, green, yellow: ends of equal steps in lightness, told apart by most eyes.
_COLORS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


@dataclass
class _Drawn:
    node: Node
    parent: _Drawn | None = None
    children: list[_Drawn] = field(default_factory=list)
    wins: bool = False
    depth: int = 0
    first: int = 0
    """Row of the first leaf of its branch, or its own."""
    last: int = 0
    x: float = 0.0
    y: float = 0.0


def tree(nodes: Sequence[Node], base: float, winner: Recipe | None = None) -> str:
    """`nodes`: those that the search remembers, best first; `base`: the input's score. The path to
    the node of recipe `winner`, else to the best one, is marked. Ancestors that were forgotten
    are skipped: their children hang on the photo."""
    known = {node.number: node for node in nodes if node.recipe.steps}
    if not known:
        return '<p class="nulie-note">Nothing was tried.</p>'
    won = next((n for n in known.values() if n.recipe == winner), next(iter(known.values())))
    root = _Drawn(Node(Recipe(), base, -1, 0))
    drawn = {number: _Drawn(node) for number, node in _choose(known, won).items()}
    for _, item in sorted(drawn.items()):
        item.parent = drawn.get(item.node.parent, root)
        item.parent.children.append(item)
    at: _Drawn | None = drawn[won.number]
    while at is not None:
        at.wins, at = True, at.parent
    items, rows = _place(root)
    low, high = (end(item.node.score for item in drawn.values()) for end in (min, max))
    branches = [_branch(item, item.parent) for item in items if item.parent and not item.wins]
    branches += [_branch(item, item.parent) for item in items if item.parent and item.wins]
    dots = [_dot(item, base, low, high) for item in items]
    height = round(max(6.0, rows) * ROW) + 2 * MARGIN
    end = drawn[won.number]
    return (
        f'<div class="nulie-scroll"><svg class="nulie-tree" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="Tree of the search: {len(drawn)} of {len(known)} nodes, best'
        f' score {high:.2f}">{"".join(branches + dots)}<text class="nulie-step"'
        f' x="{end.x + 8:.1f}" y="{end.y + 4:.1f}">{won.score:.2f}</text></svg></div>'
        f'<p class="nulie-note">The best {len(drawn)} of {len(known):,} remembered nodes. Left:'
        " the photo; each branch adds, changes or drops steps. Dark is worse, bright is better; the"
        " thick line leads to the result. Hover over a node for its step and score.</p>"
    )


def _choose(known: Mapping[int, Node], won: Node) -> dict[int, Node]:
    """The nodes to draw, by number: the winner and then the best ones, each with its ancestors,
    few siblings each, so that one crowded branch does not hide the others."""
    chosen: dict[int, Node] = {}
    children: Counter[int] = Counter()
    for node in [won, *known.values()]:
        if len(chosen) >= MOST_DRAWN:
            break
        line: list[Node] = []
        at: Node | None = node
        while at is not None and at.number not in chosen:
            line.append(at)
            at = known.get(at.parent)
        parents = [n.parent if n.parent in known else 0 for n in line]
        if line and children[parents[-1]] < MOST_CHILDREN:
            chosen.update((n.number, n) for n in line)
            children.update(parents)
    return chosen


def _place(root: _Drawn) -> tuple[list[_Drawn], int]:
    """Gives each node its place; all, parents before children, and how many rows they take."""
    order, stack = [], [root]
    while stack:
        order.append(stack.pop())
        stack += reversed(order[-1].children)
    rows = 0
    for item in order:
        item.depth = item.parent.depth + 1 if item.parent else 0
        if not item.children:
            item.first = item.last = rows
            rows += 1
    across = (WIDTH - 2 * MARGIN - 60) / max(1, *(item.depth for item in order))
    for item in reversed(order):
        if item.children:
            item.first, item.last = item.children[0].first, item.children[-1].last
        item.x = MARGIN + item.depth * across
        # Not the mean of the children's rows, which leaps about where big and small branches meet.
        item.y = MARGIN + ((item.first + item.last) / 2 + 0.5) * ROW
    return order, rows


def _branch(item: _Drawn, parent: _Drawn) -> str:
    middle = (parent.x + item.x) / 2
    return (
        f'<path class="nulie-branch{" nulie-won" if item.wins else ""}"'
        f' d="M{parent.x:.1f} {parent.y:.1f}'
        f'C{middle:.1f} {parent.y:.1f} {middle:.1f} {item.y:.1f} {item.x:.1f} {item.y:.1f}"/>'
    )


def _dot(item: _Drawn, base: float, low: float, high: float) -> str:
    score, recipe = item.node.score, item.node.recipe
    title = f"the photo, score {base:.2f}"
    if item.parent is not None:
        done = change(item.parent.node.recipe, recipe)
        title = f"{done}\nscore {score:.2f} ({score - base:+.2f})\n{describe(recipe)}"
    color = _color((score - low) / ((high - low) or 1.0))
    radius = 5.5 if item.wins else 4
    return (
        f'<circle cx="{item.x:.1f}" cy="{item.y:.1f}" r="{radius}" fill="{color}">'
        f"<title>{escape(title)}</title></circle>"
    )


def change(before: Recipe, after: Recipe) -> str:
    """What was done to one recipe to make another, in words."""
    gone, come = list(before.steps), list(after.steps)
    for step in before.steps:
        if step in come:
            come.remove(step)
            gone.remove(step)
    words = []
    for step in list(come):
        old = next((g for g in gone if g.op == step.op), None)
        if old is not None:
            gone.remove(old)
            come.remove(step)
            words.append(f"{_words(old)} becomes {_words(step)}")
    words += [f"adds {_words(step)}" for step in come]
    words += [f"drops {_words(step)}" for step in gone]
    return "; ".join(words) or "another order"


def _words(step: Step) -> str:
    return describe(Recipe((step,)))


def _color(share: float) -> str:
    """On the scale from bad to good. The good ones lie close together, hence the power."""
    place = max(0.0, min(1.0, share)) ** 2 * (len(_COLORS) - 1)
    left = min(int(place), len(_COLORS) - 2)
    ends = zip(_COLORS[left], _COLORS[left + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - left)):02x}" for a, b in ends)
