"""The page on a phone: all that counts is in sight, and a finger that scrolls only scrolls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import Visitor

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
AT = "e => parseFloat(getComputedStyle(e).getPropertyValue('--nulie-at'))"


def in_sight(page: Any, what: str) -> bool:
    """Whether all of it is. Asked of the page at once, which may show another picture soon."""
    top, bottom, width = page.evaluate(
        "w => { const b = [...document.querySelectorAll(w)].pop().getBoundingClientRect();"
        " return [b.top, b.bottom, b.width] }",
        what,
    )
    return bool(width and top >= -1 and bottom <= 845)


def swipe(page: Any, x: float, y: float, *, by: tuple[float, float]) -> None:
    finger = page.context.new_cdp_session(page)
    for kind, share in (("Start", 0.0), *(("Move", n / 8) for n in range(1, 9)), ("End", None)):
        points = [] if share is None else [{"x": x + share * by[0], "y": y + share * by[1]}]
        finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
        page.wait_for_timeout(16)


def test_a_photo_on_a_phone(visit: Callable[..., Visitor], photo: Path) -> None:
    person = visit(**PHONE)
    page = person.page
    page.evaluate("document.querySelector('#nulie_photo').scrollIntoView()")
    person.drop(photo)
    page.wait_for_timeout(600)
    assert in_sight(page, "#nulie_view .nulie-frame"), "what was dropped"
    assert in_sight(page, "#nulie_enhance")
    assert in_sight(page, "#nulie_stop")
    accepted = page.locator("#nulie_photo input[type=file]").get_attribute("accept")
    assert "image/*" in accepted
    person.enhance(300)
    person.wait_status("nodes")
    page.wait_for_timeout(600)
    assert in_sight(page, "#nulie_view .nulie-frame")
    assert in_sight(page, "#nulie_stop")
    page.tap("#nulie_stop")
    person.wait_finished()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # Up and down scrolls the page, to and fro moves the divider.
    page.evaluate("window.scrollTo(0, 0)")
    frame = page.locator("#nulie_view .nulie-compare").last
    box: Any = frame.bounding_box()
    x, y = box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"]
    swipe(page, x, y, by=(0, -150))
    page.wait_for_timeout(300)
    assert page.evaluate("window.scrollY") > 50
    assert frame.evaluate(AT) == 50
    assert frame.locator("input").input_value() == "50"
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(200)
    swipe(page, x, y, by=(-0.5 * box["width"], 0))
    assert abs(frame.evaluate(AT) - 30) <= 4
    page.touchscreen.tap(x, y)
    assert abs(frame.evaluate(AT) - 80) <= 4
