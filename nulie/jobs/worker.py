"""A process that works for a job: `python -m nulie.jobs.worker`, started by `workers`.

It is told by its stdin what to do and says by its stdout what came of it, in pickles: both ends are
the same program. When its driver is gone, so is it."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from ..errors import NulieError
from ..memory import exempt_libraries

READY, END, REFUSED, TOLD = "ready", "end", "refused", "told"
"""Kinds of messages: it can begin; a chunk is over; nothing can be done, and why; of the work."""


class Task(Protocol):
    """What workers do, pickled to them."""

    def begin(self, cancel: threading.Event) -> Callable[[Any], Iterator[Any]]:
        """Called once, in the worker; returns what does a chunk and yields what there is to tell.
        `cancel` is set when the work is to end in an orderly way. Raises: NulieError, when no
        chunk can be done; so may what is returned."""
        ...


def main() -> None:
    inbox, outbox = _pipes()

    def send(kind: str, content: Any = None) -> None:
        pickle.dump((kind, content), outbox)
        outbox.flush()

    sys.path[:] = pickle.load(inbox)
    task: Task = pickle.load(inbox)
    chunks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancel = threading.Event()

    def listen() -> None:
        try:
            while (chunk := pickle.load(inbox)) is not None:
                chunks.put(chunk)
            cancel.set()
            inbox.read()  # until the driver lets go
        except (EOFError, OSError, pickle.UnpicklingError):
            pass
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    try:
        work = task.begin(cancel)
        exempt_libraries()
        send(READY)
        while True:
            for content in work(chunks.get()):
                send(TOLD, content)
            send(END)
    except NulieError as e:
        send(REFUSED, e)
        threading.Event().wait()  # for the driver, who has heard it
    except BrokenPipeError:
        os._exit(0)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Stdin, and stdout under another number: what libraries print goes to stderr."""
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, outbox


if __name__ == "__main__":
    main()
