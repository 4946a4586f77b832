"""Makes the weights of `nulie.predictor.glance` from torchvision's of MobileNetV2.

    python -m benchmarks.fold_glance mobilenet_v2-b0353104.pth [FILE.safetensors]

That file is https://download.pytorch.org/models/mobilenet_v2-b0353104.pth (BSD-3-Clause). Each
normalization is taken into the convolution before it; half precision, 0.5 MB.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from nulie.predictor.glance import BLOCKS, EMBEDDED

STARTS = "b0353104"
"""Of the file's SHA-256, as its name says."""
EPSILON = 1e-5
"""Of torch's batch normalization."""


def fold(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of `glance` from those of torchvision's network."""
    folded: dict[str, torch.Tensor] = {}

    def take(name: str, conv: str, norm: str) -> None:
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
        folded[f"{name}.weight"] = state[f"{conv}.weight"] * gain.view(-1, 1, 1, 1)
        folded[f"{name}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain

    take("first", "features.0.0", "features.0.1")
    for number, (wider, _, _) in enumerate(BLOCKS):
        inside = f"features.{number + 1}.conv"
        at = 0 if wider == 1 else 1
        if wider > 1:
            take(f"{number}.expand", f"{inside}.0.0", f"{inside}.0.1")
        take(f"{number}.depthwise", f"{inside}.{at}.0", f"{inside}.{at}.1")
        take(f"{number}.project", f"{inside}.{at + 1}", f"{inside}.{at + 2}")
    return folded


def main(arguments: Sequence[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    source = Path(arguments[0])
    if not hashlib.sha256(source.read_bytes()).hexdigest().startswith(STARTS):
        print(f"{source} is not torchvision's mobilenet_v2-{STARTS}.pth", file=sys.stderr)
        return 1
    state = torch.load(source, weights_only=True)
    halves = {name: value.half() for name, value in fold(state).items()}
    save_file(halves, arguments[1] if len(arguments) > 1 else EMBEDDED)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
