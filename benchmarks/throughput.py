"""Nodes per second of the whole search, and where the time goes.

    python -m benchmarks.throughput [--seconds 5] [--rounds 5] [--image FILE]
    python -m benchmarks.throughput --predictor clip-sac --random-weights --seconds 60

With CLIP it is measured against the bare image tower of open_clip, the two in turn; without,
searches from Python against those of the command line, in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from nulie import image_io, transforms
from nulie.engine import Enhancement
from nulie.engine.evaluate import Evaluator, renderer
from nulie.engine.objective import Objective
from nulie.predictor import CLIP_NAMES, create
from nulie.predictor.base import Judge
from nulie.recipe.settings import Settings
from nulie.search import Progress, Tree, run
from nulie.threads import ENVIRONMENT
from nulie.transforms.preview import shrink

from .common import machine, photos, table

ROOT = Path(__file__).resolve().parents[1]


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
    preview = shrink(image, predictor.input_size).to(predictor.device)
    objective = Objective(TimedPredictor(predictor, watch), preview, settings)
    ops = watch.wrap("ops", renderer(image, preview))
    totals = watch.wrap("objective", objective.totals)
    tree = Tree(transforms.space(settings.mode), settings.seed)  # type: ignore[arg-type]
    watch.seconds.clear()
    start = time.perf_counter()
    with Evaluator(ops, totals, preview) as evaluate:
        for event in run(
            tree,
            evaluate,
            base_score=objective.base.total,
            seconds=settings.seconds,
            batch=predictor.batch_size,
            ahead=evaluate.ahead,
        ):
            if isinstance(event, Progress):
                nodes, total = event.evaluations, time.perf_counter() - start
                # Threads that share out a batch spend their time side by side.
                seconds = {name: t / evaluate.threads for name, t in watch.seconds.items()}
    return {
        "nodes/s": nodes / total,
        "predictor": seconds["predictor"] / total,
        "guards": (seconds["objective"] - seconds["predictor"]) / total,
        "ops": seconds["ops"] / total,
        "bookkeeping": 1 - (seconds["objective"] + seconds["ops"]) / total,
    }


class TimedPredictor:
    """A predictor whose judging is timed."""

    def __init__(self, predictor: Any, watch: Stopwatch) -> None:
        self.name, self.device = predictor.name, predictor.device
        self.input_size, self.batch_size = predictor.input_size, predictor.batch_size
        self._predictor, self._watch = predictor, watch

    def judge(self, photo: torch.Tensor) -> Judge:
        return self._watch.wrap("predictor", self._predictor.judge(photo))


def search_table(image: Image.Image, predictor: Any, seconds: float) -> str:
    rows = []
    for mode in ("soft", "hard"):
        measure(image, predictor, Settings(mode=mode, seconds=1.0))
        found = measure(image, predictor, Settings(mode=mode, seconds=seconds))
        shares = [f"{found[name]:.0%}" for name in ("predictor", "guards", "ops", "bookkeeping")]
        rows.append([predictor.name, mode, f"{found['nodes/s']:,.0f}", *shares])
    head = ["predictor", "mode", "nodes/s", "predictor", "guards", "ops", "bookkeeping"]
    return table(head, rows)


LIBRARY = """
import sys
from nulie import image_io
from nulie.engine import Enhancement, Finished
from nulie.predictor import create
from nulie.settings import Settings

image = image_io.load(sys.argv[1]).pixels
predictor, _ = create(sys.argv[2])
for event in Enhancement(image, predictor, Settings(seconds=float(sys.argv[3]))).events():
    if isinstance(event, Finished):
        print(event.result.evaluations / event.result.seconds)
"""
"""As a program of one's own does it, with the arguments image, predictor, seconds."""
LOADED_BEFORE = "import torch\ntorch.rand(3_000_000).mul(2)\n"
"""The same in a program that has used torch before it comes to nulie."""


def ways_table(path: Path, predictor: str, seconds: float, rounds: int) -> str:
    """Searches from Python against those of the command line: the ways in turn, each search in a
    process of its own."""

    def command_line() -> float:
        with tempfile.TemporaryDirectory() as folder:
            command = ["standalone.py", path, "-o", f"{folder}/result.png", "--json", "--quiet"]
            command += ["--predictor", predictor, "--seconds", seconds]
            report = json.loads(output(*command))
        return float(report["evaluations"] / report["seconds"])

    def library(code: str) -> float:
        return float(output("-c", code, path, predictor, seconds))

    ways: dict[str, Callable[[], float]] = {
        "command line": command_line,
        "library": lambda: library(LIBRARY),
        "library, torch loaded before": lambda: library(LOADED_BEFORE + LIBRARY),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            speeds[name].append(way())
    rows = []
    for name, values in speeds.items():
        ratios = [a / b for a, b in zip(values, speeds["command line"], strict=True)]
        rows.append([name, f"{statistics.median(values):,.0f}", f"{statistics.median(ratios):.2f}"])
    return table(["way in", "nodes/s", "of the command line's, paired"], rows)


def output(*arguments: object) -> str:
    """What Python prints, with these arguments and none of the thread policy inherited."""
    bare = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=bare,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def clip_table(image: Image.Image, name: str, precision: str, seconds: float) -> str:
    """The search and the bare tower, a few batches of each in turn, and the original's way."""
    from nulie.predictor.clip import Clip

    from . import loading
    from .floor import bare_tower, originals_way

    with tempfile.TemporaryDirectory() as folder:
        files = loading.write(name, Path(folder))
        loading.measure(name, precision, *files)  # into the file cache
        loaded = loading.measure(name, precision, *files)
    predictor = Clip(name, precision=precision, random_weights=True)
    bare = bare_tower(predictor)
    rows_at_once = predictor.batch_size
    bare(rows_at_once)
    settings = Settings(mode="soft", seconds=10 * seconds)
    events = Enhancement(image, predictor, settings).events()
    next(events)
    floor: list[float] = []
    ours: list[float] = []
    sizes: list[int] = []
    before, end, done = time.perf_counter(), time.perf_counter() + seconds, 0
    for event in events:
        if not isinstance(event, Progress):
            continue
        now = time.perf_counter()
        rows = event.evaluations - done
        if 2 * rows >= rows_at_once:  # batches grow to that size; the first ones pass by
            ours.append((now - before) / rows)
            floor.append(bare(rows) / rows)
            sizes.append(rows)
        done, before = event.evaluations, time.perf_counter()
        if before > end:
            break
    events.close()
    if not ours:
        raise SystemExit(f"{done} nodes in {seconds:g} s are too few; give more --seconds")
    share = statistics.median(f / o for f, o in zip(floor, ours, strict=True))
    theirs = originals_way(image, 3)
    lines = [
        ["bare tower", f"{1 / statistics.median(floor):.2f}", "1.00"],
        ["nulie's search", f"{1 / statistics.median(ours):.2f}", f"{share:.2f}"],
        ["the original's way", f"{1 / theirs:.2f}", f"{statistics.median(floor) / theirs:.2f}"],
    ]
    device = predictor.device
    if device.type == "cuda":
        memory = f", {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GB on the device"
    else:
        memory = ""
    searched, decided = (
        str(p.precision).removeprefix("torch.") for p in (predictor, predictor.exact())
    )
    batches = " and ".join(map(str, sorted(set(sizes))))
    notes = (
        f"{name}, {searched} on {device}, batches of {batches}, {len(ours)} pairs; nodes"
        f" per second over the original's: {theirs / statistics.median(ours):.1f}; exact form in"
        f" {decided}; file to first score {loaded['file to first score']:.1f} s, the same"
        f" again in one process {loaded['the same once more']:.1f} s; peak memory"
        f" {loaded['GB']:.1f} GB{memory}"
    )
    return notes + "\n\n" + table(["what", "nodes/s", "of the floor, paired"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictor", default="statistics")
    parser.add_argument("--random-weights", action="store_true", help="of CLIP: speed is the same")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5, help="searches of each way in")
    parser.add_argument("--image", type=Path, help="default: a photograph of the test data")
    options = parser.parse_args()
    path = options.image or photos()[0]
    image = image_io.load(path).pixels
    print(f"{path.name} {image.width} x {image.height}, {machine()}\n")
    if options.predictor in CLIP_NAMES and options.random_weights:
        print(clip_table(image, options.predictor, options.precision, options.seconds))
    else:
        print(search_table(image, create(options.predictor)[0], options.seconds), "\n")
        print(ways_table(path, options.predictor, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
