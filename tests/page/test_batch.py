"""Several photos: a search for each or one recipe for all, stopped, left, from a folder."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nulie import image_io

from .conftest import Server, Visitor, dull

Visit = Callable[..., Visitor]
INVERT = '{"nulie": 1, "steps": [{"op": "invert", "amount": 1}]}'


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three photos that leave much to do."""
    folder = tmp_path_factory.mktemp("days")
    files = [folder / f"day{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(dull(300, 200, seed=number))
    return files


def batch(person: Visitor, files: list[Path], *, seconds: float = 1, run: bool = True) -> None:
    """Fills in the tab of batches, and lets it run."""
    page = person.page
    page.fill("#nulie_seconds input", str(seconds))
    page.keyboard.press("Tab")
    person.to_the_end()
    page.locator("#nulie_tabs button:visible", has_text="Batch").last.click()
    if files:
        page.set_input_files("#nulie_batch_files input[type=file]", files)
        page.wait_for_timeout(1500)
    if run:
        page.click("#nulie_batch_run")


def said(person: Visitor, text: str, where: str = "status", seconds: float = 20) -> str:
    """Waits until the tab says it; returns all that it says there."""
    place = f"#nulie_batch_{where}"
    person.page.wait_for_function(
        "([p, t]) => [...document.querySelectorAll(p)].some(e => e.innerText.includes(t))",
        arg=[place, text],
        timeout=seconds * 1000,
    )
    return str(person.page.locator(place).last.inner_text())


def zipped(person: Visitor) -> dict[str, image_io.Photo]:
    """The photos in the zip that the tab offers."""
    with zipfile.ZipFile(person.download("#nulie_batch_zip a")) as archive:
        assert archive.testzip() is None
        return {n: image_io.load(BytesIO(archive.read(n))) for n in archive.namelist()}


def test_a_search_for_each_and_a_broken_one_among_them(
    visit: Visit, days: list[Path], tmp_path: Path
) -> None:
    person = visit()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    batch(person, [*days[:2], broken])
    said(person, "2 of 3 photos done")
    table = person.page.locator("#nulie_batch_table table").last
    assert table.locator("tbody tr").count() == 3
    assert "broken.png: is no whole picture" in table.inner_text()
    before, after = (
        float(c) for c in table.locator("tbody tr").first.locator("td").all_inner_texts()[1:]
    )
    assert after > before
    photos = zipped(person)
    assert sorted(photos) == ["day0_nulie.png", "day1_nulie.png"]
    for photo in photos.values():
        assert photo.metadata.text["Author"] == "nobody"
        assert json.loads(photo.metadata.text["nulie"])["steps"]


def test_stopped_within_a_photo_and_one_recipe_for_all(visit: Visit, days: list[Path]) -> None:
    person = visit()
    page = person.page
    batch(person, days, seconds=300)
    said(person, "nodes")
    clicked = time.monotonic()
    page.click("#nulie_batch_stop")
    said(person, "1 of 3 photos done, then stopped")
    assert time.monotonic() - clicked < 8
    assert said(person, "not begun", "table").count("not begun") == 2
    (photo,) = zipped(person).values()
    score = json.loads(photo.metadata.text["nulie"])["score"]
    assert score["after"] > score["before"], "the best so far"

    # The same photos again, without a photo on the other tab, in a format of their own.
    page.get_by_text("one recipe for all").click()
    page.wait_for_selector("#nulie_batch_recipe textarea", state="visible")
    page.click("#nulie_batch_run")
    said(person, "no recipe yet")
    page.fill("#nulie_batch_recipe textarea", INVERT)
    person.choose("#nulie_batch_format", "TIFF")
    page.click("#nulie_batch_run")
    said(person, "3 of 3 photos done")
    page.wait_for_function("() => document.querySelector('#nulie_batch_zip a')")
    photos = zipped(person)
    assert sorted(photos) == [f"day{n}_nulie.tif" for n in range(3)]
    for number, (name, photo) in enumerate(sorted(photos.items())):
        source = image_io.load(days[number])
        turned = Image.fromarray(255 - np.asarray(source.pixels))
        assert photo.pixels.tobytes() == turned.tobytes(), name
        assert photo.metadata.icc_profile == source.metadata.icc_profile


def test_a_folder_of_the_server(visit: Visit, days: list[Path], tmp_path: Path) -> None:
    person = visit()
    page = person.page
    batch(person, [], run=False)
    for wrong, words in (
        (tmp_path / "none", "is no folder; check its name"),
        (tmp_path, "no images in this folder"),
    ):
        page.fill("#nulie_batch_folder input, #nulie_batch_folder textarea", str(wrong))
        page.click("#nulie_batch_run")
        said(person, words)
    for name, day in (("a.png", days[0]), ("a_nulie.png", days[1]), ("notes.txt", days[2])):
        (tmp_path / name).write_bytes(day.read_bytes())
    page.fill("#nulie_batch_folder input, #nulie_batch_folder textarea", str(tmp_path))
    page.click("#nulie_batch_run")
    said(person, "1 of 1 photos done")
    assert list(zipped(person)) == ["a_nulie.png"]
    assert len(list(tmp_path.iterdir())) == 3, "nothing is written there"


def test_a_batch_waits_in_line_and_leaves_it(
    visit: Visit, server: Server, photo: Path, days: list[Path]
) -> None:
    """Stopped while it waits, it ends at once; closed while it searches, the next one begins."""
    one, two = visit(), visit()
    batch(one, days, seconds=300)
    said(one, "nodes")
    batch(two, days[:1], seconds=1, run=False)
    two.page.get_by_text("one recipe for all").click()
    two.page.fill("#nulie_batch_recipe textarea", INVERT)
    two.page.click("#nulie_batch_run")
    said(two, "one search comes first")
    two.page.click("#nulie_batch_stop")
    said(two, "0 of 1 photos done, then stopped")
    two.page.click("#nulie_batch_run")
    said(two, "one search comes first")
    one.leave()
    closed = time.monotonic()
    said(two, "1 of 1 photos done")
    assert time.monotonic() - closed < 8
    folders = (server.folder / "nulie_results").rglob("batch-*")
    assert all(any(folder.iterdir()) for folder in folders), "none is made for nothing"
