"""Run by an sd-webui at each start, in a process of its own: installs what nulie needs and the web
UI lacks, and nothing else.

What is installed already keeps its version, whatever it is: an upgrade of torch, numpy or gradio
behind its back breaks a web UI.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = {
    "safetensors": "safetensors>=0.4",
    "huggingface_hub": "huggingface_hub>=0.20",
    "tqdm": "tqdm>=4.64",
    "threadpoolctl": "threadpoolctl>=3.0",
    "open_clip": "open_clip_torch>=2.20",
}
"""Module to requirement. What else nulie uses (torch, numpy, Pillow, gradio) every web UI has."""


def find_missing():
    """Requirements whose module is not there."""
    names = (name for name in REQUIREMENTS if importlib.util.find_spec(name) is None)
    return [REQUIREMENTS[name] for name in names]


def pins():
    """Each distribution that is there, as a line of a constraints file."""
    lines = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        # Local versions such as 2.1.2+cu121 match themselves only.
        if name and distribution.version:
            lines[name] = f"{name}=={distribution.version}"
    return sorted(lines.values())


def installer():
    """The start of a command that installs into this environment: environments that uv has made
    have no pip of their own."""
    if importlib.util.find_spec("pip") is None and (uv := shutil.which("uv")):
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--prefer-binary"]


def install(requirements):
    """Whether they could be installed without a change to anything that is there."""
    handle, path = tempfile.mkstemp(suffix=".txt", prefix="nulie-constraints-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(pins()) + "\n")
        command = [*installer(), "-c", path]
        if os.environ.get("INDEX_URL"):
            command += ["--index-url", os.environ["INDEX_URL"]]
        result = subprocess.run([*command, *requirements], capture_output=True, text=True)
    finally:
        Path(path).unlink()
    if result.returncode:
        print(result.stderr or result.stdout)
    return result.returncode == 0


def main():
    if sys.version_info < (3, 10):  # noqa: UP036  # older web UIs start with 3.8
        print(f"nulie needs Python 3.10 or newer; this is {sys.version.split()[0]}")
        return
    requirements = find_missing()
    if not requirements:
        return
    names = ", ".join(requirements)
    print(f"nulie: installing {names}")
    if not install(requirements):
        print(f"nulie: could not install {names}; see above. nulie may not work until you do.")


if __name__ == "__main__":
    main()
