"""A real web UI, which SD_WEBUI_DIR names, in which nulie lies twice and txt2img is hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..page.conftest import enter_frame
from .conftest import FOLDER, needs_webui
from .running import Server, install, running

pytestmark = needs_webui


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert FOLDER is not None
    home = tmp_path_factory.mktemp("twice")
    (home / "config.json").write_text(json.dumps({"hidden_tabs": ["txt2img", "Txt2img"]}))
    again = home / "extensions" / "nulie-main"
    install(again)
    with running(Path(FOLDER), home) as server:
        yield server
    for path in (again, *again.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def test_one_copy_alone_is_there(browser: Any, server: Server) -> None:
    told = [line for line in server.log.read_text().splitlines() if "installed twice" in line]
    assert len(told) == 1
    assert "nulie-main" in told[0]
    page = browser.new_context(viewport={"width": 1500, "height": 1300}).new_page()
    page.set_default_timeout(60_000)
    page.goto(server.address)
    page.wait_for_selector("#nulie_from_pnginfo", state="attached")
    ids = page.evaluate(
        "() => gradio_config.components.map((c) => c.props.elem_id || '')"
        ".filter((id) => /^(tab_|setting_)?nulie/.test(id))"
    )
    assert "nulie_frame" in ids
    assert len(set(ids)) == len(ids)
    assert page.locator("#nulie_from_extras").count() == 1
    page.evaluate("switch_to_nulie()")
    assert enter_frame(page).query_selector("#nulie_enhance")
    page.context.close()


def test_its_routes_are_there(server: Server) -> None:
    assert server.call("/nulie/predictors")[0] == 200
    _, found = server.call("/sdapi/v1/scripts")
    assert found["txt2img"].count("nulie") == 1
