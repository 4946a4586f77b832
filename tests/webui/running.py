"""A real web UI as a process: a checkout of AUTOMATIC1111, Forge or Forge Neo that starts by
itself, with its virtual environment in `venv`. No checkpoint is needed but for the tests that
generate images.

The web UI gets a data folder of its own, so nothing in the checkout is changed; the extension's
folder there is read-only.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..conftest import ROOT

START_SECONDS = 300
FLAGS = [
    *("--skip-python-version-check", "--skip-torch-cuda-test", "--skip-version-check"),
    *("--api", "--api-auth", "anna:secret"),
    *("--server-name", "127.0.0.1", "--disable-console-progressbars"),
]


@dataclass(frozen=True)
class Server:
    address: str
    home: Path
    """Its data folder."""
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


def is_neo(checkout: Path) -> bool:
    """Whether it is Forge Neo; Forge itself has other flags, and A1111 no such file."""
    options = checkout / "backend" / "args.py"
    return options.is_file() and "--always-cpu" not in options.read_text()


def install(extension: Path) -> None:
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


@contextmanager
def running(
    checkout: Path, home: Path, *, extension: bool = True, checkpoint: Path | None = None
) -> Iterator[Server]:
    """The web UI of `checkout` with its data in `home`, an empty folder; with nulie or without."""
    if checkpoint is not None:
        models = home / "models" / "Stable-diffusion"
        models.mkdir(parents=True)
        for part in checkpoint.parent.glob(f"{checkpoint.stem}.*"):
            (models / part.name).symlink_to(part)
    ours = home / "extensions" / "nulie"
    if extension:
        install(ours)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    if is_neo(checkout):
        own = ["--cpu"]
        (home / "tmp").mkdir()  # which it makes in its own folder alone
    else:
        forge = (checkout / "modules_forge").is_dir()
        own = ["--always-cpu"] if forge else ["--use-cpu", "all", "--no-half"]
        own += ["--no-download-sd-model", "--do-not-download-clip"]
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
            command,
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            text=True,
        )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write("\n")  # Forge Neo asks whether settings of another version may stay
    try:
        end = time.monotonic() + START_SECONDS
        # Asked too early, an old starlette refuses the routes that are still to come.
        while "Startup time" not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < end, "the web UI does not start"
            time.sleep(0.5)
        yield Server(f"http://127.0.0.1:{port}", home, log, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        for path in (ours, *ours.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
