"""What nulie's own restorers do to photographs that were spoiled: how near they come, how fast.

python -m benchmarks.restore                     all of them, on parts of 384 pixels
python -m benchmarks.restore --only x2 repair --side 256
python -m benchmarks.restore --speed             megapixels a second, and memory
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from nulie import restore
from nulie.fit import critics, spoil
from nulie.fit.restorers import psnr
from nulie.restore import tiles
from nulie.restore.own import Own

from .common import photos

REDUCED = 768
"""Short side of the photographs, in pixels."""
Pixels = np.ndarray
Case = tuple[str, str, dict[str, float], Callable[[Pixels, np.random.Generator], Pixels]]


def cases() -> list[Case]:
    """(what, restorer, its dials, what spoils)."""

    def half(scale: int) -> Callable[[Pixels, np.random.Generator], Pixels]:
        def reduce(clean: Pixels, rng: np.random.Generator) -> Pixels:
            height, width, _ = clean.shape
            small = Image.fromarray(clean).resize((width // scale, height // scale), 3)
            return np.asarray(small)

        return reduce

    def jpeg(quality: int) -> Callable[[Pixels, np.random.Generator], Pixels]:
        def compress(clean: Pixels, rng: np.random.Generator) -> Pixels:
            stream = io.BytesIO()
            Image.fromarray(clean).save(stream, "JPEG", quality=quality)
            return np.asarray(Image.open(stream).convert("RGB"))

        return compress

    def white(sigma: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
        return lambda clean, rng: spoil.to_levels(clean + rng.normal(0, sigma, clean.shape))

    def camera(shot: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
        return lambda clean, rng: spoil.to_levels(clean + spoil.camera_noise(clean, shot, rng))

    found: list[Case] = [(name, name, {}, half(int(name[-1]))) for name in ("x2", "vivid-x2", "x4")]
    for level in (10, 20, 40, 75, 90, 95):
        found.append((f"JPEG {level}", "repair", {"quality": level}, jpeg(level)))
    for sigma in (5, 15, 25, 50):
        found.append((f"noise {sigma}", "denoise", {"sigma": sigma}, white(sigma)))
    for shot in (0.001, 0.01):
        found.append((f"camera {shot}", "denoise", {}, camera(shot)))
    return [*found, ("scan", "scan", {}, lambda clean, rng: spoil.scan(clean, rng)[0])]


def parts(side: int) -> Iterator[tuple[str, Pixels]]:
    """Their middles, reduced first: at full size many are soft, and hold traces of JPEG."""
    for path in photos():
        image = Image.open(path).convert("RGB")
        scale = REDUCED / min(image.size)
        if scale < 1:
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        w, h = (min(side, n) // 8 * 8 for n in image.size)
        left, top = (image.width - w) // 2, (image.height - h) // 2
        yield path.stem, np.asarray(image.crop((left, top, left + w, top + h)))


def luma(pixels: Pixels) -> Pixels:
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return 16 + pixels.astype(np.float64) @ weights


def ssim(one: Pixels, other: Pixels) -> float:
    """Of luma, after Wang et al. 2004: a Gaussian window of 11 pixels, sigma 1.5."""
    bell = torch.exp(-((torch.arange(11.0) - 5) ** 2) / 4.5)
    window = (bell[:, None] * bell[None] / bell.sum() ** 2)[None, None].double()
    a, b = (torch.from_numpy(luma(p))[None, None] for p in (one, other))

    def mean(x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, window)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(ratio.mean())


def through(restorer: restore.Restorer, seen: Pixels, dials: dict[str, float]) -> Pixels:
    made, _ = tiles.run(restorer, torch.from_numpy(seen.copy()).permute(2, 0, 1), dials)
    return made.permute(1, 2, 0).numpy()


def quality(side: int, only: list[str], files: list[str]) -> None:
    columns = (
        f"{'':12} {'input':>6} {'Lanczos':>7} {'NLM':>6} {'nulie':>6} {'gain':>6} {'least':>6}"
    )
    looks = f"{'looks':>6} {'before':>6}"
    print(f"{columns} {'Y':>6} {'SSIM':>6} {looks}   PSNR of RGB in dB, mean of the photographs")
    own = {Path(file).stem: file for file in files}
    denoise = _opencv()
    for what, name, dials, spoils in cases():
        if only and name not in only:
            continue
        restorer = restore.create(own.get(name, name), "cpu")
        rows = []
        rng = np.random.default_rng(0)
        for _, clean in parts(side):
            seen = spoils(clean, rng)
            given = dict(dials)
            if what.startswith("camera"):
                given["sigma"] = float(np.std(seen.astype(float) - clean))
            size = (clean.shape[1], clean.shape[0])
            bicubic, lanczos = (
                np.asarray(Image.fromarray(seen).resize(size, kind)) for kind in (3, 1)
            )
            sigma = given.get("sigma", 0)
            other = denoise(seen, sigma) if denoise and sigma else None
            made = through(restorer, seen, given)
            before, after = psnr(bicubic, clean), psnr(made, clean)
            y = psnr(luma(made), luma(clean))
            nlm = psnr(other, clean) if other is not None else np.nan
            row = before, psnr(lanczos, clean), nlm, after, after - before, y, ssim(made, clean)
            rows.append((*row, unlike(made, clean), unlike(bicubic, clean)))
        mean, least = np.mean(rows, 0), np.min(rows, 0)
        print(
            f"{what:12} {mean[0]:6.2f} {mean[1]:7.2f} {mean[2]:6.2f} {mean[3]:6.2f}"
            f" {mean[4]:+6.2f} {least[4]:+6.2f} {mean[5]:6.2f} {mean[6]:6.3f}"
            f" {mean[7]:6.3f} {mean[8]:6.3f}",
            flush=True,
        )


def unlike(one: Pixels, other: Pixels) -> float:
    """How far apart they look, see `critics.unlike`."""
    a, b = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float() / 255 for p in (one, other))
    with torch.inference_mode():
        return float(critics.unlike(a, b))


def _opencv() -> Callable[[Pixels, float], Pixels] | None:
    """Non-local means, where OpenCV is there: the best of three usual strengths is not looked for,
    its own advice is taken, a strength about sigma."""
    if importlib.util.find_spec("cv2") is None:
        return None
    import cv2

    return lambda seen, sigma: cv2.fastNlMeansDenoisingColored(seen, None, sigma, sigma, 7, 21)


def speed() -> None:
    torch.set_num_threads(1)
    print("one core, megapixels of the result a second; tiled, as it is used, and the bare network")
    for name in ("x2", "x4", "repair", "denoise", "scan"):
        restorer = restore.create(name, "cpu")
        assert isinstance(restorer, Own)
        side = 2048 if restorer.scale == 1 else 1536
        pixels = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
        image = pixels[None].float() / 255
        megapixels = (restorer.scale * side) ** 2 / 1e6
        best = [1e9, 1e9]
        for _ in range(3):
            begin = time.perf_counter()
            restorer.restore(image, {})
            best[0] = min(best[0], time.perf_counter() - begin)
            begin = time.perf_counter()
            tiles.run(restorer, pixels, {})
            best[1] = min(best[1], time.perf_counter() - begin)
        bare, tiled = (megapixels / seconds for seconds in best)
        print(f"{name:8} {tiled:6.2f} {bare:6.2f}   ratio {tiled / bare:.2f}", flush=True)


def memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels = torch.randint(0, 256, (3, 4000, 6000), dtype=torch.uint8)
    tiles.run(restore.create("repair", "cpu"), pixels, {"quality": 50.0})
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"24 megapixels through repair: {before / 2**20:.2f} -> {after / 2**20:.2f} GB at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="restorers")
    parser.add_argument("--side", type=int, default=384, help="of the parts, in pixels")
    parser.add_argument("--files", nargs="*", default=[], help="in place of nulie's own, by name")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        memory()
        speed()
    else:
        quality(options.side, options.only, options.files)


if __name__ == "__main__":
    main()
