"""Known colours for colouring, placed on the photo in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nulie import color
from nulie.jobs import recipes
from nulie.restore.hints import parse

from .conftest import Server, Visitor, running
from .test_library import patches

Visit = Callable[..., Visitor]
COLORIZE = "give a black-and-white photo colours"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It finds no weights but those of this test."""
    home = tmp_path_factory.mktemp("home")
    yield from running("served.py", tmp_path_factory.mktemp("hints"), NULIE_HOME=str(home))


def grey(path: Path, seed: int) -> Path:
    patches(seed).convert("L").convert("RGB").save(path)
    return path


def fill(field: Any, value: str) -> None:
    field.evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})) }", value
    )


def chroma(image: Image.Image, x: float, y: float) -> Any:
    """a* and b* about a point, shares of the sides."""
    left, top = int(x * image.width), int(y * image.height)
    part = np.array(image.convert("RGB").crop((left - 3, top - 3, left + 4, top + 4)))
    lab = color.lab(torch.from_numpy(part).permute(2, 0, 1)[None])[0]
    return lab[1:].mean((1, 2)).numpy()


def test_points_are_placed_listed_and_followed(visit: Visit, tmp_path: Path) -> None:
    person = visit()
    page = person.page
    person.drop(grey(tmp_path / "old.png", 1))
    person.unfold("Restore")
    panel = page.locator("#nulie_hints")
    page.wait_for_selector("#nulie_hints", state="attached")
    assert not panel.is_visible()
    page.get_by_label(COLORIZE).check()
    panel.wait_for()
    layer = page.locator("#nulie_view .nulie-points.nulie-armed").last
    layer.wait_for()

    # One by a click on the photo, one by the keyboard.
    fill(panel.locator("input[type=color]").first, "#c01030")
    box: Any = layer.bounding_box()
    layer.click(position={"x": 0.25 * box["width"], "y": 0.3 * box["height"]})
    page.get_by_role("button", name="Add one in the middle").press("Enter")
    rows = panel.locator("li")
    assert rows.count() == 2
    assert page.locator("#nulie_view .nulie-points span").count() == 2
    second = rows.nth(1)
    fill(second.locator("input[type=number]").first, "75")
    fill(second.locator("input[type=number]").nth(1), "70")
    fill(second.locator("input[type=color]"), "#1040c0")
    page.get_by_role("button", name="Add one in the middle").click()
    assert rows.count() == 3
    page.get_by_role("button", name="Remove point 3").press("Enter")
    assert rows.count() == 2
    assert page.evaluate("document.activeElement.textContent") == "Remove point 2"

    page.get_by_label("none: no search").check()
    page.click("#nulie_enhance")
    person.wait_status("Restored; nobody has judged it", 90)
    page.wait_for_selector("#nulie_view .nulie-compare .nulie-points span")
    assert page.locator("#nulie_view .nulie-armed").count() == 0, "the slider can be moved"
    saved = person.save()
    (step,) = [step for step in recipes.of_file(saved).before if step.op == "colorize"]
    told = [parse(str(value)) for name, value in step.params if name.startswith("hint")]
    assert [one.color for one in told] == [(0xC0, 0x10, 0x30), (0x10, 0x40, 0xC0)]
    assert (told[0].x, told[0].y) == pytest.approx((0.25, 0.3), abs=0.01)
    assert (told[1].x, told[1].y) == pytest.approx((0.75, 0.7), abs=1e-6)
    with Image.open(saved) as image:
        red, blue = (chroma(image, one.x, one.y) for one in told)
    assert red[0] > 10 > abs(red[1]) * 0.2, "red where it was said"
    assert blue[1] < -10, "blue where it was said"

    # Another photo has none; and without colours they count for nothing.
    person.drop(grey(tmp_path / "other.png", 2))
    page.wait_for_function("() => !document.querySelector('#nulie_hints li')")
    page.get_by_role("button", name="Add one in the middle").click()
    page.get_by_label(COLORIZE).uncheck()
    panel.wait_for(state="hidden")
    assert page.evaluate("nulieHints()") == ""
