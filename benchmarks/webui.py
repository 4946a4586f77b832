"""What nulie adds to the time that a web UI's page takes to load.

    python -m benchmarks.webui CHECKOUT [--rounds 16]

`CHECKOUT` is one of AUTOMATIC1111 or Forge that starts by itself, with its virtual environment in
`venv`. Three servers run at once, two of them without nulie: what those two differ by is what
cannot be told from nothing. A fresh browser loads their pages in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.webui.running import running

from .common import machine, table

SERVERS = {"without": False, "with nulie": True, "without, again": False}
READY = "#img2img_gallery"
SETTLED_SECONDS = 2.5
"""After which the page has come to rest, and the main thread's work is read."""


def load(browser: Any, address: str) -> tuple[float, float]:
    """Seconds until the page's galleries are there, and of the main thread's work."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(READY, state="attached", timeout=60_000)
    wall = time.perf_counter() - start
    page.wait_for_timeout(1000 * SETTLED_SECONDS)
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return wall, float(metrics["TaskDuration"])


def components(address: str) -> int:
    with urllib.request.urlopen(f"{address}/config", timeout=60) as answer:
        return len(json.load(answer)["components"])


def shown(times: Sequence[float], base: Sequence[float]) -> list[str]:
    """Median, and the mean difference within a round with its standard error."""
    differences = [a - b for a, b in zip(times, base, strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return [
        f"{statistics.median(times):.2f} s",
        f"{statistics.mean(differences):+.2f} ± {error:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--rounds", type=int, default=16)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from tests.page.conftest import launch

    with ExitStack() as stack:
        servers = {}
        for name, ours in SERVERS.items():
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            servers[name] = stack.enter_context(running(options.checkout, home, extension=ours))
        browser = launch(stack.enter_context(sync_playwright()))
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        for turn in range(options.rounds + 1):
            for name in list(servers)[:: 1 if turn % 2 else -1]:
                times = load(browser, servers[name].address)
                if turn:  # the first fills the file cache
                    found[name].append(times)
        browser.close()
        rows = [
            [
                name,
                str(components(server.address)),
                *shown([t[0] for t in found[name]], [t[0] for t in found["without"]]),
                *shown([t[1] for t in found[name]], [t[1] for t in found["without"]]),
            ]
            for name, server in servers.items()
        ]
    print(f"{options.checkout.name}, {options.rounds} rounds, {machine()}\n")
    head = ["server", "components", "page", "difference", "main thread", "difference"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
