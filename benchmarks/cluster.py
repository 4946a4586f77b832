"""Ray: what it costs an image, and what a cluster would need for a million of them.

python -m benchmarks.cluster overhead [--files 60]
python -m benchmarks.cluster driver
python -m benchmarks.cluster plan
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nulie import image_io
from nulie.jobs import cluster
from nulie.jobs.queue import LARGEST, Chunk, Queue
from nulie.library.scoring import BY_CLIP
from nulie.library.store import opened
from nulie.transforms.preview import shrink

from .common import machine, table
from .library import ROOT, make_pictures

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(words: Sequence[object]) -> float:
    """CPU seconds of nulie and of all that it starts, as long as each of them runs, looked up 20
    times a second."""
    spent: dict[int, float] = {}
    child = subprocess.Popen([sys.executable, "-m", "nulie", *map(str, words)], cwd=ROOT)
    while child.poll() is None:
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                said = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(stat.parent.name)
            parents[pid] = int(said[1])
            if pid == child.pid or parents[pid] in spent:
                spent[pid] = (int(said[11]) + int(said[12])) / TICK
        time.sleep(0.05)
    assert child.returncode == 0, child.returncode
    return sum(spent.values())


def overhead(options: argparse.Namespace, folder: Path) -> str:
    """CPU time of two processes and of two actors, at 200 evaluations; twice as many pictures tell
    the start apart."""
    sizes = options.files, 2 * options.files
    for count in sizes:
        make_pictures(folder / f"in{count}", count, 256, 192)
    cpu: dict[tuple[str, int], list[float]] = {}
    for turn in range(options.turns):
        for count in sizes:
            for engine in ("processes", "ray"):
                name = f"{turn}{engine}{count}"
                words = (folder / f"in{count}", "--workers", 2, "--predictor", "statistics",
                         "--output-dir", folder / name, "--quiet", "--evaluations", 200,
                         "--job", folder / f"{name}.job", "--engine", engine)  # fmt: skip
                cpu.setdefault((engine, count), []).append(cpu_of(words))
    rows, each = [], {}
    for engine in ("processes", "ray"):
        few, many = (min(cpu[engine, count]) for count in sizes)
        each[engine] = 1000 * (many - few) / options.files
        start = few - options.files * each[engine] / 1000
        rows.append([engine, f"{each[engine]:.1f}", f"{start:.1f}"])
    text = table(["engine", "CPU ms a picture", "CPU s at the start"], rows)
    return f"{text}\n\nratio {each['ray'] / each['processes']:.3f}"


@dataclass(frozen=True)
class Nothing:
    """The task to say so many words of a chunk."""

    def begin(self, cancel: threading.Event) -> Callable[[Any], Iterator[Any]]:
        return lambda chunk: iter(chunk)


def driver(options: argparse.Namespace, folder: Path) -> str:
    """What the driver spends on a chunk that is handed out, on a message from it, and on a row of a
    library."""
    rows = []
    costs = {}
    task = import_module("benchmarks.cluster").Nothing()  # as actors know it
    with cluster.joined(cluster.LOCAL), cluster.Actors(task, [], 2, most=2, gpu=False) as two:
        while len(two.idle()) < 2:
            two.hear(0.1)
        for size in (1, 17):
            ended, start, began = 0, time.process_time(), time.perf_counter()
            while ended < 600:
                for one in two.idle():
                    one.do((0,), [(number,) for number in range(size)])
                ended += sum(1 for _ in two.hear(1.0)) if size == 1 else 0
                if size > 1:
                    ended += len(two.idle())
            costs[size] = (time.process_time() - start) / 600
            rows.append([f"a chunk of {size}", f"{1e3 * costs[size]:.2f}",
                         f"{1e3 * (time.perf_counter() - began) / 300:.2f}"])  # fmt: skip
    rows.append(["a message", f"{1e3 * (costs[17] - costs[1]) / 16:.2f}", ""])
    count = 20_000
    vectors = np.random.default_rng(0).normal(size=(count, 768)).astype("f4")
    start = time.process_time()
    with opened(folder / "x.nulie") as store:
        for number in range(count):
            digest = number.to_bytes(16, "big")
            store.put_file(f"/pictures/{number}.png", 1, 1, digest)
            store.put_score("clip", digest, 5.0)
            store.put_vector("clip", digest, vectors[number])
            store.commit()
    spent = (time.process_time() - start) / count
    rows.append(["a row of a library", f"{1e3 * spent:.3f}", ""])
    make_pictures(folder / "in", 16, 1024, 1024)
    taken = []
    for path in sorted((folder / "in").glob("*")):
        start = time.process_time()
        shrink(image_io.load(path, least=448).pixels, 224)
        taken.append(time.process_time() - start)
    read = f"{1e3 * statistics.median(taken):.1f}"
    rows.append(["a PNG of 1024 pixels as a preview (a worker)", read, ""])
    return table(["", "CPU ms", "ms until an actor has the next"], rows)


@dataclass(frozen=True)
class Cost:
    """Seconds."""

    image: float
    """Of a GPU for one."""
    spread: float
    """The share of it by which that varies."""
    decode: float
    """Of a core for one."""
    first: int
    """Images that are decoded before the first is judged."""
    message: float
    """Of the driver for what is told at once."""
    row: float
    """Of the driver for each image."""
    largest: int
    """Images in a chunk at most."""
    at_once: bool
    """Whether a chunk is told of at its end, or image by image."""


def simulate(cost: Cost, *, images: int, gpus: int, cores: int, chunk: float, lost: float,
             seed: int = 0) -> tuple[float, int, float]:  # fmt: skip
    """Seconds until all is done, images that were done twice, and the share of its time that the
    driver is at work. `cores` decode for each GPU; a chunk takes `chunk` seconds to hand out; each
    `lost` seconds a machine with 8 GPUs is lost, and back after five minutes."""
    chance = random.Random(seed)
    queue = Queue([(number,) for number in range(images)], gpus, cost.largest)
    events: list[tuple[float, int, int, Chunk]] = [(0.0, n, 0, ()) for n in range(gpus)]
    life = [0] * gpus
    began = dict[int, tuple[float, float, Chunk]]()
    free = busy = end = 0.0
    done = twice = 0
    if lost:
        events.append((lost, -1, 0, ()))
    heapq.heapify(events)
    while done < images:
        now, gpu, born, told = heapq.heappop(events)
        if gpu < 0:
            first = 8 * chance.randrange(gpus // 8)
            for one in range(first, first + 8):
                life[one] += 1
                if one in began:
                    start, each, work = began.pop(one)
                    over = min(len(work), int((now - start) / each)) if not cost.at_once else 0
                    done += over
                    twice += min(1, len(work) - over) if not cost.at_once else len(work)
                    if work[over:]:
                        queue.died(work[over:])
                heapq.heappush(events, (now + 300, one, life[one], ()))
            heapq.heappush(events, (now + lost, -1, 0, ()))
            continue
        if born != life[gpu]:
            continue
        if told:
            began.pop(gpu)
            done += len(told)
            end = max(end, now)
        work = queue.next()
        # The driver does one thing after the other: what was told, then the next chunk.
        messages = 1 if cost.at_once else len(told)
        spent = (messages * cost.message + len(told) * cost.row) * bool(told) + chunk * bool(work)
        free = max(free, now) + spent
        busy += spent
        if not work:
            # What is in work may be lost, and then somebody must be there.
            if lost and done < images:
                heapq.heappush(events, (now + 60, gpu, born, ()))
            continue
        each = max(cost.image * chance.uniform(1 - cost.spread, 1 + cost.spread),
                   cost.decode / cores)  # fmt: skip
        fill = min(cost.first, len(work)) * cost.decode / cores
        began[gpu] = free + fill, each, work
        heapq.heappush(events, (free + fill + each * len(work), gpu, born, work))
    return end, twice, busy / end


def plan(options: argparse.Namespace, folder: Path) -> str:
    """A million images over 64 GPUs, eight in a machine; costs as `driver` measures them."""
    million, gpus = 1_000_000, 64
    score = Cost(0.004, 0.0, options.decode, 32, options.message, options.row, BY_CLIP, True)
    enhance = Cost(10.0, 0.5, 0.0, 0, options.message, 5e-6, LARGEST, False)
    rows = []

    def row(what: str, cost: Cost, cores: int, unit: float, name: str, lost: float = 0) -> None:
        found = simulate(
            cost, images=million, gpus=gpus, cores=cores, chunk=options.chunk, lost=lost
        )
        ideal = million * cost.image / gpus
        rows.append([what, f"{ideal / unit:.1f} {name}", f"{found[0] / unit:.1f} {name}",
                     f"{100 * ideal / found[0]:.1f}%", f"{found[1]:,}",
                     f"{100 * found[2]:.1f}%"])  # fmt: skip

    for cores in (1, 4, 8, 16):
        row(f"score, 4 ms each, {cores} cores a GPU", score, cores, 1, "s")
    row("enhance, 10 s each", enhance, 1, 3600, "h")
    row("enhance, a machine lost each hour", enhance, 1, 3600, "h", lost=3600)
    head = ["", "ideal", "simulated", "GPUs at work", "done twice", "driver at work"]
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"overhead": overhead, "driver": driver, "plan": plan}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--decode", type=float, default=0.030, help="seconds, see driver")
    parser.add_argument("--chunk", type=float, default=0.002)
    parser.add_argument("--message", type=float, default=0.0005)
    parser.add_argument("--row", type=float, default=0.00003)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nulie-cluster-") as folder:
        print(machine(), "\n")
        print(parts[options.part](options, Path(folder)))


if __name__ == "__main__":
    main()
