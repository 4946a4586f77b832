"""The page in the frame of our tab, as an application within the web UI's, and the way from there.

Each component of a gradio page costs time when the page loads, whether anybody looks at it or not:
as a part of the web UI's own page, ours made that load a tenth slower. In a frame it costs nothing
until the tab is first seen, and is not made before.

Each of the two pages is served by a gradio of its own, so what is in one reaches the other by way
of the browser, which carries no more than a ticket.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

PATH = "/nulie/page"
PLACE = """<style>[id^=nulie_fetch_] { display: none !important }</style>
<div class="nulie-frame" style="min-height:80vh">Loading</div>"""
"""What stands in the tab until `javascript/nulie.js` puts the frame there."""

TARGETS = ("img2img", "inpaint", "extras")
"""Tabs of the web UI that results can be sent to."""
MOST = 8
"""Things on their way between the pages; the oldest go first."""

Thing = TypeVar("Thing")
_Scope = MutableMapping[str, Any]


class Exchange(Generic[Thing]):
    """What is on its way between the two pages. Each thing can be taken once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Thing] = OrderedDict()

    def give(self, thing: Thing) -> str:
        """Its ticket."""
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._waiting[ticket] = thing
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
        return ticket

    def take(self, ticket: str) -> Thing | None:
        """The thing of a ticket; None when it is gone."""
        with self._lock:
            return self._waiting.pop(ticket, None)


class Frame:
    """An ASGI application: made by `make` when it is first called, and behind the log-in of
    `outer`, the web UI's."""

    def __init__(self, outer: Any, make: Callable[[], FastAPI]) -> None:
        self._outer, self._make = outer, make
        self._lock = asyncio.Lock()
        self._app: FastAPI | None = None
        self._running: AbstractAsyncContextManager[Any] | None = None

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        if await self._is_welcome(scope):
            app = await self._page()
            if scope["type"] == "websocket":
                await _while_there(app, scope, receive, send)
            else:
                await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("Not authenticated", 401)(scope, receive, send)

    async def _page(self) -> FastAPI:
        async with self._lock:
            if self._app is None:
                # Not in a thread: gradio wants an event loop around it, and has one stack for all
                # pages under construction.
                app = self._make()
                # What the server does for its own application, but not for those within.
                self._running = app.router.lifespan_context(app)
                await self._running.__aenter__()
                self._app = app
            return self._app

    async def _is_welcome(self, scope: _Scope) -> bool:
        """Whether the visitor has logged in to the web UI, by its gradio's word."""
        if getattr(self._outer, "auth", True) is None:
            return True
        status: list[int] = []
        ended = False

        async def receive() -> dict[str, Any]:
            nonlocal ended
            if ended:
                # Old middleware listens in a loop for the visitor to go, until it is stopped.
                await asyncio.Event().wait()
            ended = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: _Scope) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        request = {
            "type": "http", "asgi": scope["asgi"], "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/login_check", "raw_path": b"/login_check",
            "root_path": "", "query_string": b"", "headers": scope["headers"],
            "client": scope.get("client"), "server": scope.get("server"),
        }  # fmt: skip
        await self._outer(request, receive, send)
        return status == [200]


async def _while_there(app: Any, scope: _Scope, receive: Any, send: Any) -> None:
    """Runs an application for a websocket until its visitor has gone. The oldest gradio listens to
    nobody while it waits for the end of an event, which may never come when the visitor has gone;
    and the server, told to stop, waits for it."""
    messages: asyncio.Queue[_Scope] = asyncio.Queue()

    async def listen() -> None:
        message: _Scope = {"type": ""}
        while message["type"] != "websocket.disconnect":
            message = await receive()
            messages.put_nowait(message)

    tasks = [asyncio.ensure_future(listen()), asyncio.ensure_future(app(scope, messages.get, send))]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in ended:
        task.result()


def application(page: Any, outer: Any, incoming: Exchange[bytes]) -> FastAPI:
    """The page's Blocks as an application to be mounted at `PATH`; `outer` is the web UI's Blocks,
    launched already. What the page around posts to `picture`, a picture's file, goes to `incoming`,
    and the answer is its ticket."""
    from ..ui import LARGEST_UPLOAD, mount

    async def picture(request: Request) -> Response:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > LARGEST_UPLOAD * 1_000_000:
                return PlainTextResponse(f"larger than {LARGEST_UPLOAD} MB", 413)
        return JSONResponse(incoming.give(bytes(data)))

    page.ssl_verify = getattr(outer, "ssl_verify", True)
    app = FastAPI()
    # Before the page, which takes every path.
    app.add_route("/picture", picture, methods=["POST"])
    for route in mount(app, page, address=f"{outer.local_url}{PATH[1:]}/").routes:
        if getattr(route, "path", None) == "/":
            _strip(route.dependant)
    return app


def _strip(dependant: Any) -> None:
    """Has gradio show the page as it is: a web UI puts its own scripts and styles into every page
    of its process."""
    make = dependant.call

    def page(**values: Any) -> Any:
        answer = make(**values)
        answer.body = answer.render(answer.template.render(answer.context))
        answer.init_headers()
        return answer

    dependant.call = page
