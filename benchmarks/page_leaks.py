"""Whether the page leaves anything behind: fifty visits, each a photo, a search, a saved result,
some stopped, some closed in the midst. Prints the server's threads, open files, memory and
temporary files on the way.

    python benchmarks/page_leaks.py [visits]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.page.conftest import FLAGS, Server, Visitor, dull, start, stop


def main(visits: int) -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        photo = folder / "photo.png"
        photo.write_bytes(dull(1500, 1000))
        server = start(folder)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        print("visits  threads  files  memory MB  temporary files")
        try:
            for number in range(visits + 1):
                if number in (1, 3) or number % 10 == 0:
                    time.sleep(2)  # what was closed in the midst ends
                    print(f"{number:6}  " + "  ".join(map(str, _measured(server))), flush=True)
                if number < visits:
                    _visit(browser, server, photo, number)
        finally:
            browser.close()
            stop(server)


def _visit(browser: object, server: Server, photo: Path, number: int) -> None:
    person = Visitor(browser, server.url)
    person.drop(photo)
    person.enhance(1 if number % 3 == 0 else 60)
    if number % 3 == 2:
        person.wait_status("nodes")
    else:
        if number % 3 == 1:
            person.wait_status("nodes")
            person.page.click("#nulie_stop")
        person.wait_finished()
        person.page.click("#nulie_save")
        person.page.wait_for_selector("#nulie_saved a")
    person.context.close()


def _measured(server: Server) -> tuple[int, int, int, int]:
    own = Path("/proc") / str(server.process.pid)
    facts = dict(
        line.split(":", 1) for line in (own / "status").read_text().splitlines() if ":" in line
    )
    temporary = [p for p in (server.folder / "temporary").rglob("*") if p.is_file()]
    return (
        int(facts["Threads"]),
        len(list((own / "fd").iterdir())),
        int(facts["VmRSS"].split()[0]) // 1024,
        len(temporary),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
