"""A served page and a real browser. Skipped, with the reason, where there is none.

`NULIE_PAGE_PYTHON` names another interpreter to serve the page with, such as one that has an older
gradio; the browser is always driven from here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from ..conftest import ROOT, picture

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PYTHON = os.environ.get("NULIE_PAGE_PYTHON", sys.executable)
START_SECONDS = 90


@dataclass(frozen=True)
class Server:
    """A page of its own process."""

    url: str
    folder: Path
    """Where it was started; results lie below."""
    process: subprocess.Popen[bytes]


def start(
    folder: Path, *options: str, program: Path = ROOT / "standalone.py", **variables: str
) -> Server:
    """A page; `variables` are further ones of its environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TMPDIR": str(temporary), **variables}
    command = [PYTHON, "-B", str(program), "ui", "--port", str(port)]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [*command, "--predictor", "statistics", *options],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    log.close()
    url = f"http://127.0.0.1:{port}/"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return Server(url, folder, process)
        except urllib.error.HTTPError as e:
            e.close()
            if e.code == 401:
                return Server(url, folder, process)
        except OSError:
            time.sleep(0.3)
    process.kill()
    process.wait()
    raise AssertionError((folder / "server.log").read_text(errors="replace"))


def stop(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def running(program: str, folder: Path, **variables: str) -> Iterator[Server]:
    """A program of this folder as a server, for as long as a fixture lives."""
    if sys.executable == PYTHON and importlib.util.find_spec("gradio") is None:
        pytest.skip("no gradio here: pip install gradio")
    server = start(folder, program=Path(__file__).with_name(program), **variables)
    yield server
    stop(server)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running("served.py", tmp_path_factory.mktemp("page"))


def launch(playwright: Any) -> Any:
    """A Chromium of the system's, or else playwright's own. Raises: playwright's Error."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    return playwright.chromium.launch(executable_path=found, args=FLAGS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        pytest.skip("no playwright here: pip install playwright")
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except Error as e:
            pytest.skip(f"no browser here: {str(e).splitlines()[0]}")
        yield browser
        browser.close()


class Visitor:
    """One person with one page. What the page asks of other servers is refused."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        options = {"viewport": {"width": 1300, "height": 1000}, **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.route(
            "**/*",
            lambda r: r.continue_() if r.request.url.startswith((url, "data:")) else r.abort(),
        )
        self.page.goto(url, wait_until="domcontentloaded")
        self.page.wait_for_selector("#nulie_photo input[type=file]", state="attached")
        # The inputs are there before gradio listens to them.
        self.page.wait_for_timeout(700)

    def drop(self, path: Path) -> None:
        """Chooses a photo and waits for what the page says of it."""
        self.page.set_input_files("#nulie_photo input[type=file]", path)
        self.wait_status(path.stem)

    def enhance(self, seconds: float) -> None:
        self.page.fill("#nulie_seconds input", str(seconds))
        self.page.keyboard.press("Tab")
        self.to_the_end()
        self.page.click("#nulie_enhance")

    def to_the_end(self) -> None:
        """Has searches go on until their time is up or somebody stops them."""
        self.page.locator("#nulie_early input").uncheck()

    def wait_finished(self, seconds: float = 30) -> None:
        self.page.wait_for_selector("#nulie_view .nulie-compare", timeout=seconds * 1000)
        self.wait_status("judged by", seconds)

    def leave(self) -> None:
        """Closes the page. What it says at last would be lost in the refusing of requests."""
        self.page.unroute_all()
        self.context.close()

    def status(self) -> str:
        return str(self.page.locator("#nulie_status .nulie-status").last.inner_text())

    def wait_status(self, text: str, seconds: float = 30) -> None:
        self.page.wait_for_function(
            "t=>[...document.querySelectorAll('#nulie_status')].some(e=>e.innerText.includes(t))",
            arg=text,
            timeout=seconds * 1000,
        )

    def wait_steps(self, steps: list[str]) -> None:
        """Until these are the steps of the touch-up."""
        self.page.wait_for_function(
            "s => [...document.querySelectorAll('#nulie_steps label')].filter(e => e.offsetParent)"
            ".map(e => e.innerText.trim()).join() === s",
            arg=",".join(steps),
        )

    def choose(self, dropdown: str, text: str) -> None:
        """One of a dropdown's options."""
        self.page.locator(f"{dropdown} input").click()
        self.page.locator("li[data-testid=dropdown-option]:visible").filter(
            has_text=text
        ).first.click()

    def image(self, which: str = "img.nulie-after") -> str:
        """The data URI of a picture that is shown."""
        return str(self.page.locator(f"#nulie_view {which}").last.get_attribute("src"))

    def tab(self, name: str) -> None:
        self.page.locator("#nulie_tabs button:visible", has_text=name).last.click()

    def unfold(self, text: str) -> None:
        self.page.get_by_text(text, exact=True).first.click()

    def save(self) -> Path:
        """Saves, downloads, and gives the path of the download."""
        self.page.click("#nulie_save")
        self.page.wait_for_selector("#nulie_saved a")
        return self.download("#nulie_saved a")

    def download(self, selector: str) -> Path:
        with self.page.expect_download() as event:
            self.page.locator(selector).last.click()
        folder = Path(event.value.path()).parent
        target: Path = folder / event.value.suggested_filename
        event.value.save_as(target)
        return target


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Callable[..., Visitor]]:
    """Opens pages, and closes them at the end."""
    visitors: list[Visitor] = []

    def opened(url: str = "", **options: Any) -> Visitor:
        visitors.append(Visitor(browser, url or server.url, **options))
        return visitors[-1]

    yield opened
    for visitor in visitors:
        assert visitor.errors == []
        visitor.context.close()


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dull PNG with a colour profile and texts, of more pixels than a preview has."""
    path = tmp_path_factory.mktemp("photo") / "dull day.png"
    path.write_bytes(dull(900, 600))
    return path


def dull(width: int, height: int, seed: int = 1) -> bytes:
    # Enlarged, for noise of single pixels is nothing that a preview could show.
    image = picture(width // 6, height // 6, seed).resize((width, height), Image.Resampling.BICUBIC)
    image = image.point([60 + v // 3 for v in range(256)] * 3)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a dull day, steps: 20")
    texts.add_text("Author", "nobody")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = BytesIO()
    Image.Image.save(image, stream, "PNG", pnginfo=texts, icc_profile=profile)
    return stream.getvalue()


def enter_frame(page: Any) -> Any:
    """The page in the frame of another one, once it listens."""
    page.wait_for_function("nulieHere")
    return page.query_selector("#nulie_page").content_frame()


def wait_told(page: Any, text: str) -> None:
    """Waits until the page's status has a text in it."""
    page.wait_for_function(
        "(text) => document.querySelector('#nulie_status').textContent.includes(text)", arg=text
    )
