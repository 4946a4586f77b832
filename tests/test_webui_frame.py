"""The application in the frame of the web UI's tab, without a web UI."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

from nulie.webui.frame import Frame

SCOPE = {"type": "websocket"}


def visit(app: Any, *messages: str, stay: bool = False) -> list[str]:
    """What the application sends to a visitor who sends these, and goes if he does not stay."""
    sent = []

    async def run() -> None:
        coming = asyncio.Queue[dict[str, str]]()
        for kind in (*messages, *([] if stay else ["disconnect"])):
            coming.put_nowait({"type": f"websocket.{kind}"})

        async def send(message: Any) -> None:
            sent.append(message["type"].partition(".")[2])

        frame = Frame(SimpleNamespace(auth=None), lambda: app)
        await asyncio.wait_for(frame(SCOPE, coming.get, send), 5)

    # In a thread of its own, for a browser of other tests may have a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(run())).result()
    return sent


def application(handle: Any) -> Any:
    """As `Frame` wants it."""

    class Lifespan:
        async def __aenter__(self) -> None: ...
        async def __aexit__(self, *error: object) -> None: ...

    handle.router = SimpleNamespace(lifespan_context=lambda app: Lifespan())
    return handle


def test_who_listens_to_nobody_ends_when_the_visitor_goes() -> None:
    """The oldest gradio waits like this, and the web UI's reload would wait for it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    assert visit(application(app), "connect") == ["accept"]


def test_what_is_sent_arrives_in_order() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            await send(await receive())

    assert visit(application(app), "connect", "a", "b", stay=True) == ["connect", "a", "b"]


def test_an_error_within_is_not_lost() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        visit(application(app), stay=True)
