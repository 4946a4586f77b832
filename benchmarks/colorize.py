"""How well photographs are coloured that none of the training has seen, a contact sheet of them to
be looked at, and how long a large one takes.

    python -m benchmarks.colorize [--model own-color] [--output DIR]
    python -m benchmarks.colorize --speed

The photographs are those of `benchmarks.color_set`: 90 varied ones and 30 people.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from nulie import color
from nulie.fit.colors import Figures, figures
from nulie.image_io import Photo
from nulie.restore import color_models, colorize
from nulie.restore.color_models import Colorist

from .color_set import people, varied
from .common import DATA, machine, table

SIDE, COLUMNS, SHOWN = 190, 2, (16, 8)
"""Pixels of a part of the contact sheet, photographs beside each other, and how many varied ones
and people are on it."""


def photographs(paths: Sequence[Path]) -> list[np.ndarray]:
    """Their short side is 256 at most."""
    found = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        if min(image.size) > 256:
            scale = 256 / min(image.size)
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.BOX)
        found.append(np.array(image))
    return found


def painted(
    truths: Sequence[np.ndarray], colorist: Colorist, params: Mapping[str, float | str]
) -> list[np.ndarray]:
    """Coloured by their lightness alone."""
    return [
        np.asarray(colorize.restore(Photo(Image.fromarray(t)), colorist, params).pixels)
        for t in truths
    ]


def row(name: str, one: Figures) -> list[str]:
    share = "" if name == "grey" else f"{one.better:.0%}"
    return [name, f"{one.off:.1f}", share, f"{one.colorful:.2f}"]


def sheet(truths: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> Image.Image:
    """Grey, coloured, as it was."""
    rows = -(-len(truths) // COLUMNS)
    whole = Image.new("RGB", (COLUMNS * (3 * SIDE + 20), rows * (SIDE + 6)), (118, 118, 118))
    draw = ImageDraw.Draw(whole)
    for number, (truth, guess) in enumerate(zip(truths, made, strict=True)):
        left, top = number % COLUMNS * (3 * SIDE + 20), number // COLUMNS * (SIDE + 6)
        grey = colorize.restore(Photo(Image.fromarray(truth)), _Nothing(), {}).pixels
        for place, part in enumerate((grey, Image.fromarray(guess), Image.fromarray(truth))):
            small = part.copy()
            small.thumbnail((SIDE, SIDE))
            whole.paste(small, (left + place * (SIDE + 4), top))
        draw.text((left + 3, top + 2), str(number + 1), (255, 255, 0))
    return whole


class _Nothing:
    """Guesses grey."""

    name, digest = "nothing", "0" * 64

    def guess(self, *_: object) -> color_models.Guess:
        return color_models.Guess(torch.zeros(1, 2, 4, 4))


def quality(model: str, output: Path) -> None:
    colorist = color_models.create(model)
    chosen: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for what, paths, shown in zip(("varied", "people"), (varied(), people()), SHOWN, strict=True):
        truths = photographs(paths)
        greys = painted(truths, _Nothing(), {})
        rows = [row("grey", figures(truths, greys))]
        for variant in colorize.VARIANTS:
            made = painted(truths, colorist, {"variant": variant})
            rows.append(row(variant, figures(truths, made)))
            if variant == "plain":
                step = len(truths) // shown
                chosen[0].extend(truths[step // 2 :: step][:shown])
                chosen[1].extend(made[step // 2 :: step][:shown])
        made = painted(truths, colorist, {"strength": 0.7})
        rows.append(row("plain, strength 0.7", figures(truths, made)))
        print(f"\n{what}, {len(truths)} photographs\n")
        print(table(["", "CIE76", "better than grey", "colourfulness"], rows))
    output.mkdir(parents=True, exist_ok=True)
    sheet(*chosen).save(output / "colorize.png")
    print(f"\n{output / 'colorize.png'}: {len(chosen[0])} of them")


def speed(model: str) -> None:
    """Of 24 megapixels, and how far L* is off in them."""
    colorist = color_models.create(model)
    [path] = (DATA / "photos").glob("elementary_Carmine*")
    photo = Photo(Image.open(path).convert("L").convert("RGB"))
    colorize.restore(photo, colorist, {})
    begin, spent = time.perf_counter(), time.process_time()
    made = colorize.restore(photo, colorist, {})
    wall, cpu = time.perf_counter() - begin, time.process_time() - spent
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    worst = 0.0
    for top in range(0, photo.size[1], 256):
        rows = (0, top, photo.size[0], min(top + 256, photo.size[1]))
        before, after = (
            color.lab(torch.from_numpy(np.array(p.pixels.crop(rows))).permute(2, 0, 1)[None])[:, 0]
            for p in (photo, made)
        )
        worst = max(worst, float((before - after).abs().max()))
    millions = photo.size[0] * photo.size[1] / 1e6
    print(f"{millions:.0f} megapixels: {wall:.1f} s, {cpu:.1f} s of processors, {memory:.2f} GiB")
    print(f"L* is off by {worst:.2f} at most")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=color_models.OWN, metavar="NAME|FILE")
    parser.add_argument("--output", type=Path, default=Path("contact"), metavar="DIR")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args(arguments)
    print(machine())
    if options.speed:
        speed(options.model)
    else:
        quality(options.model, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
