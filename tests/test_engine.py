"""The whole way from image to result, with a predictor that takes no time."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nulie import transforms
from nulie.color import distance, lab
from nulie.engine import Enhancement, Finished, Improved, Noted, Progress, Result, Started
from nulie.engine.evaluate import Evaluator, renderer
from nulie.engine.events import Variant
from nulie.engine.finalists import CHOICES, MIN_DISTANCE, MIN_GAIN, Election, Finalist
from nulie.engine.objective import SEARCH_MARGIN, Objective
from nulie.errors import SettingsError
from nulie.predictor.base import Judge, Prediction
from nulie.predictor.pair import Pair
from nulie.predictor.target import Target
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings
from nulie.transforms.preview import Renderer, shrink
from nulie.transforms.sample import sample

from .conftest import FakePredictor, picture


def enhance(
    image: Image.Image, predictor=None, cancel=None, **settings
) -> tuple[list[Any], Result]:
    settings = {"seconds": None, "evaluations": 300, **settings}
    run = Enhancement(image, predictor or FakePredictor(), Settings(**settings), cancel=cancel)
    events = list(run.events())
    assert isinstance(events[-1], Finished)
    return events, events[-1].result


def test_events_tell_the_story() -> None:
    events, result = enhance(picture())
    assert isinstance(events[0], Started)
    assert {type(e) for e in events[1:-1]} == {Progress, Improved}
    assert result.evaluations == 300
    assert result.reason == "evaluations"
    assert result.terms.total > result.base.total + 0.5


def test_the_image_is_the_recipe_at_full_size_and_scored_as_such() -> None:
    image, predictor = picture(300, 200), FakePredictor()
    before = image.tobytes()
    _, result = enhance(image, predictor)
    assert image.tobytes() == before
    assert result.image.tobytes() == transforms.render(result.recipe, image).tobytes()
    objective = Objective(predictor, shrink(image, 32), Settings())
    assert objective(shrink(result.image, 32)[None])[0] == result.terms
    assert objective.base == result.base


def test_same_seed_same_bytes() -> None:
    (_, a), (_, b) = (enhance(picture(), seed=3, evaluations=100) for _ in range(2))
    assert (a.recipe, a.image.tobytes()) == (b.recipe, b.image.tobytes())


def test_another_seed_goes_another_way() -> None:
    ways = [
        [e.recipe for e in enhance(picture(), seed=s, evaluations=60)[0] if isinstance(e, Improved)]
        for s in (3, 4)
    ]
    assert ways[0] != ways[1]


def test_nothing_better_leaves_the_image_alone() -> None:
    class Content(FakePredictor):
        def judge(self, photo: torch.Tensor) -> Judge:
            """Every change is for the worse."""
            return lambda batch: Prediction(-(batch != photo).float().flatten(1).mean(1))

    image = picture()
    _, result = enhance(image, Content())
    assert result.variants == ()
    assert result.recipe == Recipe()
    assert result.image.tobytes() == image.tobytes()
    assert result.terms == result.base


class TwoMinds(FakePredictor):
    """Wants light pictures in the search, and `wanted` when it comes to decide."""

    def __init__(self, wanted: float, input_size: int = 32) -> None:
        super().__init__(target=230)
        self.form = FakePredictor(wanted)
        self.form.input_size = input_size

    def exact(self) -> FakePredictor:
        return self.form


def test_a_preview_that_flatters_never_wins() -> None:
    """The exact form is content with the input, whatever the search has found: it decides."""
    image = picture()
    events, result = enhance(image, TwoMinds(float(np.asarray(image).mean())))
    assert any(isinstance(event, Improved) for event in events)
    assert result.variants == ()
    assert result.image.tobytes() == image.tobytes()


@pytest.mark.parametrize("input_size", [32, 48])
def test_the_marks_of_a_result_are_the_exact_forms(input_size: int) -> None:
    image, predictor = picture(), TwoMinds(240.0, input_size)
    _, result = enhance(image, predictor)
    objective = Objective(predictor.form, shrink(image, input_size), Settings())
    assert result.base == objective.base
    assert result.variants
    assert result.terms == objective(shrink(result.image, input_size)[None])[0]


@pytest.mark.parametrize(("points", "wins"), [(1.2 * MIN_GAIN, True), (0.8 * MIN_GAIN, False)])
def test_a_result_beats_the_input_by_more_than_chance(points: float, wins: bool) -> None:
    class Indifferent(FakePredictor):
        def judge(self, photo: torch.Tensor) -> Judge:
            """So many points for any change."""
            return lambda batch: Prediction((batch != photo).flatten(1).any(1) * points)

    _, result = enhance(picture(), Indifferent(), min_light=0.0, protect_skin=False)
    assert bool(result.variants) is wins


class Wanted(Target):
    """Wants all of it a little lighter."""

    name = "wanted"
    input_size = 32

    def wanted(self, photo: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return photo.flatten(1)[:, chosen].float().mul(1.2).clamp(max=255).byte()[None]


class Distances(FakePredictor):
    """Sees previews of 48 pixels, and likes pictures so many levels away from the input."""

    input_size = 48
    name = "distances"

    def __init__(self, likes: float) -> None:
        super().__init__()
        self.likes = likes
        self.batches: list[torch.Tensor] = []

    def judge(self, photo: torch.Tensor) -> Judge:
        def judge(batch: torch.Tensor) -> Prediction:
            self.batches.append(batch)
            apart = (batch.float() - photo.float()).abs().flatten(1).mean(1)
            return Prediction(-(apart - self.likes).abs())

        return judge


def test_the_second_of_a_pair_chooses_among_distinct_candidates_of_the_first() -> None:
    image, chooser = picture(), Distances(16.0)
    pair = Pair(Wanted(), chooser)
    _, alone = enhance(image, Wanted())
    _, result = enhance(image, pair)
    assert result.base.score == pytest.approx(-16.0)
    assert result.terms.score > result.base.score
    objective = Objective(chooser, shrink(image, 48), Settings())
    assert result.terms.score > objective(shrink(alone.image, 48)[None])[0].score + 1
    # The input, all at once what is chosen from, and then finalists one by one.
    sizes = [len(batch) for batch in chooser.batches]
    assert 8 <= max(sizes) <= CHOICES
    candidates = lab(chooser.batches[sizes.index(max(sizes))])
    for i, one in enumerate(candidates):
        for other in candidates[i + 1 :]:
            assert distance(one[None], other[None]) > 0.8 * MIN_DISTANCE  # at another size


def test_the_second_of_a_pair_may_like_the_input_best() -> None:
    _, result = enhance(picture(), Pair(Wanted(), Distances(0.0)))
    assert result.variants == ()
    assert result.reason == "evaluations"


def test_several_variants_of_a_pair_look_distinct() -> None:
    image = picture()
    _, result = enhance(image, Pair(Wanted(), Distances(16.0)), top=3, evaluations=600)
    assert len(result.variants) == 3
    totals = [v.terms.total for v in result.variants]
    assert totals == sorted(totals, reverse=True)
    assert result.image.tobytes() == transforms.render(result.recipe, image).tobytes()


class Ticking:
    """A clock on which each look takes a hundredth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


def test_a_device_that_is_slow_at_first_costs_half_of_the_search_at_most() -> None:
    clock = Ticking()

    class Cold(FakePredictor):
        def judge(self, photo: torch.Tensor) -> Judge:
            clock.now += 30
            return super().judge(photo)

    *_, last = Enhancement(picture(), Cold(), Settings(seconds=4), clock=clock).events()
    assert isinstance(last, Finished)
    assert last.result.variants
    assert (last.result.reason, 4 <= last.result.seconds < 4.5) == ("time", True)


def full_size_renders(monkeypatch: pytest.MonkeyPatch, slow: float) -> int:
    """How many finalists are rendered after a short search, each taking so many seconds."""
    clock, rendered = Ticking(), []

    def render(recipe: Recipe, image: Image.Image) -> Image.Image:
        rendered.append(recipe)
        clock.now += slow
        return transforms.render(recipe, image)

    monkeypatch.setattr("nulie.engine.finalists.apply_to_pixels", render)
    settings = Settings(seconds=0.4)
    *_, last = Enhancement(picture(), FakePredictor(), settings, clock=clock).events()
    assert isinstance(last, Finished)
    assert last.result.variants
    return len(rendered)


def test_further_finalists_have_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a large photo one is rendered and no more; on a small one there is time for several."""
    assert full_size_renders(monkeypatch, slow=10.0) == 1
    assert full_size_renders(monkeypatch, slow=0.2) == 3
    assert full_size_renders(monkeypatch, slow=0.0) > 3


def test_of_a_large_photo_the_winner_alone_is_made_at_full_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = picture(600, 400)
    sizes: list[tuple[int, int]] = []

    def render(recipe: Recipe, image: Image.Image) -> Image.Image:
        sizes.append(image.size)
        return transforms.render(recipe, image)

    monkeypatch.setattr("nulie.engine.finalists.apply_to_pixels", render)
    _, result = enhance(image)
    assert sizes.count(image.size) == 1
    assert sizes.count((192, 128)) == len(sizes) - 1 > 1
    assert result.image.tobytes() == transforms.render(result.recipe, image).tobytes()
    objective = Objective(FakePredictor(), shrink(image, 32), Settings())
    assert objective(shrink(result.image, 32)[None])[0] == result.terms


@pytest.mark.parametrize("slow", [0.0, 10.0], ids=["time for several", "time for one"])
def test_where_full_size_refuses_the_next_one_is_looked_at(
    slow: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a guard that was content with a smaller picture is not with this one."""
    image, clock = picture(600, 400), Ticking()
    refused: list[Recipe] = []
    real = Election._finalist

    def finalist(election: Election, recipe: Recipe, images: Any) -> Finalist:
        clock.now += slow
        made = real(election, recipe, images)
        if images[0].size != image.size or len(refused) == 2:
            return made
        refused.append(recipe)
        terms = replace(made.variant.terms, total=election.base.total)
        return replace(made, variant=Variant(recipe, terms))

    monkeypatch.setattr(Election, "_finalist", finalist)
    *_, last = Enhancement(image, FakePredictor(), Settings(seconds=0.4), clock=clock).events()
    assert isinstance(last, Finished)
    assert len(set(refused)) == 2
    assert last.result.recipe not in {Recipe(), *refused}
    assert last.result.image.tobytes() == transforms.render(last.result.recipe, image).tobytes()


def test_who_cancels_waits_for_one_finalist_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []

    def render(recipe: Recipe, image: Image.Image) -> Image.Image:
        rendered.append(recipe)
        return transforms.render(recipe, image)

    monkeypatch.setattr("nulie.engine.finalists.apply_to_pixels", render)
    cancel = threading.Event()
    run = Enhancement(picture(), FakePredictor(), Settings(seconds=600), cancel=cancel)
    for event in run.events():
        if isinstance(event, Progress) and event.evaluations > 100:
            cancel.set()
    assert len(rendered) == 1


def test_the_search_is_stricter_than_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its guards ask for a hundredth more, or the best candidates would fail at full size."""
    margins: list[float] = []
    judges: list[Objective] = []

    def objective(*arguments, margin: float = 0.0):
        margins.append(margin)
        return Objective(*arguments, margin=margin)

    def election(*arguments, judge: Objective, **more):
        judges.append(judge)
        return Election(*arguments, judge=judge, **more)

    monkeypatch.setattr("nulie.engine.run.Objective", objective)
    monkeypatch.setattr("nulie.engine.run.Election", election)
    enhance(picture(), evaluations=20)
    assert margins == [SEARCH_MARGIN]
    preview = shrink(picture(), FakePredictor.input_size)
    darker = torch.stack([(preview * share).to(torch.uint8) for share in (1, 0.958, 0.9)])
    settings = Settings(min_light=0.95, min_color=0.0, min_contrast=0.0, protect_skin=False)
    strict = Objective(FakePredictor(), preview, settings, margin=0.01)
    exact = Objective(FakePredictor(), preview, settings)
    assert [terms.admissible for terms in strict(darker)] == [True, False, False]
    assert [terms.admissible for terms in exact(darker)] == [True, True, False]
    assert strict.exactly()(darker) == exact(darker)
    assert judges[0](darker) == Objective(FakePredictor(), preview, Settings())(darker)


class Talkative(FakePredictor):
    """Has something to say after some batches, and once more when it decides."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def judge(self, photo: torch.Tensor) -> Judge:
        known = super().judge(photo)

        def judge(batch: torch.Tensor) -> Prediction:
            if self.judged in (0, 1 + 4):
                self.notes.append(f"after {self.judged}")
            return known(batch)

        return judge

    def exact(self) -> FakePredictor:
        self.form = Exact()
        return self.form


class Exact(FakePredictor):
    def __init__(self) -> None:
        super().__init__()
        self.notes = ["exact"]


def test_what_the_predictor_notes_is_told_once_and_soon() -> None:
    predictor = Talkative()
    events, _ = enhance(picture(), predictor, evaluations=60)
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert notes == ["after 0", "exact", "after 5"]
    told = events.index(Noted("after 5"))
    assert max(e.evaluations for e in events[:told] if isinstance(e, Progress)) < 20
    assert predictor.notes == predictor.form.notes == []


def test_a_predictor_that_notes_nothing_need_not_know_of_it() -> None:
    assert not any(isinstance(event, Noted) for event in enhance(picture(), evaluations=20)[0])


@pytest.mark.parametrize("count", [1, 15, 16, 37])
def test_batches_shared_out_come_back_in_order(count: int) -> None:
    preview = torch.zeros(3, 8, 8, dtype=torch.uint8)
    recipes = [Recipe((Step.of("brightness", factor=1 + i),)) for i in range(count)]

    def render(part) -> torch.Tensor:
        return torch.tensor([dict(r.steps[0].params)["factor"] for r in part])

    with Evaluator(render, lambda batch: (10 * batch).tolist(), preview) as evaluate:
        assert list(evaluate(recipes)) == [10.0 * (1 + i) for i in range(count)]


def test_its_threads_end_with_it() -> None:
    before = threading.active_count()
    preview = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with Evaluator(lambda part: torch.ones(len(part)), torch.Tensor.tolist, preview) as evaluate:
        evaluate([Recipe()] * 64)
        assert evaluate.threads == 1 or threading.active_count() > before
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("predictor", "settings", "reason"),
    [
        (Wanted(), {"seconds": 1e6}, "saturated"),
        (Pair(Wanted(), FakePredictor()), {"seconds": 1e6}, "saturated"),
        (Pair(FakePredictor(), Wanted()), {"seconds": 1e6, "evaluations": 2500}, "evaluations"),
        (Wanted(), {"seconds": 1e6, "evaluations": 5000}, "saturated"),
        (Wanted(), {"evaluations": 2500}, "evaluations"),
        (Wanted(), {"evaluations": 5000, "patience": 1}, "saturated"),
        (Wanted(), {"seconds": 1e6, "evaluations": 2500, "patience": 0}, "evaluations"),
        (FakePredictor(), {"seconds": 1e6, "evaluations": 2500}, "evaluations"),
        (FakePredictor(), {"seconds": 1e6, "patience": 0.5}, "saturated"),
    ],
)
def test_a_search_with_a_target_and_a_time_ends_when_there_is_nothing_left_to_gain(
    predictor: Any, settings: dict[str, Any], reason: str
) -> None:
    _, result = enhance(picture(), predictor, **{"evaluations": None, **settings})
    assert result.reason == reason


def test_the_light_guard() -> None:
    image = picture()
    light = np.asarray(image).mean()
    dark = FakePredictor(target=60)
    _, free = enhance(image, dark, min_light=0.0, protect_skin=False)
    assert np.asarray(free.image).mean() < 0.7 * light
    _, guarded = enhance(image, dark, protect_skin=False)
    assert np.asarray(guarded.image).mean() >= 0.895 * light
    assert guarded.terms.light >= 0.9


def test_the_skin_guard() -> None:
    """A picture half of which is skin: it may get darker, but not there."""
    image = Image.new("RGB", (90, 60), (30, 60, 160))
    image.paste((205, 150, 125), (0, 0, 45, 60))
    dark = FakePredictor(target=60)
    ways = {"min_light": 0.0, "ops": ("brightness", "gamma")}
    _, free = enhance(image, dark, protect_skin=False, **ways)
    _, guarded = enhance(image, dark, **ways)
    lightness = [
        float(lab(torch.from_numpy(np.array(i)).permute(2, 0, 1)[None])[0, 0, :, :40].mean())
        for i in (image, free.image, guarded.image)
    ]
    assert lightness[1] < 0.8 * lightness[0]
    assert lightness[2] >= 0.95 * lightness[0]
    assert guarded.terms.skin is not None
    assert guarded.terms.skin >= 0.95


def test_the_content_guard_holds_back() -> None:
    _, free = enhance(picture(), FakePredictor(200))
    _, held = enhance(picture(), FakePredictor(200), keep_content=60.0)
    assert held.terms.content < 0.5 * max(free.terms.content, 0.05)


def test_variants_look_distinct_and_come_best_first() -> None:
    image = picture()
    _, result = enhance(image, top=4, evaluations=1500)
    assert len(result.variants) == 4
    totals = [v.terms.total for v in result.variants]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] > result.base.total
    looks = [lab(shrink(transforms.render(v.recipe, image), 32)[None]) for v in result.variants]
    for i, a in enumerate(looks):
        for b in looks[i + 1 :]:
            assert distance(a, b) >= MIN_DISTANCE


def test_of_several_variants_the_image_is_the_best_ones() -> None:
    """Here the search and what decides differ, so that the best one does not come first."""
    image = picture()
    _, result = enhance(image, TwoMinds(200.0), top=4, evaluations=600)
    assert len(result.variants) > 1
    assert result.image.tobytes() == transforms.render(result.recipe, image).tobytes()


def test_previews_are_rendered_with_the_whole_photos_histograms() -> None:
    image = picture(300, 200)
    image.putpixel((7, 7), (255, 0, 0))
    preview = shrink(image, 32)
    recipes = [Recipe((Step.of("autocontrast", amount=1.0, cutoff=0.0),))]
    rendered = renderer(image, preview)(recipes)
    assert torch.equal(rendered, Renderer(preview, sample(image))(recipes))
    assert not torch.equal(rendered, Renderer(preview)(recipes))


def test_recipes_are_short() -> None:
    lengths = [len(enhance(picture(seed=s), seed=s)[1].recipe) for s in range(5)]
    assert max(lengths) <= 4, "one dial is enough to please the fake predictor"


def test_cancel_keeps_the_best_so_far() -> None:
    cancel = threading.Event()
    run = Enhancement(picture(), FakePredictor(), Settings(seconds=600), cancel=cancel)
    result = None
    for event in run.events():
        if isinstance(event, Improved):
            cancel.set()
        if isinstance(event, Finished):
            result = event.result
    assert result is not None
    assert result.reason == "cancelled"
    assert result.terms.total > result.base.total


def test_bounded_ops_stay_bounded_in_the_result() -> None:
    _, result = enhance(
        picture(), FakePredictor(250), ops=("brightness",), ranges={"brightness": (1.0, 1.137)}
    )
    (step,) = result.recipe.steps
    assert 1.0 <= dict(step.params)["factor"] <= 1.137


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2000, 3)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    _, result = enhance(Image.new("RGB", size, (90, 80, 70)), evaluations=40)
    assert result.image.size == size


@pytest.mark.parametrize(
    "bad",
    [{"seconds": 0}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": None},
     {"evaluations": 0}, {"min_light": 2}, {"keep_content": -1}, {"top": 0}, {"mode": "mild"},
     {"ops": ("x",)}],
    ids=str,
)  # fmt: skip
def test_settings_without_a_meaning_are_refused(bad) -> None:
    with pytest.raises(SettingsError):
        Enhancement(picture(), FakePredictor(), Settings(**bad))


def test_a_recipe_in_words() -> None:
    recipe = Recipe(
        (
            Step.of("brightness", factor=1.2),
            Step.of("autocontrast", amount=0.4, cutoff=0.5),
            Step.of("posterize", bits=4.0),
        )
    )
    words = transforms.describe(recipe)
    assert words == "brightness 1.20, autocontrast 40% (cutoff 0.5%), posterize 4 bits"
    assert transforms.describe(Recipe()) == "unchanged"
    slight = Recipe((Step.of("saturation", factor=0.997), Step.of("gamma", gamma=1.001, gain=1.0)))
    assert transforms.describe(slight) == "saturation 0.997, gamma 1.001 (gain 1.00)"
