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
# Marks what has the focus; tells whether it was marked before.
MARK = """() => {
  const e = document.activeElement, known = 'reached' in e.dataset;
  if (e !== document.body) e.dataset.reached = '1';
  return known;
}"""
# What can be used and was not reached. Of radio buttons Tab reaches one, the arrows the others; a
# list's options belong to their box; what gradio only measures is behind tabIndex -1.
MISSED = """() => [...document.querySelectorAll('input, button, textarea, select, a[href]')]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width
    && !e.disabled && e.tabIndex >= 0 && !('reached' in e.dataset)
    && !(e.type === 'radio'
      && [...document.getElementsByName(e.name)].some(o => 'reached' in o.dataset)))
  .map(e => `${(e.closest('[id^=nulie_]') || {}).id}: ${e.outerHTML.slice(0, 150)}`)"""


def test_everything_has_a_name_and_can_be_reached(
    visit: Callable[..., Visitor], photo: Path
) -> None:
    person = visit()
    page = person.page
    person.drop(photo)
    person.enhance(1)
    person.wait_finished()
    person.save()
    for name in FOLDED:
        box = page.get_by_role("button", name=name).first
        box.focus()
        page.keyboard.press("Enter")
    browser = person.context.new_cdp_session(page)
    for tab, fewest in (("Photo", 60), ("Batch", 8), ("Help", 3)):
        page.get_by_role("tab", name=tab).first.click()
        page.wait_for_timeout(500)
        nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
        controls = [n for n in nodes if not n["ignored"] and n["role"]["value"] in ROLES]
        assert len(controls) >= fewest
        for node in controls:
            if not node["name"]["value"].strip():
                about = browser.send(
                    "DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]}
                )
                raise AssertionError(f"no name: {about['node']}")
        page.evaluate("() => document.activeElement.blur()")
        for _ in range(2 * len(controls) + 20):
            page.keyboard.press("Tab")
            if page.evaluate(MARK):
                break
        assert page.evaluate(MISSED) == []
