"""The page in a frame of another one, as web UIs show it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Server, running


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


def framed(page: Any) -> Any:
    """The page in the frame, once it listens."""
    page.wait_for_function("nulieHere")
    return page.query_selector("#nulie_page").content_frame()


def bring(page: Any) -> Any:
    ticket = page.evaluate("async () => (await fetch('/ticket')).json()")
    page.evaluate("(ticket) => nulieBring(ticket)", ticket)
    inside = framed(page)
    inside.wait_for_function(
        "document.querySelector('#nulie_status').textContent.includes('120 x 80')"
    )
    return inside


def test_nothing_is_made_before_the_tab_is_seen(page: Any, around: Server) -> None:
    """That is what keeps a web UI quick to start and to load."""
    page.wait_for_timeout(500)
    assert page.query_selector("iframe") is None
    first = page.evaluate("async () => (await fetch('/made')).json()")
    page.click("text=NUlIE")
    framed(page)
    assert first == 0
    assert page.evaluate("async () => (await fetch('/made')).json()") == 1


def test_the_page_is_plain_and_fits(page: Any) -> None:
    page.click("text=NUlIE")
    inside = framed(page)
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
    for number, target in enumerate(("img2img", "inpaint", "extras"), 1):
        inside.click(f"#nulie_send_to_{target}")
        page.wait_for_function("(number) => pasted.length === number", arg=number)
        assert page.evaluate("sent") == {"size": [120, 80], "text": "a cat\nSteps: 20"}
    # Extras has no use for a text.
    assert page.evaluate("pasted") == ["img2img_text", "inpaint_text", "extras"]
    # A second one, while the page is there already.
    bring(page)


def test_a_search_runs_and_its_result_is_sent(page: Any) -> None:
    inside = bring(page)
    inside.fill("#nulie_seconds input", "1")
    inside.press("#nulie_seconds input", "Tab")
    inside.click("#nulie_enhance")
    inside.wait_for_function(
        "document.querySelector('#nulie_status').textContent.includes('judged by')"
    )
    inside.click("#nulie_send_to_inpaint")
    page.wait_for_function("pasted.length === 1")
    assert page.evaluate("sent.size") == [120, 80]


def test_nothing_is_sent_without_a_photo(page: Any) -> None:
    page.click("text=NUlIE")
    inside = framed(page)
    inside.click("#nulie_send_to_extras")
    inside.wait_for_selector("#nulie_status [role=alert]")
    assert page.evaluate("pasted") == []


def test_strangers_are_kept_out(around: Server) -> None:
    for path in ("", "config", "upload", "file=/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{around.url}nulie/page/{path}", timeout=20)
        with refused.value as answer:
            assert answer.code == 401


def test_pages_of_other_servers_are_kept_out(around: Server) -> None:
    headers = {"Cookie": "access-token=yes", "Origin": "http://elsewhere.example"}
    request = urllib.request.Request(f"{around.url}nulie/page/config", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        allowed = answer.headers.get("access-control-allow-origin")
    assert allowed in (None, around.url.rstrip("/"))
