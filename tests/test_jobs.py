"""The work of a job, without any frontend: plans of plain values, names, events."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nulie import image_io
from nulie.errors import ImageError, NulieError, RecipeError, SettingsError
from nulie.jobs import inputs, names, recipes, values
from nulie.jobs.events import Begun, Done, Ended, Failed, Loading, Noted, Searching, Waiting
from nulie.jobs.host import Host, Line
from nulie.jobs.job import Job
from nulie.jobs.plan import KNOWN, Choice, plan
from nulie.jobs.score import Scored, score
from nulie.recipe import Recipe, Step
from nulie.settings import Settings
from nulie.transforms import render
from nulie.transforms.strength import scale

from .conftest import FakePredictor, picture

BRIGHTER = Recipe((Step.of("brightness", factor=1.2),))


def host(predictor: FakePredictor | None = None, **parts: Any) -> Host:
    judge: Any = predictor or FakePredictor()
    return Host(load=lambda choice, progress: (judge, ""), **parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b.jpg", "c.jfif")):
        picture(48, 32, seed).save(folder / name, "PNG" if name.endswith("png") else "JPEG")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def run(job: Job) -> list[Any]:
    return list(job.events())


# Plans.


def test_a_plan_of_nothing_has_the_defaults() -> None:
    empty = plan({})
    assert empty.settings == Settings()
    assert empty.choice == Choice()
    assert empty.recipe is None
    assert plan(dict.fromkeys(KNOWN)) == empty, "None stands for what was not said"


def test_values_as_forms_and_options_have_them() -> None:
    made = plan(
        {
            "seconds": "2.5",
            "seed": 3.0,
            "ops": "brightness, gamma",
            "ranges": "brightness=0.8:1.2, gamma.gain=1:1",
            "predictor": " ",
        }
    )
    assert made.settings.seconds == 2.5
    assert made.settings.seed == 3
    assert made.settings.ops == ("brightness", "gamma")
    assert made.settings.ranges == {"brightness": (0.8, 1.2), "gamma.gain": (1.0, 1.0)}
    assert made.choice.name == "auto"


@pytest.mark.parametrize(
    "given",
    [
        {"saturation": (1, 1.3)},
        {"saturation": [1, "1.3"]},
        ["saturation=1:1.3"],
        "saturation=1:1.3",
        "\nsaturation = 1 : 1.3,",
    ],
)
def test_ranges_in_every_form(given: Any) -> None:
    assert values.ranges(given) == {"saturation": (1.0, 1.3)}


@pytest.mark.parametrize("given", ["saturation", "saturation=1", {"saturation": 1}, ["a=b:c"]])
def test_ranges_that_are_none(given: Any) -> None:
    with pytest.raises(SettingsError, match="NAME=LOW:HIGH"):
        values.ranges(given)


def test_a_budget_of_evaluations_alone_has_no_time() -> None:
    assert plan({"evaluations": 5}).settings.seconds is None
    assert plan({"evaluations": 5, "seconds": 1}).settings.seconds == 1
    assert plan({}).settings.seconds == Settings().seconds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"second": 1}, "did you mean seconds?"),
        ({"seconds": "long"}, "seconds must be a number, not long"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": "nan"}, "seed must be a whole number"),
        ({"mode": "mild"}, "mild"),
        ({"ops": ["nonsense"]}, "nonsense"),
        ({"ranges": "brightness=3:2"}, "brightness"),
        ({"quality": 101}, "quality"),
        ({"precision": "fp8"}, "fp8"),
        ({"views": 3}, "views"),
        ({"checkpoint_every": float("nan")}, "checkpoint-every"),
        ({"mode": "recipe"}, "no recipe"),
        ({"recipe": "{}"}, "not a nulie recipe"),
        ({"output": Path("a.png"), "output_dir": Path("b")}, "--output"),
        ({"recipe": BRIGHTER.to_json(), "report": Path("a.html")}, "--report"),
        ({"recipe": BRIGHTER.to_json(), "checkpoint": Path("a.json")}, "checkpoints"),
        ({"resume": Path("no such checkpoint.json")}, "no such checkpoint"),
    ],
)
def test_plans_that_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(NulieError, match=said):
        plan(given)


def test_what_is_for_one_file_alone() -> None:
    with pytest.raises(SettingsError, match="--save-recipe is for a single image"):
        plan({"save_recipe": Path("x.json")}, files=2)


# Recipes.


def test_a_recipe_from_wherever_it_is_kept(tmp_path: Path) -> None:
    text = BRIGHTER.to_json()
    file = tmp_path / "r.json"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    made = tmp_path / "made.png"
    photo = image_io.from_image(picture())
    image_io.save(photo, photo.pixels, made, text={"nulie": text})
    infotext = f"a cat\nSteps: 20, NUlIE mode: soft, NUlIE recipe: {json.dumps(text)}, Version: 1"
    for given in (text, json.loads(text), file, made, infotext):
        assert recipes.read(given) == BRIGHTER


def test_a_recipe_that_is_none_names_its_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    picture().save(plain)
    with pytest.raises(RecipeError, match="upload: holds no recipe"):
        recipes.of_file(plain, "upload")
    with pytest.raises(RecipeError, match=r"gone\.json: cannot be read"):
        recipes.of_file(tmp_path / "gone.json")


# Inputs and names.


def test_the_pictures_of_a_folder(folder: Path) -> None:
    for name in ("a_nulie.png", "a_nulie_2.png", "a_nulie_.png", ".hidden.png", "notes.txt"):
        (folder / name).write_bytes(b"")
    found = [item.path.name for item in inputs.items([str(folder)], recursive=False)]
    assert found == ["a.png", "b.jpg", "broken.png", "c.jfif"]
    again = inputs.items([str(folder), str(folder / "a.png")], recursive=False)
    assert len(again) == 4, "each file once"


def test_folders_are_walked_in_the_order_of_paths(tmp_path: Path) -> None:
    """A folder comes where its name does, and none twice by a link."""
    folders = [tmp_path / "in" / name for name in ("b", "b-c", "b/d", "@eaDir", ".trash")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "x.png").touch()
    for name in ("b.png", "a.png", "z.PNG"):
        (tmp_path / "in" / name).touch()
    (tmp_path / "in" / "folder.png").mkdir()
    (tmp_path / "in" / "link").symlink_to(folders[0])
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nothing")
    found = inputs.items([str(tmp_path / "in")], recursive=True)
    names = ["a.png", "b/d/x.png", "b/x.png", "b-c/x.png", "b.png", "link.png", "z.PNG"]
    paths = [item.path for item in found]
    assert [path.relative_to(tmp_path / "in").as_posix() for path in paths] == names
    assert paths == sorted(paths)
    assert [item.folder.as_posix() for item in found] == [".", "b/d", "b", "b-c", ".", ".", "."]


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "a_2.png").touch()

    def make(path: Path) -> Path:
        path.touch(exist_ok=False)
        return path

    made = names.at_free_name(tmp_path / "a.png", make, clash=FileExistsError)
    assert made.name == "a_3.png"


def test_somebody_quicker_with_a_name(tmp_path: Path) -> None:
    tried: list[str] = []

    def make(path: Path) -> Path:
        tried.append(path.name)
        if len(tried) == 1:
            path.touch()
            raise ImageError("exists")
        return path

    assert names.at_free_name(tmp_path / "a.png", make, clash=ImageError).name == "a_2.png"

    def fail(path: Path) -> Path:
        raise ImageError("the disk is full")

    with pytest.raises(ImageError, match="full"):
        names.at_free_name(tmp_path / "b.png", fail, clash=ImageError)


# Jobs.


def test_events_tell_the_story(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted = plan({"evaluations": 60, "output_dir": out}, files=4)
    events = run(Job(inputs.items([str(folder)], recursive=False), wanted, host()))
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert [i.path.name for i in ended.done] == ["a.png", "b.jpg", "c.jfif"]
    assert [i.path.name for i in ended.failed] == ["broken.png"]
    assert ended.left == ()
    assert sorted(p.name for p in ended.written) == sorted(p.name for p in out.iterdir())
    first = [e for e in events[:-1] if e.item.path.name == "a.png"]
    assert [type(e) for e in first[:2]] == [Begun, Loading]
    assert isinstance(first[-1], Done)
    shares = [e.share for e in first if isinstance(e, Searching)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert all(e.words for e in events[:-1])
    [failed] = [e for e in events if isinstance(e, Failed)]
    assert "broken.png" in failed.text


def test_a_share_is_of_the_budget_that_ends_first(folder: Path, tmp_path: Path) -> None:
    wanted = plan({"evaluations": 10**9, "seconds": 0.3, "output": tmp_path / "x.png"})
    events = run(Job(inputs.items([str(folder / "a.png")], recursive=False), wanted, host()))
    last = [e for e in events if isinstance(e, Searching)][-1]
    assert last.share > 0.8
    assert last.left is not None
    assert last.left < 0.1


def test_the_predictor_is_loaded_once_and_told_of_once(folder: Path, tmp_path: Path) -> None:
    loaded: list[Choice] = []

    def load(choice: Choice, progress: Any) -> Any:
        progress("weights", 1, 2)
        progress("weights", 2, 2)
        loaded.append(choice)
        return FakePredictor(), "judged by another"

    wanted = plan({"evaluations": 20, "output_dir": tmp_path / "o", "predictor": "x"}, files=4)
    job = Job(inputs.items([str(folder)], recursive=False), wanted, Host(load=load))
    events = run(job)
    assert [c.name for c in loaded] == ["x"]
    assert [e.text for e in events if isinstance(e, Noted)] == ["judged by another"]
    assert [e.share for e in events if isinstance(e, Loading) and e.file][-1] == 1.0


def test_cancelled_between_files_leaves_the_rest(folder: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    wanted = plan({"evaluations": 20, "output_dir": tmp_path / "o"}, files=4)
    items = inputs.items([str(folder)], recursive=False)
    for event in Job(items, wanted, host(), cancel=cancel).events():
        if isinstance(event, Done):
            cancel.set()
    assert isinstance(event, Ended)
    assert len(event.done) == 1
    assert event.left == tuple(items[1:])


def test_cancelled_before_there_is_a_best_writes_nothing(folder: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    wanted = plan({"seconds": 50, "output_dir": tmp_path / "o"})
    items = inputs.items([str(folder / "a.png")], recursive=False)
    for event in Job(items, wanted, host(), cancel=cancel).events():
        if isinstance(event, Loading):
            cancel.set()
    assert isinstance(event, Ended)
    assert event.left == tuple(items)
    assert not (tmp_path / "o").exists()


def test_an_unexpected_error_is_told_and_logged(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakePredictor):
        def judge(self, photo: Any) -> Any:
            raise KeyError("a defect")

    wanted = plan({"evaluations": 20, "output_dir": tmp_path / "o"}, files=2)
    items = inputs.items([str(folder / "a.png"), str(folder / "b.jpg")], recursive=False)
    events = run(Job(items, wanted, host(Broken())))
    assert [e.text.endswith("failed (KeyError: 'a defect')") for e in events[:-1]
            if isinstance(e, Failed)] == [True, True]  # fmt: skip
    assert "Traceback" in caplog.text


def test_a_recipe_is_judged_where_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    given = {"recipe": BRIGHTER.to_json(), "output_dir": tmp_path / "o"}
    items = inputs.items([str(folder / "a.png")], recursive=False)
    for judged in (False, True):
        wanted = plan({**given, "judge_recipe": judged, "overwrite": True})
        done = next(e for e in run(Job(items, wanted, host())) if isinstance(e, Done))
        assert bool(done.outcome.score()) is judged
        assert done.outcome.after.pixels != done.outcome.before.pixels
        assert recipes.of_file(done.written[0]) == BRIGHTER


def test_results_that_get_a_number(folder: Path, tmp_path: Path) -> None:
    wanted = plan(
        {"recipe": BRIGHTER.to_json(), "output_dir": tmp_path, "numbered": True, "suffix": ".png"}
    )
    item = replace(inputs.items([str(folder / "b.jpg")], recursive=False)[0], name="my cat.jpg")
    written = [run(Job([item], wanted, host()))[-1].written[0].name for _ in range(2)]
    assert written == ["my cat_nulie.png", "my cat_nulie_2.png"]
    with Image.open(tmp_path / written[1]) as image:
        assert image.format == "PNG"


def test_who_waits_is_told_its_place(folder: Path, tmp_path: Path) -> None:
    line = Line()
    before = line.join("cpu")
    wanted = plan({"evaluations": 20, "output_dir": tmp_path / "o"})
    items = inputs.items([str(folder / "a.png")], recursive=False)
    seen = []
    for event in Job(items, wanted, host(line=line)).events():
        seen.append(type(event))
        if isinstance(event, Waiting):
            assert event.before == 1
            before.leave()
    assert Waiting in seen
    assert Done in seen
    assert line.join("cpu").place() == 0, "who has searched is out of the line"


def test_the_turn_is_held_during_the_search_alone(folder: Path, tmp_path: Path) -> None:
    held: list[str] = []

    class Turn:
        def __enter__(self) -> None:
            held.append("in")

        def __exit__(self, *_: object) -> None:
            held.append("out")

    wanted = plan({"evaluations": 20, "output_dir": tmp_path / "o"})
    items = inputs.items([str(folder / "a.png")], recursive=False)
    for event in Job(items, wanted, host(turn=Turn)).events():
        inside = held[-1:] == ["in"]
        assert inside == isinstance(event, Searching)
    assert held == ["in", "out"]


def test_scores_of_files(folder: Path) -> None:
    items = inputs.items([str(folder)], recursive=False)
    events = list(score(items, Choice(), host()))
    scored = {e.item.path.name: e.score for e in events if isinstance(e, Scored)}
    assert set(scored) == {"a.png", "b.jpg", "c.jfif"}
    assert len(set(scored.values())) == 3
    assert [e.item.path.name for e in events if isinstance(e, Failed)] == ["broken.png"]


# A picture to be like, and strength


def test_a_picture_to_be_like_switches_off_the_guards_that_are_not_given(folder: Path) -> None:
    path = folder / "a.png"
    like = plan({"like": path, "seconds": 2})
    assert like.like is not None
    assert like.judge == "likeness to a.png"
    assert path in like.inputs()
    assert like.settings == Settings(
        seconds=2, min_light=0, min_color=0, min_contrast=0, protect_skin=False
    )
    given = plan({"like": path, "min_light": 0.9, "protect_skin": True}).settings
    assert (given.min_light, given.protect_skin, given.min_color) == (0.9, True, 0)
    assert plan({"like": Image.new("RGB", (2000, 10))}).like.pixels.size[0] <= 512  # type: ignore[union-attr]


def test_likeness_judges_and_loads_nothing(folder: Path, tmp_path: Path) -> None:
    warm = Image.new("RGB", (60, 40), (200, 140, 90))
    warm.paste((90, 60, 30), (0, 0, 30, 40))
    warm.save(tmp_path / "warm.png")
    wanted = plan(
        {"like": tmp_path / "warm.png", "evaluations": 150, "output_dir": tmp_path / "out"}
    )

    def load(*_: Any) -> Any:
        raise AssertionError("there is nothing to load")

    events = run(Job(inputs.items([str(folder / "a.png")], recursive=False), wanted, Host(load)))
    (done,) = [e for e in events if isinstance(e, Done)]
    assert done.outcome.predictor == "likeness to warm.png"
    before, after = (p.pixels.resize((1, 1)) for p in (done.outcome.before, done.outcome.after))
    (red, _, blue), (red_after, _, blue_after) = before.getpixel((0, 0)), after.getpixel((0, 0))  # type: ignore[misc]
    assert red_after - blue_after > red - blue + 10


def test_a_strength_turns_what_was_found(folder: Path, tmp_path: Path) -> None:
    def make(strength: float) -> Any:
        given = {"evaluations": 60, "top": 2, "mode": "hard", "strength": strength}
        wanted = plan({**given, "output_dir": tmp_path / f"{strength:g}"})
        items = inputs.items([str(folder / "a.png")], recursive=False)
        (done,) = [e for e in run(Job(items, wanted, host())) if isinstance(e, Done)]
        return done

    whole, half, none = make(1), make(0.5), make(0)
    found = whole.outcome.recipes()
    assert half.outcome.recipes() == tuple(scale(recipe, 0.5) for recipe in found)
    for number, (recipe, path) in enumerate(zip(half.outcome.recipes(), half.written, strict=True)):
        assert recipes.of_file(path) == recipe
        made = render(recipe, half.outcome.before.pixels)
        assert half.outcome.variant(number).pixels.tobytes() == made.tobytes()
    assert half.outcome.base.total < half.outcome.terms.total < whole.outcome.terms.total
    assert none.outcome.recipe == Recipe()
    assert none.written[0].read_bytes() == (folder / "a.png").read_bytes()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"predictor": "statistics"}, "--like and --predictor both"),
        ({"head": Path("head.pth")}, "not for --like"),
        ({"recipe": "{}"}, "--like is for a search"),
        ({"like": Path("nowhere.png")}, "no such file"),
        ({"strength": "much"}, "strength must be a number"),
        ({"strength": 1.6}, "strength must be within 0..1.5"),
    ],
)
def test_what_does_not_go_with_likeness(other: dict[str, Any], said: str) -> None:
    with pytest.raises(NulieError, match=said):
        plan({"like": Image.new("RGB", (40, 40)), **other})


def test_a_recipe_that_is_applied_is_turned() -> None:
    recipe = Recipe((Step.of("brightness", factor=1.4),))
    wanted = plan({"recipe": recipe.to_json(), "strength": "0.5"})
    assert wanted.recipe == Recipe((Step.of("brightness", factor=1.2),))
