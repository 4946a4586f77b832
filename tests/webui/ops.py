"""Every op at sixty strengths on noise, its batch form against Pillow's: run by the interpreter of
a web UI, whose libraries are older than the tests'. Prints the ops that differ by more than they
say, and by how many levels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from nulie import transforms
from nulie.recipe import Recipe, Step
from nulie.transforms.base import apply_pil
from nulie.transforms.preview import Renderer, to_image

rng = np.random.default_rng(0)
for op in transforms.ops().values():
    worst = 0
    for _ in range(60):
        height, width = rng.choice([10, 40, 100], 2)
        pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        # Near the low end, where radii are about a pixel and halves between levels are common.
        step = Step.of(op.id, **{d.name: d.from_unit(float(rng.random() ** 3)) for d in op.dials})
        preview = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        ours = to_image(Renderer(preview)([Recipe((step,))])[0])
        theirs = apply_pil([step], Image.fromarray(pixels))
        gap = np.asarray(ours).astype(int) - np.asarray(theirs).astype(int)
        worst = max(worst, int(np.abs(gap).max()))
    if worst > op.tolerance:
        print(op.id, worst)
