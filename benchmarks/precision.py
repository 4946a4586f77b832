"""What reduced precision and a single view do to the scores of a search.

    python -m benchmarks.precision [--predictor clip-b32] [--renders 256]

Random recipes on one photograph, scored by CLIP with random weights (real ones spread scores
wider; ranks are what counts): in float32 with both views, which decides in the end, and in the
cheaper ways in which a search may look.
"""

from __future__ import annotations

import argparse
import random

import torch

from nulie import image_io, transforms
from nulie.predictor.clip import Clip
from nulie.recipe import Recipe
from nulie.transforms.preview import Renderer, shrink

from .common import machine, photos, table
from .strategies import random_step


def ranks(scores: torch.Tensor) -> torch.Tensor:
    return scores.argsort().argsort().double()


def spearman(a: torch.Tensor, b: torch.Tensor) -> float:
    """Spearman's rank correlation of two `[N]`."""
    return float(torch.corrcoef(torch.stack([ranks(a), ranks(b)]))[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictor", default="clip-b32")
    parser.add_argument("--renders", type=int, default=256)
    options = parser.parse_args()
    path = photos()[0]
    preview = shrink(image_io.load(path).pixels, 224)
    space, rng = transforms.space("soft"), random.Random(0)
    recipes = [
        Recipe(tuple(random_step(space, rng) for _ in range(rng.randint(1, 5))))
        for _ in range(options.renders)
    ]
    batch = Renderer(preview)(recipes)

    def scores(precision: str, views: int) -> torch.Tensor:
        predictor = Clip(options.predictor, precision=precision, views=views, random_weights=True)
        judge = predictor.judge(preview)
        return torch.cat([judge(part).scores for part in batch.split(8)])

    exact = scores("fp32", 2)
    rows = []
    for precision, views in (("fp32", 1), ("bf16", 1), ("bf16", 2)):
        found = scores(precision, views)
        gap = (found - exact) - (found - exact).mean()
        rows.append(
            [
                f"{precision}, {views} view{'s' * (views > 1)}",
                f"{spearman(found, exact):.4f}",
                f"{float(gap.abs().max()):.4f}",
                "yes" if int(found.argmax()) == int(exact.argmax()) else "no",
            ]
        )
    spread = float(exact.max() - exact.min())
    print(f"{options.predictor}, {options.renders} renders of {path.name}, {machine()}")
    print(f"scores in float32 with both views spread over {spread:.3f} points\n")
    head = ["search looks in", "rank correlation", "largest difference, less the mean", "same best"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
