"""The page under the gradio of each webui, where there is time and room for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .environments import SKIPPED


def test_the_page_runs_with_the_gradio_of_each_webui() -> None:
    folder = os.environ.get("NULIE_ENVIRONMENTS")
    if not folder:
        pytest.skip("NULIE_ENVIRONMENTS names no folder for them (12 GB, some 8 minutes)")
    script = Path(__file__).with_name("environments.py")
    done = subprocess.run([sys.executable, str(script), folder], check=False)
    if done.returncode == SKIPPED:
        pytest.skip("no Python 3.10 here")
    assert done.returncode == 0
