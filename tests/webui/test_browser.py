"""nulie inside a real web UI, by a real browser, which SD_WEBUI_DIR names."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from ..conftest import picture
from ..page.conftest import enter_frame, wait_told
from .conftest import FOLDER, needs_webui
from .running import Server, is_neo
from .test_real import encoded

pytestmark = needs_webui

NEO = FOLDER is not None and is_neo(Path(FOLDER))
INFOTEXT = (
    "a cat\nNegative prompt: a dog\nSteps: 7, Sampler: Euler a, CFG scale: 2.5, Seed: 5, "
    "NUlIE mode: hard, NUlIE seconds: 3, NUlIE seed: 7, NUlIE protect skin: False"
)


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1500, "height": 1300})
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(server.address)
    page.wait_for_selector("#nulie_from_pnginfo", state="attached")
    yield page
    context.close()
    assert [e for e in errors if "nulie" in e.lower()] == []


@pytest.fixture
def generated(tmp_path: Path) -> str:
    """An image with an infotext."""
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", INFOTEXT)
    picture(384, 256).save(tmp_path / "generated.png", pnginfo=text)
    return str(tmp_path / "generated.png")


def show(page: Any, tab: str) -> None:
    page.click(f"#tabs > .tab-nav > button:text-matches('^\\\\s*{tab}\\\\s*$', 'i')")


def bring(page: Any, generated: str) -> Any:
    show(page, "PNG Info")
    page.set_input_files("#pnginfo_image input[type=file]", generated)
    page.wait_for_selector("#pnginfo_image img")
    page.click("#nulie_from_pnginfo")
    inside = enter_frame(page)
    wait_told(inside, "384 x 256")
    return inside


def value(page: Any, place: str) -> str:
    found: str = page.input_value(place)
    return found


@pytest.mark.parametrize(
    ("target", "tab"),
    [
        ("img2img", "#img2img_img2img_tab"),
        ("inpaint", "#img2img_inpaint_tab"),
        ("extras", "#tab_extras"),
    ],
)
def test_from_png_info_by_the_tab_to_others(
    page: Any, generated: str, target: str, tab: str
) -> None:
    inside = bring(page, generated)
    page.evaluate(
        "() => { const prompt = document.querySelector('#img2img_prompt textarea');"
        "prompt.value = 'mine'; updateInput(prompt); }"
    )
    inside.click(f"#nulie_send_to_{target}")
    page.wait_for_selector(tab)
    # Behind the canvas that masks are painted on.
    page.wait_for_selector(f"{tab} img[src^=data], {tab} img[src*=file]", state="attached")
    if target == "extras":
        assert value(page, "#img2img_prompt textarea") == "mine"
        return
    page.wait_for_function("document.querySelector('#img2img_steps input').value === '7'")
    if NEO:  # its own button leaves the text where it was typed or pasted
        assert value(page, "#img2img_prompt textarea").startswith("a cat\nNegative prompt: a dog")
        return
    assert value(page, "#img2img_prompt textarea") == "a cat"
    assert value(page, "#img2img_neg_prompt textarea") == "a dog"


def test_from_a_gallery_to_the_tab(page: Any, generated: str) -> None:
    show(page, "Extras")
    page.set_input_files("#extras_image input[type=file]", generated)
    page.wait_for_selector("#extras_image img")
    page.click("#extras_generate")
    page.wait_for_selector("#extras_gallery img")
    page.click("#nulie_from_extras")
    inside = enter_frame(page)
    # What it was generated with comes along.
    wait_told(inside, "with texts")


def test_the_chosen_one_of_a_gallery_comes(page: Any, tmp_path: Path) -> None:
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.png")
        picture(200 + 50 * number, 100).save(files[-1])
    show(page, "Extras")
    page.click("#mode_extras button:text-matches('^\\\\s*Batch Process\\\\s*$')")
    # The names are shown before the files have arrived; what is asked for then gets empty ones.
    with page.expect_response(lambda answer: "/upload" in answer.url):
        page.set_input_files("#extras_image_batch input[type=file]", files)
    page.wait_for_function(
        "/2\\s*\\.png/.test(document.querySelector('#extras_image_batch').textContent)"
    )
    page.wait_for_timeout(500)
    page.click("#extras_generate")
    page.wait_for_selector("#extras_gallery .thumbnail-item >> nth=2")
    page.click("#extras_gallery .thumbnail-item >> nth=2")
    page.click("#nulie_from_extras")
    wait_told(enter_frame(page), "300 x 100")


def test_the_tab_enhances(page: Any, generated: str) -> None:
    inside = bring(page, generated)
    inside.fill("#nulie_seconds input", "2")
    inside.press("#nulie_seconds input", "Tab")
    inside.click("#nulie_enhance")
    wait_told(inside, "judged by")


def test_the_frame_looks_as_the_page_around(page: Any, generated: str) -> None:
    inside = bring(page, generated)
    inside.fill("#nulie_seconds input", "3")
    inside.press("#nulie_seconds input", "Tab")
    inside.locator("#nulie_early input").uncheck()
    inside.click("#nulie_enhance")
    wait_told(inside, "nodes")
    laid_over = "[...document.querySelectorAll('.generating')]"
    shown = inside.evaluate(f"{laid_over}.filter((e) => getComputedStyle(e).display !== 'none')")
    assert shown == []
    wait_told(inside, "score, from")
    typeface = "getComputedStyle(document.querySelector('button.primary')).fontFamily"
    assert inside.evaluate(typeface) == page.evaluate(typeface)
    fonts = "[...document.fonts].map((f) => f.family)"
    first = inside.evaluate(typeface).split(",")[0].strip('"')
    assert first in page.evaluate(fonts)
    assert first in inside.evaluate(fonts), "named alone it would not be there"
    inside.click("text=How it was found")  # more than the frame's least height
    page.wait_for_function(
        "() => { const frame = document.querySelector('#nulie_page');"
        "const tabs = frame.contentDocument.getElementById('nulie_tabs').getBoundingClientRect();"
        "return frame.clientHeight - tabs.bottom - frame.contentWindow.scrollY < 30; }"
    )


def test_the_tab_says_that_another_job_comes_first(
    page: Any, server: Server, generated: str
) -> None:
    inside = bring(page, generated)
    with Image.open(generated) as image:
        body = {"image": encoded(image), "seconds": 12, "patience": 0}
    other = threading.Thread(target=server.call, args=("/nulie/enhance", body))
    other.start()
    page.wait_for_timeout(2000)
    inside.click("#nulie_enhance")
    wait_told(inside, "waiting for another job")
    wait_told(inside, "nodes")
    inside.click("#nulie_stop")
    other.join()


def test_extras_enhances(page: Any, server: Server, generated: str) -> None:
    saved = operated(page, server, generated, "NUlIE", "#nulie_extras_seconds", "2")
    with Image.open(saved) as image:
        image.load()
        assert "NUlIE recipe" in image.info["postprocessing"]
        assert image.info["parameters"] == INFOTEXT


def test_extras_restores(page: Any, server: Server, generated: str) -> None:
    """The operation beside it, which the first tick leaves alone."""
    place = "#nulie_restore_restore"
    saved = operated(page, server, generated, "NUlIE restore", place, "upscale=1.5")
    with Image.open(saved) as image, Image.open(generated) as before:
        assert image.size == tuple(3 * side // 2 for side in before.size)
        assert "upscale" in image.info["postprocessing"]


def operated(
    page: Any, server: Server, picture: str, operation: str, place: str, value: str
) -> Path:
    """The file that Extras saves when an operation is switched on, by its name, and one of its
    controls is set."""
    show(page, "Extras")
    page.set_input_files("#extras_image input[type=file]", picture)
    page.wait_for_selector("#extras_image img")
    name = re.compile(rf"^\s*{operation}\s*\W?\s*$")
    page.locator("#tab_extras .input-accordion .label-wrap").filter(has_text=name).click()
    control = page.locator(
        f"{place} input[type=number], {place} input[type=text], {place} textarea"
    )
    control.first.fill(value)
    control.first.press("Tab")
    page.click("#extras_generate")
    page.wait_for_selector("#extras_gallery img")
    page.wait_for_function(
        "document.querySelector('#tab_extras').textContent.includes('NUlIE recipe')"
    )
    return max(server.home.rglob("extras-images/**/*.png"), key=lambda p: p.stat().st_mtime)


def test_an_infotext_restores_the_controls(page: Any, generated: str) -> None:
    show(page, "PNG Info")
    page.set_input_files("#pnginfo_image input[type=file]", generated)
    page.wait_for_function("document.querySelector('#tab_pnginfo').textContent.includes('a dog')")
    page.click("#tab_pnginfo #txt2img_tab")
    page.wait_for_function(
        "document.querySelector('#nulie_txt2img_seconds input[type=number]').value === '3'"
    )
    assert value(page, "#nulie_txt2img_seed input") == "7"
    assert page.is_checked("#nulie_txt2img_mode input[value=hard]")
    assert value(page, "#nulie_txt2img_guards textarea, #nulie_txt2img_guards input") == "skin=0"
    assert page.is_checked("#nulie_txt2img-checkbox input")


def test_the_helper_buttons_are_not_seen(page: Any, server: Server) -> None:
    page.evaluate("switch_to_nulie()")
    enter_frame(page)
    buttons = "[...document.querySelectorAll('button[id^=nulie_fetch_]')]"
    assert page.evaluate(f"{buttons}.map((b) => getComputedStyle(b).display)") == ["none"] * 3
    assert "nulie fetch" not in (server.home / "ui-config.json").read_text()


def test_few_components_are_ours(page: Any) -> None:
    """Each makes the web UI's page slower to load, seen or not."""
    ours = page.evaluate(
        "() => gradio_config.components.filter("
        "(c) => /^(setting_)?nulie_/.test(c.props.elem_id || '')).length"
    )
    assert 0 < ours <= 40


def test_the_settings_are_shown(page: Any) -> None:
    show(page, "Settings")
    page.click("#settings button:text-matches('^\\\\s*NUlIE\\\\s*$')")
    label = page.wait_for_selector("#setting_nulie_seconds").inner_text()
    assert re.match("Seconds to search by default", label)
