"""install.py, as a web UI runs it at each start."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
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
