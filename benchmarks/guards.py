"""What each guard prevents: good photographs, searched for with each guard on and off.

The judges are the embedded predictor and one that likes it dark, as the head of the original does
now and then. Printed are how far the photographs were moved (CIE76) and, of light, skin, chroma and
contrast (spread of L*), what they keep on average and what the worst of them keeps.

    python -m benchmarks.guards [--evaluations 300] [--mode soft] [--photos DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nulie.engine import Enhancement, Finished
from nulie.engine.objective import Objective
from nulie.predictor import Judge, Prediction, Predictor, create
from nulie.recipe.settings import Settings
from nulie.transforms.preview import shrink

from .common import DATA, machine, photos, table
from .recovery import GREY, between, liveliness, photographs

OFF: dict[str, dict[str, Any]] = {
    "light": {"min_light": 0.0},
    "skin": {"protect_skin": False},
    "color": {"min_color": 0.0},
    "contrast": {"min_contrast": 0.0},
}


class Dark:
    """Wants all of it dark: ten levels less are a point more."""

    name, input_size, batch_size, device = "dark", 64, 128, torch.device("cpu")

    def judge(self, photo: torch.Tensor) -> Judge:
        return lambda batch: Prediction(10 - batch.float().mean((1, 2, 3)) / 10)


def kept(photo: Image.Image, result: Image.Image) -> list[float]:
    """Shares of light, skin, chroma and contrast; NaN where there was none."""
    marks = Objective(Dark(), shrink(photo, min(photo.size)), Settings())
    (terms,) = marks(shrink(result, min(photo.size))[None])
    was = liveliness(photo)
    chroma, contrast = liveliness(result) / was.clip(0.1)
    if was[0] < GREY:
        chroma = float("nan")
    skin = float("nan") if terms.skin is None else terms.skin
    return [terms.light, skin, chroma, contrast]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DATA / "photos", metavar="DIR")
    parser.add_argument("--mode", default="soft", choices=("soft", "hard"))
    parser.add_argument("--evaluations", type=int, default=300, metavar="N")
    options = parser.parse_args(arguments)
    pictures = photographs(photos(options.photos))
    ways = {"all on": {}, **{f"{name} off": off for name, off in OFF.items()}}
    ways["all off"] = {name: value for off in OFF.values() for name, value in off.items()}
    print(f"{machine()}; {len(pictures)} photographs, {options.mode}\n")
    judges: list[Predictor] = [create("statistics")[0], Dark()]
    rows = []
    for judge in judges:
        for way, off in ways.items():
            settings = Settings(
                mode=options.mode, seconds=None, evaluations=options.evaluations, **off
            )
            moved, shares = [], []
            for _, photo in pictures:
                *_, last = Enhancement(photo, judge, settings).events()
                if not isinstance(last, Finished):
                    raise AssertionError("a run ends with Finished")
                moved.append(between(last.result.image, photo))
                shares.append(kept(photo, last.result.image))
            mean, least = np.nanmean(shares, 0), np.nanmin(shares, 0)
            pairs = [f"{m:.2f}, {worst:.2f}" for m, worst in zip(mean, least, strict=True)]
            rows.append([judge.name, way, f"{np.mean(moved):.1f}", *pairs])
    print(table(["judge", "guards", "moved", "light", "skin", "chroma", "contrast"], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
