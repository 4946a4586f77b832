"""The whole way by keyboard, with what a screen reader is told; and what axe finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Visitor
from .test_library import draw_line, patches

Visit = Callable[..., Visitor]

FOCUS = """() => { const e = document.activeElement;
  return [(e.closest('[id^=nulie_]') || {}).id, e.tagName, e.value || e.innerText].join(' ') }"""
FOLDED = (
    *("Restore", "Guards", "Predictor and seed", "Operations and their ranges", "Touch up"),
    *("Recipe as a file", "Format and history", "How it was found"),
)
COMPLAINTS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`))"""
TOLD = """() => { window.told = []; const live = document.getElementById('nulie_live');
  new MutationObserver(() => told.push(live.textContent)).observe(live, {childList: true}) }"""


def tab_to(page: Any, place: str, key: str = "Tab") -> None:
    """Goes on by Tab until the focus is within `place`; it is never lost on the way."""
    for _ in range(60):
        if page.evaluate("p => document.activeElement.closest(p) !== null", place):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{place} cannot be reached; the focus is at {page.evaluate(FOCUS)}")


def kept(page: Any) -> None:
    """The focus is somewhere, after all has come to rest."""
    page.wait_for_timeout(400)
    assert page.evaluate("document.activeElement !== document.body")


def test_the_whole_way_by_keyboard(visit: Visit, photo: Path) -> None:
    person = visit()
    page = person.page
    page.evaluate(TOLD)
    page.keyboard.press("Tab")
    tab_to(page, "#nulie_photo")
    opened: list[Any] = []
    page.on("filechooser", lambda chooser: opened.append(chooser))
    for _ in range(30):  # the button is there before gradio listens to it
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        if opened:
            break
    opened[0].set_files(photo)
    person.wait_status("900 x 600")
    kept(page)
    tab_to(page, "#nulie_mode")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#nulie_mode input:checked")
    assert "hard" in chosen.input_value()
    kept(page)
    page.keyboard.press("ArrowUp")
    kept(page)
    assert "soft" in chosen.input_value()
    tab_to(page, "#nulie_seconds")
    page.keyboard.press("Control+A")
    page.keyboard.type("3")
    tab_to(page, "#nulie_enhance")
    page.keyboard.press("Enter")
    person.wait_status("nodes")
    kept(page)
    assert page.evaluate("document.activeElement.id") == "nulie_stop"
    person.wait_finished(60)
    kept(page)
    assert page.evaluate("document.activeElement.id") == "nulie_enhance"
    tab_to(page, "#nulie_view")
    page.keyboard.press("End")
    tab_to(page, "#nulie_save")
    page.keyboard.press("Enter")
    person.wait_status("Saved")
    kept(page)
    tab_to(page, "#nulie_touchup")
    fold = page.locator("#nulie_touchup .label-wrap")
    assert fold.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('#nulie_touchup .label-wrap').ariaExpanded === 'true'"
    )
    tab_to(page, "#nulie_step_remove")
    while page.locator("#nulie_step_remove").is_visible():
        steps = page.locator("#nulie_steps label").count()
        page.keyboard.press("Enter")
        page.wait_for_function(
            "n => [...document.querySelectorAll('#nulie_steps label')]"
            ".filter(e => e.offsetParent).length < n",
            arg=steps,
        )
        kept(page)

    # What was said meanwhile: once each, progress seldom.
    told = page.evaluate("told")
    assert any("900 x 600" in text for text in told)
    assert any("judged by" in text for text in told)
    assert any("Saved dull day_nulie.png" in text for text in told)
    assert sum("nodes \N{MIDDLE DOT}" in text for text in told) <= 2
    live = page.locator("#nulie_live")
    assert live.get_attribute("role") == "status"


def with_axe(person: Visitor) -> Any:
    """The page, to be examined."""
    package = pytest.importorskip("axe_playwright_python", exc_type=ImportError)
    script = Path(package.__file__).with_name("axe.min.js")
    page = person.page
    if int(page.evaluate("window.gradio_config.version").partition(".")[0]) < 5:
        pytest.skip("old versions of gradio make markup that axe complains of")
    page.evaluate(script.read_text(encoding="utf-8"))
    return page


def test_axe_finds_nothing(visit: Visit, photo: Path) -> None:
    person = visit()
    page = with_axe(person)
    assert page.evaluate(COMPLAINTS) == []
    person.drop(photo)
    page.get_by_text("hard: drastic").click()
    page.fill("#nulie_top input", "3")
    person.enhance(3)
    person.wait_status("nodes")
    page.wait_for_timeout(500)  # colours change slowly
    assert page.evaluate(COMPLAINTS) == []
    person.wait_finished(60)
    person.save()
    for name in FOLDED:
        page.get_by_role("button", name=name).first.click()
    for look in ("light", "dark"):
        page.evaluate("l => document.body.classList.toggle('dark', l === 'dark')", look)
        for tab in ("Batch", "Library", "Help", "Photo"):
            page.locator("#nulie_tabs button:visible", has_text=tab).last.click()
            page.mouse.move(2, 2)
            page.wait_for_timeout(400)
            assert page.evaluate(COMPLAINTS) == [], f"{tab}, {look}"


def test_axe_finds_nothing_in_a_library_and_among_hints(
    visit: Visit, photo: Path, tmp_path: Path
) -> None:
    person = visit()
    page = with_axe(person)
    person.drop(photo)
    person.unfold("Restore")
    page.get_by_label("give a black-and-white photo colours").check()
    page.get_by_role("button", name="Add one in the middle").click()
    page.locator("#nulie_hints li").wait_for()
    for number in range(3):
        patches(number).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    person.tab("Library")
    page.fill("#nulie_grid [name=folder]", str(tmp_path))
    page.click("[data-do=score]")
    page.wait_for_function("() => document.querySelectorAll('.nulie-tile').length === 4")
    page.locator(".nulie-tile").first.click()
    draw_line(page, 8)
    for look in ("light", "dark"):
        page.evaluate("l => document.body.classList.toggle('dark', l === 'dark')", look)
        for tab in ("Library", "Photo"):
            person.tab(tab)
            page.mouse.move(2, 2)
            page.wait_for_timeout(500)
            assert page.evaluate(COMPLAINTS) == [], f"{tab}, {look}"


def test_looks_that_a_system_asks_for(visit: Visit, photo: Path) -> None:
    """No motion; colours of the system's, in which a chosen radio button can still be told."""
    person = visit(reduced_motion="reduce", forced_colors="active")
    page = person.page
    moving = """() => [
      ...document.querySelectorAll('*')].filter(e => { const s = getComputedStyle(e);
      return s.transitionDuration.split(',').some(t => parseFloat(t) > 0)
        || s.animationName !== 'none' }).length"""
    assert page.evaluate(moving) == 0
    looks = page.locator("#nulie_mode label").evaluate_all(
        "all => all.map(e => getComputedStyle(e).outlineStyle)"
    )
    assert looks == ["solid", "none", "none"]
    drawn = page.locator("#nulie_mode input").evaluate_all(
        "all => all.map(e => getComputedStyle(e).appearance)"
    )
    assert set(drawn) == {"auto"}
