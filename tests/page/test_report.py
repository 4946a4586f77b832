"""The report as a file in a real browser: all there, nothing asked of anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nulie.cli import main

AT = "e => parseFloat(getComputedStyle(e).getPropertyValue('--nulie-at'))"


def test_a_report_needs_nothing_else(browser: Any, photo: Path, tmp_path: Path) -> None:
    file = tmp_path / "a report.html"
    name = f"{tmp_path / 'out.png'}"
    told = ["--predictor", "statistics", "--evaluations", "300", "--top", "3", "--quiet"]
    assert main([str(photo), *told, "--mode", "hard", "--output", name, "--report", str(file)]) == 0
    context = browser.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda m: complaints.append(m.text))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(file.as_uri())
    frame = page.locator(".nulie-compare")
    box = frame.bounding_box()
    assert box is not None
    assert box["width"] <= 390
    x, y = box["x"], box["y"] + box["height"] / 2

    assert frame.evaluate(AT) == 50
    page.mouse.click(x + 0.75 * box["width"], y)
    assert abs(frame.evaluate(AT) - 75) <= 2
    page.keyboard.press("ArrowLeft")
    assert abs(frame.evaluate(AT) - 74) <= 2
    page.keyboard.press("End")
    assert frame.evaluate(AT) == 100
    page.touchscreen.tap(x + 0.25 * box["width"], y)
    assert abs(frame.evaluate(AT) - 25) <= 3
    finger = context.new_cdp_session(page)
    for kind, share in (("Start", 0.25), ("Move", 0.4), ("Move", 0.6), ("End", None)):
        points = [{"x": x + share * box["width"], "y": y}] if share else []
        finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    assert abs(frame.evaluate(AT) - 60) <= 3

    assert page.locator("img").evaluate_all("all => all.every(e => e.naturalWidth > 0)")
    assert page.locator("svg.nulie-curve path").count() == 2
    assert page.locator("svg.nulie-tree circle title").count() > 10
    assert page.locator("svg.nulie-tree .nulie-won").count() >= 1
    assert '"steps": [{"op"' in page.locator("pre").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [u for u in asked if not u.startswith("data:")] == [file.as_uri()]
    assert complaints == []
    context.close()
