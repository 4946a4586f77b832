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
_SHARES = [level / 255 for level in range(256)]
SOFT, HARD = (0.667, 1.5), (0.4, 2.5)
"""Ranges of factors. The original NUlIE stacked steps of 0.9 to 1.111, or of 0.5 to 2."""


def blend(start: npt.NDArray[Any], end: npt.NDArray[Any], amount: npt.NDArray[Any]) -> Tables:
    """Pillow's `Image.blend` of levels: start + amount (end - start) in float32, clipped, cut to
    whole levels. Arrays broadcast to `[B, C, 256]`."""
    start32, amount32 = start.astype(np.float32), amount.astype(np.float32)
    mixed: npt.NDArray[Any] = start32 + amount32 * (end - start).astype(np.float32)
    return mixed.clip(0, 255).astype(np.uint8)


def _levels(shares: npt.NDArray[Any]) -> Tables:
    """Shares of full light, rounded to whole levels."""
    return (255 * shares + 0.5).clip(0, 255).astype(np.uint8)


def round_level(share: float) -> int:
    """One share of full light, rounded to a whole level."""
    return int(min(255.0, max(0.0, 255 * share + 0.5)))


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
    return image.point([round_level(gain * x**gamma) for x in _SHARES] * 3)


def shadows_table(values: Values, _: Measured) -> Tables:
    """x + (factor - 1) x (1 - x)^3 of levels x in 0..1, rounded."""
    x = RAMP / 255
    return _levels(x + (column(values["factor"]) - 1) * x * (1 - x) ** 3)


def shadows_pil(image: Image.Image, factor: float) -> Image.Image:
    return image.point([round_level(x + (factor - 1) * x * (1 - x) ** 3) for x in _SHARES] * 3)


def highlights_table(values: Values, _: Measured) -> Tables:
    """x - (1 / factor - 1) (1 - x) x^3 of levels x in 0..1, rounded."""
    x = RAMP / 255
    return _levels(x - (1 / column(values["factor"]) - 1) * (1 - x) * x**3)


def highlights_pil(image: Image.Image, factor: float) -> Image.Image:
    return image.point([round_level(x - (1 / factor - 1) * (1 - x) * x**3) for x in _SHARES] * 3)


def white_balance_table(values: Values, _: Measured) -> Tables:
    """Levels in linear light, times the gain of each channel, and back; rounded."""
    gains = channel_gains(values["temperature"], values["tint"])
    x = RAMP / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    light = np.stack(gains, -1)[..., None] * light
    power = 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return _levels(np.where(light <= 0.0031308, 12.92 * light, power))


def white_balance_pil(image: Image.Image, temperature: float, tint: float) -> Image.Image:
    table = []
    for gain in channel_gains(np.float64(temperature), np.float64(tint)):
        for x in _SHARES:
            light = gain * (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4)
            low = light <= 0.0031308
            table.append(round_level(12.92 * light if low else 1.055 * light ** (1 / 2.4) - 0.055))
    return image.point(table)


def channel_gains(temperature: Any, tint: Any) -> tuple[Any, Any, Any]:
    """Gains of red, green and blue in linear light that leave the luminance of grey (ITU-R BT.709)
    as it is: `temperature` stops between red and blue, `tint` stops between those and green."""
    red, green, blue = (
        2 ** (temperature / 2 + tint / 3),
        2 ** (-2 * tint / 3),
        2 ** (tint / 3 - temperature / 2),
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return red / luminance, green / luminance, blue / luminance


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
TONES = Dial("factor", 0.25, 4.0, neutral=1.0, soft=(0.667, 1.5), hard=(0.25, 4.0))
STOPS = Dial("stops", -2.0, 2.0, neutral=0.0, unit="stops", step=0.01)
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
            Dial("gain", 0.5, 2.0, neutral=1.0, soft=(0.9, 1.1), hard=(0.8, 1.25)),
        ),
        gamma_pil,
        gamma_table,
        merge=gamma_merge,
    )
)
register(
    Op(
        "shadows",
        "lightens (above 1) or deepens the dark tones, by so much at black; black and white stay",
        (TONES,),
        shadows_pil,
        shadows_table,
        merge=multiply("factor"),
    )
)
register(
    Op(
        "highlights",
        "lightens (above 1) or tones down the light tones; black and white stay",
        (TONES,),
        highlights_pil,
        highlights_table,
        merge=multiply("factor"),
    )
)
register(
    Op(
        "white balance",
        "warmer (above 0) or cooler; tint: towards magenta (above 0) or green; greys stay as light",
        (
            replace(STOPS, name="temperature", soft=(-0.5, 0.5), hard=(-1.0, 1.0)),
            replace(STOPS, name="tint", soft=(-0.25, 0.25), hard=(-0.5, 0.5)),
        ),
        white_balance_pil,
        white_balance_table,
        merge=lambda first, second: {name: first[name] + second[name] for name in first},
    )
)
register(
    Op(
        "invert",
        "mixes in the negative; 0.5 is flat grey",
        (replace(AMOUNT, soft=None, hard=(0.9, 1.0)),),
        invert_pil,
        invert_table,
    )
)
register(
    Op(
        "solarize",
        "inverts the levels from the threshold up; 256 changes nothing",
        (Dial("threshold", 0.0, 256.0, neutral=256.0, unit="level", step=1.0, hard=(64, 192)),),
        solarize_pil,
        solarize_table,
    )
)
register(
    Op(
        "posterize",
        "keeps the given number of bits a channel; 8 changes nothing",
        (Dial("bits", 1.0, 8.0, neutral=8.0, unit="bits", step=1.0, hard=(2, 5)),),
        posterize_pil,
        posterize_table,
    )
)
