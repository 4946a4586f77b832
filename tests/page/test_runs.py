"""What runs for a visitor, in a thread of its own: searches and batches, without a browser."""

from __future__ import annotations

import gc
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nulie import image_io
from nulie.errors import PredictorError
from nulie.jobs.events import Loading, Searching, Waiting
from nulie.jobs.file import pack
from nulie.jobs.host import Host as JobHost
from nulie.jobs.inputs import Item, pictures
from nulie.jobs.plan import Choice, plan
from nulie.predictor import Predictor
from nulie.recipe import Recipe

from ..conftest import FakePredictor, picture

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("gradio", reason="no gradio here: pip install gradio")
    from nulie.ui import running, words
    from nulie.ui.host import Host
    from nulie.ui.opened import Opened
    from nulie.ui.running import BatchRun, Search
    from nulie.ui.session import Session, Sessions

pytestmark = pytest.mark.filterwarnings("ignore")

INVERT = '{"nulie": 1, "steps": [{"op": "invert", "amount": 1}]}'
QUICK: dict[str, Any] = {"evaluations": 60}
LONG: dict[str, Any] = {"seconds": 300}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def host() -> JobHost:
    def load(choice: Choice, progress: Any) -> tuple[Predictor, str]:
        return FakePredictor(), "by a fake"

    return JobHost(load=load)


@pytest.fixture
def days(tmp_path: Path) -> list[Item]:
    folder = tmp_path / "days"
    folder.mkdir()
    for number in range(3):
        picture(60, 40, number).save(folder / f"day{number}.png")
    return pictures(folder)


def opened() -> Opened:
    return Opened.of(image_io.from_image(picture(90, 60)), "a.png")


def batch(items: list[Item], folder: Path, host: JobHost, **values: Any) -> BatchRun:
    folder.mkdir()
    wanted = plan({**QUICK, "numbered": True, "output_dir": folder, **values}, files=len(items))
    return BatchRun(items, wanted, host, lambda path: None)


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)


def test_a_search_is_kept_without_what_takes_memory(host: JobHost) -> None:
    search = Search(opened(), plan(QUICK), host)
    assert isinstance(search.latest(), Loading)
    search.start()
    assert search.wait(30)
    assert search.error is None
    assert search.notes == ["by a fake"]
    finish = search.finish
    assert finish is not None
    outcome = finish.outcome
    assert outcome.changed
    assert "nulie-won" in finish.tree
    assert outcome.nodes == ()
    assert outcome.made is None
    assert outcome.result is not None
    assert outcome.result.image is search.opened.photo.pixels
    again = image_io.from_image(outcome.after.pixels)
    assert search.opened.still(outcome.recipe) == finish.after
    assert again.pixels.tobytes() != search.opened.photo.pixels.tobytes()
    climb = [score for _, score in search.climb]
    assert climb == sorted(climb)
    assert climb

    session = Session(opened=search.opened, finish=finish)
    assert session.best() == outcome.recipe
    assert session.score(outcome.recipe) == outcome.score()
    assert session.score(Recipe()) == {}, "one that nobody judged"
    session.opened = opened()
    assert session.score(outcome.recipe) == {}, "of another photo"


def test_a_note_is_shown_once(host: JobHost) -> None:
    """Also while the program around lets the search wait."""
    lock = threading.Lock()
    with lock:
        search = Search(opened(), plan(QUICK), replace(host, turn=lambda: lock))
        search.start()
        until(lambda: search.notes)
        time.sleep(0.2)
        event = search.latest()
        assert event is not None
        assert words.progress(event, " ".join(search.notes)).count("by a fake") == 1
    assert search.wait(30)


def test_whoever_closes_the_page_frees_the_line(host: JobHost) -> None:
    sessions = Sessions()
    visitor, other = sessions.find(None), sessions.find(None)
    sessions.open(visitor, opened())
    gone = visitor.search = Search(visitor.need(), plan(LONG), host)
    gone.start()
    until(lambda: isinstance(gone.latest(), Searching))
    waiting = Search(opened(), plan(LONG), host)
    waiting.start()
    until(lambda: isinstance(waiting.latest(), Waiting))
    sessions.leave("nobody's")
    sessions.leave(other.token)
    assert not gone.over
    sessions.leave(visitor.token)
    assert gone.wait(5)
    assert gone.finish is None, "nobody wants a result"
    until(lambda: isinstance(waiting.latest(), Searching))
    waiting.stop()
    assert waiting.wait(5)
    assert waiting.finish is not None, "the best so far"
    assert waiting.finish.outcome.stopped


def test_a_run_that_nobody_looks_at_ends(host: JobHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "DESERTED", 0.3)
    search = Search(opened(), plan(LONG), host)
    search.start()
    for _ in range(6):
        time.sleep(0.1)
        search.latest()
    assert not search.over
    assert search.wait(5)
    assert search.finish is None


def test_what_goes_wrong_is_told(days: list[Item], tmp_path: Path) -> None:
    def load(*_: Any) -> Any:
        raise PredictorError("nobody can judge here")

    search = Search(opened(), plan(QUICK), JobHost(load=load))
    search.start()
    assert search.wait(5)
    assert search.error == "nobody can judge here"
    run = batch(days, tmp_path / "out", JobHost(load=load))
    run.start()
    assert run.wait(5)
    assert run.error == "nobody can judge here"
    run.settle(run.error)
    assert [row.said for row in run.rows] == ["nobody can judge here", "not begun", "not begun"]
    assert not (tmp_path / "out").exists(), "a folder for nothing"


def test_a_batch_fills_its_rows(days: list[Item], tmp_path: Path, host: JobHost) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    upload = tmp_path / "4711.png"
    picture(60, 40, 9).save(upload)
    items = [days[0], Item(broken), Item(upload, name="my day.png")]
    saved: list[Path] = []
    run = batch(items, tmp_path / "out", host, suffix=".tif")
    run._saved = saved.append
    run.start()
    assert run.wait(30)
    assert [row.name for row in run.rows] == ["day0.png", "broken.png", "my day.png"]
    first, second, third = run.rows
    assert first.after is not None
    assert first.before is not None
    assert first.after > first.before
    assert first.thumb is not None
    assert first.notes == ("by a fake",)
    assert "is no whole picture" in second.said
    assert "my day_nulie.tif" in third.link
    assert third.notes == (), "it was said once"
    assert (
        saved
        == run.written
        == [
            tmp_path / "out" / "day0_nulie.tif",
            tmp_path / "out" / "my day_nulie.tif",
        ]
    )
    with zipfile.ZipFile(pack(run.written)) as archive:
        assert archive.namelist() == ["day0_nulie.tif", "my day_nulie.tif"]
        assert archive.testzip() is None


def test_one_recipe_for_all_is_judged(days: list[Item], tmp_path: Path, host: JobHost) -> None:
    run = batch(days[:1], tmp_path / "out", host, recipe=INVERT, judge_recipe=True)
    run.start()
    assert run.wait(30)
    (row,) = run.rows
    assert row.said == "invert 100%"
    assert row.before is not None
    assert row.after is not None
    assert row.before != row.after


def test_a_batch_that_is_stopped(days: list[Item], tmp_path: Path, host: JobHost) -> None:
    """Within a photo: with the best so far. While it waits: with nothing, nor a folder."""
    run = batch(days, tmp_path / "out", host, **{**LONG, "evaluations": None})
    run.start()
    until(lambda: isinstance(run.latest(), Searching))
    other = batch(days, tmp_path / "other", host)
    other.start()
    until(lambda: isinstance(other.latest(), Waiting))
    other.stop()
    assert other.wait(5)
    assert [row.said for row in other.rows] == ["stopped", "not begun", "not begun"]
    assert not (tmp_path / "other").exists()
    run.stop()
    assert run.wait(5)
    assert len(run.written) == 1
    assert [row.said for row in run.rows[1:]] == ["not begun", "not begun"]


def test_a_folder_holds_all_kinds_of_pictures_and_no_results(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.jpe", "c.png", "d_nulie.png", "e_nulie_2.png", "f_nulie_.png"):
        Image.new("RGB", (9, 9)).save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").touch()
    assert [item.file_name for item in pictures(tmp_path)] == ["a.jfif", "b.jpe", "c.png"]


def test_each_page_has_a_line_and_predictors_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[str, str]] = []

    def create(name: str, *, device: str, **_: Any) -> tuple[FakePredictor, str]:
        loaded.append((name, device))
        return FakePredictor(), ""

    monkeypatch.setattr("nulie.predictor.create", create)
    one, two = Host(tmp_path), Host(tmp_path)
    assert one.work.line is one.jobs.line
    assert one.jobs.line is not two.jobs.line
    choice = plan({"predictor": "clip", "device": "cpu"}).choice
    judges = [host.work.load(choice, None)[0] for host in (one, one, two)]
    assert judges[0] is judges[1]
    assert judges[1] is not judges[2]
    assert loaded == [("clip", "cpu")] * 2


def test_a_page_leaves_the_working_folder_alone() -> None:
    """Of a process that it may share."""
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in Path(running.__file__).parent.glob("*.py")
    )
    assert "chdir" not in source
    assert "environ[" not in source
