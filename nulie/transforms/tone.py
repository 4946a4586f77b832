"""Ops on the levels of a channel, each a table: of 256 entries, or of as many as there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

from ..recipe import Dial
from .base import Measured, Op, Statistic, Table, Tables, Values, register

Levels = npt.NDArray[Any]
_SHARES = [level / 255 for level in range(256)]
SOFT, HARD = (0.667, 1.5), (0.4, 2.5)
"""Ranges of factors. The original NUlIE stacked steps of 0.9 to 1.111, or of 0.5 to 2."""


def blend(start: npt.NDArray[Any], end: npt.NDArray[Any], amount: npt.NDArray[Any]) -> Tables:
    """Pillow's `Image.blend` of levels: start + amount (end - start) in float32, clipped; where the
    levels are whole, cut to whole ones. Arrays broadcast to `[B, C, N]`."""
    start32, amount32 = start.astype(np.float32), amount.astype(np.float32)
    mixed: npt.NDArray[Any] = start32 + amount32 * (end - start).astype(np.float32)
    mixed = mixed.clip(0, 255)
    return mixed if end.dtype.kind == "f" else mixed.astype(np.uint8)


def _levels(shares: npt.NDArray[Any], ramp: Levels) -> Tables:
    """Shares of full light as levels, rounded to whole ones where those of `ramp` are."""
    if ramp.dtype.kind == "f":
        return (255 * shares).clip(0, 255)
    return (255 * shares + 0.5).clip(0, 255).astype(np.uint8)


def round_level(share: float) -> int:
    return int(min(255.0, max(0.0, 255 * share + 0.5)))


def column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`[B]` -> `[B, 1, 1]`, to broadcast against tables."""
    return values[:, None, None]


def contrast_measure(_: Values, grey_mean: npt.NDArray[Any]) -> Measured:
    return {"mean": (grey_mean + 0.5).astype(np.int64)}  # as ImageEnhance.Contrast rounds it


def contrast_table(values: Values, measured: Measured, ramp: Levels) -> Tables:
    return blend(column(measured["mean"]), ramp, column(values["factor"]))


def both_forms(curve: Callable[..., Any]) -> tuple[Callable[..., Image.Image], Table]:
    """The Pillow form and the table of an op that bends the levels of all channels alike:
    `curve(x, **values)` takes shares of full light to others, and the result is rounded."""

    def pil(image: Image.Image, **values: float) -> Image.Image:
        return image.point([round_level(curve(x, **values)) for x in _SHARES] * 3)

    def table(values: Values, _: Measured, ramp: Levels) -> Tables:
        return _levels(curve(ramp / 255, **{name: column(v) for name, v in values.items()}), ramp)

    return pil, table


def white_balance_table(values: Values, _: Measured, ramp: Levels) -> Tables:
    """Levels in linear light, times the gain of each channel, and back."""
    gains = channel_gains(values["temperature"], values["tint"])
    x = ramp / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    light = np.stack(gains, -1)[..., None] * light
    power = 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return _levels(np.where(light <= 0.0031308, 12.92 * light, power), ramp)


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
    red, blue = (2 ** (tint / 3 + stops) for stops in (temperature / 2, -temperature / 2))
    green = 2 ** (-2 * tint / 3)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return red / luminance, green / luminance, blue / luminance


def solarize_table(values: Values, _: Measured, ramp: Levels) -> Tables:
    turned = np.where(column(values["threshold"]) > ramp, ramp, 255 - ramp)
    return turned if ramp.dtype.kind == "f" else turned.astype(np.uint8)


def posterize_table(values: Values, _: Measured, ramp: Levels) -> Tables:
    """All 8 bits stand for all that there are."""
    apart = 2 ** (8 - column(values["bits"]))
    if ramp.dtype.kind == "f":
        return np.where(apart == 1, ramp, ramp // apart * apart)
    left: Tables = (ramp // apart * apart).astype(np.uint8)
    return left


FACTOR = Dial("factor", 0.0, 4.0, neutral=1.0, soft=SOFT, hard=HARD)
TONES = Dial("factor", 0.25, 4.0, neutral=1.0, soft=SOFT, hard=(0.25, 4.0))
STOPS = Dial("stops", -2.0, 2.0, neutral=0.0, unit="stops", step=0.01)
FULL = (0.0, 1.0)
AMOUNT = Dial("amount", 0.0, 1.0, neutral=0.0, unit="share", step=0.01, soft=FULL, hard=FULL)

# fmt: off
register(
    Op("brightness", "scales all levels; 0 is black", (FACTOR,),
       lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
       lambda values, _, ramp: blend(np.zeros(1), ramp, column(values["factor"]))),
    Op("contrast", "stretches levels about the photo's mean grey; 0 is flat grey", (FACTOR,),
       lambda image, factor: ImageEnhance.Contrast(image).enhance(factor), contrast_table,
       needs="grey mean", measures=(Statistic("mean"),), measure=contrast_measure),
    Op("gamma",
       "bends levels: below 1 lifts the shadows, above 1 deepens them; gain scales the result",
       (Dial("gamma", 0.1, 10.0, neutral=1.0, soft=SOFT, hard=HARD),
        Dial("gain", 0.5, 2.0, neutral=1.0, soft=(0.9, 1.1), hard=(0.8, 1.25))),
       *both_forms(lambda x, gamma, gain: gain * x**gamma)),  # as torchvision's adjust_gamma
    Op("shadows",
       "lightens (above 1) or deepens the dark tones, by so much at black; black and white stay",
       (TONES,), *both_forms(lambda x, factor: x + (factor - 1) * x * (1 - x) ** 3)),
    Op("highlights", "lightens (above 1) or tones down the light tones; black and white stay",
       (TONES,), *both_forms(lambda x, factor: x - (1 / factor - 1) * (1 - x) * x**3)),
    Op("white balance",
       "warmer (above 0) or cooler; tint: towards magenta (above 0) or green; greys stay as light",
       (replace(STOPS, name="temperature", soft=(-0.5, 0.5), hard=(-1.0, 1.0)),
        replace(STOPS, name="tint", soft=(-0.25, 0.25), hard=(-0.5, 0.5))),
       white_balance_pil, white_balance_table),
    Op("invert", "mixes in the negative; 0.5 is flat grey",
       (replace(AMOUNT, soft=None, hard=(0.9, 1.0)),),
       lambda image, amount: Image.blend(image, ImageOps.invert(image), amount),
       lambda values, _, ramp: blend(ramp, 255 - ramp, column(values["amount"]))),
    Op("solarize", "inverts the levels from the threshold up; 256 changes nothing",
       (Dial("threshold", 0.0, 256.0, neutral=256.0, unit="level", step=1.0, hard=(64, 192)),),
       lambda image, threshold: ImageOps.solarize(image, threshold), solarize_table),
    Op("posterize", "keeps the given number of bits a channel; 8 changes nothing",
       (Dial("bits", 1.0, 8.0, neutral=8.0, unit="bits", step=1.0, hard=(2, 5)),),
       lambda image, bits: ImageOps.posterize(image, int(bits)), posterize_table),
)
# fmt: on
