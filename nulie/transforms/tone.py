"""Ops on the levels of a channel, each a table of 256 entries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

from ..recipe.space import Dial
from .base import Measured, Merge, Op, Statistic, Tables, Values, register

RAMP = np.arange(256)
SOFT, HARD = (0.9, round(1 / 0.9, 3)), (0.5, 2.0)
"""Ranges of factors, those of the original NUlIE."""


def blend(start: npt.NDArray[Any], end: npt.NDArray[Any], amount: npt.NDArray[Any]) -> Tables:
    """Pillow's `Image.blend` of levels: start + amount (end - start) in float32, clipped, cut to
    whole levels. Arrays broadcast to `[B, C, 256]`."""
    start32, amount32 = start.astype(np.float32), amount.astype(np.float32)
    mixed: npt.NDArray[Any] = start32 + amount32 * (end - start).astype(np.float32)
    return mixed.clip(0, 255).astype(np.uint8)


def column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`[B]` -> `[B, 1, 1]`, to broadcast against tables."""
    return values[:, None, None]


def multiply(name: str) -> Merge:
    return lambda first, second: {name: first[name] * second[name]}


def gamma_merge(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """second.gain (first.gain x^first.gamma)^second.gamma, as one gain and gamma."""
    return {
        "gamma": first["gamma"] * second["gamma"],
        "gain": second["gain"] * first["gain"] ** second["gamma"],
    }


def mix(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {"amount": 1 - (1 - first["amount"]) * (1 - second["amount"])}


def brightness_pil(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def brightness_table(values: Values, _: Measured) -> Tables:
    return blend(np.zeros(1), RAMP, column(values["factor"]))


def contrast_pil(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def contrast_measure(_: Values, grey_mean: npt.NDArray[Any]) -> Measured:
    return {"mean": (grey_mean + 0.5).astype(np.int64)}  # as ImageEnhance.Contrast rounds it


def contrast_table(values: Values, measured: Measured) -> Tables:
    return blend(column(measured["mean"]), RAMP, column(values["factor"]))


def gamma_table(values: Values, _: Measured) -> Tables:
    """255 gain (level / 255)^gamma, rounded; the formula of torchvision's adjust_gamma."""
    curve: npt.NDArray[Any] = 255 * column(values["gain"]) * (RAMP / 255) ** column(values["gamma"])
    return (curve + 0.5).clip(0, 255).astype(np.uint8)


def gamma_pil(image: Image.Image, gamma: float, gain: float) -> Image.Image:
    levels = [min(255, int(255 * gain * (i / 255) ** gamma + 0.5)) for i in range(256)]
    return image.point(levels * 3)


def invert_pil(image: Image.Image, amount: float) -> Image.Image:
    return Image.blend(image, ImageOps.invert(image), amount)


def invert_table(values: Values, _: Measured) -> Tables:
    return blend(RAMP, 255 - RAMP, column(values["amount"]))


def solarize_pil(image: Image.Image, threshold: float) -> Image.Image:
    return ImageOps.solarize(image, threshold)  # type: ignore[arg-type]  # compares floats as well


def solarize_table(values: Values, _: Measured) -> Tables:
    return np.where(column(values["threshold"]) > RAMP, RAMP, 255 - RAMP).astype(np.uint8)


def posterize_pil(image: Image.Image, bits: float) -> Image.Image:
    return ImageOps.posterize(image, int(bits))


def posterize_table(values: Values, _: Measured) -> Tables:
    mask = (0xFF00 >> column(values["bits"]).astype(np.int64)) & 0xFF
    return (RAMP & mask).astype(np.uint8)


FACTOR = Dial("factor", 0.0, 4.0, neutral=1.0, soft=SOFT, hard=HARD)
AMOUNT = Dial(
    "amount", 0.0, 1.0, neutral=0.0, unit="share", step=0.01, soft=(0.0, 1.0), hard=(0.0, 1.0)
)

register(
    Op(
        "brightness",
        "scales all levels; 0 is black",
        (FACTOR,),
        brightness_pil,
        brightness_table,
        merge=multiply("factor"),
    )
)
register(
    Op(
        "contrast",
        "stretches levels about the photo's mean grey; 0 is flat grey",
        (FACTOR,),
        contrast_pil,
        contrast_table,
        needs="grey mean",
        measures=(Statistic("mean"),),
        measure=contrast_measure,
        merge=multiply("factor"),
    )
)
register(
    Op(
        "gamma",
        "bends levels: below 1 lifts the shadows, above 1 deepens them; gain scales the result",
        (
            Dial("gamma", 0.1, 10.0, neutral=1.0, soft=SOFT, hard=HARD),
            Dial("gain", 0.5, 2.0, neutral=1.0, soft=(0.9, 1.1), hard=(0.9, 1.1)),
        ),
        gamma_pil,
        gamma_table,
        merge=gamma_merge,
    )
)
register(
    Op(
        "invert",
        "mixes in the negative; 0.5 is flat grey",
        (replace(AMOUNT, soft=None),),
        invert_pil,
        invert_table,
    )
)
register(
    Op(
        "solarize",
        "inverts the levels from the threshold up; 256 changes nothing",
        (Dial("threshold", 0.0, 256.0, neutral=256.0, unit="level", step=1.0, hard=(0, 256)),),
        solarize_pil,
        solarize_table,
    )
)
register(
    Op(
        "posterize",
        "keeps the given number of bits a channel; 8 changes nothing",
        (Dial("bits", 1.0, 8.0, neutral=8.0, unit="bits", step=1.0, hard=(1, 8)),),
        posterize_pil,
        posterize_table,
    )
)
