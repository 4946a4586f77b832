"""What is saved, shown and said belongs together, whatever a person does in what order."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nulie import image_io

from .conftest import Server, Visitor, dull

Visit = Callable[..., Visitor]

WIDTH = "w => { const e = document.querySelector('#nulie_view img'); return e.naturalWidth === w }"
CHOSEN = """at => String(at) === String([...document.querySelectorAll('#nulie_variant input')]
  .flatMap((e, number) => e.checked ? [number] : []))"""
DROP = """async ([place, name, data]) => {
  const all = new DataTransfer();
  const blob = await (await fetch('data:image/png;base64,' + data)).blob();
  all.items.add(new File([blob], name, {type: 'image/png'}));
  const where = document.querySelector(place);
  for (const kind of ['dragenter', 'dragover', 'drop']) where.dispatchEvent(
    new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: all}));
}"""


def test_a_new_photo_during_a_search(visit: Visit, tmp_path: Path) -> None:
    """Nothing can be saved or turned while it runs, and nothing of it is left."""
    other = tmp_path / "another.png"
    other.write_bytes(dull(400, 300, seed=3))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    first = tmp_path / "first.png"
    first.write_bytes(dull(420, 300, seed=4))
    person = visit()
    page = person.page
    person.drop(first)
    page.click("#nulie_save")
    page.wait_for_selector("#nulie_saved a")
    person.enhance(300)
    person.wait_status("nodes")
    for what in ("#nulie_save", "#nulie_saved a", "#nulie_touchup", "#nulie_recipe_box"):
        assert page.locator(what).locator("visible=true").count() == 0, what
    page.wait_for_timeout(500)
    page.set_input_files("#nulie_photo input[type=file]", bad)
    person.wait_status("is no whole picture")
    person.wait_status("nodes")
    person.drop(other)
    page.wait_for_selector("#nulie_enhance:not([disabled])")
    page.wait_for_timeout(700)
    assert person.status() == "another.png: 400 x 300, PNG, with colour profile and texts," + (
        " kept when saving."
    )
    assert page.locator("#nulie_curve svg").locator("visible=true").count() == 0
    assert page.evaluate(WIDTH, 400)
    assert page.locator("#nulie_save").is_visible()
    person.enhance(2)
    person.wait_finished(60)
    assert person.save().name == "another_nulie.png"


def test_the_score_is_that_of_the_picture(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    page.get_by_text("hard: drastic").click()
    page.fill("#nulie_top input", "13")
    person.enhance(3)
    person.wait_finished(60)
    labels = page.locator("#nulie_variant label").all_inner_texts()
    assert len(labels) > 2
    scores = [label.split(":")[1].strip() for label in labels]
    best = person.status()
    assert best.startswith(f"{scores[0]} score, from")
    person.save()
    assert person.status().startswith(best)
    assert "Saved dull day_nulie.png" in person.status()
    page.locator("#nulie_variants .nulie-thumb").nth(2).click()
    person.wait_status(f"{scores[2]} score, from")
    assert page.locator("#nulie_saved a").locator("visible=true").count() == 0, "it is the best's"
    page.wait_for_function(WIDTH, arg=900)  # not only a quick look

    # Turned by hand, and back.
    person.unfold("Touch up")
    whole = page.locator("#nulie_strength input[type=range]")
    for _ in range(10):  # the slider is there before gradio listens to it
        whole.focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(3000)
        if "nobody has judged it" in person.status():
            break
    person.wait_status("nobody has judged it. The best one found has " + scores[0])
    page.wait_for_function(CHOSEN, arg=[])
    page.wait_for_function(WIDTH, arg=900)
    kept = image_io.load(person.save())
    assert '"score"' not in kept.metadata.text["nulie"]
    page.click("#nulie_step_reset")
    person.wait_status(f"{scores[0]} score, from")
    page.wait_for_function(CHOSEN, arg=[0])
    assert page.locator("#nulie_saved a").locator("visible=true").count() == 0
    page.wait_for_function(WIDTH, arg=900)


def test_photos_are_dropped_where_it_says_so(visit: Visit, photo: Path, tmp_path: Path) -> None:
    person = visit()
    page = person.page
    data = base64.b64encode(photo.read_bytes()).decode()
    page.evaluate(DROP, [".nulie-empty", "first.png", data])
    person.wait_status("first.png: 900 x 600")
    page.wait_for_timeout(300)
    page.evaluate(DROP, ["#nulie_view .nulie-frame", "second.png", data])
    person.wait_status("second.png: 900 x 600")
    page.wait_for_timeout(300)
    page.set_input_files("#nulie_photo input[type=file]", [photo, Path(__file__)])
    person.wait_status("Only dull day.png was opened: several photos are for the tab Batch.")

    # Whoever would lose it by going elsewhere is asked.
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.locator("#nulie_seconds input").click()  # a browser asks those who have done something
    page.reload(wait_until="domcontentloaded")
    assert asked == ["beforeunload"]
    page.wait_for_selector("#nulie_view .nulie-frame")
    other = visit().page
    other.on("dialog", answer)
    other.locator("#nulie_seconds input").click()
    other.reload(wait_until="domcontentloaded")
    other.wait_for_selector(".nulie-empty")
    assert asked == ["beforeunload"], "there is nothing to lose"


def test_a_page_that_is_loaded_anew_goes_on(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    page.unroute_all()  # or what it says at last is lost
    person.drop(photo)
    page.get_by_text("hard: drastic").click()
    page.fill("#nulie_top input", "5")
    person.enhance(2)
    person.wait_finished(60)
    person.save()
    page.locator("#nulie_variants .nulie-thumb").nth(1).click()
    chosen = page.locator("#nulie_variant label").nth(1)
    score = chosen.inner_text().split(":")[1].strip()
    person.wait_status(f"{score} score, from")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload(wait_until="domcontentloaded")
    person.wait_status(f"{score} score, from")
    page.wait_for_selector("#nulie_view .nulie-compare")
    assert chosen.locator("input").is_checked()
    assert page.input_value("#nulie_seconds input") == "2"
    assert page.input_value("#nulie_top input") == "5"
    assert page.get_by_label("hard: drastic").is_checked()
    assert not page.locator("#nulie_early input").is_checked()
    person.unfold("Format and history")
    assert "dull day_nulie.png" in page.locator("#nulie_history").last.inner_text()
    assert person.save().name == "dull day_nulie_2.png"
    person.enhance(1)
    page.wait_for_selector("#nulie_view .nulie-compare", state="detached")
    person.wait_finished(60)


def test_wrong_numbers_are_told_in_the_page_s_words(
    visit: Visit, server: Server, photo: Path
) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    for name, value, said in (
        ("seconds", "0", "seconds must be above 0, not 0"),
        ("seconds", "", "seconds must be a number, not nothing"),
        ("top", "0", "top must be within 1..100, not 0"),
    ):
        field = page.locator(f"#nulie_{name} input")
        before = field.input_value()
        field.fill(value)
        page.click("#nulie_enhance")
        person.wait_status(said)
        alert: Any = page.locator("#nulie_status [role=alert]").last.bounding_box()
        assert 0 <= alert["y"] <= 1000 - alert["height"], "in sight"
        field.fill(before)
        field.press("Tab")
    assert page.locator(".toast-body, .toast-wrap .error").count() == 0
    person.unfold("Touch up")
    page.click("#nulie_step_add")
    dial = page.locator("#nulie_step_dial_1 input[type=number]")
    dial.wait_for()
    dial.fill("")
    dial.press("Tab")
    page.wait_for_timeout(500)
    assert page.locator(".toast-body, .toast-wrap .error").count() == 0
    assert "Traceback" not in (server.folder / "server.log").read_text()
