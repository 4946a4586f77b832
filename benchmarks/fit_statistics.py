"""Fits the embedded predictor `statistics` as it is shipped.

    OMP_NUM_THREADS=1 python -m benchmarks.fit_statistics FILE.safetensors

The photographs: all of `photos-train`; of `photos-colour` the split `train`, with 120 of the
flowers and 60 of the shop shelves, which would outweigh the rest; 400 sharp crops of `photos-hr`.
Most of an hour on one core. `benchmarks.recovery --apart` judges by photographs that none of it
has seen.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from nulie.fit import fit
from nulie.predictor.statistics import write

from .common import DATA

EXAMPLES, STEPS, SEED = 160_000, 5_000, 0
MOST = {"flowers": 120, "shop": 60}
CROPS = 400


def photographs(data: Path) -> list[Path]:
    """What is fitted to, the same each time."""
    chance = random.Random(SEED)
    suffixes = (".jpg", ".png", ".webp")
    paths = [p for p in sorted((data / "photos-train").glob("*")) if p.suffix in suffixes]
    kinds: dict[str, list[Path]] = {}
    for row in _rows(data / "photos-colour"):
        if row["split"] == "train":
            kinds.setdefault(row["kind"], []).append(data / "photos-colour" / row["file"])
    for kind, found in sorted(kinds.items()):
        chance.shuffle(found)
        paths += found[: MOST.get(kind)]
    crops = [r["file"] for r in _rows(data / "photos-hr") if r["kind"] == "photo"]
    chance.shuffle(crops)
    return paths + [data / "photos-hr" / name for name in crops[:CROPS]]


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "MANIFEST.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    photos = (Image.open(path) for path in photographs(DATA))

    def show(what: str, share: float) -> None:
        print(f"\r{what} {share:4.0%}", end="", file=sys.stderr)

    weights = fit(photos, seed=SEED, examples=EXAMPLES, steps=STEPS, progress=show)
    write(weights, Path(arguments[0]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
