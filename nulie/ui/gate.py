"""Who may speak to the server: a layer between it and gradio, the same for every gradio."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from .compat import upload_folder

MOST_UPLOADS = 5_000
"""Megabytes that lie on the server at once, in all."""
WAIT, MOST_TRIES = 1.0, 5
"""Seconds that each try to log in takes, one after another, and how many may wait for that."""
# What a browser needs to show the log-in, and the server to start.
_OPEN = ("assets/", "static/", "svelte/", "cdn/", "theme.css", "favicon.ico", "startup-events")
_HEADERS = [
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-content-type-options", b"nosniff"),
]

_log = logging.getLogger(__name__)


def names(address: str, others: Iterable[str] = ()) -> frozenset[str]:
    """What visitors may call a server at that address; `*` stands for any address in figures."""
    found = {"localhost", "127.0.0.1", "::1", address, *others}
    if address in ("0.0.0.0", "::"):
        found |= {"*", socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in found)


class Gate:
    """ASGI middleware of gradio's application, which has the log-ins. A page of another name leads
    here when that name's owner says so, so only the server's own `names` are answered; a page of
    another origin can send a request, so those are not answered at all."""

    def __init__(self, app: Any, *, names: frozenset[str], auth: bool) -> None:
        self._app, self._names, self._auth = app, names, auth
        self._trying = asyncio.Lock()
        self._tries = 0
        self._arriving = 0  # bytes of uploads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        path = scope["path"].strip("/").removeprefix("gradio_api/")
        refused = self._refuse(scope, path, headers)
        if refused:
            await _answer(scope, send, *refused)
        elif scope.get("method") == "POST" and path == "login":
            await self._log_in(scope, receive, send)
        elif scope.get("method") == "POST" and path == "upload":
            await self._upload(int(headers["content-length"]), scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    def _refuse(self, scope: Any, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and words where a request is not answered."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return 403, "this server is not called that; see --name of nulie ui"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "not for pages of other servers"
        first = path in ("", "login") or path.startswith(_OPEN)
        if self._auth and not first and not _is_known(scope["app"], headers.get("cookie", "")):
            return 401, "log in first"
        if path == "upload" and not headers.get("content-length", "").isdecimal():
            return 411, "how long is it?"
        return None

    def _is_own(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").lower()
        if name in self._names or "*" not in self._names:
            return name in self._names
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    async def _log_in(self, scope: Any, receive: Any, send: Any) -> None:
        if self._tries >= MOST_TRIES:
            await _answer(scope, send, 429, "too many tries at once; wait a little")
            return
        self._tries += 1
        try:
            async with self._trying:
                await asyncio.sleep(WAIT)
                await self._pass(scope, receive, send)
        finally:
            self._tries -= 1

    async def _upload(self, size: int, scope: Any, receive: Any, send: Any) -> None:
        held = await asyncio.get_running_loop().run_in_executor(None, _held, upload_folder())
        if held + self._arriving + size > MOST_UPLOADS * 1_000_000:
            await _answer(scope, send, 413, "the server holds too many uploads; try again later")
            return
        self._arriving += size
        try:
            await self._pass(scope, receive, send)
        finally:
            self._arriving -= size

    async def _pass(self, scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def send_on(message: Any) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception:
            # gradio takes requests for what they should be.
            _log.debug("a request failed", exc_info=True)
            if not begun:
                await _answer(scope, send, 400, "a request without a meaning")


def _is_known(app: Any, cookie: str) -> bool:
    """Whether one of the cookies is gradio's proof of a log-in."""
    try:
        return any(value.value in app.tokens for value in SimpleCookie(cookie).values())
    except CookieError:
        return False


def _held(folder: Path) -> int:
    """Bytes of the files in a folder."""
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.stat().st_size
        except OSError:
            continue  # it has just been read
    return sizes


async def _answer(scope: Any, send: Any, status: int, words: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
