"""Reload UI of a real web UI, which SD_WEBUI_DIR names, while or after the tab searches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import picture
from ..page.conftest import enter_frame, wait_told
from .conftest import FOLDER, needs_webui
from .running import Server, running

pytestmark = needs_webui

STARTED = "Startup time"
SECONDS = 40
"""That a reload may take; it is 5 on a quiet machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert FOLDER is not None
    with running(Path(FOLDER), tmp_path_factory.mktemp("reloaded")) as server:
        yield server


def opened(browser: Any, server: Server) -> Any:
    page = browser.new_context(viewport={"width": 1500, "height": 1300}).new_page()
    page.set_default_timeout(60_000)
    page.goto(server.address)
    page.wait_for_selector("#nulie_from_pnginfo", state="attached")
    # Events of the page's own start, when they are cut off, hang A1111 without nulie, too.
    page.wait_for_timeout(3000)
    return page


def search(page: Any, photo: Path, seconds: float) -> Any:
    """Begins one in the tab's frame, which is returned."""
    page.evaluate("switch_to_nulie()")
    inside = enter_frame(page)
    inside.set_input_files("#nulie_photo input[type=file]", photo)
    wait_told(inside, photo.stem)
    inside.fill("#nulie_seconds input", str(seconds))
    inside.press("#nulie_seconds input", "Tab")
    inside.locator("#nulie_early input").uncheck()
    inside.click("#nulie_enhance")
    wait_told(inside, "nodes")
    return inside


def reload(page: Any, server: Server) -> None:
    """Presses Reload UI, leaves, and waits until the web UI has started again."""
    before = server.log.read_text(errors="replace").count(STARTED)
    # Both have the button in their settings; Forge hides A1111's link at the page's foot.
    page.evaluate("document.querySelector('#settings_restart_gradio').click()")
    page.wait_for_timeout(1500)
    # A page that is left open asks for the server in vain; when it comes too early, A1111 dies.
    page.context.close()
    end = time.monotonic() + SECONDS
    while server.log.read_text(errors="replace").count(STARTED) == before:
        assert time.monotonic() < end, "Reload UI hangs"
        time.sleep(0.2)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    picture(384, 256).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_reload_during_a_search(browser: Any, server: Server, photo: Path) -> None:
    page = opened(browser, server)
    search(page, photo, 8)
    page.wait_for_timeout(2000)
    reload(page, server)


def test_reload_after_a_page_was_closed_in_a_search(
    browser: Any, server: Server, photo: Path
) -> None:
    page = opened(browser, server)
    search(page, photo, 20)
    page.wait_for_timeout(3000)
    page.context.close()
    reload(opened(browser, server), server)


def test_the_tab_works_after_a_reload(browser: Any, server: Server, photo: Path) -> None:
    page = opened(browser, server)
    wait_told(search(page, photo, 2), "judged by")
    page.context.close()
