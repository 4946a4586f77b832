"""Contact sheets: good photographs kept apart from all fitting, each beside what a search makes of
it. To be looked at, and classed better, same or worse, before the numbers are read.

    python -m benchmarks.contact [--predictor statistics] [--mode soft] [--count 60] [--output DIR]

The numbers, how far each was moved and what it keeps of its chroma and contrast, are printed last.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from nulie.engine import Enhancement, Finished
from nulie.predictor import create
from nulie.recipe.settings import Settings
from nulie.transforms import describe

from .common import DATA, machine, photos, table
from .recovery import apart, between, liveliness

SIDE, COLUMNS, ROWS = 300, 2, 5
"""Pixels of a picture's longer side, and pairs on a sheet."""


def sheet(pairs: Sequence[tuple[str, Image.Image, Image.Image]]) -> Image.Image:
    """Before and after side by side, numbered."""
    width, height = COLUMNS * (2 * SIDE + 24), ROWS * (SIDE + 20)
    whole = Image.new("RGB", (width, height), (118, 118, 118))
    draw = ImageDraw.Draw(whole)
    for i, (name, before, after) in enumerate(pairs):
        left, top = (i % COLUMNS) * (2 * SIDE + 24), (i // COLUMNS) * (SIDE + 20)
        draw.text((left + 4, top + 2), name, (255, 255, 255))
        for side, picture in enumerate((before, after)):
            small = picture.copy()
            small.thumbnail((SIDE, SIDE))
            whole.paste(small, (left + side * (SIDE + 4), top + 16))
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictor", default="statistics", metavar="NAME")
    parser.add_argument("--mode", default="soft", choices=("soft", "hard"))
    parser.add_argument("--evaluations", type=int, default=1500, metavar="N")
    parser.add_argument("--count", type=int, default=60, metavar="N")
    parser.add_argument("--output", type=Path, default=Path("contact"), metavar="DIR")
    options = parser.parse_args(arguments)
    predictor, note = create(options.predictor)
    paths = [*photos(), *apart(DATA / "photos-colour")]
    step = max(1, len(paths) // options.count)
    options.output.mkdir(parents=True, exist_ok=True)
    settings = Settings(mode=options.mode, seconds=None, evaluations=options.evaluations)
    pairs, rows = [], []
    for number, path in enumerate(paths[::step][: options.count], 1):
        image = Image.open(path).convert("RGB")
        image.thumbnail((1024, 1024))
        *_, last = Enhancement(image, predictor, settings).events()
        assert isinstance(last, Finished)
        after = last.result.image
        pairs.append((f"{number} {path.stem[:40]}", image, after))
        kept = liveliness(after) / liveliness(image).clip(1)
        shares = [f"{share:.2f}" for share in kept]
        marks = [f"{between(image, after):.1f}", *shares, describe(last.result.recipe)]
        rows.append([str(number), path.stem[:28], *marks])
    size = COLUMNS * ROWS
    for at in range(0, len(pairs), size):
        sheet(pairs[at : at + size]).save(options.output / f"sheet{at // size + 1}.png")
    print(machine())
    print(table(["", "photograph", "moved", "chroma", "contrast", "recipe"], rows))
    moved = [float(row[2]) for row in rows]
    print(f"moved by {sum(moved) / len(moved):.2f} on average, {max(moved):.1f} at most; {note}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
