"""Parts of the page that need no browser."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nulie import image_io
from nulie.errors import ImageError, SettingsError
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings

from ..conftest import picture

with warnings.catch_warnings():
    # gradio and what it brings along warn of each other.
    warnings.simplefilter("ignore")
    gradio = pytest.importorskip("gradio", reason="no gradio here: pip install gradio")
    from nulie.ui import Host, build, saving, words
    from nulie.ui.host import Host as _Host
    from nulie.ui.opened import Opened
    from nulie.ui.options import MODE_NAMES, Options
    from nulie.ui.running import Run
    from nulie.ui.session import MOST_SESSIONS, Session, Sessions
    from nulie.ui.touchup import Steps

# gradio leaves event loops and their sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """So that the complaints come where they are ignored."""
    yield
    gc.collect()


def values(options: Options, **changed: Any) -> tuple[Any, ...]:
    """What the controls hold when nobody has touched any but these."""
    by_id = {c.elem_id: c.value for c in options.inputs}
    assert set(changed) <= set(by_id)
    return tuple({**by_id, **changed}.values())


@pytest.fixture
def options(tmp_path: Path) -> Options:
    made = Options(_Host(tmp_path))
    with gradio.Blocks():
        made.first()
        made.more()
    return made


def test_untouched_controls_are_the_defaults(options: Options) -> None:
    settings, predictor = options.read(values(options))
    assert settings == Settings()
    assert predictor == "auto"


def test_every_control_does_something(options: Options) -> None:
    soft = dict(zip((c.elem_id for c in options.inputs), values(options), strict=True))[
        "nulie_used"
    ]
    hard, _ = options.read(
        values(
            options,
            nulie_mode=MODE_NAMES["hard"],
            nulie_used=["hue", *soft],
            nulie_seed=5,
        )
    )
    assert (hard.mode, hard.seed) == ("hard", 5)
    assert hard.ops is not None
    assert "hue" in hard.ops
    assert "invert" not in hard.ops
    some, _ = options.read(
        values(
            options,
            nulie_used=[op_id for op_id in soft if op_id != "blur"],
            nulie_ranges="contrast=0.9:1.05, blur=0:0.01",
            nulie_top=3,
        )
    )
    assert some.ops is not None
    assert "blur" not in some.ops
    assert some.ranges == {"contrast": (0.9, 1.05)}
    assert some.top == 3
    with pytest.raises(SettingsError, match="switch one on"):
        options.read(values(options, nulie_used=[]))
    for wrong in (
        "contrast",
        "contrast=1",
        "contrast=a:b",
        "contrst=1:2",
        "contrast=1:9",
        "hue.x=0:0",
    ):
        with pytest.raises(SettingsError, match=wrong.partition("=")[0][:3]):
            options.read(values(options, nulie_ranges=wrong))
    with pytest.raises(SettingsError):
        options.read(values(options, nulie_seconds=None))


@pytest.mark.parametrize("name", ["os:abort", "/etc/passwd", "nobody", ""])
def test_a_predictor_that_the_page_does_not_offer_is_refused(options: Options, name: str) -> None:
    """A request may say what it likes."""
    with pytest.raises(SettingsError, match="no predictor on this page"):
        options.read(values(options, nulie_predictor=name))


def test_a_mode_brings_its_ops_and_ranges(options: Options) -> None:
    used, ranges, low, high, _ = options._on_mode(MODE_NAMES["hard"], "brightness")
    assert "invert" in used
    assert ranges == ""
    assert (low["value"], high["value"]) == (0.5, 2.0)


def test_one_pair_of_sliders_writes_every_range(options: Options) -> None:
    soft = MODE_NAMES["soft"]
    text = options._on_range("gamma.gain", 0.9, 1.05, "", soft)
    assert text == "gamma.gain=0.9:1.05"
    text = options._on_range("contrast", 1.0, 1.2, text, soft)
    assert text == "gamma.gain=0.9:1.05, contrast=1:1.2"
    low, high, said = options._on_dial("gamma.gain", text, soft)
    assert (low["value"], high["value"]) == (0.9, 1.05)
    assert (low["minimum"], high["maximum"]) == (0.5, 2.0)
    assert "gain scales" in said["info"]
    settings, _ = options.read(values(options, nulie_ranges=text))
    assert settings.ranges == {"gamma.gain": (0.9, 1.05), "contrast": (1.0, 1.2)}
    assert options._on_range("gamma.gain", 0.9, 1.1, text, soft) == "contrast=1:1.2", "the mode's"
    text = options._on_range("gamma.gamma", 0.8, 1, "gamma=1:2, no such thing", soft)
    assert text == "no such thing, gamma.gamma=0.8:1", "what somebody typed stays as it is"
    for choice in options.dial.choices:
        name = str(choice[0] if isinstance(choice, tuple) else choice)
        low, high, _ = options._on_dial(name, "", soft)
        assert low["minimum"] <= low["value"] < high["value"] <= high["maximum"]
        assert options._on_range(name, low["value"], high["value"], "", soft) == ""


def test_the_chosen_step_is_shown() -> None:
    steps = Steps()
    with gradio.Blocks():
        steps.build()
    recipe = Recipe(
        (
            Step.of("gamma", gamma=1.2, gain=0.95),
            Step.of("brightness", factor=3.5),
            Step.of("posterize", bits=4.0),
        )
    )
    first, second = steps.dials
    shown = steps.show(recipe)
    assert shown[steps.chosen]["choices"] == ["1: gamma", "2: brightness", "3: posterize"]
    assert shown[steps.chosen]["value"] == "1: gamma"
    assert (shown[first]["value"], shown[second]["value"]) == (1.2, 0.95)
    assert shown[second]["label"] == "gain"
    shown = steps.show(recipe, 1)
    assert shown[steps.op]["value"] == "brightness"
    assert shown[first]["maximum"] == 4.0, "beyond the hard mode's range"
    assert shown[second] == gradio.update(visible=False)
    assert steps.show(Recipe())[steps.chosen]["visible"] is False


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.JPG", "photo.JPG"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Windows\\x.png", "x.png"),
        ("<img src=x onerror=alert(1)>.png", "_img src_x onerror_alert(1)_.png"),
        ("...", "photo"),
        ("a" * 300 + ".jpeg", "a" * 80 + ".jpeg"),
        ("Ärger im Büro.webp", "Ärger im Büro.webp"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert saving.safe_name(name) == safe


def test_saving_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    photo = image_io.from_image(picture())
    names = [
        saving.save(photo, "a.png", photo.pixels, Recipe(), tmp_path, format=format).name
        for format in (saving.AS_IT_CAME, saving.AS_IT_CAME, "JPEG", "PNG")
    ]
    assert names == ["a_nulie.png", "a_nulie_2.png", "a_nulie.jpg", "a_nulie_3.png"]


def test_recipes_from_files(tmp_path: Path) -> None:
    recipe = Recipe((Step.of("contrast", factor=1.1),))
    photo = image_io.from_image(picture())
    path = saving.save(photo, "a.png", photo.pixels, recipe, tmp_path)
    assert saving.read_recipe(path, "a.png") == recipe
    picture().save(tmp_path / "b.png")
    for name, text in (("c.json", b"{}"), ("d.json", b"\xff\xfe"), ("b.png", None)):
        if text is not None:
            (tmp_path / name).write_bytes(text)
        with pytest.raises((ImageError, ValueError), match=name):
            saving.read_recipe(tmp_path / name, name)


def test_photos_of_those_who_are_gone_make_room() -> None:
    sessions = Sessions()
    first = sessions.touch(None)
    photo = image_io.from_image(picture())
    first.opened = Opened.of(photo, "a.png")
    others = [sessions.touch(None) for _ in range(MOST_SESSIONS)]
    assert first.opened is None
    with pytest.raises(ImageError, match="no photo"):
        first.need()
    assert len({s.folder for s in others}) == MOST_SESSIONS
    assert sessions.touch(others[0]) is others[0]
    assert isinstance(sessions.touch(None), Session)


def test_a_host_can_show_it_twice(tmp_path: Path) -> None:
    """Inside another page, and again in the same process."""
    for _ in range(2):
        with gradio.Blocks() as around, gradio.Tab("other"):
            build(Host(tmp_path, heading=False, targets=("extras",))).render()
        ids = [c["props"].get("elem_id") for c in around.get_config_file()["components"]]
        assert ids.count("nulie_send_to_extras") == 1


def test_the_page_stays_light(tmp_path: Path) -> None:
    """Each component and event makes it slower to load."""
    config = build(Host(tmp_path, targets=("img2img", "extras"))).get_config_file()
    assert len(config["components"]) <= 115
    assert len(config["dependencies"]) <= 35


def test_a_download_is_seen_while_the_predictor_is_loaded(tmp_path: Path) -> None:
    seen = []

    def predictor(name: str, progress: Any) -> Any:
        progress("x.pth", 250_000_000, 1_000_000_000)
        state = run.state()
        seen.append((words.progress(state, settings, False), words.share(state, settings)))
        raise ImageError("that is all")

    settings = Settings()
    opened: Any = None
    run = Run(opened, settings, "clip-sac", Host(tmp_path, predictor=predictor))
    run.start()
    assert run.wait(10)
    assert run.error == "that is all"
    assert seen == [("downloading x.pth, once: 250 of 1,000 MB", 0.25)]
