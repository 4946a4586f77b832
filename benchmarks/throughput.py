"""Nodes per second of the whole search, and where the time goes.

    python -m benchmarks.throughput [--predictor statistics] [--seconds 5] [--image FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from nulie import image_io
from nulie.engine import Enhancement
from nulie.predictor import create
from nulie.search import Progress
from nulie.settings import Settings

from .common import machine, photos, table


class Stopwatch:
    """Wraps functions and adds up the time inside them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        return timed


def measure(image: Image.Image, predictor: Any, settings: Settings) -> dict[str, float]:
    """Nodes per second of one search, and shares of its time."""
    watch = Stopwatch()
    run = Enhancement(image, predictor, settings)
    events = run.events()
    next(events)  # scored the input; what is timed begins here
    objective = run._objective
    run._render = watch.wrap("ops", run._render)  # type: ignore[assignment]
    objective._judge = watch.wrap("predictor", objective._judge)
    objective.totals = watch.wrap("objective", objective.totals)  # type: ignore[method-assign]
    start, nodes = time.perf_counter(), 0
    for event in events:
        if isinstance(event, Progress):
            nodes = event.evaluations
            total = time.perf_counter() - start
    seconds = watch.seconds
    return {
        "nodes/s": nodes / total,
        "predictor": seconds["predictor"] / total,
        "guards": (seconds["objective"] - seconds["predictor"]) / total,
        "ops": seconds["ops"] / total,
        "bookkeeping": 1 - (seconds["objective"] + seconds["ops"]) / total,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictor", default="statistics")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--image", type=Path, help="default: a photograph of the test data")
    options = parser.parse_args()
    path = options.image or photos()[0]
    image = image_io.load(path).pixels
    predictor, _ = create(options.predictor)
    rows = []
    for mode in ("soft", "hard"):
        measure(image, predictor, Settings(mode=mode, seconds=1.0))
        found = measure(image, predictor, Settings(mode=mode, seconds=options.seconds))
        shares = [f"{found[name]:.0%}" for name in ("predictor", "guards", "ops", "bookkeeping")]
        rows.append([predictor.name, mode, f"{found['nodes/s']:,.0f}", *shares])
    print(f"{path.name} {image.width} x {image.height}, {machine()}\n")
    head = ["predictor", "mode", "nodes/s", "predictor", "guards", "ops", "bookkeeping"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
