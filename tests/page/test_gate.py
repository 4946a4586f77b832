"""Who may speak to the server, and what becomes of requests that nobody's page sends."""

from __future__ import annotations

import http.client
import json
import random
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import ROOT
from .conftest import Server, dull, start, stop

Answer = tuple[int, dict[str, str], str]

FORM = "multipart/form-data; boundary=x"


def ask(server: Server, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Status, headers and text of an answer; `_` in the names of headers stands for `-`."""
    address = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    method = headers.pop("method", "GET" if body is None else "POST")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, f"/{path}", body, named)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, answer.read(100_000).decode(errors="replace")
    finally:
        connection.close()


def upload(server: Server, data: bytes, **headers: str) -> Answer:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = head + data + b"\r\n--x--\r\n"
    return ask(server, f"{prefix(server)}upload", body, Content_Type=FORM, **headers)


def prefix(server: Server) -> str:
    """Where gradio's own addresses begin."""
    return "gradio_api/" if ask(server, "gradio_api/info")[0] == 200 else ""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Server]:
    """A page with a password, of a second name. Not before the other one, which says if it can."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "password").write_text("me:secret\n")
    made = start(folder, "--auth-file", "password", "--name", "photos.example")
    yield made
    stop(made)


def test_only_the_server_s_own_names_are_answered(server: Server, locked: Server) -> None:
    port = urllib.parse.urlsplit(server.url).port
    for own in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}"):
        assert ask(server, "", Host=own)[0] == 200, own
    for foreign in (f"evil.example:{port}", "evil.example", "127.0.0.1.nip.io", "10.0.0.1", ""):
        assert ask(server, "", Host=foreign)[0] == 403, foreign
        assert ask(server, "config", Host=foreign)[0] == 403, foreign
    assert ask(locked, "", Host="photos.example")[0] == 200
    assert ask(server, "", Host="photos.example")[0] == 403


def test_pages_of_other_origins_get_nothing(server: Server) -> None:
    own = server.url.rstrip("/")
    for foreign in ("http://evil.example", "http://127.0.0.1:1", "http://localhost:1", "null"):
        status, headers, _ = upload(server, dull(60, 40), Origin=foreign)
        assert status == 403, foreign
        assert "access-control-allow-origin" not in headers
        status, headers, _ = ask(
            server, "config", Origin=foreign, Access_Control_Request_Method="POST", method="OPTIONS"
        )
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control")]
    status, headers, _ = ask(server, "config", Origin=own)
    assert status == 200
    assert "access-control-allow-credentials" not in headers
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert upload(server, dull(60, 40), Origin=own)[0] == 200
    assert upload(server, b"", Content_Length="6000000000")[0] == 413, "more than it may hold"


def test_nothing_answers_before_the_log_in(locked: Server) -> None:
    page = ask(locked, "")[2]
    assert "nulie_enhance" not in page
    closed = "config info gradio_api/info gradio_api/heartbeat/1 queue/status gradio_api/app_id"
    for path in f"{closed} app_id token user openapi.json docs nulie/library/1/2/3".split():
        assert ask(locked, path)[0] == 401, path
    of_page = "nulie/left/1", "nulie/library/1/rows"
    for path in ("queue/join", "gradio_api/queue/join", *of_page, "upload", "api/predict"):
        assert ask(locked, path, b"{}", Content_Type="application/json")[0] == 401, path

    def log_in(password: str) -> Answer:
        form = urllib.parse.urlencode({"username": "me", "password": password}).encode()
        return ask(locked, "login", form, Content_Type="application/x-www-form-urlencoded")

    begun = time.monotonic()
    assert log_in("wrong")[0] == 400
    assert time.monotonic() - begun > 0.9, "a try takes its time"
    status, headers, _ = log_in("secret")
    assert status == 200
    cookie = headers["set-cookie"].partition(";")[0]
    assert ask(locked, "config", Cookie=cookie)[0] == 200
    assert "secret" not in " ".join(locked.process.args)  # type: ignore[arg-type]


def test_a_server_ends_without_leftovers(tmp_path: Path) -> None:
    """It is told a password by the environment, gets an upload, and is told to end."""
    server = start(tmp_path, NULIE_AUTH="me:secret")
    assert ask(server, "config")[0] == 401
    uploads = tmp_path / "temporary"
    (folder,) = uploads.glob("nulie-*")
    (folder / "upload.png").write_bytes(dull(60, 40))
    port = str(urllib.parse.urlsplit(server.url).port)
    for wrong, said in (
        (port, f"port {port} at 127.0.0.1: Address already in use; choose another with --port"),
        ("99999", "--port must be within 1..65535, not 99999"),
    ):
        command = [sys.executable, "-m", "nulie", "ui", "--port", wrong]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (2, f"nulie: {said}")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(20)
    assert list(uploads.glob("nulie-*")) == []


WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0, 3.5, 1e308, 10**400, "", "x", "1: gamma", "\0", "\ud800", [], [None]),
    *({}, {"path": "/etc/passwd"}, [{"path": 5}], {"name": "/etc/passwd", "is_file": True}),
    *([["x"]], {"path": {"path": []}}, "soft: gentle, looks like a good print", "statistics"),
)
REQUESTS = 300


def test_requests_of_wrong_types_harm_nobody(server: Server) -> None:
    """Of visitors with a photo and without."""
    first = prefix(server)
    if ask(server, f"{first}queue/join", b"{}", Content_Type="application/json")[0] == 404:
        pytest.skip("its queue takes no plain requests")
    with urllib.request.urlopen(f"{server.url}config", timeout=20) as answer:
        config = json.load(answer)
    events = [event for event in config["dependencies"] if event["backend_fn"]]
    ids = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
    (drop,) = (e for e in events if e["targets"] == [[ids["nulie_photo"], "upload"]])
    (add,) = (e for e in events if e["targets"] == [[ids["nulie_step_add"], "click"]])
    address = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)

    def join(event: Any, data: Any, visitor: int, **others: Any) -> None:
        body = {"data": data, "fn_index": event["id"], "session_hash": f"wrong{visitor}"}
        text = json.dumps({**body, **others}).encode()
        head = {"Content-Type": "application/json"}
        connection.request("POST", f"/{first}queue/join", text, head)
        connection.getresponse().read()

    for visitor in range(3):
        (path,) = json.loads(upload(server, dull(60, 40))[2])
        file = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
        join(drop, [None, [file]], visitor)
        time.sleep(0.5)
        join(add, [None, "gamma"], visitor)
    dice = random.Random(1)
    told: Any = (None, {}, {"value": 5}, {"index": [], "value": "1: gamma"}, "x")
    for _ in range(REQUESTS):
        event = dice.choice(events)
        count = max(0, len(event["inputs"]) + dice.choice((0, 0, 0, 0, 0, 0, 0, -1, 1)))
        data: Any = [dice.choice(WRONG) for _ in range(count)]
        if dice.random() < 0.05:
            data = dice.choice(WRONG)
        join(event, data, dice.randrange(6), event_data=dice.choice(told))
    connection.close()
    time.sleep(1)
    assert ask(server, "")[0] == 200
    assert "Traceback" not in (server.folder / "server.log").read_text(errors="replace")
