"""The page in a real browser, from upload to download."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from nulie import image_io
from nulie.drawing import embed
from nulie.jobs.look import LONGEST
from nulie.recipe import Recipe
from nulie.transforms import describe, render
from nulie.transforms.strength import MOST, scale
from nulie.ui.opened import FULL

from ..conftest import ROOT, picture
from .conftest import Server, Visitor, dull, start, stop

Visit = Callable[..., Visitor]

# Notes every new line of the state and every new picture, with its size and the time.
WATCH = """() => {
  window.seen = []; let last = '';
  new MutationObserver(() => {
    const image = document.querySelector('#nulie_view img');
    const state = document.querySelector('#nulie_status .nulie-status');
    const bar = document.querySelector('#nulie_status .nulie-bar') !== null;
    const text = state ? state.innerText : '';
    if (!image || text + image.src.length === last) return;
    last = text + image.src.length;
    const note = () => seen.push([performance.now() - window.clicked, text, bar,
      Math.max(image.naturalWidth, image.naturalHeight)]);
    image.complete && image.naturalWidth ? note() : image.decode().then(note, () => 0);
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
  document.querySelector('#nulie_enhance').addEventListener(
    'click', () => { window.clicked = performance.now() }, true);
}"""

MANY_NODES = r"""() => [...document.querySelectorAll('#nulie_status')].some(e => {
  const found = e.innerText.match(/([\d,]+) nodes/);
  return found && Number(found[1].replace(',', '')) > 1500;
})"""


def test_from_upload_to_download(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    assert "900 x 600" in person.status()
    assert "colour profile" in person.status()
    page.evaluate(WATCH)
    person.enhance(5)
    person.wait_finished()
    live = [s for s in page.evaluate("seen") if s[2] and "nodes" in s[1]]
    assert len(live) >= 3
    assert live[0][0] < 2000
    assert max(size for *_, size in live) <= LONGEST

    # The slider: by keyboard, by mouse.
    frame = page.locator("#nulie_view .nulie-compare").last
    at = "e => getComputedStyle(e).getPropertyValue('--nulie-at').trim()"
    assert frame.evaluate(at) == "50%"
    frame.locator("input").focus()
    page.keyboard.press("Home")
    assert frame.evaluate(at) == "0%"
    page.keyboard.press("ArrowRight")
    assert frame.evaluate(at) == "1%"
    box = frame.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert abs(float(frame.evaluate(at)[:-1]) - 75) <= 2

    # What is shown is what is saved, and nothing of the file is lost.
    after = person.image()
    saved = person.save()
    assert saved.name == "dull day_nulie.png"
    kept = image_io.load(saved)
    before = image_io.load(photo)
    recipe = Recipe.from_json(kept.metadata.text["nulie"])
    assert recipe.steps
    assert kept.pixels.tobytes() == render(recipe, before.pixels).tobytes()
    _same_but_for_encoding(after, embed(kept.pixels, kept, FULL).uri)
    _same_but_for_encoding(person.image(), after)
    assert kept.metadata.icc_profile == before.metadata.icc_profile
    assert kept.metadata.text["parameters"] == "a dull day, steps: 20"
    assert kept.metadata.text["Author"] == "nobody"
    assert "score" in kept.metadata.text["nulie"]

    # The page shows how it came about.
    person.unfold("How it was found")
    page.wait_for_selector("#nulie_tree svg circle")
    assert page.locator("#nulie_tree svg circle").count() > 10
    assert page.locator("#nulie_tree svg .nulie-won").count() >= 1
    assert "score" in page.locator("#nulie_tree svg circle title").last.text_content()
    assert page.locator("#nulie_climb svg path").count() == 2
    assert "Light" in page.locator("#nulie_terms").last.inner_text()


def test_another_picture_judges(visit: Visit, photo: Path, tmp_path: Path) -> None:
    reference = tmp_path / "dusk.png"
    picture(60, 40, seed=5).save(reference)
    person = visit()
    person.drop(photo)
    person.unfold("Predictor and seed")
    person.page.set_input_files("#nulie_like input[type=file]", reference)
    person.page.get_by_text("dusk", exact=False).first.wait_for()
    person.enhance(1)
    person.wait_status("judged by likeness to dusk.png")


def test_touch_up_and_save(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    person.unfold("Touch up")
    page.click("#nulie_step_add")
    page.wait_for_selector("#nulie_step_op", state="visible")
    first = person.image()

    # A dial by keyboard shows at once.
    dial = page.locator("#nulie_step_dial_1 input[type=range]")
    dial.focus()
    for _ in range(5):
        page.keyboard.press("PageUp")
    page.wait_for_function(
        "s => document.querySelector('#nulie_view img.nulie-after').src !== s", arg=first
    )
    assert "brightness" in page.locator("#nulie_words").last.inner_text()

    # A second step of another kind, before the first; then it goes.
    page.click("#nulie_step_add")
    person.wait_steps(["1: brightness", "2: brightness"])
    person.choose("#nulie_step_op", "gamma")
    person.wait_steps(["1: brightness", "2: gamma"])
    page.wait_for_selector("#nulie_step_dial_2", state="visible")
    page.click("#nulie_step_earlier")
    person.wait_steps(["1: gamma", "2: brightness"])
    assert page.locator("#nulie_steps input:checked").input_value() == "1: gamma", "still chosen"
    page.locator("#nulie_steps input").nth(1).press("Space")
    page.wait_for_selector("#nulie_step_dial_2", state="hidden")
    page.locator("#nulie_steps input").first.check()
    page.wait_for_selector("#nulie_step_dial_2", state="visible")
    page.click("#nulie_step_remove")
    person.wait_steps(["1: brightness"])
    person.unfold("Recipe as a file")
    text = page.locator("#nulie_recipe textarea").input_value()
    recipe = Recipe.from_json(text)
    assert [s.op for s in recipe.steps] == ["brightness"]
    assert dict(recipe.steps[0].params)["factor"] > 1
    kept = image_io.load(person.save())
    assert kept.pixels.tobytes() == render(recipe, image_io.load(photo).pixels).tobytes()

    # The whole recipe turned down, and a step after that, from which on it is whole again.
    whole = page.locator("#nulie_strength input[type=range]")
    whole.focus()
    page.keyboard.press("Home")
    person.wait_steps([])
    page.keyboard.press("End")
    person.wait_steps(["1: brightness"])
    page.wait_for_function(
        "t => document.querySelector('#nulie_recipe textarea').value !== t", arg=text
    )
    stronger = scale(recipe, MOST)
    assert Recipe.from_json(page.locator("#nulie_recipe textarea").input_value()) == stronger
    dial.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "() => document.querySelector('#nulie_strength input[type=range]').value === '1'"
    )

    # A recipe in JSON, a bad one, and the way back.
    page.fill("#nulie_recipe textarea", '{"nulie": 1, "steps": [{"op": "no<b>such"}]}')
    page.click("#nulie_recipe_apply")
    person.wait_status("unknown op 'no<b>such'")
    page.fill("#nulie_recipe textarea", '{"nulie": 1, "steps": [{"op": "invert", "amount": 1}]}')
    page.click("#nulie_recipe_apply")
    person.wait_status("Recipe applied")
    page.click("#nulie_step_reset")
    page.wait_for_selector("#nulie_step_op", state="hidden")
    assert Recipe.from_json(page.locator("#nulie_recipe textarea").input_value()) == Recipe()

    # The result of a recipe file becomes the photo.
    file = photo.with_name("invert.json")
    file.write_text('{"nulie": 1, "steps": [{"op": "invert", "amount": 1}]}')
    page.set_input_files("#nulie_recipe_file input[type=file]", file)
    page.wait_for_selector("#nulie_step_op", state="visible")
    page.click("#nulie_output_to_input")
    page.wait_for_selector("#nulie_step_op", state="hidden")
    page.click("#nulie_save", timeout=10_000)
    page.wait_for_selector("#nulie_saved a")
    again = image_io.load(person.download("#nulie_saved a"))
    turned = Image.fromarray(255 - np.asarray(image_io.load(photo).pixels))
    assert again.pixels.tobytes() == turned.tobytes()


def test_ranges_are_written_by_the_sliders(visit: Visit) -> None:
    person = visit()
    page = person.page
    person.unfold("Operations and their ranges")
    person.choose("#nulie_dial", "gamma.gain")
    page.wait_for_function("document.querySelector('#nulie_dial').innerText.includes('gain')")
    most = page.locator("#nulie_range_most input[type=number]")
    page.wait_for_function(
        "document.querySelector('#nulie_range_most input[type=range]').max === '2'"
    )
    most.fill("1.05")
    most.press("Tab")
    text = page.locator("#nulie_ranges textarea, #nulie_ranges input").first
    written = (
        "e => document.querySelector('#nulie_ranges textarea, #nulie_ranges input').value === e"
    )
    page.wait_for_function(written, arg="gamma.gain=0.9:1.05")

    # The other way round: what is typed moves the sliders; a mode brings its own.
    page.wait_for_timeout(1000)  # letting the slider go writes a second time
    text.fill("gamma.gain=0.95:1.08")
    text.press("Tab")
    page.wait_for_function(
        "document.querySelector('#nulie_range_most input[type=number]').value === '1.08'"
    )
    page.get_by_text("hard: drastic").click()
    page.wait_for_function(written, arg="")
    assert page.locator("#nulie_used input:checked").count() > 8
    page.wait_for_function(
        "document.querySelector('#nulie_range_most input[type=number]').value === '1.25'"
    )


def test_stop_keeps_the_best_so_far_and_variants_can_be_chosen(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    page.get_by_text("hard: drastic").click()
    page.fill("#nulie_top input", "3")
    person.enhance(300)
    page.wait_for_function(MANY_NODES)  # few hold few pictures that differ
    clicked = time.monotonic()
    page.click("#nulie_stop")
    person.wait_finished(10)
    assert time.monotonic() - clicked < 10, "a batch, and the finalists"
    assert "stopped after" in person.status()
    page.wait_for_selector("#nulie_variants .nulie-thumb")
    assert page.locator("#nulie_variants .nulie-thumb").count() >= 2
    words = page.locator("#nulie_words").last.inner_text()
    page.locator("#nulie_variants .nulie-thumb").nth(1).click()
    page.wait_for_function(
        "w => ![...document.querySelectorAll('#nulie_words')].some(e => e.innerText === w)",
        arg=words,
    )
    person.unfold("Recipe as a file")
    kept = image_io.load(person.save())
    recipe = Recipe.from_json(kept.metadata.text["nulie"])
    assert describe(recipe) in page.locator("#nulie_words").last.inner_text()
    assert Recipe.from_json(page.locator("#nulie_recipe textarea").input_value()) == recipe
    assert kept.pixels.tobytes() == render(recipe, image_io.load(photo).pixels).tobytes()


def test_a_broken_file_and_no_file(visit: Visit, tmp_path: Path) -> None:
    person = visit()
    person.page.click("#nulie_enhance")
    person.wait_status("no photo yet")
    bad = tmp_path / "<img src=x onerror=alert(1)>.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    person.page.set_input_files("#nulie_photo input[type=file]", bad)
    person.wait_status("is cut short")
    assert person.page.locator("#nulie_status [role=alert]").count() >= 1
    assert person.page.locator("#nulie_status img").count() == 0


def test_two_people_at_once(visit: Visit, photo: Path, tmp_path: Path) -> None:
    """One search at a time; the other waits, and neither sees what is the other's."""
    other = tmp_path / "secret.png"
    other.write_bytes(dull(400, 300, seed=9))
    one, two = visit(), visit()
    one.drop(photo)
    two.drop(other)
    one.enhance(3)
    one.wait_status("nodes")
    two.enhance(1)
    two.wait_status("one search comes first")
    two.wait_finished()
    assert "judged by" in one.status(), "the first one was not disturbed"
    assert two.save().name == "secret_nulie.png"
    one.unfold("Format and history")
    assert "secret" not in one.page.content()


def test_a_closed_page_frees_the_device(visit: Visit, photo: Path) -> None:
    gone, next_one = visit(), visit()
    gone.drop(photo)
    next_one.drop(photo)
    gone.enhance(300)
    gone.wait_status("nodes")
    gone.leave()
    closed = time.monotonic()
    next_one.enhance(1)
    next_one.wait_status("nodes", 20)
    assert time.monotonic() - closed < 8


def test_clip_judges_too(visit: Visit, photo: Path) -> None:
    person = visit()
    person.drop(photo)
    person.unfold("Predictor and seed")
    person.choose("#nulie_predictor", "clip-b32")
    person.enhance(1)
    person.wait_status("loading the predictor clip-b32")
    person.wait_status("clip-b32 of random weights", 60)
    person.wait_status("judged by clip-b32")


def test_uploads_are_limited(visit: Visit, tmp_path: Path) -> None:
    """A small file of very many pixels."""
    person = visit()
    huge = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(huge)
    person.page.set_input_files("#nulie_photo input[type=file]", huge)
    person.wait_status("huge.png: has more than 178 megapixels; scale it down first")


def test_only_results_are_served(visit: Visit, server: Server, photo: Path) -> None:
    person, other = visit(), visit()
    person.drop(photo)
    saved = person.save()
    results = server.folder / "nulie_results"
    (mine,) = (p for p in results.rglob(saved.name) if p.read_bytes() == saved.read_bytes())
    refused = (
        *(server.folder / "server.log", ROOT / "README.md", ROOT / "pyproject.toml", photo),
        *(f"{results}/../server.log", f"{results}/%2e%2e/server.log", "/etc/passwd", mine.parent),
    )
    for route in ("file=", "gradio_api/file="):
        for path in refused:
            answer = other.context.request.get(f"{server.url}{route}{path}")
            assert answer.status in (403, 404), path
    statuses = {
        other.context.request.get(f"{server.url}{route}{mine}").status
        for route in ("file=", "gradio_api/file=")
    }
    assert 200 in statuses, "whoever was given the link"


def test_the_history_lists_what_was_saved(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    first = person.save()
    person.unfold("Format and history")
    person.choose("#nulie_format", "JPEG")
    page.click("#nulie_save")
    person.wait_status(f"Saved {photo.stem}_nulie.jpg")
    page.wait_for_function("() => document.querySelectorAll('#nulie_history a').length === 2")
    links = page.locator("#nulie_history a").all_inner_texts()
    assert links[0].endswith(".jpg")
    assert links[1].endswith(".png")
    again = person.download("#nulie_history a")
    assert image_io.load(again).pixels.tobytes() == image_io.load(first).pixels.tobytes()


def test_a_password_is_asked_for(browser: object, tmp_path: Path) -> None:
    server = start(tmp_path, "--auth", "me:secret")
    try:
        context = browser.new_context()  # type: ignore[attr-defined]
        page = context.new_page()
        page.goto(server.url, wait_until="domcontentloaded")
        page.wait_for_selector("input[type=password]")
        assert page.locator("#nulie_photo").count() == 0
        assert context.request.get(f"{server.url}config").status == 401
        context.close()
    finally:
        stop(server)


def _same_but_for_encoding(uri: str, other: str) -> None:
    """The bytes themselves when this process' Pillow made both, else the pixels."""
    if uri == other:
        return
    a, b = (
        np.asarray(Image.open(BytesIO(base64.b64decode(u.split(",", 1)[1])))).astype(int)
        for u in (uri, other)
    )
    assert a.shape == b.shape
    assert np.abs(a - b).mean() < 0.5
