"""Whether previews tell the truth, and whether the guards hold, on the photographs.

python -m benchmarks.fidelity [--recipes 64] [--evaluations 1000] [--megapixels 100]
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
from pathlib import Path

import torch
from PIL import Image

from nulie import image_io, transforms
from nulie.engine import Enhancement, Finished
from nulie.engine.objective import Objective, Terms
from nulie.predictor import create
from nulie.predictor.base import Predictor, exact_form
from nulie.recipe import Recipe
from nulie.recipe.settings import Settings
from nulie.transforms.preview import Renderer, shrink
from nulie.transforms.sample import sample

from .common import machine, photos, table
from .strategies import random_step

PEOPLE = ("people", "portrait")


def correlation(image: Image.Image, predictor: Predictor, mode: str, count: int) -> float:
    """Spearman's, between the scores of random recipes on the preview and at full size."""
    rng = random.Random(0)
    space = transforms.space(mode)  # type: ignore[arg-type]  # checked there
    recipes = [
        Recipe(tuple(random_step(space, rng) for _ in range(rng.randint(1, 6))))
        for _ in range(count)
    ]
    free = Settings(min_light=0.0, protect_skin=False)
    preview = shrink(image, predictor.input_size)
    render = Renderer(preview, sample(image))
    quick = [t.score for t in Objective(predictor, preview, free)(render(recipes))]
    exact = exact_form(predictor)
    judge = Objective(exact, shrink(image, exact.input_size), free)
    true = []
    for recipe in recipes:
        small = shrink(transforms.render(recipe, image), exact.input_size)
        true.append(judge(small[None])[0].score)
    ranks = torch.tensor([quick, true]).argsort(1).argsort(1).double()
    return float(torch.corrcoef(ranks)[0, 1])


def enhanced(image: Image.Image, predictor: Predictor, settings: Settings) -> Terms:
    """The result's marks with all guards watching, whether they were on in the search or not."""
    *_, last = Enhancement(image, predictor, settings).events()
    assert isinstance(last, Finished)
    exact = exact_form(predictor)
    watching = Objective(exact, shrink(image, exact.input_size), Settings())
    return watching(shrink(last.result.image, exact.input_size)[None])[0]


def people(folder: Path) -> set[str]:
    """Names of the photographs with people in them, from the list beside them."""
    with (folder / "MANIFEST.tsv").open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["file"] for row in rows if row["category"].startswith(PEOPLE)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", type=int, default=64)
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--megapixels", type=float, default=100.0, help="leave larger ones out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    predictor, _ = create("statistics")
    paths = []
    for path in photos():
        with Image.open(path) as image:
            if image.width * image.height <= options.megapixels * 1e6:
                paths.append(path)
    print(machine(), "\n")
    rows = []
    for mode in ("soft", "hard"):
        found = {
            path.name: correlation(image_io.load(path).pixels, predictor, mode, options.recipes)
            for path in paths
        }
        least = min(found, key=found.__getitem__)
        mean = statistics.mean(found.values())
        rows.append([mode, str(len(found)), f"{mean:.3f}", f"{found[least]:.3f}", least])
    print(table(["mode", "photographs", "mean correlation", "least", "of"], rows), "\n")
    rows = []
    shown = people(paths[0].parent)
    for mode in ("soft", "hard"):
        for guarded in (True, False):
            settings = Settings(
                mode=mode,
                seconds=None,
                evaluations=options.evaluations,
                min_light=0.9 if guarded else 0.0,
                protect_skin=guarded,
            )
            terms = [
                enhanced(image_io.load(path).pixels, predictor, settings)
                for path in paths
                if path.name in shown
            ]
            skin = [t.skin for t in terms if t.skin is not None]
            light = [t.light for t in terms]
            numbers = [min(skin), statistics.mean(skin), min(light), statistics.mean(light)]
            held = f"{sum(s >= 0.95 for s in skin) / len(skin):.0%}"
            guards = "on" if guarded else "off"
            row = [mode, guards, f"{len(skin)} of {len(terms)}", held]
            rows.append([*row, *(f"{number:.3f}" for number in numbers)])
    head = ["mode", "guards", "photographs with skin", "skin lightness 0.95 or more"]
    print(table([*head, "least skin", "mean skin", "least light", "mean light"], rows))


if __name__ == "__main__":
    main()
