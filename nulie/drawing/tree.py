"""The tree of a search as SVG: its best branches, from the photo on the left to the finds on the
right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from ..recipe import Recipe, Step
from ..transforms import describe

if TYPE_CHECKING:
    from ..search import Node

MOST_DRAWN = 140
MOST_CHILDREN = 3
WIDTH, ROW, MARGIN = 960, 15, 16
# Dark blue, teal, green, yellow: ends of equal steps in lightness, told apart by most eyes.
_COLORS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


@dataclass
class _Drawn:
    node: Node
    change: str = ""
    """What was done to the parent."""
    children: list[_Drawn] = field(default_factory=list)
    depth: int = 0
    first: int = 0
    """Row of the first leaf of its branch, or its own."""
    last: int = 0

    @property
    def row(self) -> float:
        # Not the mean of the children's rows, which leaps about where big and small branches meet.
        return (self.first + self.last) / 2


def tree(nodes: Sequence[Node], base: float, winner: Recipe | None = None) -> str:
    """`nodes`: those that the search remembers, best first; `base`: the input's score. The path to
    the node of recipe `winner`, else to the best one, is marked. Ancestors that were forgotten
    are skipped: their children hang on the photo."""
    from ..search import Node

    known = {node.number: node for node in nodes if node.recipe.steps}
    if not known:
        return '<p class="nulie-note">Nothing was tried.</p>'
    won = next((n for n in known.values() if n.recipe == winner), next(iter(known.values())))
    root = _Drawn(Node(Recipe(), base, -1, 0))
    drawn = _hang(root, known, _choose(known, won))
    rows, depth = _place(root)
    scores = [item.node.score for item in drawn.values()]
    path = {item.node.number for item in _path(drawn, known, won)}
    paint = _Paint((WIDTH - 2 * MARGIN - 60) / max(1, depth), min(scores), max(scores), path)
    height = round(max(6.0, rows) * ROW) + 2 * MARGIN
    return (
        f'<div class="nulie-scroll"><svg class="nulie-tree" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="Tree of the search: {len(drawn)} of {len(known)} nodes, best'
        f' score {max(scores):.2f}">{paint.all(root)}{paint.mark(drawn[won.number])}</svg></div>'
        f'<p class="nulie-note">The best {len(drawn)} of {len(known):,} remembered nodes. Left:'
        " the photo; each branch adds, changes or drops steps. Dark is worse, bright is better; the"
        " thick line leads to the result. Hover over a node for its step and score.</p>"
    )


@dataclass(frozen=True)
class _Paint:
    """Nodes that have their place as SVG."""

    across: float
    """From one depth to the next."""
    low: float
    """The lowest score, and the highest one: the ends of the scale of colors."""
    high: float
    path: set[int]
    """Numbers of the nodes that lead to the winner."""

    def all(self, root: _Drawn) -> str:
        """The branches, those of the path above the others, and the nodes on top of them."""
        branches: list[tuple[bool, str]] = []
        dots = []
        stack = [root]
        while stack:
            item = stack.pop()
            on_path = item is root or item.node.number in self.path
            dots.append(self._dot(item, on_path, root.node.score))
            for child in item.children:
                wins = on_path and child.node.number in self.path
                branches.append((wins, self._branch(item, child, wins)))
                stack.append(child)
        lines = [text for _, text in sorted(branches, key=lambda branch: branch[0])]
        return "".join(lines + dots)

    def mark(self, winner: _Drawn) -> str:
        x, y = self._at(winner)
        score = winner.node.score
        return f'<text class="nulie-step" x="{x + 8:.1f}" y="{y + 4:.1f}">{score:.2f}</text>'

    def _at(self, item: _Drawn) -> tuple[float, float]:
        return MARGIN + item.depth * self.across, MARGIN + (item.row + 0.5) * ROW

    def _branch(self, parent: _Drawn, child: _Drawn, wins: bool) -> str:
        (x, y), (cx, cy) = self._at(parent), self._at(child)
        middle = (x + cx) / 2
        return (
            f'<path class="nulie-branch{" nulie-won" if wins else ""}" d="M{x:.1f} {y:.1f}'
            f'C{middle:.1f} {y:.1f} {middle:.1f} {cy:.1f} {cx:.1f} {cy:.1f}"/>'
        )

    def _dot(self, item: _Drawn, on_path: bool, base: float) -> str:
        node = item.node
        (x, y), radius = self._at(item), 5.5 if on_path else 4
        title = f"the photo, score {base:.2f}"
        if node.recipe.steps:
            gain = node.score - base
            title = f"score {node.score:.2f} ({gain:+.2f})\n{describe(node.recipe)}"
        if item.change:
            title = f"{item.change}\n{title}"
        color = _color((node.score - self.low) / ((self.high - self.low) or 1.0))
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}">'
            f"<title>{escape(title)}</title></circle>"
        )


def _hang(root: _Drawn, known: Mapping[int, Node], chosen: Sequence[int]) -> dict[int, _Drawn]:
    """The chosen nodes by number, each among the children of its parent, or of the root."""
    drawn = {number: _Drawn(known[number]) for number in chosen}
    for number in sorted(chosen):
        parent = drawn.get(known[number].parent, root)
        drawn[number].change = change(parent.node.recipe, known[number].recipe)
        parent.children.append(drawn[number])
    return drawn


def _choose(known: Mapping[int, Node], won: Node) -> list[int]:
    """Numbers of the nodes to draw: the winner and then the best ones, each with its ancestors,
    few siblings each, so that one crowded branch does not hide the others."""
    chosen: dict[int, None] = {}
    children: dict[int, int] = {}
    for node in [won, *known.values()]:
        if len(chosen) >= MOST_DRAWN:
            break
        line: list[int] = []
        at: Node | None = node
        while at is not None and at.number not in chosen and at.number not in line:
            line.append(at.number)
            at = known.get(at.parent)
        if not line or children.get(_parent(known, known[line[-1]]), 0) >= MOST_CHILDREN:
            continue
        for number in line:
            chosen[number] = None
            parent = _parent(known, known[number])
            children[parent] = children.get(parent, 0) + 1
    return list(chosen)


def _parent(known: Mapping[int, Node], node: Node) -> int:
    return node.parent if node.parent in known else 0


def _path(drawn: Mapping[int, _Drawn], known: Mapping[int, Node], won: Node) -> list[_Drawn]:
    path: list[_Drawn] = []
    at: Node | None = won
    while at is not None and at.number in drawn and len(path) <= len(drawn):
        path.append(drawn[at.number])
        at = known.get(at.parent)
    return path


def _place(root: _Drawn) -> tuple[float, int]:
    """Gives each node its depth and row; returns the number of rows and the greatest depth."""
    order, stack = [], [root]
    while stack:
        item = stack.pop()
        order.append(item)
        for child in item.children:
            child.depth = item.depth + 1
        stack.extend(reversed(item.children))
    rows = 0
    for item in order:
        if not item.children:
            item.first = item.last = rows
            rows += 1
    for item in reversed(order):
        if item.children:
            item.first, item.last = item.children[0].first, item.children[-1].last
    return rows, max(item.depth for item in order)


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
    part = place - left
    mixed = (
        round(a + (b - a) * part) for a, b in zip(_COLORS[left], _COLORS[left + 1], strict=True)
    )
    return "#" + "".join(f"{v:02x}" for v in mixed)
