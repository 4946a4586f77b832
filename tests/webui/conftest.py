"""A real web UI, which SD_WEBUI_DIR names: see `running.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..page.conftest import browser
from .running import Server, running

__all__ = ["browser"]

FOLDER = os.environ.get("SD_WEBUI_DIR")
needs_webui = pytest.mark.skipif(
    not FOLDER, reason="SD_WEBUI_DIR names no checkout of a web UI to test in"
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert FOLDER is not None
    with running(Path(FOLDER), tmp_path_factory.mktemp("webui")) as server:
        yield server
