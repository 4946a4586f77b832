"""The page under the gradio of each webui, where there is time and room for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PYTHON
from .environments import SKIPPED, is_310

SCRIPT = Path(__file__).with_name("environments.py")
OLDEST = "a1111"
LIMIT = 480
"""Seconds for the oldest gradio when nobody asked for it: 200 to install, 150 to test."""
ROOM = 8e9


def test_the_page_runs_with_the_gradio_of_each_webui(tmp_path: Path) -> None:
    """All of them, and their environments kept, where `NULIE_ENVIRONMENTS` names a folder."""
    if sys.executable != PYTHON:
        pytest.skip("this is one of them")
    folder = os.environ.get("NULIE_ENVIRONMENTS")
    if folder:
        done = subprocess.run([sys.executable, str(SCRIPT), folder], check=False)
        if done.returncode == SKIPPED:
            pytest.skip("no Python 3.10 here")
        assert done.returncode == 0
        return
    python = shutil.which(os.environ.get("PYTHON310", "python3.10"))
    if python is None or not is_310(python):
        pytest.skip("no Python 3.10 here, which the webuis' gradios need")
    if shutil.disk_usage(tmp_path).free < ROOM:
        pytest.skip(f"less than {ROOM / 1e9:.0f} GB free for an environment of a webui")
    command = [sys.executable, str(SCRIPT), str(tmp_path), OLDEST, "--python", python]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        assert process.wait(LIMIT) == 0
    except subprocess.TimeoutExpired:
        pytest.skip(f"the page with {OLDEST}'s gradio takes more than {LIMIT} s here")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(tmp_path / OLDEST, ignore_errors=True)
