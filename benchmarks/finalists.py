"""Finalists made as large as the predictor can make use of, and all at full size: who wins?

    python -m benchmarks.finalists [--photos DIR] [--evaluations 1000] [--times 2 4 8]

For each photograph and mode the same search is ended by elections whose candidates are made of an
image of so many times the previews' short side, the winner alone at full size; and by one whose
candidates are all made at full size. Totals are marks at full size. CPU time is that of the end of
a search, after its last batch, beside that of the winner's one render.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from nulie import image_io
from nulie.engine import Enhancement, Finished, Progress, finalists
from nulie.engine.pipeline import apply_to_pixels
from nulie.predictor import create
from nulie.predictor.base import Predictor
from nulie.recipe import Recipe, Settings

from .common import DATA, machine, photos, table

WHOLE = math.inf


def ended(
    photo: Image.Image, predictor: Predictor, settings: Settings
) -> tuple[Recipe, float, float]:
    """Recipe and total that a search ends with, and CPU ms from its last batch on."""
    start = time.process_time()
    for event in Enhancement(photo, predictor, settings).events():
        if isinstance(event, Progress):
            start = time.process_time()
        if isinstance(event, Finished):
            spent = 1000 * (time.process_time() - start)
            return event.result.recipe, event.result.terms.total, spent
    raise AssertionError("a run ends with Finished")


def scaled(path: Path, short_side: int) -> Image.Image:
    pixels = image_io.load(path).pixels
    scale = min(1.0, short_side / min(pixels.size))
    return pixels.resize((round(pixels.width * scale), round(pixels.height * scale)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DATA / "photos", metavar="DIR")
    parser.add_argument("--evaluations", type=int, default=1000, metavar="N")
    parser.add_argument("--short-side", type=int, default=1024, help="of larger photographs")
    parser.add_argument("--times", type=float, nargs="*", default=[2, 4, 8])
    options = parser.parse_args(arguments)
    pictures = [scaled(path, options.short_side) for path in photos(options.photos)]
    predictor, _ = create("statistics", device="cpu")
    found: dict[float, list[tuple[Recipe, float, float]]] = {}
    renders: list[float] = []
    for mode in ("soft", "hard"):
        settings = Settings(mode=mode, seconds=None, evaluations=options.evaluations)
        for photo in pictures:
            for times in (WHOLE, *options.times):
                finalists.TIMES = times
                found.setdefault(times, []).append(ended(photo, predictor, settings))
            start = time.process_time()
            apply_to_pixels(found[WHOLE][-1][0], photo)
            renders.append(1000 * (time.process_time() - start))
    rows = []
    for times, results in found.items():
        pairs = list(zip(results, found[WHOLE], strict=True))
        others = sum(one[0] != whole[0] for one, whole in pairs)
        lost = [whole[1] - one[1] for one, whole in pairs]
        name = "all at full size" if times == WHOLE else f"{times:g} times"
        spent = statistics.median(spent for *_, spent in results)
        rows.append([name, f"{others} of {len(pairs)}", f"{statistics.mean(lost):+.4f}",
                     f"{max(lost):+.4f}", f"{spent:.0f}"])  # fmt: skip
    print(f"{machine()}; {len(pictures)} photographs, soft and hard\n")
    head = ["candidates", "other recipes", "points lost, mean", "worst", "CPU ms, median"]
    print(table(head, rows))
    print(f"\none render: {statistics.median(renders):.0f} ms, median")


if __name__ == "__main__":
    main()
