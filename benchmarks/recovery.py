"""How much of what spoils a photograph does a search with the embedded predictor take back?

Each photograph is spoiled, by two random ops or as cameras and lenses do it, and enhanced; printed
are mean CIE76 distances to the photograph as it was, beside those of Pillow's autocontrast with
common cut-offs of one per cent. Clean photographs are enhanced too: from them the distance is how
far they were moved, and printed as well is how much of their chroma and contrast they keep, for
none should be dulled.

    python benchmarks/recovery.py [--photos DIR] [--spoiling ops|cast|haze|dull] [--apart]
        [--predictor NAME] [--evaluations 2000] [--seed 0] [--draws 1]
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nulie import image_io  # noqa: E402
from nulie.color import distance, lab  # noqa: E402
from nulie.engine import Enhancement, Finished  # noqa: E402
from nulie.errors import NulieError  # noqa: E402
from nulie.predictor import Predictor, create  # noqa: E402
from nulie.recipe.settings import Settings  # noqa: E402

SHORT_SIDE = 192
"""Photographs are reduced to this before all else; what is measured hardly depends on it."""
GREY = 5.0
"""Photographs of less mean chroma than this have none to keep."""
WITHOUT: dict[str, Any] = {
    "min_light": 0.0,
    "protect_skin": False,
    "min_color": 0.0,
    "min_contrast": 0.0,
}
"""Settings that switch the guards off, which forbid the recovery of a photograph that was made too
light or too vivid."""


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


def linear(image: Image.Image) -> np.ndarray:
    """Linear light, `[H, W, 3]` in 0..1 (IEC 61966-2-1)."""
    x = np.asarray(image) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def of_linear(light: np.ndarray) -> Image.Image:
    light = light.clip(0, 1)
    power = 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return of_levels(255 * np.where(light <= 0.0031308, 12.92 * light, power))


def of_levels(levels: np.ndarray) -> Image.Image:
    return Image.fromarray((levels + 0.5).clip(0, 255).astype(np.uint8))


def cast(image: Image.Image, rng: random.Random) -> tuple[Image.Image, str]:
    """Light of another colour, by 0.4 to 1 stop between red and blue."""
    warm, tint = rng.choice((-1, 1)) * rng.uniform(0.4, 1.0), rng.uniform(-0.4, 0.4)
    gains = np.exp2([warm / 2 + tint / 3, -2 * tint / 3, tint / 3 - warm / 2])
    gains /= gains @ [0.2126, 0.7152, 0.0722]
    return of_linear(linear(image) * gains), f"temperature {warm:.2f}, tint {tint:.2f}"


def haze(image: Image.Image, rng: random.Random) -> tuple[Image.Image, str]:
    """A quarter to a half of light air before all."""
    share, air = rng.uniform(0.25, 0.5), rng.uniform(190, 245)
    return of_levels(np.asarray(image) * (1 - share) + air * share), f"haze {share:.2f}"


def dull(image: Image.Image, rng: random.Random) -> tuple[Image.Image, str]:
    """Dark by half a stop to one and a half, flat and pale."""
    stops, flat, pale = rng.uniform(-1.5, -0.5), rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.95)
    image = ImageEnhance.Contrast(of_linear(linear(image) * 2**stops)).enhance(flat)
    words = f"{stops:.1f} stops, contrast {flat:.2f}, saturation {pale:.2f}"
    return ImageEnhance.Color(image).enhance(pale), words


FAMILIES = {"ops": spoil, "cast": cast, "haze": haze, "dull": dull}


def enhance(image: Image.Image, predictor: Predictor, settings: Settings) -> Image.Image:
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


def photographs(paths: Sequence[Path]) -> list[tuple[str, Image.Image]]:
    """Name and pixels, at `SHORT_SIDE`, of all that can be read."""
    found = []
    for path in paths:
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


def apart(folder: Path) -> list[Path]:
    """Photographs of the collection with colours that no fit has seen."""
    with (folder / "MANIFEST.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [folder / row["file"] for row in rows if row["split"] == "apart"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = Path(os.environ.get("NULIE_TEST_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--photos", type=Path, default=data / "photos", metavar="DIR")
    parser.add_argument("--spoiling", choices=FAMILIES, default="ops")
    parser.add_argument("--apart", action="store_true", help="with those that no fit has seen")
    parser.add_argument("--predictor", default="statistics", metavar="NAME", help="or a file")
    parser.add_argument("--evaluations", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--draws", type=int, default=1, metavar="N", help="spoilings a photograph")
    options = parser.parse_args(arguments)
    if not options.photos.is_dir():
        print(f"no photographs at {options.photos}; name a folder with --photos", file=sys.stderr)
        return 2
    paths = sorted(options.photos.iterdir()) + (apart(data / "photos-colour") * options.apart)
    photos = photographs(paths)
    if not photos:
        print(f"no photograph in {options.photos} can be read", file=sys.stderr)
        return 2

    predictor, _ = create(options.predictor)
    common: dict[str, Any] = {
        "seconds": None,
        "evaluations": options.evaluations,
        "seed": options.seed,
    }
    ways = {
        "soft": Settings(mode="soft", **common),
        "hard": Settings(mode="hard", **common),
        "soft free": Settings(mode="soft", **common, **WITHOUT),
        "hard free": Settings(mode="hard", **common, **WITHOUT),
    }
    columns = ["spoiled", "autocontrast", *ways, "clean soft", "clean hard", "clean hard free"]
    print("free: without the guards\n")
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
            spoiled, words = FAMILIES[options.spoiling](photo, rng)
            row = [between(spoiled, photo)]
            row.append(between(ImageOps.autocontrast(spoiled, cutoff=1, preserve_tone=True), photo))
            row += [between(enhance(spoiled, predictor, s), photo) for s in ways.values()]
            row += clean
            rows.append(row)
            searches += len(ways)
            print(f"| {name[:28]:28} | {' | '.join(f'{v:5.1f}' for v in row)} | {words} |")
        searches += len(clean)
    means = np.array(rows).mean(0)
    print(f"| {'mean':28} | {' | '.join(f'{v:5.2f}' for v in means)} | |")
    ratios = " | ".join(f"{v / means[0]:5.3f}" for v in means[: 2 + len(ways)])
    print(f"| {'share of the spoiled':28} | {ratios} |" + " |" * (len(clean) + 1))
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
