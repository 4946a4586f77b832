"""Runs the browser's tests against a page served by the gradio of each webui.

    python tests/page/environments.py FOLDER [a1111] [forge]

makes the environments in FOLDER (some 6 GB each, kept for the next time) and runs `tests/page` with
each of them. It needs a Python 3.10, which those webuis use: `--python` says where, or PYTHON310.
The browser is driven by the Python that runs this script. Exit code 0: all passed; 77: there is no
Python 3.10, so nothing was tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 77

COMMON = (
    *("numpy==1.26.2", "pillow==9.5.0", "open-clip-torch==2.20.0", "safetensors==0.4.2", "tqdm"),
    *("httpx==0.24.1", "httpcore==0.15", "anyio==3.7.1", "setuptools==69.5.1"),
)
ENVIRONMENTS = {
    "a1111": (
        *("gradio==3.41.2", "torch==2.1.2", "torchvision==0.16.2", "fastapi==0.94.0"),
        *("pydantic==1.10.27", "huggingface_hub==0.36.2", *COMMON),
    ),
    "forge": (
        *("gradio==4.40.0", "torch==2.3.1", "torchvision==0.18.1", "fastapi==0.104.1"),
        *("pydantic==2.8.2", "huggingface_hub==0.26.2", *COMMON),
    ),
}
"""What AUTOMATIC1111 1.10.1 and Forge pin, as far as the page can notice."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help="a1111, forge")
    parser.add_argument("--python", default=os.environ.get("PYTHON310", "python3.10"))
    options = parser.parse_args()
    python = shutil.which(options.python)
    if python is None or not is_310(python):
        print(f"skipped: {options.python} is no Python 3.10", file=sys.stderr)
        return SKIPPED
    worst = 0
    for name in options.names or ENVIRONMENTS:
        own = _made(options.folder / name, python, ENVIRONMENTS[name])
        print(f"{name}: {own}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "page")]
        environment = {**os.environ, "NULIE_PAGE_PYTHON": str(own)}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        worst = max(worst, done.returncode)
    return worst


def is_310(python: str) -> bool:
    """Whether it runs, and is a Python 3.10: names on the path may be empty promises."""
    code = "import sys; print(sys.version_info[:2] == (3, 10))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() == "True"


def _made(folder: Path, python: str, packages: tuple[str, ...]) -> Path:
    """The environment's interpreter; installs what is missing."""
    own = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not own.exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    install = [str(own), "-m", "pip", "install", "--quiet", "--prefer-binary", *packages]
    subprocess.run(install, check=True)
    return own


if __name__ == "__main__":
    raise SystemExit(main())
