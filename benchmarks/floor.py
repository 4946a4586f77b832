"""The floor under a search with CLIP: the bare image tower of open_clip; and the original's way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import open_clip
import torch
from PIL import Image

from nulie import transforms
from nulie.predictor.clip import Clip
from nulie.recipe import Recipe
from nulie.transforms.preview import shrink

from .strategies import random_step

NAMES = {"clip-b32": "ViT-B-32-quickgelu", "clip-b16": "ViT-B-16-quickgelu"}


def bare_tower(predictor: Clip) -> Callable[[int], float]:
    """open_clip's image tower as it comes, in the predictor's precision: a function that runs one
    batch of so many random images and returns its seconds."""
    model: Any = open_clip.create_model(
        NAMES.get(predictor.name, "ViT-L-14-quickgelu"), pretrained=None
    )
    tower = model.visual.to(predictor.device, predictor.precision).eval()
    del model

    def once(rows: int) -> float:
        batch = torch.randn(rows, 3, 224, 224, device=predictor.device, dtype=predictor.precision)
        start = time.perf_counter()
        with torch.no_grad():
            tower(batch).float().cpu()
        return time.perf_counter() - start

    return once


def originals_way(image: Image.Image, nodes: int) -> float:
    """Seconds a node the way of the original NUlIE: one candidate at a time, its chain replayed
    from the root by Pillow, both views one after the other; float32, or float16 on a GPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = "fp16" if device == "cuda" else "fp32"
    predictor = Clip("clip-sac", device=device, precision=precision, random_weights=True)
    crop = transforms.preview.to_image(shrink(image, 224))
    space, rng = transforms.space("soft"), random.Random(0)
    start = time.perf_counter()
    for _ in range(nodes):
        chain = Recipe(tuple(random_step(space, rng) for _ in range(rng.randint(1, 6))))
        pixels = shrink(transforms.render(chain, crop), 224)
        for view in (pixels, pixels.flip(-1)):
            predictor.judge(view)(view[None]).scores.item()
    return (time.perf_counter() - start) / nodes
