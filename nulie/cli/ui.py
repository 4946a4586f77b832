"""`nulie ui`: the page, served from this machine."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import SettingsError, needed_for
from .console import load_libraries

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FOLDER = "nulie_results"

EPILOG = """\
The page is served to this machine alone, unless --host says otherwise; give a password then, too:
in a file for --auth-file or in NULIE_AUTH, since every user of the machine sees what --auth says.
Visitors must call the server by its address, or by a name that --name gives.
Results go into ./nulie_results, for each visitor into a folder whose name nobody can guess. With
--share-results they all go into the folder named there, and whoever sees the page may fetch them.
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nulie ui",
        description="Serves the page: drop a photo, watch the search, choose, touch up, save.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=7870, metavar="N", help="default 7870")
    parser.add_argument("--host", default=LOOPBACK[0], help="address to serve at (127.0.0.1)")
    shared = "one folder for everybody's results"
    parser.add_argument("--share-results", type=Path, metavar="DIR", help=shared)
    ask = parser.add_mutually_exclusive_group()
    ask.add_argument("--auth", metavar="NAME:PASSWORD", help="ask visitors for these")
    ask.add_argument("--auth-file", type=Path, metavar="FILE", help="the same, read from a file")
    name = "a name that visitors call this server by, such as a proxy's; may be repeated"
    parser.add_argument("--name", action="append", default=[], metavar="NAME", help=name)
    first = "the one that is chosen at first (default auto)"
    parser.add_argument("--predictor", default="auto", metavar="NAME", help=first)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    if not 0 < options.port < 65536:
        raise SettingsError(f"--port must be within 1..65535, not {options.port}")
    auth = _auth(options)
    if options.host not in LOOPBACK and auth is None:
        print("nulie: warning: without --auth everybody in the network may use it", file=sys.stderr)
    results = (options.share_results or Path(FOLDER)).resolve()
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise SettingsError(f"{results}: cannot be made ({e.strerror}); choose another") from None
    # Uploads and gradio's own copies go where they can be removed at the end.
    with tempfile.TemporaryDirectory(prefix="nulie-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # by its name the page knows it for its own
        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
        _serve(options, results, auth)
    return 0


def _serve(options: argparse.Namespace, results: Path, auth: tuple[str, str] | None) -> None:
    with load_libraries(), needed_for("the page", "gradio", extra="page"):
        from ..predictor import NAMES
        from ..ui import Host, close, serve
    local = options.host in LOOPBACK
    host = Host(
        results,
        private=options.share_results is None,
        predictors=tuple(dict.fromkeys([options.predictor or "auto", "auto", *NAMES])),
        device=options.device,
        open_folder=_folder_opener() if local else None,
        folders=local and auth is None,
    )
    try:
        with socket.create_server((options.host, options.port), family=_family(options.host)):
            pass  # gradio says it in words of its own
        page = serve(
            host, address=options.host, port=options.port, auth=auth, browser=options.open,
            also=options.name,
        )  # fmt: skip
    except OSError as e:
        reason = (e.strerror or "it cannot be had").partition(" (")[0]
        raise SettingsError(
            f"port {options.port} at {options.host}: {reason}; choose another with --port"
        ) from None
    name = f"[{options.host}]" if ":" in options.host else options.host
    told = f"(results in {results}; Ctrl-C ends it)"
    print(f"nulie: http://{name}:{options.port}  {told}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    close(page)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _auth(options: argparse.Namespace) -> tuple[str, str] | None:
    """Name and password that visitors are asked for."""
    text, where = options.auth or os.environ.get("NULIE_AUTH"), "--auth"
    if options.auth_file:
        where = f"--auth-file {options.auth_file}"
        try:
            text = options.auth_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as e:
            reason = getattr(e, "strerror", None) or "is no text"
            raise SettingsError(f"{where}: cannot be read ({reason})") from None
    if text is None:
        return None
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise SettingsError(f"{where}: write it as NAME:PASSWORD")
    return name, password


def _folder_opener() -> Callable[[Path], None] | None:
    if sys.platform == "win32":
        return lambda folder: os.startfile(folder)
    tool = "open" if sys.platform == "darwin" else "xdg-open"
    has_screen = tool == "open" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    found = shutil.which(tool)
    if not found or not has_screen:
        return None

    def show(folder: Path) -> None:
        subprocess.run([found, str(folder)], check=False, timeout=10)

    return show
