"""How much colours swim that black-and-white films get, frame by frame or carried along.

    python -m benchmarks.video_color [--photos 8] [--frames 24]

Films of photographs that no training has seen, made grey: *pan*, a window that moves over one by
three pixels a frame; *still*, a photograph that stands while a piece of another one moves across.
Prints by how much a* and b* change from a frame to the next where the lightness does not change (of
a pan, at what is the same place of the photograph), how far they are from the truth, and the time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nulie import color
from nulie.image_io import Photo
from nulie.restore import color_models, colorize
from nulie.restore.color_models import Colorist
from nulie.restore.color_series import Series

from .color_set import people, varied
from .common import table

SIZE = (480, 270)
STEP = 3
"""Pixels by which something moves from a frame to the next."""
Way = Callable[[Photo], Photo]


def films(count: int, frames: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The kind, and frames in colour."""
    paths = [*varied()[:: max(1, 90 // count)][: count - 2], *people()[:2]]
    for number, path in enumerate(paths):
        photo = _covering(path, STEP * frames)
        piece = _covering(paths[number - 1], 0).resize((120, 90))
        width, height = SIZE
        moved = [photo.crop((STEP * n, 0, STEP * n + width, height)) for n in range(frames)]
        yield "pan", [np.array(frame) for frame in moved]
        stands = []
        for n in range(frames):
            frame = photo.crop((0, 0, width, height))
            frame.paste(piece, (20 + STEP * n, 60))
            stands.append(np.array(frame))
        yield "still", stands


def _covering(path: Path, more: int) -> Image.Image:
    """A photograph at least as large as a frame, and so many pixels wider."""
    photo = Image.open(path).convert("RGB")
    scale = max((SIZE[0] + more) / photo.width, SIZE[1] / photo.height)
    return photo.resize((round(photo.width * scale + 1), round(photo.height * scale + 1)))


def lab(frame: np.ndarray) -> torch.Tensor:
    return color.lab(torch.from_numpy(frame.copy()).permute(2, 0, 1)[None])[0]


def figures(kind: str, truth: list[np.ndarray], made: list[np.ndarray]) -> tuple[float, float]:
    """The flicker, and CIE76 in a* and b*."""
    changes, errors = [], []
    last: tuple[torch.Tensor, torch.Tensor] | None = None
    for one, other in zip(truth, made, strict=True):
        seen, wanted = lab(other), lab(one)
        errors.append(float((seen - wanted)[1:].square().sum(0).sqrt().mean()))
        if last is not None:
            now, then = (seen, last[0])
            lightness = (wanted[0], last[1])
            if kind == "pan":
                now, then = now[..., :-STEP], then[..., STEP:]
                lightness = lightness[0][..., :-STEP], lightness[1][..., STEP:]
            same = (lightness[0] - lightness[1]).abs() < 0.01
            changes.append(float((now - then)[1:].abs().mean(0)[same].mean()))
        last = seen, wanted[0]
    return float(np.mean(changes)), float(np.mean(errors))


def ways(colorist: Colorist, params: Mapping[str, float | str]) -> dict[str, Way]:
    """Each for one film."""
    series = Series()
    return {
        "grey": lambda photo: photo,
        "frame by frame": lambda photo: colorize.restore(photo, colorist, params),
        "blended, where it stands": Blended(colorist, params),
        "carried along": lambda photo: series.restore(photo, colorist, params),
    }


class Blended:
    """The guess, with four fifths of the last colours where the lightness has not changed."""

    def __init__(self, colorist: Colorist, params: Mapping[str, float | str]) -> None:
        self._colorist, self._params = colorist, params
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None

    def __call__(self, photo: Photo) -> Photo:
        colors = colorize.guessed(photo.pixels, self._colorist, self._params)
        light = color_models.lightness(photo.pixels, (colors.shape[3], colors.shape[2]))
        if self._last is not None:
            same = ((light - self._last[0]).abs() < 2).float()
            colors = colors.lerp(self._last[1], 0.8 * same)
        self._last = light, colors
        paint = colorize.fitted(colors, photo.pixels)
        return colorize.laid(photo, paint, (0, 0, *photo.size))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args()
    colorist = color_models.create(color_models.OWN)
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for kind, truth in films(options.photos, options.frames):
        grey = [Photo(Image.fromarray(t).convert("L").convert("RGB")) for t in truth]
        for name, way in ways(colorist, {}).items():
            begun = time.perf_counter()
            made = [np.asarray(way(photo).pixels) for photo in grey]
            seconds = (time.perf_counter() - begun) / len(grey)
            found.setdefault((kind, name), []).append((*figures(kind, truth, made), seconds))
    rows = []
    for (kind, name), each in found.items():
        change, error, seconds = np.mean(each, 0)
        rows.append([kind, name, f"{change:.3f}", f"{error:.1f}", f"{seconds:.2f} s"])
    print(table(["film", "colours", "change a frame", "CIE76 in ab", "a frame"], rows))


if __name__ == "__main__":
    main()
