"""What does it cost that recipes are made short?

Each photograph is spoiled by two random ops and searched for with the photograph as it was as the
target, without guards. Printed are what is left between the two at full size, and how many steps it
takes: of the best recipe as the search found it, and of what became of it in the end.

    python -m benchmarks.shortening [--photos DIR] [--evaluations 1000] [--seed 0]
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nulie.engine import Enhancement, Finished
from nulie.engine.pipeline import apply_to_pixels
from nulie.predictor.like import Given
from nulie.recipe.settings import Settings
from nulie.transforms.preview import shrink

from .common import DATA, machine, photos, table
from .recovery import WITHOUT, between, photographs, spoil


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Decibels between two images of one size."""
    apart = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return 10 * math.log10(255**2 / max(float((apart**2).mean()), 1e-3))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DATA / "photos", metavar="DIR")
    parser.add_argument("--evaluations", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    pictures = photographs(photos(options.photos))
    if not pictures:
        print(f"no photograph in {options.photos} can be read", file=sys.stderr)
        return 2
    print(f"{machine()}; {len(pictures)} photographs, {options.evaluations:,} evaluations\n")
    rows = []
    for mode in ("soft", "hard"):
        rng = random.Random(options.seed)
        found: list[list[float]] = []
        short: list[list[float]] = []
        for _, photo in pictures:
            spoiled, _ = spoil(photo, rng)
            settings = Settings(
                mode=mode,
                seconds=None,
                evaluations=options.evaluations,
                seed=options.seed,
                **WITHOUT,
            )
            search = Enhancement(spoiled, Given(shrink(photo, Given.input_size)), settings)
            *_, last = search.events()
            if not isinstance(last, Finished):
                raise AssertionError("a run ends with Finished")
            best = search.tree.best()[0].recipe
            for marks, recipe, image in (
                (found, best, apply_to_pixels(best, spoiled)),
                (short, last.result.recipe, last.result.image),
            ):
                marks.append([psnr(image, photo), between(image, photo), len(recipe)])
        for name, marks in (("as found", found), ("in the end", short)):
            level, apart, steps = np.mean(marks, 0)
            longest = max(int(mark[2]) for mark in marks)
            figures = (f"{level:.2f}", f"{apart:.2f}", f"{steps:.1f}", f"{longest}")
            rows.append([mode, name, *figures])
    print(table(["mode", "recipes", "dB", "CIE76", "steps", "most"], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
