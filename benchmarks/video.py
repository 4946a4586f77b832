"""How quickly a film goes through nulie, beside ffmpeg's own filter with the same encoder.

    python benchmarks/video.py [--rounds 5] [--seconds 10] [--preset veryfast]

Decodes, applies a table and encodes 720p, in turn by both, and prints frames a second of wall time
and of CPU time; then the same with a recipe that takes more than tables, and what memory is used as
a film becomes ten times as long. Needs ffmpeg and the extra [video].
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from nulie.jobs.events import Amiss, Failed
from nulie.jobs.host import Host
from nulie.jobs.inputs import items
from nulie.jobs.job import Job
from nulie.jobs.plan import plan
from nulie.recipe import Recipe, Step
from nulie.transforms import table_of
from nulie.video import filters, result
from nulie.video.film import process

PHOTO = Path(__file__).parents[1] / "examples" / "rocket.jpg"
TABLE = Recipe((Step.of("brightness", factor=1.1), Step.of("gamma", gamma=0.9)))
MORE = TABLE.then(Step.of("saturation", factor=1.2))
CRF = "23"


def film(path: Path, seconds: float, size: str = "1280x720") -> Path:
    """A slow move over a photo, with some noise, at 30 frames a second."""
    move = f"scale=2560:-2,zoompan=z='1+on/4000':x='on':d={round(30 * seconds)}:s={size}:fps=30"
    run("-loop", "1", "-i", PHOTO, "-vf", f"{move},noise=alls=3:allf=t,format=yuv420p", "-t",
        seconds, "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", path)  # fmt: skip
    return path


def run(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def by_ffmpeg(source: Path, target: Path, preset: str) -> None:
    table = table_of(TABLE)
    assert table is not None
    [(name, options)] = filters.by_table(table)
    run("-i", source, "-vf", f"{name}={options}", "-c:v", "libx264", "-preset", preset, "-crf", CRF,
        target)  # fmt: skip


def by_nulie(source: Path, target: Path, recipe: Recipe) -> None:
    given = {"recipe": recipe.to_json(), "output": target, "overwrite": True, "crf": CRF}
    job = Job(items([str(source)], recursive=False), plan(given), Host(film=process))
    for event in job.events():
        assert not isinstance(event, Failed | Amiss), event


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of wall and of CPU time, child processes included."""
    wall, cpu = time.perf_counter(), spent()
    work()
    return time.perf_counter() - wall, spent() - cpu


def spent() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def memory(source: Path) -> float:
    """MB that a process of its own needed at most."""
    code = (
        "import resource, sys; from pathlib import Path; from benchmarks.video import *;"
        f"by_nulie(Path({str(source)!r}), Path({str(source.with_suffix('.out.mp4'))!r}), MORE);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--preset", default="veryfast")
    options = parser.parse_args()
    given = {"preset": options.preset}
    result.ENCODERS["h264"] = replace(result.ENCODERS["h264"], options=given)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "b.mp4")
        clip = film(Path(folder, "a.mp4"), options.seconds)
        ways: dict[str, Callable[[], None]] = {
            "ffmpeg -vf lutrgb": lambda: by_ffmpeg(clip, target, options.preset),
            "nulie, tables": lambda: by_nulie(clip, target, TABLE),
            "nulie, tables and saturation": lambda: by_nulie(clip, target, MORE),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, work in ways.items():
                times[name].append(timed(work))
        frames = 30 * options.seconds
        peer = times["ffmpeg -vf lutrgb"]
        print("| way | frames/s | frames per CPU second | of ffmpeg's, wall | of ffmpeg's, CPU |")
        print("| --- | --- | --- | --- | --- |")
        for name, each in times.items():
            ratios = [
                median(b[i] / a[i] for a, b in zip(each, peer, strict=True)) for i in range(2)
            ]
            rates = [frames / median(one[i] for one in each) for i in range(2)]
            print(
                f"| {name} | {rates[0]:.1f} | {rates[1]:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
            )
        for count in (1_000, 10_000):
            small = film(Path(folder, f"{count}.mp4"), count / 30, "320x180")
            print(f"{count:,} frames of 320 x 180: {memory(small):.0f} MB at most")


if __name__ == "__main__":
    main()
