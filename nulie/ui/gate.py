"""Who may speak to the server: a layer between it and gradio, the same for every gradio."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
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


class Gate:
    """ASGI middleware of gradio's application, which has the log-ins. Any name leads here if its
    owner says so, thus only the names of a server at `address` are answered, and those it has
    `also`; and any page can send requests here, thus only those of its own pages are."""

    def __init__(self, app: Any, *, address: str, also: Iterable[str], auth: bool) -> None:
        self._app, self._auth = app, auth
        self._names = {"localhost", "127.0.0.1", "::1", address, *map(str.lower, also)}
        self._everywhere = address in ("0.0.0.0", "::")
        if self._everywhere:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._trying = asyncio.Lock()
        self._tries = self._arriving = 0  # who wait to log in, bytes of uploads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        path = scope["path"].strip("/").removeprefix("gradio_api/")
        size = headers.get("content-length", "")
        host, origin = headers.get("host", ""), headers.get("origin")
        first = path in ("", "login") or path.startswith(_OPEN)
        if not self._is_own(host):
            await _refuse(scope, send, 403, "no server of that name; see --name of nulie ui")
        elif origin is not None and origin.partition("://")[2] != host:
            await _refuse(scope, send, 403, "not for pages of other servers")
        elif self._auth and not first and not _is_known(scope["app"], headers.get("cookie", "")):
            await _refuse(scope, send, 401, "log in first")
        elif path == "login" and scope.get("method") == "POST":
            await self._log_in(scope, receive, send)
        elif path == "upload":
            await self._upload(int(size) if size.isdecimal() else None, scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        name = (name if colon and port.isdecimal() else host).strip("[]").lower()
        if self._everywhere:
            with suppress(ValueError):  # nobody can have an address in figures lead elsewhere
                return bool(ipaddress.ip_address(name))
        return name in self._names

    async def _log_in(self, scope: Any, receive: Any, send: Any) -> None:
        if self._tries >= MOST_TRIES:
            await _refuse(scope, send, 429, "too many tries at once; wait a little")
            return
        self._tries += 1
        try:
            async with self._trying:
                await asyncio.sleep(WAIT)
                await self._pass(scope, receive, send)
        finally:
            self._tries -= 1

    async def _upload(self, size: int | None, scope: Any, receive: Any, send: Any) -> None:
        held = _held()
        if size is None or held + self._arriving + size > MOST_UPLOADS * 1_000_000:
            await _refuse(scope, send, 413, "the server holds too many uploads; try again later")
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
        except Exception:  # gradio takes requests for what they should be
            _log.debug("a request failed", exc_info=True)
            if not begun:
                await _refuse(scope, send, 400, "a request without a meaning")


def _is_known(app: Any, cookie: str) -> bool:
    """Whether one of the cookies is gradio's proof of a log-in."""
    with suppress(CookieError):
        return any(value.value in app.tokens for value in SimpleCookie(cookie).values())
    return False


def _held() -> int:
    """Bytes of the uploads that lie here."""
    size = 0
    for path in upload_folder().rglob("*"):
        with suppress(OSError):  # it has just been read
            size += path.stat().st_size
    return size


async def _refuse(scope: Any, send: Any, status: int, words: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
