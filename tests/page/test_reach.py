"""Everything on the page has a name that a screen reader tells, and can be reached by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .conftest import Visitor

ROLES = frozenset(
    ("button", "slider", "textbox", "spinbutton", "combobox", "checkbox", "radio", "link", "tab")
)
FOLDED = (
    *("Guards", "Predictor and seed", "Operations and their ranges", "Touch up"),
    *("Recipe as a file", "Format and history", "How it was found"),
)
# What can be used, by a name of its own: elements may be replaced while the focus walks.
KEY = """() => { window.key = e => [(e.closest('[id^=nulie_]') || {}).id, e.tagName, e.type,
  e.getAttribute('aria-label') || e.innerText].join(' ') }"""
# Notes what has the focus; tells whether nothing has, which is so once in a round.
NOTE = """() => {
  reached.add(key(document.activeElement));
  return document.activeElement === document.body;
}"""
# What was not reached. Of radio buttons Tab reaches one, the arrows the others; of what is
# disabled or behind tabIndex -1 there is a twin, or nothing to do.
MISSED = """() => [...document.querySelectorAll('input, button, textarea, select, a[href]')]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width
    && !e.disabled && e.tabIndex >= 0 && !reached.has(key(e))
    && !(e.type === 'radio'
      && [...document.getElementsByName(e.name)].some(o => reached.has(key(o)))))
  .map(e => key(e) + ' ' + e.outerHTML.slice(0, 150))"""


def test_everything_has_a_name_and_can_be_reached(
    visit: Callable[..., Visitor], photo: Path
) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    person.enhance(1)
    person.wait_finished()
    person.save()
    page.keyboard.press("Tab")  # makes older gradios ready
    for name in FOLDED:
        box = page.get_by_role("button", name=name).first
        box.focus()
        page.keyboard.press("Enter")
    page.evaluate(KEY)
    recipe = page.locator("#nulie_recipe textarea").input_value()
    browser = person.context.new_cdp_session(page)
    for tab, fewest in (("Photo", 60), ("Batch", 8), ("Library", 12), ("Help", 3)):
        page.locator("#nulie_tabs button:visible", has_text=tab).last.click()
        page.wait_for_timeout(500)
        nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
        controls = [n for n in nodes if not n["ignored"] and n["role"]["value"] in ROLES]
        assert len(controls) >= fewest
        nameless = [n["backendDOMNodeId"] for n in controls if not n["name"]["value"].strip()]
        found = [browser.send("DOM.describeNode", {"backendNodeId": n}) for n in nameless]
        assert [node["node"]["attributes"] for node in found] == []
        page.evaluate("() => { window.reached = new Set() }")
        page.evaluate(NOTE)  # the round begins behind the tab's button
        rounds = 0
        for _ in range(3 * len(controls) + 20):
            page.keyboard.press("Tab")
            rounds += page.evaluate(NOTE)
            if rounds == 2:
                break
        assert page.evaluate(MISSED) == []
    assert page.locator("#nulie_recipe textarea").input_value() == recipe, "looking changes nothing"
