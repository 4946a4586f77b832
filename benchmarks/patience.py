"""What patience saves, and what it costs: photographs searched for with the time of a user's first
try, once ending where nothing is left to gain and once for all of it.

    python -m benchmarks.patience [--predictor statistics] [--seconds 10] [--photos DIR]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nulie import image_io
from nulie.engine import Enhancement, Finished
from nulie.predictor import create
from nulie.recipe.settings import Settings

from .common import DATA, machine, photos, table
from .recovery import between


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DATA / "photos", metavar="DIR")
    parser.add_argument("--predictor", default="statistics", metavar="NAME")
    parser.add_argument("--mode", default="soft", choices=("soft", "hard"))
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args(arguments)
    predictor, _ = create(options.predictor)
    print(f"{machine()}; {options.predictor}, {options.mode}, {options.seconds:g} s\n")
    spent: list[list[float]] = []
    for path in photos(options.photos):
        image = image_io.load(path).pixels
        row, results = [], []
        for patience in (None, 0.0):
            settings = Settings(mode=options.mode, seconds=options.seconds, patience=patience)
            start = time.monotonic()
            *_, last = Enhancement(image, predictor, settings).events()
            if not isinstance(last, Finished):
                raise AssertionError("a run ends with Finished")
            score = last.result.terms.score
            row += [time.monotonic() - start, last.result.evaluations, score]
            results.append(last.result.image)
        spent.append([*row, between(*results)])
    marks = np.array(spent)
    rows = [
        [name, *(f"{value:,.2f}" for value in np.nanmean(marks[:, at : at + 3], 0))]
        for name, at in (("as it is", 0), ("none, --patience 0", 3))
    ]
    print(table(["patience", "seconds", "evaluations", "score"], rows))
    print(f"\nthe two pictures are {marks[:, 6].mean():.2f} CIE76 apart on average")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
