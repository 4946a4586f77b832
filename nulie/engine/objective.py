"""What the search maximises: a predictor's score, less what the guards take off. Every path of the
search goes through here, and every term is in the report."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..color import lab
from ..predictor.base import Predictor
from ..predictor.statistics import without_cast
from ..predictor.target import spread
from ..recipe.settings import Settings

POINTS_PER_DARKENING = 6.0
"""The original's penalty: 6 points times the share of light that is gone."""
MIN_SKIN_LIGHT = 0.96
"""Least mean lightness of skin-coloured pixels, as a share of the input's."""
SEARCH_MARGIN = 0.01
"""How much stricter the guards are during the search: a preview and the full size differ a little,
and the best candidates lie on the edge of what is allowed."""
MIN_CHROMA, MIN_SPREAD = 2.0, 2.0
"""CIELAB units of mean chroma, and of the standard deviation of lightness, below which a photo has
none to keep: a grey one, and a flat one."""
VEILED, BLACK = 40.0, 10.0
"""Level above which the darkest tones of a photo's preview lie behind a veil, such as haze, as in 4
of 100 good ones; and the level of black itself. To take a veil away is no darkening."""
DARKEST = 0.01
"""Share of the input's pixels that show how black its black is."""
LOW_KEY, LIGHTS = 25.0, 70.0
"""A photo is dark on purpose, such as of a night, a stage or a silhouette, if its median lightness
(L*) is at most that while a hundredth of it has the other one: one that was exposed too little has
no lights."""
MOST_LIFT = 2.0
"""By how much, in L*, the darker half of such a photo may become lighter."""
MIN_WHITE = 0.99
"""Least level of white paper, in its darkest channel, as a share of what it is in the input: the
ground of a drawing, or of goods for sale, is to become neither grey nor tinted."""
WHITE, NEUTRAL, MARGINS = 230, 8, 0.5
"""Level from which on a pixel's darkest channel counts as white, if its lightest one is at most so
far above it; and least share of such pixels in the margins of a picture on white paper."""
MIN_SKIN_SHARE = 0.005
"""With less skin than this share of the pixels the skin guard has nothing to hold on to."""


@dataclass(frozen=True)
class Terms:
    """One candidate's marks. `total` decides; the rest says how it came about."""

    total: float
    score: float
    """What the predictor says."""
    light: float
    """Mean light as a share of the input's, each without its veil where that makes it more."""
    content: float
    """Drift from the input: 1 - cosine similarity of the embeddings, or, of a predictor without
    embeddings, the mean difference of the pixels in 0..1."""
    skin: float | None
    """Mean lightness (L*) of the pixels that are skin-coloured in the input, as a share of what
    it was there; None where there is no skin or the guard is off."""
    color: float | None
    """Mean chroma as a share of the input's, for a cast that goes is no colour lost: of the input's
    without its cast where there is skin, else spread of colours (a* and b*) where that share is
    more; None of a grey input, or when the guard is off."""
    contrast: float | None
    """Standard deviation of lightness (L*) as a share of the input's; None where that is flat or
    the guard is off."""
    admissible: bool
    """Whether all guards are content."""


class Objective:
    """Marks candidates made from one photo.

    A candidate that a guard refuses is worth no more than the input, less 6 points times what it
    lacks of the shares that the guards ask for: it cannot win, and among its like the one that
    lacks less is the better (Deb's rule for constraints, 2000). Content drift costs `keep_content`
    points a unit.
    """

    def __init__(
        self,
        predictor: Predictor,
        preview: torch.Tensor,
        settings: Settings,
        *,
        margin: float = 0.0,
    ) -> None:
        """`preview`: the input's, `[3, H, W]` uint8, as the predictor wants it. `margin` is added
        to the shares that the guards ask for."""
        self._settings = settings
        self._judge = predictor.judge(preview)
        self._preview = preview[None]
        skin = _skin_pixels(preview)
        self._people = skin is not None
        self._skin = skin if settings.protect_skin else None
        if self._skin is not None:
            self._skin_light = self._lightness(self._preview).clamp(min=1e-6)
        self._paper = _paper_pixels(preview) if settings.min_light else None
        if self._paper is not None:
            self._whiteness = self._darkest_channel(self._preview)
        self._spread = spread(*preview.shape[1:]).to(preview.device)
        seen = self._seen(self._preview)
        self._liveliness = _lively(seen)[:, 0]
        self._dark = _darker_half(seen[0, 0])
        if self._dark is not None:
            self._darkness = float(seen[0, 0, self._dark].mean())
        if self._people and settings.min_color:
            # Skin looks like a warm cast; what a cast adds beside it is found by all colours.
            white = _lively(self._seen(without_cast(preview)[None]))[0, 0]
            self._liveliness[0] = torch.minimum(self._liveliness[0], white)
        self._ask(margin)
        self._light = _light(self._preview).clamp(min=1e-6)
        self._darkest = _darkest_pixels(preview)
        # A flat picture is no veil over anything.
        self._veiled = bool(
            self._veil(self._preview) > VEILED - BLACK and self._liveliness[1] >= MIN_SPREAD
        )
        self._unveiled = (self._light - self._veil(self._preview)).clamp(min=1e-6)
        first = self._judge(self._preview)
        self._embedding = first.embeddings
        self._base_score = first.scores
        self.base = self(self._preview)[0]
        """The input's own marks."""

    def _ask(self, margin: float) -> None:
        settings = self._settings
        self._min_light = min(settings.min_light + margin, 1.0) if settings.min_light else 0.0
        self._min_skin = MIN_SKIN_LIGHT + margin
        self._most_lift = MOST_LIFT - 100 * margin
        has = self._liveliness[0] >= MIN_CHROMA, self._liveliness[1] >= MIN_SPREAD
        self._least = [
            min(share + margin, 1.0) if share and there else 0.0
            for share, there in zip((settings.min_color, settings.min_contrast), has, strict=True)
        ]

    def exactly(self) -> Objective:
        """The same without a margin."""
        twin = copy.copy(self)
        twin._ask(0.0)
        return twin

    def __call__(self, batch: torch.Tensor) -> list[Terms]:
        """Marks of `[B, 3, H, W]` uint8 candidates of the preview's size."""
        columns = self._columns(batch)
        rows = torch.stack([c.float() for c in columns]).cpu().T.tolist()
        return [
            Terms(total, score, light, content, *self._watched(shares), bool(admissible))
            for total, score, light, content, *shares, admissible in rows
        ]

    def _watched(self, shares: Sequence[float]) -> tuple[float | None, float | None, float | None]:
        """Those of skin, colour and contrast, None where the guard has nothing to hold."""
        skin, color, contrast = shares
        return (
            None if self._skin is None else skin,
            color if self._least[0] else None,
            contrast if self._least[1] else None,
        )

    def totals(self, batch: torch.Tensor) -> Sequence[float]:
        """`total` alone, which is all that a search needs; read back from the device when the
        first one is looked at."""
        return _Lazy(self._columns(batch)[0])

    def _columns(self, batch: torch.Tensor) -> Sequence[torch.Tensor]:
        prediction = self._judge(batch)
        device = prediction.scores.device
        levels = _light(batch)
        light = levels / self._light
        skin = torch.ones_like(light)
        if self._skin is not None:
            skin = self._lightness(batch) / self._skin_light
        if self._veiled:
            unveiled = (levels - self._veil(batch)) / self._unveiled
            light, skin = torch.maximum(light, unveiled), torch.maximum(skin, unveiled)
        color, contrast = torch.ones_like(light), torch.ones_like(light)
        lift = torch.zeros_like(light)
        if any(self._least):
            seen = self._seen(batch) if prediction.colors is None else prediction.colors
            lively = _lively(seen).to(batch.device)
            shares = lively / self._liveliness[:, None].clamp(min=1e-6)
            contrast = shares[1]
            # A cast is colour, too: to take it away leaves colours as far from each other.
            color = shares[0] if self._people else torch.maximum(shares[0], shares[2])
            if self._dark is not None and self._least[1]:
                dark = seen[:, 0, self._dark.to(seen.device)]  # colours may lie on another device
                lift = (dark.mean(1) - self._darkness).to(device)
        light, skin, color, contrast = (x.to(device) for x in (light, skin, color, contrast))
        # Zero where a guard has nothing to say.
        lack = (1 - light) * (light < self._min_light)
        if self._paper is not None:
            white = (self._darkest_channel(batch) / self._whiteness).to(device)
            lack = lack + (1 - white) * (white < MIN_WHITE)
        lack = lack + (1 - skin) * (skin < self._min_skin)
        lack = lack + (1 - color) * (color < self._least[0])
        lack = lack + (1 - contrast) * (contrast < self._least[1])
        lack = lack + lift / 100 * (lift > self._most_lift)
        if self._embedding is not None and prediction.embeddings is not None:
            content = 1 - (prediction.embeddings * self._embedding).sum(-1)
        elif self._settings.keep_content > 0:
            content = _difference(batch, self._preview).to(device)
        else:
            content = torch.zeros_like(light)
        total = prediction.scores - self._settings.keep_content * content
        admissible = lack <= 0
        refused = torch.minimum(total, self._base_score) - POINTS_PER_DARKENING * lack
        total = torch.where(admissible, total, refused)
        return total, prediction.scores, light, content, skin, color, contrast, admissible

    def _seen(self, batch: torch.Tensor) -> torch.Tensor:
        """`[B, 3, N]` CIELAB of pixels spread evenly."""
        return lab(batch.flatten(2).index_select(2, self._spread))

    def _veil(self, batch: torch.Tensor) -> torch.Tensor:
        """`[B]` how much lighter than black the input's darkest pixels are in their darkest
        channel, in levels: in haze none is dark (He, Sun and Tang, "Single image haze removal using
        dark channel prior", 2009)."""
        darkest = batch.flatten(2).index_select(2, self._darkest)
        return (darkest.amin(1).float().mean(1) - BLACK).clamp(min=0)

    def _darkest_channel(self, batch: torch.Tensor) -> torch.Tensor:
        """`[B]` mean level of the darkest channel of the input's white paper."""
        return batch.flatten(2)[:, :, self._paper].amin(1).float().mean(1)

    def _lightness(self, batch: torch.Tensor) -> torch.Tensor:
        """`[B]` mean L* of the pixels that are skin in the input."""
        return lab(batch.flatten(2)[:, :, self._skin])[:, 0].mean(1)


class _Lazy(Sequence[float]):
    """Numbers of a `[B]` tensor, fetched all at once when one of them is wanted."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor: torch.Tensor | None = tensor
        self._length = len(tensor)
        self._values: list[float] = []

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: Any) -> Any:
        if self._tensor is not None:
            self._values, self._tensor = self._tensor.tolist(), None
        return self._values[at]


def _lively(seen: torch.Tensor) -> torch.Tensor:
    """Of `[B, 3, N]` CIELAB pixels: `[3, B]` mean chroma, standard deviation of lightness, and root
    mean square distance of a* and b* from their means."""
    chroma = (seen[:, 1] * seen[:, 1] + seen[:, 2] * seen[:, 2]).sqrt()
    spread_of = seen.var(-1, unbiased=False)
    apart = (spread_of[:, 1] + spread_of[:, 2]).sqrt()
    return torch.stack([chroma.mean(1), spread_of[:, 0].sqrt(), apart])


def _light(batch: torch.Tensor) -> torch.Tensor:
    """`[B]` mean of all channels of all pixels, 0..255."""
    return batch.flatten(1).sum(1, dtype=torch.int32) / batch[0].numel()


def _darkest_pixels(preview: torch.Tensor) -> torch.Tensor:
    """Indices of the pixels of `[3, H, W]` uint8 whose darkest channel is darkest."""
    least = preview.flatten(1).amin(0)
    return least.topk(max(1, round(DARKEST * len(least))), largest=False).indices


def _darker_half(lightness: torch.Tensor) -> torch.Tensor | None:
    """Indices of the darker half of `[N]` pixels by L*; None of a photo not dark on purpose."""
    order = lightness.argsort()
    half = len(order) // 2
    lights = lightness[order[-max(1, len(order) // 100)]]
    if lightness[order[half]] > LOW_KEY or lights < LIGHTS:
        return None
    return order[:half]


def _paper_pixels(preview: torch.Tensor, most: int = 256) -> torch.Tensor | None:
    """Indices of up to `most` white pixels of `[3, H, W]` uint8, spread evenly; None of a picture
    that is not on white paper. Skies are as white, but do not go all around."""
    darkest = preview.amin(0)
    white = (darkest >= WHITE) & (preview.amax(0) - darkest <= NEUTRAL)
    width = max(1, min(white.shape) // 12)
    margins = torch.ones_like(white)
    margins[width:-width, width:-width] = False
    if white[margins].float().mean() < MARGINS:
        return None
    pixels: torch.Tensor = white.flatten().nonzero().flatten()
    return pixels[:: max(1, len(pixels) // most)][:most]


def _difference(batch: torch.Tensor, preview: torch.Tensor) -> torch.Tensor:
    """`[B]` mean absolute difference of the levels, in 0..1."""
    return (batch.float() - preview.float()).abs().flatten(1).mean(1) / 255


def _skin_pixels(preview: torch.Tensor, most: int = 256) -> torch.Tensor | None:
    """Indices of up to `most` skin-coloured pixels of `[3, H, W]` uint8, spread evenly; None when
    there are too few to matter.

    Skin by chroma, 77 <= Cb <= 127 and 133 <= Cr <= 173: Chai and Ngan, "Face segmentation using
    skin-color map in videophone applications", 1999."""
    red, green, blue = preview.float().flatten(1)
    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    skin: torch.Tensor = ((cb >= 77) & (cb <= 127) & (cr >= 133) & (cr <= 173)).nonzero().flatten()
    if len(skin) < MIN_SKIN_SHARE * cb.numel():
        return None
    return skin[:: max(1, len(skin) // most)][:most]
