"""Libraries and jobs: what a second run costs, another head, the journal, kills, processes.

python -m benchmarks.library cached [--files 100000]
python -m benchmarks.library decoding
python -m benchmarks.library journal
python -m benchmarks.library overhead [--files 60]
python -m benchmarks.library large
python -m benchmarks.library kills [--files 2000] [--kills 10]
python -m benchmarks.library workers [--files 120]
python -m benchmarks.library tower [--files 16]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from nulie import image_io
from nulie.engine import Enhancement, Progress, finalists
from nulie.engine.pipeline import apply_to_pixels
from nulie.jobs import journal
from nulie.jobs.events import Done
from nulie.jobs.host import Host
from nulie.jobs.inputs import Item, items
from nulie.jobs.job import Job
from nulie.jobs.plan import Choice, plan
from nulie.library import judges
from nulie.library.scoring import Scoring
from nulie.library.store import opened
from nulie.predictor import create
from nulie.predictor.clip import Clip
from nulie.recipe import Recipe, Settings
from nulie.transforms.preview import shrink

from .common import machine, photos, table

ROOT = Path(__file__).parents[1]


def nulie(*words: object) -> tuple[float, float, float, float]:
    """CPU seconds of a command in a process of its own, and of those that it starts; seconds, and
    megabytes at most."""
    code = (
        "import resource, sys; from nulie.cli import main; code = main(sys.argv[1:]);"
        " own, others = (resource.getrusage(who) for who in"
        " (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN));"
        " print(own.ru_utime + own.ru_stime, others.ru_utime + others.ru_stime,"
        " own.ru_maxrss / 1024, file=open(3, 'w'))"
    )
    read, write = os.pipe()
    start = time.perf_counter()

    def third() -> None:
        os.dup2(write, 3)

    # Of a shell, which is small: what is forked begins with the most that its parent has taken.
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", code, *map(str, words)],
        cwd=ROOT, stdout=subprocess.DEVNULL,
        pass_fds=(write, 3) if write != 3 else (3,), preexec_fn=third,
    )  # fmt: skip
    spent = time.perf_counter() - start
    os.close(write)
    with os.fdopen(read) as said:
        own, others, most = map(float, said.read().split())
    assert done.returncode in (0, 1), done.returncode
    return own, others, spent, most


def cached(options: argparse.Namespace, folder: Path) -> str:
    """A library whose pictures are all known; what is in the files does not matter then."""
    rows = []
    head = folder / "head.safetensors"
    save_file({"weight": torch.randn(1, 768), "bias": torch.zeros(1)}, head)
    by_clip = judges.judge_of(Choice("clip-sac"))
    rng = np.random.default_rng(0)
    for count in (1000, options.files):
        place, file = folder / f"{count}", folder / f"{count}.nulie"
        with opened(file) as store:
            for number in range(count):
                inside = place / f"{number // 1000}"
                if number % 1000 == 0:
                    inside.mkdir(parents=True)
                path = inside / f"{number}.jpg"
                path.touch()
                found, digest = path.stat(), number.to_bytes(16, "big")
                store.put_file(str(path), found.st_size, found.st_mtime_ns, digest)
                store.put_score(judges.judge_of(Choice("statistics")).scores, digest, number % 10)
                store.put_vector(by_clip.vectors, digest, rng.normal(size=768) / 28)
                store.commit()
        words = ("score", place, "--recursive", "--library", file, "-o", folder / "t.csv")
        cases: tuple[tuple[str, tuple[object, ...]], ...] = (
            ("second run", ("--predictor", "statistics")),
            ("another head", ("--predictor", "clip-sac", "--head", head)),
            ("that head again", ("--predictor", "clip-sac", "--head", head)),
        )
        for name, more in cases:
            *cpu, spent, most = nulie(*words, "--format", "csv", *more)
            rows.append([f"{count:,}", name, f"{sum(cpu):.1f}", f"{spent:.1f}", f"{most:.0f}"])
    return table(["pictures", "run", "CPU s", "s", "MB"], rows)


def decoding(options: argparse.Namespace, folder: Path) -> str:
    """A JPEG of 12 megapixels, read whole and as small as a preview allows."""
    large = Image.open(photos()[1]).convert("RGB").resize((4000, 3000))
    large.save(folder / "large.jpg", quality=92)
    path = folder / "large.jpg"
    rows = []
    for size in (64, 224):

        def read(least: int, size: int = size) -> None:
            shrink(image_io.load(path, least=least).pixels, size)

        whole, small = (_milliseconds(read, least) for least in (0, 2 * size))
        rows.append([str(size), f"{whole:.0f}", f"{small:.0f}", f"{small / whole:.2f}"])
    return table(["preview", "whole, ms", "smaller, ms", "ratio"], rows)


def _milliseconds(act: Callable[[int], None], value: int) -> float:
    taken = []
    for _ in range(7):
        start = time.process_time()
        act(value)
        taken.append(1000 * (time.process_time() - start))
    return statistics.median(taken)


def rows_of_a_journal(options: argparse.Namespace, folder: Path) -> str:
    """100,000 rows written as a job writes them, and read back."""
    count = 100_000
    named = [Item(folder / f"{number}.jpg") for number in range(count)]
    start = time.process_time()
    with journal.drive(folder / "x.job") as one:
        one.begin({"evaluations": 200})
        one.plan(named)
        planned = time.process_time()
        for item in named:
            one.record(item, journal.DONE, output=[item.path])
            one.commit()
        one.commit(now=True)
        written = time.process_time()
        one.plan(named)
        again = time.process_time()
    size = (folder / "x.job").stat().st_size / count
    row = [f"{1e6 * (b - a) / count:.1f}" for a, b in ((start, planned), (planned, written),
                                                       (written, again))]  # fmt: skip
    return table(["plan, us a file", "row, us", "second start, us a file", "bytes a row"],
                 [[*row, f"{size:.0f}"]])  # fmt: skip


def overhead(options: argparse.Namespace, folder: Path) -> str:
    """CPU time of the driver and of two workers, with a job and without one, at 200 evaluations;
    twice as many pictures tell the start apart."""
    cpu: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for count in (options.files, 2 * options.files):
        make_pictures(folder / f"in{count}", count, 256, 192)
    for turn in range(3):
        for count in (options.files, 2 * options.files):
            for name, more in (
                ("without", ()),
                ("a job", ("--job", folder / f"{turn}{count}.job")),
            ):
                words = (folder / f"in{count}", "--workers", "2", "--predictor", "statistics",
                         "--output-dir", folder / f"{turn}{name}{count}", "--quiet")  # fmt: skip
                spent = nulie(*words, "--evaluations", 200, *more)[:2]
                cpu.setdefault((name, count), []).append(spent)
    rows = []
    for name in ("without", "a job"):
        few, many = (
            [statistics.median(part) for part in zip(*cpu[name, count], strict=True)]
            for count in (options.files, 2 * options.files)
        )
        driver, work = (1000 * (b - a) / options.files for a, b in zip(few, many, strict=True))
        rows.append([name, f"{work:.1f}", f"{driver:.2f}", f"{100 * driver / work:.2f} %"])
    return table(["", "CPU ms a picture, workers", "driver", "driver's share"], rows)


def large(options: argparse.Namespace, folder: Path) -> str:
    """JPEGs of 12 megapixels at 200 evaluations, from file to file, beside their search, what makes
    its recipe short, one render of the winner, and the winner's recipe applied from file to file;
    CPU ms, in one process."""
    source = folder / "large.jpg"
    rows = []
    for path in photos()[1:4]:
        Image.open(path).convert("RGB").resize((4000, 3000)).save(source, quality=92)
        turns = [_parts_of_a_job(source, folder / "made.jpg") for _ in range(4)][1:]
        whole, search, short, render, applied = map(statistics.median, zip(*turns, strict=True))
        row = [f"{ms:.0f}" for ms in (whole, search, short, render, applied)]
        row += [f"{whole / (search + short + one):.2f}" for one in (render, applied)]
        rows.append(row)
    head = ["file to file", "search", "shortening", "one render", "recipe, file to file"]
    return table([*head, "ratio with the render", "with the recipe"], rows)


def _parts_of_a_job(source: Path, target: Path) -> list[float]:
    """CPU ms of what `large` compares."""
    budget: dict[str, Any] = {"seconds": None, "evaluations": 200}
    results = {"output": target, "overwrite": True}
    predictor, _ = create("statistics", device="cpu")
    host = Host(load=lambda choice, progress: (predictor, ""))
    pixels, real, short = image_io.load(source).pixels, finalists.shorten, 0.0

    def shorten(*given: Any, **more: Any) -> list[Recipe]:
        nonlocal short
        start = time.process_time()
        made = real(*given, **more)
        short += time.process_time() - start
        return made

    finalists.shorten = shorten
    times = [time.process_time()]
    *_, done, _ = Job([Item(source)], plan({**budget, **results}), host).events()
    finalists.shorten = real
    assert isinstance(done, Done), done
    times.append(time.process_time())
    for event in Enhancement(pixels, predictor, Settings(**budget)).events():
        if isinstance(event, Progress) and event.evaluations >= budget["evaluations"]:
            break
    times += [time.process_time(), time.process_time() + short]
    start = time.process_time()
    apply_to_pixels(done.outcome.recipe, pixels)
    rendered = time.process_time()
    [*_] = Job(
        [Item(source)], plan({**results, "recipe": done.outcome.recipe.to_json()}), host
    ).events()
    taken = [after - before for before, after in pairwise(times)]
    taken += [rendered - start, time.process_time() - rendered]
    return [1000 * one for one in taken]


def make_pictures(folder: Path, count: int, width: int, height: int, kind: str = "png") -> None:
    """Pictures that differ, cut out of photographs."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    sources = [Image.open(path).convert("RGB") for path in photos()[:8]]
    for number in range(count):
        source = sources[number % len(sources)]
        scale = max(1.0, 1.3 * width / source.width, 1.3 * height / source.height)
        source = source.resize((round(source.width * scale), round(source.height * scale)))
        left = int(rng.integers(0, source.width - width))
        top = int(rng.integers(0, source.height - height))
        source.crop((left, top, left + width, top + height)).save(folder / f"{number:05}.{kind}")


def kills(options: argparse.Namespace, folder: Path) -> str:
    """A job that is killed again and again: its driver, and its workers."""
    make_pictures(folder / "in", options.files, 64, 48)
    words = [sys.executable, "-m", "nulie", "in", "--output-dir", "out", "--job", "a.job",
             "--workers", "2", "--evaluations", "8", "--predictor", "statistics",
             "--quiet"]  # fmt: skip
    chance, done, starts = random.Random(0), 0, 0
    start = time.perf_counter()
    out = folder / "out"

    def made() -> int:
        return sum(1 for _ in out.glob("*_nulie.*")) if out.is_dir() else 0

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    while True:
        starts += 1
        child = subprocess.Popen(words, cwd=folder, env=environment)
        due = made() + options.files // (options.kills + 2)
        while child.poll() is None:
            if done < options.kills and made() >= due:
                listed = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
                victim = child.pid if done % 2 else int(chance.choice(listed))
                os.kill(victim, signal.SIGKILL)
                done, due = done + 1, made() + options.files // (options.kills + 2)
                if victim == child.pid:
                    break
            time.sleep(0.02)
        if child.wait() == 0:
            break
    with journal.look(folder / "a.job") as one:
        counts = dict(one.state().counts)
    left = len([*out.glob(".nulie-*")])
    whole = sum(image_io.load(path).size == (64, 48) for path in out.glob("*_nulie.*"))
    row = [f"{options.files:,}", str(done), str(starts), str(whole), str(counts), str(left),
           f"{time.perf_counter() - start:.0f}"]  # fmt: skip
    return table(
        ["pictures", "kills", "starts", "whole outputs", "rows", "temporaries", "s"], [row]
    )


def workers(options: argparse.Namespace, folder: Path) -> str:
    """Scoring PNGs of 1024 pixels with `statistics`; twice as many tell the start apart."""
    seconds: dict[tuple[int, int], list[float]] = {}
    for count in (options.files, 2 * options.files):
        make_pictures(folder / f"in{count}", count, 1024, 1024)
    for turn in range(3):
        for number in (1, 2):
            for count in (options.files, 2 * options.files):
                file = folder / f"{turn}{number}{count}.nulie"
                words = ("score", folder / f"in{count}", "--library", file, "--workers", number)
                spent = nulie(*words, "--predictor", "statistics", "-o", folder / "t")[2]
                seconds.setdefault((number, count), []).append(spent)
    rates = {}
    for number in (1, 2):
        few, many = (
            statistics.median(seconds[number, c]) for c in (options.files, 2 * options.files)
        )
        rates[number] = options.files / (many - few)
    rows = [[str(n), f"{rate:.1f}", f"{rate / (n * rates[1]):.2f}"] for n, rate in rates.items()]
    return table(["workers", "pictures a second", "of N times one"], rows)


def tower(options: argparse.Namespace, folder: Path) -> str:
    """Scoring with ViT-L/14 of random weights on the CPU, beside its bare tower, in turns."""
    make_pictures(folder / "in", options.files, 1024, 768, "jpg")
    clip = Clip("clip-sac", device="cpu", random_weights=True)
    exact = clip.exact()
    host = Host(load=lambda choice, progress: (clip, ""))
    named = items([str(folder / "in")], recursive=False)
    previews = [shrink(image_io.load(item.path).pixels, 224) for item in named]
    ratios = []
    for turn in range(5):
        with opened(folder / f"{turn}.nulie") as store:
            start = time.perf_counter()
            for _ in Scoring(named, Choice("clip-sac"), host, store, None).events():
                pass
            ours = time.perf_counter() - start
        start = time.perf_counter()
        for at in range(0, len(previews), exact.batch_size):
            exact.describe(previews[at : at + exact.batch_size])
        ratios.append((time.perf_counter() - start) / ours)
    ratios.sort()
    return f"rate of scoring / rate of the bare tower: {[round(r, 3) for r in ratios]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"cached": cached, "decoding": decoding, "journal": rows_of_a_journal,
             "overhead": overhead, "large": large, "kills": kills, "workers": workers,
             "tower": tower}  # fmt: skip
    usual = {"cached": 100_000, "overhead": 60, "kills": 2000, "workers": 120, "tower": 16}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--files", type=int)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    options.files = options.files or usual.get(options.part, 0)
    with tempfile.TemporaryDirectory(prefix="nulie-library-") as folder:
        print(machine(), "\n")
        print(parts[options.part](options, Path(folder)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{most:.0f} MB at most in this process")


if __name__ == "__main__":
    main()
