"""install.py, as a web UI runs it at each start."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from .conftest import ROOT


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nulie_install", ROOT / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quiet_when_all_is_there(install: ModuleType, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(install, "find_missing", lambda: [])
    monkeypatch.setattr(install.subprocess, "run", pytest.fail)
    install.main()
    assert capsys.readouterr().out == ""


def test_everything_that_is_there_keeps_its_version(
    install: ModuleType, monkeypatch: Any, capsys: Any
) -> None:
    seen: dict[str, Any] = {}

    def run(command: list[str], **_: Any) -> Any:
        seen["command"] = command
        seen["constraints"] = Path(command[command.index("-c") + 1]).read_text()
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(install, "find_missing", lambda: ["safetensors>=0.4"])
    monkeypatch.setattr(install.subprocess, "run", run)
    install.main()
    assert seen["command"][:4] == [sys.executable, "-m", "pip", "install"]
    assert seen["command"][-1] == "safetensors>=0.4"
    assert not any("torch" in part or "-U" in part for part in seen["command"][4:])
    lines = {line.split("==")[0].lower() for line in seen["constraints"].split()}
    assert {"torch", "numpy", "pillow"} <= lines
    assert not Path(seen["command"][seen["command"].index("-c") + 1]).exists()
    assert "safetensors" in capsys.readouterr().out


def test_an_environment_of_uv_has_no_pip(tmp_path: Path) -> None:
    """install.py alone in such an environment, with what it lacks in a folder of wheels."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("no uv here: pip install uv")
    wheel(tmp_path / "wheels", "threadpoolctl", "3.5.0")
    environment = {**os.environ, "UV_FIND_LINKS": str(tmp_path / "wheels"), "UV_NO_INDEX": "1"}
    venv = tmp_path / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, venv], check=True)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    code = (
        "import runpy; m = runpy.run_path('install.py')\n"
        "m['REQUIREMENTS'].clear(); m['REQUIREMENTS']['threadpoolctl'] = 'threadpoolctl>=3.0'\n"
        "m['main'](); import threadpoolctl; print(threadpoolctl.__file__)"
    )
    done = subprocess.run(
        [python, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert str(venv) in done.stdout.splitlines()[-1]


def wheel(folder: Path, name: str, version: str) -> None:
    folder.mkdir()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(
    ("pip", "uv", "start"),
    [
        (True, "/bin/uv", [sys.executable, "-m", "pip", "install", "--prefer-binary"]),
        (False, "/bin/uv", ["/bin/uv", "pip", "install", "--python", sys.executable]),
        (False, None, [sys.executable, "-m", "pip", "install", "--prefer-binary"]),
    ],
)
def test_what_is_there_installs(
    install: ModuleType, monkeypatch: Any, pip: bool, uv: str | None, start: list[str]
) -> None:
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: pip or None)
    monkeypatch.setattr(install.shutil, "which", lambda name: uv)
    assert install.installer() == start


def test_a_failure_is_told_and_ends_nothing(
    install: ModuleType, monkeypatch: Any, capsys: Any
) -> None:
    answer = SimpleNamespace(returncode=1, stdout="", stderr="no matching distribution")
    monkeypatch.setattr(install, "find_missing", lambda: ["tqdm>=4.64"])
    monkeypatch.setattr(install.subprocess, "run", lambda *a, **k: answer)
    install.main()
    assert "could not install" in capsys.readouterr().out


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy; runpy.run_path('install.py')\n"
        "print(len({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0\n"
