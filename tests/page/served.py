"""The command line, with random weights for those of CLIP and of MobileNetV2, which tests cannot
download.

python tests/page/served.py ui --port 7870
"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nulie import predictor
from nulie.cli import main
from nulie.models import store
from nulie.predictor import Predictor

usual = predictor.create


def create(name: str = "auto", **options: Any) -> tuple[Predictor, str]:
    if not name.startswith("clip"):
        return usual(name, **options)
    from nulie.predictor.clip import Clip

    return Clip(name, device="cpu", random_weights=True), f"{name} of random weights"


usual_find = store.find


def find(weights: Any, folders: Any = ()) -> Path | None:
    found = usual_find(weights, folders)
    return random_mobilenet() if found is None and weights.name == "mobilenet-v2" else found


@functools.cache
def random_mobilenet() -> Path:
    import torch
    from torchvision.models import mobilenet_v2

    path = Path(tempfile.mkdtemp()) / "random.pth"
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), path)
    return path


predictor.create = create
store.find = find

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
