"""What a candidate is worth: the predictor's score, less what each guard takes off."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nulie.color import lab
from nulie.engine.objective import (
    MIN_SKIN_LIGHT,
    MIN_SKIN_SHARE,
    POINTS_PER_DARKENING,
    SEARCH_MARGIN,
    Objective,
)
from nulie.predictor.base import Judge, Prediction
from nulie.predictor.statistics import Statistics, without_cast
from nulie.recipe.settings import Settings

from .conftest import FakePredictor

SKIN, SKY = (205, 150, 125), (30, 60, 160)
LIVELY: dict[str, Any] = {"min_color": 0.0, "min_contrast": 0.0}
FREE = Settings(min_light=0.0, protect_skin=False, **LIVELY)


class Constant(FakePredictor):
    """Gives each candidate of a batch the next of these scores, 5 to the input."""

    def __init__(self, *scores: float, embeddings: torch.Tensor | None = None) -> None:
        super().__init__()
        self.scores, self.embeddings = scores, embeddings

    def judge(self, photo: torch.Tensor) -> Judge:
        def judge(batch: torch.Tensor) -> Prediction:
            scores = [5.0] if torch.equal(batch, photo[None]) else list(self.scores)
            rows = None
            if self.embeddings is not None:
                rows = self.embeddings[:1] if len(scores) == 1 else self.embeddings[1:]
            return Prediction(torch.tensor(scores), rows)

        return judge


def flat(level: float) -> torch.Tensor:
    """`[3, 10, 20]`: all pixels of one grey."""
    return torch.full((3, 10, 20), round(level), dtype=torch.uint8)


def figure(share: float) -> torch.Tensor:
    """`[3, 10, 20]`: so large a share of its pixels is skin, the rest sky."""
    pixels = torch.tensor(SKY, dtype=torch.uint8).repeat(200, 1)
    pixels[: round(200 * share)] = torch.tensor(SKIN, dtype=torch.uint8)
    return pixels.T.reshape(3, 10, 20).contiguous()


def darker(photo: torch.Tensor, factor: float, *, skin_only: bool = False) -> torch.Tensor:
    dark = (photo.float() * factor).round().to(torch.uint8)
    return torch.where(photo == figure(0)[:, :1, :1], photo, dark) if skin_only else dark


def test_without_guards_it_is_the_predictors_score() -> None:
    photo = flat(100)
    objective = Objective(Constant(7.0, 3.0), photo, FREE)
    terms = objective(torch.stack([flat(20), flat(200)]))
    assert [(t.total, t.score, t.admissible) for t in terms] == [(7, 7, True), (3, 3, True)]
    assert objective.base.total == objective.base.score == 5


def test_the_light_guard_refuses_what_is_darker_than_it_allows() -> None:
    objective = Objective(Constant(9.0, 9.0), flat(200), Settings(min_light=0.9, **LIVELY))
    at, below = objective(torch.stack([flat(180), flat(178)]))
    assert (at.admissible, at.total) == (True, 9.0)
    assert not below.admissible
    assert below.light == pytest.approx(0.89)
    assert below.score == 9


def test_a_refused_candidate_is_worth_the_input_less_six_points_times_the_darkening() -> None:
    """So it never wins, and of two the lighter is the better."""
    assert POINTS_PER_DARKENING == 6
    objective = Objective(Constant(9.0, 9.0), flat(200), Settings(min_light=0.9, **LIVELY))
    lighter, darker_still = objective(torch.stack([flat(170), flat(100)]))
    assert lighter.total == pytest.approx(5 - 6 * 0.15)
    assert darker_still.total == pytest.approx(5 - 6 * 0.5)


def test_a_refused_candidate_that_scores_below_the_input_starts_from_its_own_score() -> None:
    objective = Objective(Constant(2.0, 9.0), flat(200), Settings(min_light=0.9, **LIVELY))
    poor, _ = objective(torch.stack([flat(100), flat(200)]))
    assert poor.total == pytest.approx(2 - 6 * 0.5)


def test_the_margin_makes_the_light_guard_stricter() -> None:
    """What the search lets pass must pass at full size, too, where levels differ a little."""
    assert SEARCH_MARGIN == 0.01
    photo, candidate = flat(200), flat(181)
    settings = Settings(min_light=0.9, **LIVELY)
    exact = Objective(Constant(9.0, 9.0), photo, settings)
    strict = Objective(Constant(9.0, 9.0), photo, settings, margin=SEARCH_MARGIN)
    both = torch.stack([candidate, flat(182)])
    assert [t.admissible for t in exact(both)] == [True, True]
    assert [t.admissible for t in strict(both)] == [False, True]


def test_the_margin_asks_for_no_more_light_than_the_input_has() -> None:
    """Nor does what a candidate has gained of it make up for darker skin."""
    photo = figure(0.5)
    candidate = darker(photo, 0.95, skin_only=True)
    sky = candidate == photo
    candidate[sky] += 10
    strict = Objective(Constant(9.0, 9.0), photo, Settings(min_light=1.0, **LIVELY), margin=0.01)
    terms = strict(torch.stack([candidate, photo]))[0]
    assert 1 < terms.light < 1.01
    assert terms.skin is not None
    assert not terms.admissible
    assert terms.total == pytest.approx(5 - 6 * (1 - terms.skin), abs=1e-4)


def test_the_margin_does_not_switch_a_guard_on() -> None:
    strict = Objective(Constant(9.0, 9.0), flat(200), FREE, margin=0.01)
    assert strict(torch.stack([flat(0), flat(1)]))[0].admissible


@pytest.mark.parametrize("sides", [True, False], ids=["on paper", "under a white sky"])
@pytest.mark.parametrize("level", [255, 240])
def test_white_paper_becomes_neither_grey_nor_tinted(level: int, sides: bool) -> None:
    """What is white all around; that a sky is, says nothing."""
    photo = flat(120)
    photo[:, :4] = level
    if sides:
        photo[:, -4:] = photo[..., :6] = photo[..., -6:] = level
    grey, tinted, same = photo.clone(), photo.clone(), photo.clone()
    grey[photo == level] = level - 6
    tinted[2][photo[2] == level] = level - 6
    same[photo == level] = level - 2
    batch = torch.stack([grey, tinted, same])
    admissible = [
        terms.admissible for terms in Objective(Constant(9, 9, 9), photo, Settings(**LIVELY))(batch)
    ]
    assert admissible == ([False, False, True] if sides else [True] * 3)
    assert all(t.admissible for t in Objective(Constant(9, 9, 9), photo, FREE)(batch))


@pytest.mark.parametrize("lights", [True, False], ids=["a night", "exposed too little"])
def test_what_is_dark_on_purpose_stays_dark(lights: bool) -> None:
    photo = flat(30)
    photo[:, :5, 1::2] = 40
    photo[:, 9, -6:] = 220 if lights else 60
    lighter, same = photo.clone(), photo.clone()
    lighter[:, :9] += 12
    same[:, :9] += 2
    settings = Settings(min_contrast=0.1)
    batch = torch.stack([lighter, same])
    admissible = [terms.admissible for terms in Objective(Constant(9, 9), photo, settings)(batch)]
    assert admissible == [not lights, True]
    assert all(terms.admissible for terms in Objective(Constant(9, 9), photo, FREE)(batch))


def test_the_skin_guard_watches_the_lightness_of_skin_alone() -> None:
    photo = figure(0.5)
    settings = Settings(min_light=0.0, **LIVELY)
    objective = Objective(Constant(9.0, 9.0), photo, settings)
    dark_skin = darker(photo, 0.9, skin_only=True)
    dark_sky = torch.where(dark_skin == photo, darker(photo, 0.5), photo)
    on_skin, on_sky = objective(torch.stack([dark_skin, dark_sky]))
    assert not on_skin.admissible
    assert on_skin.skin == pytest.approx(
        float(lab(dark_skin[None])[0, 0, :5].mean() / lab(photo[None])[0, 0, :5].mean()), abs=1e-4
    )
    assert on_skin.skin is not None
    assert on_skin.total == pytest.approx(5 - 6 * (1 - on_skin.skin), abs=1e-4)
    assert on_sky.admissible
    assert on_sky.skin == pytest.approx(1)
    off = Objective(Constant(9.0, 9.0), photo, FREE)
    assert off(torch.stack([dark_skin, dark_sky]))[0].admissible
    assert off.base.skin is None


@pytest.mark.parametrize(("margin", "admissible"), [(0.0, True), (SEARCH_MARGIN, False)])
def test_the_margin_makes_the_skin_guard_stricter(margin: float, admissible: bool) -> None:
    photo = figure(0.5)
    candidate = darker(photo, 0.96, skin_only=True)
    settings = Settings(min_light=0.0, **LIVELY)
    terms = Objective(Constant(9.0, 9.0), photo, settings, margin=margin)(
        torch.stack([candidate, photo])
    )[0]
    assert terms.skin is not None
    assert MIN_SKIN_LIGHT < terms.skin < MIN_SKIN_LIGHT + SEARCH_MARGIN
    assert terms.admissible is admissible


def test_both_guards_darkening_adds_up() -> None:
    photo = figure(1.0)
    objective = Objective(Constant(9.0, 9.0), photo, Settings(**LIVELY))
    terms = objective(torch.stack([darker(photo, 0.5), photo]))[0]
    assert terms.skin is not None
    assert terms.total == pytest.approx(5 - 6 * (1 - terms.light + 1 - terms.skin), abs=1e-4)


@pytest.mark.parametrize(("share", "watched"), [(0.0, False), (0.005, True)])
def test_a_little_skin_is_enough_for_the_guard_and_none_is_not(share: float, watched: bool) -> None:
    assert MIN_SKIN_SHARE == 0.005
    assert (
        Objective(Constant(), figure(share), Settings(**LIVELY)).base.skin is not None
    ) is watched


def test_too_little_skin_is_none() -> None:
    pixels = figure(0).repeat(1, 2, 1)
    pixels[:, 0, 0] = torch.tensor(SKIN)
    assert Objective(Constant(), pixels, Settings(**LIVELY)).base.skin is None


def test_drift_costs_by_the_embeddings() -> None:
    rows = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]]), dim=1)
    settings = Settings(min_light=0.0, protect_skin=False, **LIVELY, keep_content=2.0)
    objective = Objective(Constant(9.0, 9.0, embeddings=rows), flat(100), settings)
    far, near = objective(torch.stack([flat(101), flat(102)]))
    assert [far.content, near.content] == pytest.approx([0.4, 0])
    assert [far.total, near.total] == pytest.approx([9 - 2 * 0.4, 9])


def test_drift_costs_by_the_pixels_where_there_are_no_embeddings() -> None:
    settings = Settings(min_light=0.0, protect_skin=False, **LIVELY, keep_content=10.0)
    objective = Objective(Constant(9.0, 9.0), flat(100), settings)
    brighter, darker_one = objective(torch.stack([flat(151), flat(49)]))
    assert brighter.content == darker_one.content == pytest.approx(0.2)
    assert brighter.total == pytest.approx(9 - 10 * 0.2)


def test_totals_are_those_of_the_terms() -> None:
    objective = Objective(
        Constant(9.0, 1.0, 6.0), figure(0.5), Settings(keep_content=1.0, **LIVELY)
    )
    batch = torch.stack([figure(0.4), figure(0.6), darker(figure(0.5), 0.5)])
    totals = objective.totals(batch)
    assert len(totals) == 3
    assert list(totals) == pytest.approx([t.total for t in objective(batch)])


def lively(chroma: float, spread: float) -> torch.Tensor:
    """`[3, 10, 20]`: light and dark reds and greens."""
    light = torch.tensor([1.0, -1.0]).repeat(100)[:, None] * spread
    tint = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]).repeat_interleave(100, 0) * chroma
    return (120 + light + tint).round().to(torch.uint8).T.reshape(3, 10, 20).contiguous()


@pytest.mark.parametrize("field", ["color", "contrast"])
def test_a_guard_refuses_what_is_paler_or_flatter_than_it_allows(field: str) -> None:
    photo = lively(20, 40)
    off: dict[str, Any] = {"min_light": 0.0, "protect_skin": False, **LIVELY}
    objective = Objective(Constant(9.0, 9.0), photo, Settings(**{**off, f"min_{field}": 0.97}))
    less = lively(18, 40) if field == "color" else lively(20, 36)
    bad, good = objective(torch.stack([less, lively(24, 46)]))
    share, more = getattr(bad, field), getattr(good, field)
    assert 0.85 < share < 0.95 < 1 < more
    assert (bad.admissible, good.admissible) == (False, True)
    assert bad.total == pytest.approx(5 - 6 * (1 - share), abs=1e-4)
    assert good.total == 9
    assert getattr(bad, "contrast" if field == "color" else "color") is None, "that one is off"
    assert getattr(objective.base, field) == pytest.approx(1)


def test_shares_are_those_of_chroma_and_of_the_spread_of_lightness() -> None:
    photo, candidate = lively(20, 40), lively(30, 25)
    terms = Objective(Constant(9.0, 9.0), photo, Settings())(torch.stack([candidate, photo]))[0]
    before, after = lab(photo[None])[0], lab(candidate[None])[0]
    chroma = [float(x[1:].norm(dim=0).mean()) for x in (before, after)]
    apart = [float(x[1:].flatten(1).var(1, unbiased=False).sum().sqrt()) for x in (before, after)]
    spread = [float(x[0].std(unbiased=False)) for x in (before, after)]
    shares = chroma[1] / chroma[0], apart[1] / apart[0]
    assert terms.color == pytest.approx(max(shares), abs=1e-4)
    assert terms.contrast == pytest.approx(spread[1] / spread[0], abs=1e-4)


def test_to_take_a_cast_away_is_no_loss_of_colour() -> None:
    """But to make all of it paler is, cast or none."""
    photo = lively(20, 40)
    cool = (photo.float() + torch.tensor([-45.0, 5.0, 40.0]).view(3, 1, 1)).to(torch.uint8)
    objective = Objective(Constant(9.0, 9.0), cool, Settings(min_light=0.0, protect_skin=False))
    grey = cool.float().mean(0, keepdim=True)
    pale = (grey + 0.8 * (cool.float() - grey)).round().to(torch.uint8)
    neutral, paler = objective(torch.stack([photo, pale]))
    assert float(lab(photo[None])[0, 1:].norm(dim=0).mean()) < 0.9 * float(
        lab(cool[None])[0, 1:].norm(dim=0).mean()
    )
    assert neutral.admissible
    assert not paler.admissible


def chroma(photo: torch.Tensor) -> float:
    return float(lab(photo[None])[0, 1:].norm(dim=0).mean())


def test_warm_skin_is_no_cast() -> None:
    """Beside skin no more colour may go than the light has added."""
    photo = figure(0.5)
    cooler = (photo.float() * torch.tensor([0.85, 1.0, 1.25]).view(3, 1, 1)).clamp(max=255)
    settings = Settings(min_light=0.0, protect_skin=False)
    objective = Objective(Constant(9.0, 9.0), photo, settings)
    terms, first = objective(torch.stack([cooler.to(torch.uint8), photo]))
    least = min(chroma(photo), chroma(without_cast(photo)))
    assert terms.color == pytest.approx(chroma(cooler.to(torch.uint8)) / least, abs=1e-3)
    assert first.color == pytest.approx(chroma(photo) / least, abs=1e-3)
    grey = photo.float().mean(0, keepdim=True)
    pale = (grey + 0.6 * (photo.float() - grey)).round().to(torch.uint8)
    assert not objective(torch.stack([pale, photo]))[0].admissible


def test_grey_and_flat_photos_have_nothing_to_keep() -> None:
    grey = Objective(Constant(), lively(0, 40), Settings()).base
    assert grey.color is None
    assert grey.contrast == pytest.approx(1)
    assert (flat_ := Objective(Constant(), flat(100), Settings()).base).color is None
    assert flat_.contrast is None


def test_to_take_haze_away_is_no_darkening() -> None:
    """And to make a hazy photo darker without clearing it is; nor does a clear one lose light."""
    clear = lively(20, 70)
    hazy = (0.5 * clear.float() + 0.5 * 220).round().to(torch.uint8)
    objective = Objective(Constant(9.0, 9.0), hazy, Settings(min_light=0.9, **LIVELY))
    cleared, darkened = objective(torch.stack([clear, darker(hazy, 0.75)]))
    assert cleared.admissible
    assert float(clear.float().mean()) < 0.75 * float(hazy.float().mean())
    assert not darkened.admissible
    of_clear = Objective(Constant(9.0, 9.0), clear, Settings(min_light=0.9, **LIVELY))
    assert not of_clear(torch.stack([darker(clear, 0.85), clear]))[0].admissible


def test_a_flat_picture_is_no_veil() -> None:
    objective = Objective(Constant(9.0, 9.0), flat(200), Settings(min_light=0.9, **LIVELY))
    assert not objective(torch.stack([flat(170), flat(200)]))[0].admissible


def test_the_guards_see_the_same_whether_or_not_the_predictor_says_what_it_saw() -> None:
    generator = torch.Generator().manual_seed(4)
    photo = torch.randint(60, 256, (3, 40, 60), generator=generator, dtype=torch.uint8)
    batch = torch.randint(0, 256, (5, 3, 40, 60), generator=generator, dtype=torch.uint8)

    class Silent(Statistics):
        def judge(self, photo: torch.Tensor) -> Judge:
            judge = super().judge(photo)
            return lambda batch: Prediction(judge(batch).scores)

    told, untold = (Objective(p, photo, Settings())(batch) for p in (Statistics(), Silent()))
    assert told == untold
    assert all(terms.color and terms.contrast for terms in told)
