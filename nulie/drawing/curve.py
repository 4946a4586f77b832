"""The score curve: best score over time, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 640, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 22
MOST_POINTS = 400


def curve(points: Sequence[tuple[float, float]], base: float, now: float) -> str:
    """`points`: (seconds, best score) at each rise; `base`: the input's score; `now`: seconds."""
    points = [(0.0, base), *points]
    if len(points) > MOST_POINTS:
        stride = -(-len(points) // MOST_POINTS)
        points = [*points[::stride], points[-1]]
    best = points[-1][1]
    low, high = min(base, *(s for _, s in points)), max(s for _, s in points)
    if high - low < 0.1:
        high = low + 0.1
    end = max(now, points[-1][0], 0.1)

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / end

    def y(score: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - score) / (high - low)

    rises = "".join(f"H{x(seconds):.1f}V{y(score):.1f}" for seconds, score in points[1:])
    line = f"M{x(0):.1f} {y(base):.1f}{rises}H{x(end):.1f}"
    area = f"{line}V{y(low):.1f}H{x(0):.1f}Z"
    grid = "".join(
        f'<line class="nulie-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(s):.1f}"'
        f' y2="{y(s):.1f}"/><text x="{LEFT - 6}" y="{y(s) + 4:.1f}" text-anchor="end">{s:.2f}'
        "</text>"
        for s in (low, (low + high) / 2, high)
    )
    foot = HEIGHT - 6
    return (
        f'<svg class="nulie-curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="Best score over time: from {base:.2f} to {best:.2f} in {end:.1f} seconds">'
        f'{grid}<path class="nulie-area" d="{area}"/><path class="nulie-line" d="{line}"/>'
        f'<text x="{LEFT}" y="{foot}">0 s</text>'
        f'<text x="{WIDTH - RIGHT}" y="{foot}" text-anchor="end">{end:.1f} s</text>'
        f'<text x="{WIDTH // 2}" y="{foot}" text-anchor="middle">best score over time</text></svg>'
    )
