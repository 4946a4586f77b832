"""nulie inside a real web UI, by its server, which SD_WEBUI_DIR names."""

from __future__ import annotations

import base64
import io
import os
import re
import resource
import subprocess
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from ..conftest import ROOT, picture
from .conftest import FOLDER, needs_webui
from .running import Server

pytestmark = needs_webui


def encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_the_ops_are_its_pillows() -> None:
    assert FOLDER is not None
    done = subprocess.run(
        [str(Path(FOLDER) / "venv" / "bin" / "python"), str(Path(__file__).with_name("ops.py"))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_it_starts_without_complaint(server: Server) -> None:
    log = server.log.read_text(errors="replace")
    assert "Error loading script" not in log
    told = log.partition("Startup time")[0].replace(str(ROOT), "").lower()
    # The first start of a checkout installs what is missing, and says so.
    told = re.sub("nulie: installing .*", "", told)
    assert "nulie" not in told.replace("extensions/nulie", "")


def test_the_generation_script_is_there(server: Server) -> None:
    _, found = server.call("/sdapi/v1/scripts")
    assert "nulie" in found["txt2img"]
    assert "nulie" in found["img2img"]


def test_the_routes(server: Server) -> None:
    assert server.call("/nulie/predictors", auth=None)[0] == 401
    status, known = server.call("/nulie/predictors")
    assert status == 200
    assert known["device"] == "cpu"
    image = encoded(picture().convert("RGBA"))
    body = {"image": image, "seconds": None, "evaluations": 50, "predictor": "statistics"}
    status, found = server.call("/nulie/enhance", body)
    assert status == 200
    assert found["report"]["evaluations"] == 50
    assert server.call("/nulie/enhance", {"image": "?"})[0] == 422
    assert server.call("/nulie/score", {"image": image, "predictor": "statistics"})[0] == 200


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells no process's memory")
def test_the_twentieth_image_takes_no_more_memory_than_the_third(server: Server) -> None:
    body = {"image": encoded(picture(600, 400)), "seconds": None, "evaluations": 500}
    sizes = []
    for seed in range(20):
        assert (
            server.call("/nulie/enhance", {**body, "predictor": "statistics", "seed": seed})[0]
            == 200
        )
        pages = Path(f"/proc/{server.pid}/statm").read_text().split()[1]
        sizes.append(int(pages) * resource.getpagesize())
    assert sizes[-1] <= 1.02 * sizes[2], [size >> 20 for size in sizes]


def test_extras_without_nulie_is_as_ever(server: Server) -> None:
    """Its own API gives a foreign operation None for everything."""
    body = {"image": encoded(picture()), "upscaling_resize": 1, "upscaler_1": "None"}
    status, found = server.call("/sdapi/v1/extra-single-image", body)
    assert status == 200
    image = Image.open(io.BytesIO(base64.b64decode(found["image"])))
    assert image.convert("RGB").tobytes() == picture().tobytes()


def test_settings_are_registered_and_obeyed(server: Server) -> None:
    assert server.call("/sdapi/v1/options", {"nulie_device": "nonsense"})[0] == 200
    status, answer = server.call("/nulie/predictors")
    assert status == 200
    assert answer["device"] == "nonsense"
    server.call("/sdapi/v1/options", {"nulie_device": "auto"})


def test_the_page_has_the_tab(server: Server) -> None:
    with urllib.request.urlopen(server.address + "/", timeout=60) as answer:
        page = answer.read().decode()
    assert '"nulie_frame"' in page
    assert "extensions/nulie/javascript/nulie.js" in page
    with urllib.request.urlopen(server.address + "/nulie/page/", timeout=60) as answer:
        framed = answer.read().decode()
    assert '"nulie_enhance"' in framed
    # The web UI's own scripts are not for this page.
    assert "nulie.js" not in framed
