"""Ops that read each channel's histogram, then map its levels by a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ..recipe import Dial
from .base import RAMP, Measured, Op, Statistic, Tables, Values, register
from .tone import AMOUNT, FULL, blend, column


def autocontrast_pil(
    image: Image.Image, amount: float, cutoff: float, common: float
) -> Image.Image:
    stretched = ImageOps.autocontrast(image, cutoff, preserve_tone=bool(common))
    return Image.blend(image, stretched, amount)


def autocontrast_measure(values: Values, histogram: npt.NDArray[Any]) -> Measured:
    """The levels that remain when `cutoff` per cent of the pixels are dropped at either end: of
    each channel, or with `common` of the grey picture."""
    counts = histogram.sum(-1, keepdims=True)
    cut = (counts * column(values["cutoff"])) // 100
    low = (histogram.cumsum(-1) > cut).argmax(-1)
    high = 255 - (histogram[..., ::-1].cumsum(-1) > cut).argmax(-1)
    common = values["common"][:, None] > 0
    return {
        name: np.where(common, ends[:, 3:], ends[:, :3])
        for name, ends in (("low", low), ("high", high))
    }


def autocontrast_table(values: Values, measured: Measured, ramp: npt.NDArray[Any]) -> Tables:
    """`ImageOps.autocontrast`: low to high becomes 0..255; a channel with one level left stays."""
    low, high = measured["low"][..., None], measured["high"][..., None]
    scale = 255.0 / np.maximum(high - low, 1)
    stretched = (ramp * scale - low * scale).clip(0, 255)
    if ramp.dtype.kind != "f":
        stretched = stretched.astype(np.uint8)
    return blend(ramp, np.where(high > low, stretched, ramp), column(values["amount"]))


def equalize_table(values: Values, measured: Measured, ramp: npt.NDArray[Any]) -> Tables:
    """The measured table, and between its levels what lies between."""
    flat = measured["table"]
    if ramp.dtype.kind == "f":
        rows = np.broadcast_to(ramp, (3, ramp.shape[-1]))
        flat = np.stack([np.interp(r, RAMP, t) for r, t in zip(rows, flat[0], strict=True)])
    return blend(ramp, flat, column(values["amount"]))


def equalize_measure(_: Values, histogram: npt.NDArray[Any]) -> Measured:
    """`ImageOps.equalize`: a level becomes the number of pixels below it, in units of a 255th of
    all pixels but those of the channel's highest level; a channel with fewer pixels stays."""
    counts = histogram.sum(-1, keepdims=True)
    highest = 255 - (histogram[..., ::-1] > 0).argmax(-1)[..., None]
    step = (counts - np.take_along_axis(histogram, highest, -1)) // 255
    below = histogram.cumsum(-1) - histogram
    flat = np.minimum((step // 2 + below) // np.maximum(step, 1), 255)
    return {"table": np.where(step > 0, flat, RAMP)}


# fmt: off
register(
    Op("autocontrast",
       "stretches each channel, or all in common, to the full range, less a cut-off at both ends",
       (AMOUNT,
        Dial("cutoff", 0.0, 20.0, neutral=0.0, unit="per cent", step=0.1,
             soft=FULL, hard=(0.0, 2.0)),
        Dial("common", 0.0, 1.0, neutral=0.0, unit="switch", step=1.0, soft=FULL, hard=FULL)),
       autocontrast_pil, autocontrast_table, needs="histograms", measure=autocontrast_measure,
       measures=(Statistic("low", (3,)), Statistic("high", (3,)))),
    Op("equalize", "flattens each channel's histogram", (AMOUNT,),
       lambda image, amount: Image.blend(image, ImageOps.equalize(image), amount),
       equalize_table, needs="histogram", measure=equalize_measure,
       measures=(Statistic("table", (3, 256)),)),
)
# fmt: on
