"""Ray: what it costs an image, and what a cluster would need for a million of them.

python -m benchmarks.cluster overhead [--chunks 150]
python -m benchmarks.cluster driver
python -m benchmarks.cluster plan
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nulie
from nulie import image_io
from nulie.jobs import cluster
from nulie.jobs.queue import LARGEST, Chunk, Queue
from nulie.jobs.workers import Workers
from nulie.library.scoring import BY_CLIP
from nulie.library.store import opened
from nulie.transforms.preview import shrink

from .common import machine, table
from .library import make_pictures

TICK = os.sysconf("SC_CLK_TCK")


def spent_below() -> dict[int, float]:
    """CPU seconds of this process and of all that it has started, by process."""
    found: dict[int, tuple[int, float]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            said = stat.read_text().rpartition(")")[2].split()
            found[int(stat.parent.name)] = int(said[1]), (int(said[11]) + int(said[12])) / TICK
    ours = {os.getpid()}
    while more := {pid for pid, (parent, _) in found.items() if parent in ours} - ours:
        ours |= more
    return {pid: found[pid][1] for pid in ours}


@dataclass(frozen=True)
class Nothing:
    """The task to say one word of each in a chunk."""

    def begin(self, cancel: threading.Event) -> Callable[[Any], Iterator[Any]]:
        return lambda chunk: iter(chunk)


def spread(crew: Workers | cluster.Actors, chunks: int, size: int) -> tuple[float, float, float]:
    """What `chunks` cost that nothing is done with: CPU ms each in this process and in all, and ms
    of waiting."""
    while len(crew.idle()) < crew.count:
        crew.hear(0.1)
    before, own, start = spent_below(), time.process_time(), time.perf_counter()
    handed = heard = 0
    while handed < chunks or crew.busy():
        for one in crew.idle():
            if handed < chunks:
                one.do((0,), [(number,) for number in range(size)])
                handed += 1
        heard += len(crew.hear(1.0))
    assert heard == chunks * size
    after = spent_below()
    every = sum(after[pid] - before.get(pid, 0.0) for pid in after)
    scale = 1000 / chunks
    waited = (time.perf_counter() - start) * crew.count
    return scale * (time.process_time() - own), scale * every, scale * waited


def overhead(options: argparse.Namespace, folder: Path) -> str:
    """What it costs to hand out images and to hear of them, by processes and by actors, beside the
    CPU time of an image at 200 evaluations."""
    task = import_module("benchmarks.cluster").Nothing()  # as workers know it
    rows, each = [], {}
    with Workers(task, 2) as processes:
        found = {"processes": spread(processes, options.chunks, LARGEST)}
    with cluster.joined(cluster.LOCAL), cluster.Actors(task, [], 2, most=2, gpu=False) as actors:
        found["ray"] = spread(actors, options.chunks, LARGEST)
        found["ray, a chunk at once"] = spread(actors, options.chunks, 1)
        before = sum(spent_below().values())
        time.sleep(20)
        idle = (sum(spent_below().values()) - before) / 20
    for name, (own, every, waited) in found.items():
        each[name] = every / LARGEST
        rows.append([name, f"{own:.2f}", f"{every:.2f}", f"{waited:.1f}", f"{each[name]:.2f}"])
    make_pictures(folder / "in", 9, 256, 192)
    torch.set_num_threads(1)
    taken = []
    for path in sorted((folder / "in").glob("*")):
        start = time.process_time()
        nulie.enhance(path, evaluations=200, predictor="statistics")
        taken.append(1000 * (time.process_time() - start))
    image = statistics.median(taken)
    head = ["a chunk of eight", "CPU ms, driver", "CPU ms, all", "ms", "CPU ms an image, all"]
    shares = ", ".join(f"{name} {100 * cost / image:.2f}%" for name, cost in each.items())
    return (
        f"{table(head, rows)}\n\nRay at rest: {1000 * idle:.0f} ms of a core a second\n"
        f"an image at 200 evaluations: {image:.0f} ms; shares of it: {shares}"
    )


def driver(options: argparse.Namespace, folder: Path) -> str:
    """What a row of a library takes the driver, and a PNG a worker."""
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
    rows = [["a row of a library", f"{1e3 * (time.process_time() - start) / count:.3f}"]]
    make_pictures(folder / "in", 16, 1024, 1024)
    taken = []
    for path in sorted((folder / "in").glob("*")):
        start = time.process_time()
        shrink(image_io.load(path, least=448).pixels, 224)
        taken.append(time.process_time() - start)
    rows.append(["a PNG of 1024 pixels as a preview", f"{1e3 * statistics.median(taken):.1f}"])
    return table(["", "CPU ms"], rows)


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

    for cores in (4, 8, 10, 16):
        row(f"score, 4 ms each, {cores} cores a GPU", score, cores, 1, "s")
    row("enhance, 10 s each", enhance, 1, 3600, "h")
    row("enhance, a machine lost each hour", enhance, 1, 3600, "h", lost=3600)
    head = ["", "ideal", "simulated", "GPUs at work", "done twice", "driver at work"]
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"overhead": overhead, "driver": driver, "plan": plan}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--chunks", type=int, default=150)
    parser.add_argument("--decode", type=float, default=0.038, help="seconds, see driver")
    parser.add_argument("--chunk", type=float, default=0.0006)
    parser.add_argument("--message", type=float, default=0.00017)
    parser.add_argument("--row", type=float, default=0.000017)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nulie-cluster-") as folder:
        print(machine(), "\n")
        print(parts[options.part](options, Path(folder)))


if __name__ == "__main__":
    main()
