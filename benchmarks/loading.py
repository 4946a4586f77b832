"""From a file of CLIP weights to the first score, in a process of its own.

    python -m benchmarks.loading [--predictor clip-sac] [--precision auto]

The files are written here, as large as the real ones and with random numbers in them, so they lie
in the system's file cache: what is timed is reading and building, not the disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .common import machine, photos, table

# What is imported counts apart: a webui has torch in memory already.
PROGRAM = """
import json, sys, time
name, precision, weights, head, photo = sys.argv[1:]
begun = time.perf_counter()
import open_clip, resource, torch
from pathlib import Path
from nulie import image_io
from nulie.predictor.clip import Clip
from nulie.transforms.preview import shrink
preview = shrink(image_io.load(Path(photo)).pixels, 224)
measured = {"imports": time.perf_counter() - begun}

def score(name):
    start = time.perf_counter()
    predictor = Clip(name, precision=precision, weights=Path(weights), head=Path(head))
    predictor.judge(preview)(preview[None]).scores.item()
    return predictor, time.perf_counter() - start

predictor, measured["file to first score"] = score(name)
start = time.perf_counter()
predictor.judge(preview)(preview[None]).scores.item()
measured["of it, the score"] = time.perf_counter() - start
# A second predictor on the same encoder, such as another tab asks for.
again, measured["the same once more"] = score(name)
measured["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps(measured))
"""


def measure(name: str, precision: str, weights: Path, head: Path) -> dict[str, float]:
    """Seconds of each part, and the process's peak memory."""
    command = [sys.executable, "-c", PROGRAM, name, precision, *map(str, (weights, head))]
    done = subprocess.run(
        [*command, str(photos()[0])],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """An encoder as open_clip saves it, text tower and all, and a head of one layer."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from .floor import NAMES

    model: Any = open_clip.create_model(NAMES.get(name, "ViT-L-14-quickgelu"), pretrained=None)
    weights, head = folder / "open_clip_model.safetensors", folder / "head.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
    width = model.visual.output_dim
    save_file({"weight": torch.randn(1, width), "bias": torch.zeros(1)}, head)
    return weights, head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictor", default="clip-sac")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights, head = write(options.predictor, Path(folder))
        size = weights.stat().st_size / 1e9
        measure(options.predictor, options.precision, weights, head)  # into the file cache
        measured = measure(options.predictor, options.precision, weights, head)
    print(f"{options.predictor}, {options.precision}, a file of {size:.2f} GB, {machine()}\n")
    rows = [[what, f"{value:.2f} s"] for what, value in measured.items() if what != "GB"]
    print(table(["what", "time"], [*rows, ["peak memory", f"{measured['GB']:.2f} GB"]]))


if __name__ == "__main__":
    main()
