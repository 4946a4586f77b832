"""How much of what spoils a photograph does a search with the embedded predictor take back?

Each photograph is spoiled by two random ops and enhanced; printed are mean CIE76 distances to the
photograph as it was, beside those of Pillow's autocontrast with a cut-off of one per cent. Clean
photographs are enhanced too: from them the distance is how far they were moved, and printed as well
is how much of their chroma and contrast they keep, for none should be dulled.

    python benchmarks/recovery.py [--photos DIR] [--evaluations 2000] [--seed 0] [--draws 1]
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nulie import image_io  # noqa: E402
from nulie.color import distance, lab  # noqa: E402
from nulie.engine import Enhancement, Finished  # noqa: E402
from nulie.errors import NulieError  # noqa: E402
from nulie.predictor.statistics import Statistics  # noqa: E402
from nulie.recipe.settings import Settings  # noqa: E402

SHORT_SIDE = 192
"""Photographs are reduced to this before all else; what is measured hardly depends on it."""
GREY = 5.0
"""Photographs of less mean chroma than this have none to keep."""
WITHOUT = {"min_light": 0.0, "protect_skin": False}
"""Settings that switch the guards against darkening off, which forbid the recovery of a photograph
that was made too light."""


def gamma(image: Image.Image, exponent: float) -> Image.Image:
    table = [round(255 * (level / 255) ** exponent) for level in range(256)]
    return image.point(table * 3)


Spoiling = tuple[str, float, float, Callable[[Image.Image, float], Image.Image]]
SPOILINGS: tuple[Spoiling, ...] = (
    ("brightness", 0.5, 2.0, lambda image, f: ImageEnhance.Brightness(image).enhance(f)),
    ("contrast", 0.5, 2.0, lambda image, f: ImageEnhance.Contrast(image).enhance(f)),
    ("gamma", 0.5, 2.0, gamma),
    ("saturation", 0.3, 3.0, lambda image, f: ImageEnhance.Color(image).enhance(f)),
)


def spoil(image: Image.Image, rng: random.Random) -> tuple[Image.Image, str]:
    """By two different ops, each as likely to weaken as to strengthen by as many times."""
    words = []
    for name, low, high, apply in rng.sample(SPOILINGS, 2):
        factor = math.exp(rng.uniform(math.log(low), math.log(high)))
        image = apply(image, factor)
        words.append(f"{name} {factor:.2f}")
    return image, ", ".join(words)


def enhance(image: Image.Image, predictor: Statistics, settings: Settings) -> Image.Image:
    for event in Enhancement(image, predictor, settings).events():
        if isinstance(event, Finished):
            return event.result.image
    raise AssertionError("a run ends with Finished")


def colours(image: Image.Image) -> torch.Tensor:
    """CIELAB, `[1, 3, H, W]`."""
    return lab(torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()[None])


def between(a: Image.Image, b: Image.Image) -> float:
    """Mean CIE76 distance."""
    return distance(colours(a), colours(b)).item()


def liveliness(image: Image.Image) -> np.ndarray:
    """Mean chroma, and the standard deviation of lightness."""
    seen = colours(image)[0]
    return np.array([seen[1:].norm(dim=0).mean().item(), seen[0].std().item()])


def photographs(folder: Path) -> list[tuple[str, Image.Image]]:
    """Name and pixels, at `SHORT_SIDE`, of all that can be read."""
    found = []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix.lower() in (".tsv", ".txt", ".md", ".json"):
            continue
        try:
            pixels = image_io.load(path).pixels
        except NulieError as e:
            print(f"left out: {e}", file=sys.stderr)
            continue
        scale = SHORT_SIDE / min(pixels.size)
        size = (round(pixels.width * scale), round(pixels.height * scale))
        found.append((path.stem, pixels.resize(size, Image.Resampling.BICUBIC)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = Path(os.environ.get("NULIE_TEST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--photos", type=Path, default=data / "photos", metavar="DIR")
    parser.add_argument("--predictor", type=Path, metavar="FILE", help="a file of nulie fit")
    parser.add_argument("--evaluations", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--draws", type=int, default=1, metavar="N", help="spoilings a photograph")
    options = parser.parse_args(arguments)
    if not options.photos.is_dir():
        print(f"no photographs at {options.photos}; name a folder with --photos", file=sys.stderr)
        return 2
    photos = photographs(options.photos)
    if not photos:
        print(f"no photograph in {options.photos} can be read", file=sys.stderr)
        return 2

    predictor = Statistics(options.predictor)
    common = {"seconds": None, "evaluations": options.evaluations, "seed": options.seed}
    ways = {
        "soft": Settings(mode="soft", **common),
        "hard": Settings(mode="hard", **common),
        "soft free": Settings(mode="soft", **common, **WITHOUT),
        "hard free": Settings(mode="hard", **common, **WITHOUT),
    }
    columns = ["spoiled", "autocontrast", *ways, "clean soft", "clean hard", "clean hard free"]
    print("free: without the guards against darkening\n")
    print(f"| {'photograph':28} | {' | '.join(columns)} | spoiled by |")
    print("|---" * (len(columns) + 2) + "|")
    rng = random.Random(options.seed)
    rows, searches, start = [], 0, time.monotonic()
    kept: dict[str, list[np.ndarray]] = {c: [] for c in columns if c.startswith("clean ")}
    for name, photo in photos:
        clean = []
        for column, shares in kept.items():
            result = enhance(photo, predictor, ways[column.removeprefix("clean ")])
            clean.append(between(result, photo))
            was = liveliness(photo)
            if was[0] > GREY:
                shares.append(liveliness(result) / was)
        for _ in range(options.draws):
            spoiled, words = spoil(photo, rng)
            row = [between(spoiled, photo)]
            row.append(between(ImageOps.autocontrast(spoiled, cutoff=1), photo))
            row += [between(enhance(spoiled, predictor, s), photo) for s in ways.values()]
            row += clean
            rows.append(row)
            searches += len(ways)
            print(f"| {name[:28]:28} | {' | '.join(f'{v:5.1f}' for v in row)} | {words} |")
        searches += len(clean)
    means = np.array(rows).mean(0)
    print(f"| {'mean':28} | {' | '.join(f'{v:5.2f}' for v in means)} | |")
    shares = " | ".join(f"{v / means[0]:5.3f}" for v in means[: 2 + len(ways)])
    print(f"| {'share of the spoiled':28} | {shares} |" + " |" * (len(clean) + 1))
    print("\nkept of the chroma and the contrast of clean photographs in colour:")
    for column, shares in kept.items():
        mean, least = np.mean(shares, 0), np.min(shares, 0)
        print(f"{column}: {mean[0]:.2f} and {mean[1]:.2f}, at least {least[0]:.2f} and "
              f"{least[1]:.2f}")  # fmt: skip
    seconds = time.monotonic() - start
    print(f"\n{len(rows)} spoiled, {searches} searches of {options.evaluations} evaluations, "
          f"{seconds:.0f} s")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
