"""nulie inside a real web UI, which SD_WEBUI_DIR names: a checkout of AUTOMATIC1111 or Forge that
starts by itself, with its virtual environment in `venv`. No checkpoint is needed.

The web UI gets a data folder of its own, so nothing in the checkout is changed; the extension's
folder there is read-only.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ..conftest import ROOT, picture

FOLDER = os.environ.get("SD_WEBUI_DIR")
START_SECONDS = 300
FLAGS = [
    *("--skip-python-version-check", "--skip-torch-cuda-test", "--skip-version-check"),
    *("--no-download-sd-model", "--do-not-download-clip", "--api", "--api-auth", "anna:secret"),
    *("--server-name", "127.0.0.1", "--disable-console-progressbars"),
]

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="SD_WEBUI_DIR names no checkout of a web UI to test in"
)


@dataclass(frozen=True)
class Server:
    address: str
    log: Path
    pid: int

    def call(self, path: str, body: Any = None, *, auth: str | None = "anna:secret") -> Any:
        """(status, answer) of a request."""
        headers = {"Content-Type": "application/json"}
        if auth:
            headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.address + path, data, headers), timeout=120
            ) as answer:
                return 200, json.load(answer)
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert FOLDER is not None
    checkout, home = Path(FOLDER), tmp_path_factory.mktemp("webui")
    extension = home / "extensions" / "nulie"
    for part in ("install.py", "scripts", "javascript", "nulie"):
        source = ROOT / part
        target = extension / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    for path in (*extension.rglob("*"), extension):
        path.chmod(path.stat().st_mode & ~0o222)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    forge = (checkout / "modules_forge").is_dir()
    own = ["--always-cpu"] if forge else ["--use-cpu", "all", "--no-half"]
    command = [str(checkout / "venv" / "bin" / "python"), "launch.py", *FLAGS, *own]
    command += ["--port", str(port), "--data-dir", str(home)]
    command += ["--gradio-allowed-path", str(checkout)]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
        "COMMANDLINE_ARGS": "",
    }
    log = home / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=file, stderr=file, text=True
        )
    try:
        end = time.monotonic() + START_SECONDS
        # Asked too early, an old starlette refuses the routes that are still to come.
        while "Startup time" not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < end, "the web UI does not start"
            time.sleep(0.5)
        yield Server(f"http://127.0.0.1:{port}", log, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        for path in (extension, *extension.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)


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
