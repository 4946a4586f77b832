"""The terminal: complaints, Ctrl-C, and libraries that take seconds to load."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

from ..errors import NulieError
from ..memory import exempt_libraries

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the signal's number."""
NOTHING_WRITTEN = "interrupted; nothing was written"


def complain(text: str) -> None:
    """One line on stderr, if there is one: print() would take stdout in its place."""
    if sys.stderr is not None:
        print(f"nulie: {text}", file=sys.stderr, flush=True)


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls `act`, unless someone wants this program to be deaf to it, as nohup does."""
    known = signal.getsignal(signal.SIGINT)
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or known in (signal.SIG_IGN, None):
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        act()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, known)


def complain_at_once(text: str) -> None:
    """`complain` for a signal's handler, which may have interrupted a print()."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            os.write(sys.stderr.fileno(), f"nulie: {text}\n".encode())


def stop_on_interrupt(
    cancel: threading.Event, *, quiet: bool, able: Callable[[], bool] = lambda: True
) -> AbstractContextManager[None]:
    """The first Ctrl-C keeps the best so far, where a search is `able` to; another ends nulie."""

    def stop() -> None:
        if cancel.is_set() or not able():
            raise KeyboardInterrupt
        cancel.set()
        if not quiet:
            complain_at_once("stopping; the best so far is kept (Ctrl-C again: quit)")

    return on_interrupt(stop)


@contextmanager
def load_libraries() -> Iterator[None]:
    """Around the import of large libraries, which stay to the end, before any file is written.

    Ctrl-C ends the program at once: an exception raised in the midst of their start comes out as
    another one, or not at all. Afterwards the garbage collector passes over what is loaded: the
    process is ours. Raises: NulieError when one of them is missing or broken."""

    def leave() -> None:
        complain_at_once(NOTHING_WRITTEN)
        os._exit(INTERRUPTED)

    with on_interrupt(leave):
        try:
            yield
            exempt_libraries()
        except (ImportError, OSError) as e:
            reason = " ".join(str(e).split()) or type(e).__name__
            raise NulieError(f"{reason}; install what nulie needs once more") from e
