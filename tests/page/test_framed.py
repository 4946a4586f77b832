"""The page in a frame of another one, as web UIs show it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server, enter_frame, running, wait_told
from .test_library import patches


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running("framed.py", tmp_path_factory.mktemp("framed"))


@pytest.fixture
def page(browser: Any, around: Server) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.add_cookies([{"name": "access-token", "value": "yes", "url": around.url}])
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.route(
        "**/*",
        lambda r: r.continue_() if r.request.url.startswith((around.url, "data:")) else r.abort(),
    )
    page.goto(around.url, wait_until="domcontentloaded")
    yield page
    context.close()


def bring(page: Any) -> Any:
    page.evaluate("document.querySelectorAll('.thumbnail-item')[1].classList.add('selected')")
    page.click("#nulie_from_txt2img")
    inside = enter_frame(page)
    wait_told(inside, "120 x 80")
    return inside


def test_nothing_is_made_before_the_tab_is_seen(page: Any, around: Server) -> None:
    """That is what keeps a web UI quick to start and to load."""
    page.wait_for_timeout(500)
    assert page.query_selector("iframe") is None
    first = page.evaluate("async () => (await fetch('/made')).json()")
    page.click("text=NUlIE")
    enter_frame(page)
    assert first == 0
    assert page.evaluate("async () => (await fetch('/made')).json()") == 1


def test_the_page_is_plain_and_fits(page: Any) -> None:
    page.click("text=NUlIE")
    inside = enter_frame(page)
    assert inside.evaluate("window.meddled === undefined")
    assert inside.evaluate("document.body.classList.contains('dark')")
    inside.wait_for_selector("text=Betriebsart")
    height = page.query_selector("#nulie_page").bounding_box()["height"]
    assert height >= 800
    inside.click("#nulie_ops")
    page.wait_for_function(
        "(before) => document.getElementById('nulie_page').offsetHeight > before", arg=height
    )
    # All of it is in sight, and nothing grows by itself.
    page.wait_for_timeout(500)
    grown = page.query_selector("#nulie_page").bounding_box()["height"]
    page.wait_for_timeout(500)
    assert page.query_selector("#nulie_page").bounding_box()["height"] == grown
    assert inside.evaluate("document.documentElement.scrollHeight <= window.innerHeight")


def test_pictures_come_and_go(page: Any) -> None:
    inside = bring(page)
    text = "a cat\nSteps: 20"
    for target, asked, shown in (
        ("img2img", text, ["img2img", "img2img"]),
        ("inpaint", text, ["img2img", "inpaint"]),
        # Extras has no use for a text.
        ("extras", "", ["extras"]),
    ):
        page.evaluate("sent = null, shown = [], pasted = []")
        inside.click(f"#nulie_send_to_{target}")
        page.wait_for_function("(number) => shown.length === number", arg=len(shown))
        assert page.evaluate("sent") == {"size": [120, 80], "text": asked}
        assert page.evaluate("pasted") == ([asked] if asked else [])
        assert page.evaluate("shown") == shown
    # A second one, while the page is there already.
    bring(page)


def test_buttons_look_like_those_beside_them(page: Any) -> None:
    page.wait_for_selector("#nulie_from_pnginfo")
    assert page.evaluate("document.querySelector('#nulie_from_txt2img').className") == "tool"
    assert page.inner_text("#nulie_from_pnginfo") == "Send to NUlIE"
    assert page.query_selector("#nulie_from_img2img") is None  # it has none to stand behind


def test_without_a_chosen_picture_the_first_comes(page: Any) -> None:
    page.click("#nulie_from_txt2img")
    wait_told(enter_frame(page), "200 x 80")


def test_an_empty_gallery_only_shows_the_tab(page: Any) -> None:
    page.click("#nulie_from_extras")
    inside = enter_frame(page)
    assert inside.query_selector("#nulie_status [role=alert]") is None


def test_what_is_no_picture_is_told_of(page: Any) -> None:
    page.click("#nulie_from_pnginfo")
    inside = enter_frame(page)
    assert "the picture: " in inside.wait_for_selector("#nulie_status [role=alert]").inner_text()


def test_a_picture_that_is_lost_is_told_of(page: Any) -> None:
    page.route("**/nulie/page/picture", lambda route: route.abort())
    page.click("#nulie_from_txt2img")
    alert = enter_frame(page).wait_for_selector("#nulie_status [role=alert]")
    assert "send it again" in alert.inner_text()


def test_a_search_runs_and_its_result_is_sent(page: Any) -> None:
    inside = bring(page)
    inside.fill("#nulie_seconds input", "1")
    inside.press("#nulie_seconds input", "Tab")
    inside.click("#nulie_enhance")
    wait_told(inside, "judged by")
    inside.click("#nulie_send_to_inpaint")
    page.wait_for_function("shown.includes('inpaint')")
    assert page.evaluate("sent.size") == [120, 80]


def test_nothing_is_sent_without_a_photo(page: Any) -> None:
    page.click("text=NUlIE")
    inside = enter_frame(page)
    inside.click("#nulie_send_to_extras")
    inside.wait_for_selector("#nulie_status [role=alert]")
    assert page.evaluate("shown") == []


def test_a_library_is_scored_and_fits(page: Any, tmp_path: Path) -> None:
    for number in range(3):
        patches(number).save(tmp_path / f"{number}.png")
    page.click("text=NUlIE")
    inside = enter_frame(page)
    inside.locator("#nulie_tabs button:visible", has_text="Library").last.click()
    inside.wait_for_selector("#nulie_grid [data-do=score]")
    assert inside.query_selector("#nulie_grid [name=folder]") is None, "where the host allows it"
    files = sorted(tmp_path.glob("*.png"))
    inside.set_input_files("#nulie_library_files input[type=file]", files)
    page.wait_for_timeout(2500)
    inside.click("[data-do=score]")
    inside.wait_for_function(
        "() => [...document.querySelectorAll('.nulie-tile img')]"
        ".filter(e => e.naturalWidth > 0).length === 3"
    )
    page.wait_for_timeout(700)
    grown = page.query_selector("#nulie_page").bounding_box()["height"]
    page.wait_for_timeout(700)
    assert page.query_selector("#nulie_page").bounding_box()["height"] == grown
    assert inside.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    address = inside.eval_on_selector(".nulie-tile img", "e => e.src")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address, timeout=20)
    with refused.value as answer:
        assert answer.code == 401, "who has not logged in to the web UI"


def test_strangers_are_kept_out(around: Server) -> None:
    for path in ("", "config", "upload", "file=/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{around.url}nulie/page/{path}", timeout=20)
        with refused.value as answer:
            assert answer.code == 401
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{around.url}nulie/page/picture", b"picture", timeout=20)
    with refused.value as answer:
        assert answer.code == 401


def test_pages_of_other_servers_are_kept_out(around: Server) -> None:
    headers = {"Cookie": "access-token=yes", "Origin": "http://elsewhere.example"}
    request = urllib.request.Request(f"{around.url}nulie/page/config", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        allowed = answer.headers.get("access-control-allow-origin")
    assert allowed in (None, around.url.rstrip("/"))
