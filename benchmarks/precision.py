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

    def scores(precision: str) -> list[torch.Tensor]:
        """By the view as it is alone, and by both."""
        predictor = Clip(options.predictor, precision=precision, random_weights=True)
        judge = predictor.judge(preview)
        one, other = (
            torch.cat([judge(part).scores for part in torch.split(view, 8)])
            for view in (batch, batch.flip(-1))
        )
        return [one, (one + other) / 2]

    exact = scores("fp32")
    reduced = scores("bf16")
    rows = []
    for name, scores_of in (
        ("fp32, 1 view", exact[0]),
        ("bf16, 1 view", reduced[0]),
        ("bf16, 2 views", reduced[1]),
    ):
        gap = scores_of - exact[1]
        rows.append(
            [
                name,
                f"{spearman(scores_of, exact[1]):.4f}",
                f"{float(gap.abs().max()):.4f}",
                f"{float((gap - gap.mean()).abs().max()):.4f}",
                "yes" if int(scores_of.argmax()) == int(exact[1].argmax()) else "no",
            ]
        )
    gap = reduced[0] - exact[0]
    alone = f"{spearman(reduced[0], exact[0]):.4f}, {float(gap.abs().max()):.4f}"
    spread = float(exact[1].max() - exact[1].min())
    print(f"{options.predictor}, {options.renders} renders of {path.name}, {machine()}")
    print(f"scores in float32 with both views spread over {spread:.3f} points")
    print(f"bf16 against fp32 of the same view: rank correlation, largest difference {alone}\n")
    head = [
        "search looks in",
        "rank correlation",
        "largest difference",
        "less the mean",
        "same best",
    ]
    print(table(head, rows))


if __name__ == "__main__":
    main()
