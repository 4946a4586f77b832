"""What the server tells of a visitor's library, to who has the visitor's token: rows, pictures,
tables. Pictures are asked for by their numbers in that library, so that no request names a file."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from .. import image_io
from ..drawing import encode
from ..errors import NulieError
from ..jobs import values
from ..jobs.journal import version_of
from ..library import shelf as shelves
from ..library.shelf import EXPORTS, Shelf
from .scripts import LIBRARY
from .session import Session, Sessions

SIDE = 240
"""Long side of a picture in the grid, twice what it is shown at."""
ROOM = 64 << 20
"""Bytes of such pictures that are kept in memory."""
AT_ONCE = 2
"""Pictures that are made small at once."""
LARGEST = 4 << 20
"""Bytes of a request."""


class Serving:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._thumbs = Thumbs()
        self._turn = asyncio.Semaphore(AT_ONCE)

    def join(self, app: Any) -> None:
        """Adds the addresses to a server's application."""
        app.add_route(f"/{LIBRARY}{{token}}/{{what}}", self.answer, methods=["POST"])
        app.add_route(f"/{LIBRARY}{{token}}/{{key}}/{{number}}", self.picture, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        session = self._session(request)
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > LARGEST:
                return PlainTextResponse("more than a page asks for", 413)
        if session is None or session.shelf is None:
            return _none()
        what = request.path_params["what"]
        if what == "stop":
            if session.work is not None:
                session.work.stop()
            return JSONResponse(None)
        return await run_in_threadpool(_told, session.shelf, what, bytes(data))

    async def picture(self, request: Request) -> Response:
        session, asked = self._session(request), request.path_params
        shelf = session.shelf if session else None
        if shelf is None or asked["key"] != shelf.key or not asked["number"].isdecimal():
            return _none()
        item = shelf.item(int(asked["number"][:9]))
        if item is None:
            return _none()
        async with self._turn:
            found = await run_in_threadpool(self._thumbs.of, item.path)
        if found is None:
            return _none()
        kind, data = found
        return Response(data, media_type=kind, headers={"cache-control": "private, max-age=3600"})

    def _session(self, request: Request) -> Session | None:
        return self._sessions.of(request.path_params["token"])


class Thumbs:
    """Small pictures, of which the last are kept in memory."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, tuple[str, bytes]] = OrderedDict()
        self._size = 0

    def of(self, path: Path) -> tuple[str, bytes] | None:
        """What kind of file it is, and the file; None of what cannot be read."""
        key = path, version_of(path)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            photo = image_io.load(path, least=SIDE // 2)
        except NulieError:
            return None
        kind, data, _ = encode(photo.pixels, photo, SIDE, quality=80)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = kind, data
                self._size += len(data)
            while self._size > self._room and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1][1])
        return kind, data


def _told(shelf: Shelf, what: str, data: bytes) -> Response:
    try:
        asked = json.loads(data)
        if not isinstance(asked, dict):
            raise ValueError("no object")
    except ValueError:
        return PlainTextResponse("a request without a meaning", 400)
    try:
        if what == "rows":
            start, count = (values.whole(name, asked.get(name, 0)) for name in ("start", "count"))
            return JSONResponse(shelf.page(shelves.view(asked), start, max(0, count)))
        if what == "sidecars":
            return Response(shelves.sidecars(shelf, asked), media_type="application/zip")
        if what in EXPORTS:
            table = shelves.table(shelf.asked(asked), what)
            written = table.encode("utf-8", "surrogateescape")
            return Response(written, media_type=f"{EXPORTS[what]}; charset=utf-8")
    except NulieError as e:
        return PlainTextResponse(str(e), 422)
    return _none()


def _none() -> Response:
    return PlainTextResponse("there is nothing of yours here", 404)
