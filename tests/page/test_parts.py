"""Parts of the page that need no browser."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nulie import image_io
from nulie.errors import ImageError, SettingsError
from nulie.jobs.plan import Choice, Plan, plan
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings

from ..conftest import picture

with warnings.catch_warnings():
    # gradio and what it brings along warn of each other.
    warnings.simplefilter("ignore")
    gradio = pytest.importorskip("gradio", reason="no gradio here: pip install gradio")
    from nulie.ui import Host, build, ranges, words
    from nulie.ui import session as session_module
    from nulie.ui.keeping import Keeping
    from nulie.ui.opened import Opened
    from nulie.ui.options import MODE_NAMES, NUMBERS, Options
    from nulie.ui.photo_tab import PhotoTab
    from nulie.ui.running import Search
    from nulie.ui.session import Session, Sessions
    from nulie.ui.single import Single
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


def read(options: Options, **changed: Any) -> Plan:
    """The plan that the controls ask for."""
    return plan(options.values(values(options, **changed)))


@pytest.fixture
def options(tmp_path: Path) -> Options:
    made = Options(Host(tmp_path))
    with gradio.Blocks():
        made.first()
        made.more()
    return made


def test_a_search_ends_early_unless_it_is_to_go_on(options: Options) -> None:
    assert read(options).settings.patience is None
    assert read(options, nulie_early=False).settings.patience == 0


def test_untouched_controls_are_the_defaults(options: Options) -> None:
    wanted = read(options)
    assert wanted.settings == Settings()
    assert wanted.choice == Choice()


def test_every_control_does_something(options: Options) -> None:
    by_id = dict(zip((c.elem_id for c in options.inputs), values(options), strict=True))
    soft = by_id["nulie_used"]
    hard = read(
        options, nulie_mode=MODE_NAMES["hard"], nulie_used=["hue", *soft], nulie_seed=5
    ).settings
    assert (hard.mode, hard.seed) == ("hard", 5)
    assert hard.ops is not None
    assert "hue" in hard.ops
    assert "invert" not in hard.ops
    some = read(
        options,
        nulie_used=[op_id for op_id in soft if op_id != "blur"],
        nulie_ranges="contrast=0.9:1.05, blur=0:0.01",
        nulie_top=3,
    ).settings
    assert some.ops is not None
    assert "blur" not in some.ops
    assert some.ranges == {"contrast": (0.9, 1.05)}
    assert some.top == 3
    guarded = read(
        options, nulie_min_light=0.5, nulie_keep_content=3, nulie_protect_skin=False
    ).settings
    assert (guarded.min_light, guarded.keep_content, guarded.protect_skin) == (0.5, 3, False)
    livelier = read(options, nulie_min_color=0.5, nulie_min_contrast=0).settings
    assert (livelier.min_color, livelier.min_contrast) == (0.5, 0)
    assert read(options, nulie_seconds=2).settings.seconds == 2
    assert read(options, nulie_predictor="statistics").choice.name == "statistics"
    with pytest.raises(SettingsError, match="no op is left"):
        read(options, nulie_used=[])


@pytest.mark.parametrize(
    "wrong",
    ["contrast", "contrast=1", "contrast=a:b", "contrst=1:2", "contrast=1:9", "hue.x=0:0"],
)
def test_a_wrong_range_is_refused_by_name(options: Options, wrong: str) -> None:
    with pytest.raises(SettingsError, match=wrong.partition("=")[0][:3]):
        read(options, nulie_ranges=wrong)


@pytest.mark.parametrize("name", NUMBERS)
def test_an_emptied_field_does_not_ask_for_the_default(options: Options, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name.replace('_', '-')} must be .*, not nothing"):
        read(options, **{f"nulie_{name}": None})


def test_a_picture_to_be_like_judges(options: Options, tmp_path: Path) -> None:
    """Guards that nobody has touched are off then."""
    path = tmp_path / "sunset.png"
    picture().save(path)
    wanted = read(options, nulie_like=str(path), nulie_predictor="statistics", nulie_min_light=0.8)
    assert wanted.judge == "likeness to sunset.png"
    settings = wanted.settings
    assert (settings.min_light, settings.min_color, settings.min_contrast) == (0.8, 0, 0)
    assert not settings.protect_skin
    (tmp_path / "none.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"none\.png"):
        read(options, nulie_like=str(tmp_path / "none.png"))


@pytest.mark.parametrize("name", ["os:abort", "/etc/passwd", "nobody", ""])
def test_a_predictor_that_the_page_does_not_offer_is_refused(options: Options, name: str) -> None:
    """A request may say what it likes."""
    with pytest.raises(SettingsError, match="no predictor on this page"):
        read(options, nulie_predictor=name)


def test_the_device_is_that_of_the_host(tmp_path: Path) -> None:
    options = Options(Host(tmp_path, device="cuda:1"))
    with gradio.Blocks():
        options.first()
        options.more()
    assert read(options).choice.device == "cuda:1"


def test_a_mode_brings_its_ops_and_ranges(options: Options) -> None:
    used, text, low, high, _ = options._on_mode(MODE_NAMES["hard"], "brightness")
    assert "invert" in used
    assert text == ""
    assert (low["value"], high["value"]) == (0.4, 2.5)


def test_one_pair_of_sliders_writes_every_range(options: Options) -> None:
    text = ranges.write("", "gamma.gain", 0.9, 1.05, "soft")
    assert text == "gamma.gain=0.9:1.05"
    text = ranges.write(text, "contrast", 1.0, 1.2, "soft")
    assert text == "gamma.gain=0.9:1.05, contrast=1:1.2"
    low, high, told = options._on_dial("gamma.gain", text, MODE_NAMES["soft"])
    assert (low["value"], high["value"]) == (0.9, 1.05)
    assert (low["minimum"], high["maximum"]) == (0.5, 2.0)
    assert "gain scales" in told["info"]
    settings = read(options, nulie_ranges=text).settings
    assert settings.ranges == {"gamma.gain": (0.9, 1.05), "contrast": (1.0, 1.2)}
    assert ranges.write(text, "gamma.gain", 0.9, 1.1, "soft") == "contrast=1:1.2", "the mode's"
    text = ranges.write("gamma=1:2, no such thing", "gamma.gamma", 0.8, 1, "soft")
    assert text == "no such thing, gamma.gamma=0.8:1", "what somebody typed stays as it is"
    assert ranges.write(text, "gamma.gamma", None, 1, "soft") == "no such thing"
    for name in ranges.DIALS:
        low, high, _ = options._on_dial(name, "", MODE_NAMES["soft"])
        assert low["minimum"] <= low["value"] < high["value"] <= high["maximum"]
        assert options._on_range(name, low["value"], high["value"], "", MODE_NAMES["soft"]) == ""


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
    first, second, *others = steps.dials
    shown = steps.show(recipe)
    assert shown[steps.chosen]["choices"] == ["1: gamma", "2: brightness", "3: posterize"]
    assert shown[steps.chosen]["value"] == "1: gamma"
    assert (shown[first]["value"], shown[second]["value"]) == (1.2, 0.95)
    assert shown[second]["label"] == "gain"
    assert [shown[other] for other in others] == [gradio.update(visible=False)] * len(others)
    shown = steps.show(recipe, 1)
    assert shown[steps.op]["value"] == "brightness"
    assert shown[first]["maximum"] == 4.0, "beyond the hard mode's range"
    assert shown[second] == gradio.update(visible=False)
    assert steps.show(Recipe())[steps.chosen]["visible"] is False


def test_no_two_batches_share_a_folder(tmp_path: Path) -> None:
    host, session = Host(tmp_path / "results", private=True), Session()
    folders = [host.new_folder(session.folder, "batch") for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(f.is_dir() and f.parent == tmp_path / "results" / session.folder for f in folders)
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="cannot be made"):
        Host(tmp_path / "file").new_folder(session.folder, "batch")


def of_someone(sessions: Sessions) -> Session:
    """A visitor with a photo of 100 x 100 pixels. Raises: ImageError when there is no room."""
    session = sessions.find(None)
    sessions.open(session, Opened.of(image_io.from_image(picture(100, 100)), "a.png"))
    return session


def test_whoever_finds_no_room_waits_and_nobody_loses_a_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "ROOM", 3 * 100 * 100)
    sessions = Sessions()
    first, second, third = (of_someone(sessions) for _ in range(3))
    with pytest.raises(ImageError, match="no room for it just now"):
        of_someone(sessions)
    assert all(one.opened for one in (first, second, third))
    sessions.open(first, Opened.of(image_io.from_image(picture(100, 100)), "b.png"))
    assert first.need().name == "b.png", "one's own photo makes room for one's next"

    # After an hour; but a search takes longer than that, and whoever comes back is told.
    for one in (first, second, third):
        one.used -= 3601
    running = Search(first.need(), plan({"seconds": 1}), Host(Path()).work)
    first.search, first.used = running, first.used - 9999
    second.need()
    fourth = of_someone(sessions)
    assert first.opened
    assert second.opened
    with pytest.raises(ImageError, match="made room for others after an hour; drop it again"):
        third.need()
    with pytest.raises(ImageError, match="no room"):
        of_someone(sessions)
    sessions.leave(second.token)
    assert of_someone(sessions).opened
    assert second.opened is None, "the page was closed"
    assert fourth.opened


def test_a_photo_waits_for_a_page_that_is_loaded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    session, empty = of_someone(sessions), sessions.find(None)
    assert sessions.again(session.token) is None, "it is in use"
    for _ in range(2):
        sessions.leave(session.token)
        assert sessions.again(session.token) is session
        assert sessions.again(session.token) is None, "by one page"
    assert session.opened
    sessions.leave(empty.token)
    assert sessions.again(empty.token) is None
    assert sessions.again("nobody's") is None
    monkeypatch.setattr(session_module, "AWAY", 0.05)
    sessions.leave(session.token)
    for _ in range(100):
        time.sleep(0.02)
        if session.opened is None:
            break
    assert session.opened is None, "nobody comes back for it"
    assert sessions.again(session.token) is None


def test_thirty_visitors_at_once_keep_what_is_theirs(tmp_path: Path) -> None:
    """All drop a photo, five of them search, and then everybody saves."""
    host = Host(tmp_path / "results", private=True, predictors=("statistics",))
    options = Options(host)
    tab = PhotoTab(host, options)
    with gradio.Blocks():
        state, visitor = gradio.State(None), gradio.HTML("")
        tab.build()
    single = Single(host, state, visitor, Sessions(), options, tab)
    keeping = Keeping(host, state, tab)
    files = [tmp_path / f"day{number}.png" for number in range(30)]
    for number, file in enumerate(files):
        picture(160, 120, seed=number).save(file)

    def visit(number: int) -> tuple[Session, str]:
        session = single._on_file(None, [str(files[number])])[state]
        if number % 6:
            return session, ""
        asked = values(options, nulie_seconds=0.5, nulie_early=False)
        *_, last = single._on_enhance(session, "", *asked)
        return session, last[tab.status]

    with ThreadPoolExecutor(30) as pool:
        visits = list(pool.map(visit, range(30)))
    for number, (session, ended) in enumerate(visits):
        assert session.need().name == f"day{number}.png"
        assert ("judged by statistics" in ended) == (number % 6 == 0)
        *_, last = keeping._on_save(session, "as the photo", 0)
        assert f"Saved day{number}_nulie.png" in last[tab.status]
    assert len({session.folder for session, _ in visits}) == 30


def test_remedies_are_those_of_the_page() -> None:
    told = words.error("clip-sac: no network; use --predictor statistics")
    assert "clip-sac: no network; others can be chosen under Predictor and seed" in told
    assert "--" not in words.status("", note="too slow; choose that with --predictor clip-sac")


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
