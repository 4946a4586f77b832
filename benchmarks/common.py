"""What the benchmarks share: the photographs, the machine's name, tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

DATA = Path(
    os.environ.get("NULIE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


def photos(folder: Path | None = None) -> list[Path]:
    """The photographs to measure on, by name. Ends the program where there are none."""
    folder = folder or DATA / "photos"
    kinds = {".jpg", ".jpeg", ".png", ".webp"}
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in kinds)
    if not found:
        raise SystemExit(f"no photographs in {folder}; set NULIE_TEST_DATA or give --photos")
    return found


def machine() -> str:
    """Processor, threads and versions, for the head of a table."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    threads = torch.get_num_threads()
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    return f"{name}, {threads} threads, {versions}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
