"""How near does `nulie match` come to edits of a photograph that it is shown?

Each photograph is edited at random by one family of editors: nulie's own ops (2 to 4 steps, in the
ranges of soft and hard mode in turn), or ImageMagick (two or three of -modulate,
-sigmoidal-contrast, -level and gains of single channels). Printed are mean CIE76 distances to the
edit: of the photograph, of Pillow's autocontrast with a common cut-off of one per cent, and of what
the recipe that was found makes of the photograph.

    python -m benchmarks.match [--photos DIR] [--seconds 10 | --evaluations N] [--seed 0]
        [--family own|imagemagick]
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from nulie import image_io
from nulie.engine.match import match
from nulie.recipe import Recipe, Step
from nulie.transforms import describe, render, space

from .common import machine, photos, table
from .recovery import between

LONG_SIDE = 1024
"""Photographs are reduced to this before all else."""


def own(image: Image.Image, rng: random.Random, number: int) -> tuple[Image.Image, str]:
    mode = ("soft", "hard")[number % 2]
    steps = [
        Step.of(
            move.op,
            **{d.name: d.snap(rng.uniform(*d.bounds(mode))) for d in move.dials},
        )
        for move in rng.choices(space(mode), k=rng.randint(2, 4))
    ]
    return render(Recipe(tuple(steps)), image), f"{mode}: {describe(Recipe(tuple(steps)))}"


def imagemagick(image: Image.Image, rng: random.Random, number: int) -> tuple[Image.Image, str]:
    gain = ["-channel", rng.choice("RGB"), "-evaluate", "multiply", f"{rng.uniform(0.8, 1.2):.3f}"]
    ways = [
        ["-modulate", ",".join(f"{rng.uniform(100 - r, 100 + r):.0f}" for r in (25, 50, 6))],
        ["-sigmoidal-contrast", f"{rng.uniform(1, 6):.1f},{rng.uniform(35, 65):.0f}%"],
        [
            "-level",
            f"{rng.uniform(0, 8):.1f}%,{rng.uniform(90, 100):.1f}%,{rng.uniform(0.7, 1.4):.2f}",
        ],
        [*gain, "+channel"],
    ]
    chosen = [word for way in rng.sample(ways, rng.randint(2, 3)) for word in way]
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source.png", Path(folder) / "made.png"
        image.save(source)
        subprocess.run(["convert", source, *chosen, f"PNG24:{made}"], check=True)
        return Image.open(made).convert("RGB"), " ".join(chosen)


FAMILIES: dict[str, Callable[[Image.Image, random.Random, int], tuple[Image.Image, str]]] = {
    "own": own,
    "imagemagick": imagemagick,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--evaluations", type=int, help="the same effort on any machine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--most", type=int, help="photographs to look at")
    options = parser.parse_args()
    if options.evaluations is None and options.seconds is None:
        options.seconds = 10.0
    print(machine(), flush=True)
    rows = []
    for family in options.family or FAMILIES:
        found = []
        for number, path in enumerate(photos(options.photos)[: options.most]):
            image = image_io.load(path).pixels
            image.thumbnail((LONG_SIDE, LONG_SIDE))
            edited, said = FAMILIES[family](
                image, random.Random(f"{options.seed} {number}"), number
            )
            start = time.process_time()
            result = match(image, edited, seconds=options.seconds, evaluations=options.evaluations)
            busy = time.process_time() - start
            stretched = ImageOps.autocontrast(image, 1, preserve_tone=True)
            distances = (
                between(image, edited),
                between(stretched, edited),
                between(result.image, edited),
            )
            kind = f"{family}, {said.partition(':')[0]}" if family == "own" else family
            effort = (result.evaluations, busy, result.seconds)
            found.append((kind, *distances, len(result.recipe), *effort))
            said += f" | {describe(result.recipe)} | {result.evaluations} in {busy:.1f} s"
            print(f"{path.name}: {distances[0]:.2f} -> {distances[2]:.2f}; {said}", flush=True)
        for kind in sorted({row[0] for row in found}):
            some = np.array([row[1:] for row in found if row[0] == kind], float)
            rows.append([
                kind, str(len(some)), *(f"{v:.2f}" for v in some.mean(0)[:3]),
                f"{np.median(some[:, 2]):.2f}", f"{some[:, 2].max():.2f}",
                f"{some[:, 3].mean():.1f}", f"{some[:, 4].mean():,.0f}",
                *(f"{v:.1f}" for v in some.mean(0)[5:]),
            ])  # fmt: skip
    head = "edits,of,distance,autocontrast,left mean,left median,left most,steps"
    print(table([*head.split(","), "evaluations", "CPU seconds", "seconds"], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
