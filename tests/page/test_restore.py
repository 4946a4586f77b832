"""Restoration on the page, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from nulie.jobs import recipes

from .conftest import Visitor

Visit = Callable[..., Visitor]


def smooth(path: Path) -> Path:
    """A picture without a fault that could be measured."""
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    waves = [128 + 60 * np.sin(x / a) * np.cos(y / b) for a, b in ((19, 24), (27, 18), (21, 33))]
    Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8)).save(path)
    return path


def test_enlarged_without_a_search(visit: Visit, tmp_path: Path) -> None:
    person = visit()
    person.drop(smooth(tmp_path / "smooth.png"))
    person.unfold("Restore")
    person.choose("#nulie_upscale", "2")
    person.page.get_by_label("none: no search").check()
    person.page.click("#nulie_enhance")
    person.wait_status("Restored; nobody has judged it")
    assert "upscale by x2" in person.page.locator("#nulie_words").first.inner_text()
    with Image.open(person.save()) as saved:
        assert saved.size == (320, 240)


def test_what_is_at_fault_is_said_and_mended_before_the_search(
    visit: Visit, tmp_path: Path
) -> None:
    path = smooth(tmp_path / "noisy.png")
    noise = np.random.default_rng(0).normal(0, 14, (120, 160, 3))
    noisy = (np.asarray(Image.open(path)) + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path)
    person = visit()
    person.drop(path)
    person.enhance(1)
    person.wait_finished()
    assert "denoise by denoise" in person.page.locator("#nulie_words").first.inner_text()
    saved = person.save()
    found = recipes.of_file(saved)
    assert [step.op for step in found.before] == ["denoise"]
    # A change by hand keeps what was restored.
    person.unfold("Touch up")
    person.page.click("#nulie_step_add")
    person.wait_status("Changed by hand")
    with Image.open(person.save()) as image:
        rough = np.asarray(image.convert("RGB")).astype(float)
    assert (
        np.abs(np.diff(rough, axis=1)).mean()
        < 0.6 * np.abs(np.diff(noisy.astype(float), axis=1)).mean()
    )


def test_a_size_without_a_meaning(visit: Visit, tmp_path: Path) -> None:
    person = visit()
    person.drop(smooth(tmp_path / "smooth.png"))
    person.unfold("Restore")
    person.page.fill("#nulie_upscale input", "")
    person.page.type("#nulie_upscale input", "much")  # old gradio hears keys alone
    person.page.keyboard.press("Tab")
    person.page.click("#nulie_enhance")
    person.wait_status("much: write a factor such as 2")
