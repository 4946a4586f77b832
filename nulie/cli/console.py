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
_ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Ctrl-C, a system that wants us to end, and a terminal that is closed."""
_ending = threading.Event()
"""Set while all is tidied up, which nothing but Ctrl-C interrupts."""
NOTHING_WRITTEN = "interrupted; nothing was written"


def complain(text: str) -> None:
    """One line on stderr, if there is one: print() would take stdout in its place."""
    if sys.stderr is not None:
        with suppress(OSError):  # its disk is full, or its terminal is gone
            print(f"nulie: {text}", file=sys.stderr, flush=True)


def give_up_stdout() -> None:
    """Stdout takes nothing any more: what is left goes nowhere, or Python would complain once more
    at its exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def on_interrupt(act: Callable[[int], None]) -> Iterator[None]:
    """Each of `_ENDS` calls `act` with its number, unless someone wants this program to be deaf to
    it, as nohup does."""
    known = {}
    if threading.current_thread() is threading.main_thread():
        known = {number: signal.getsignal(number) for number in _ENDS}

    def handle(number: int, _frame: FrameType | None) -> None:
        if not _ending.is_set() or number == signal.SIGINT:
            act(number)

    for number, before in known.items():
        if before not in (signal.SIG_IGN, None):
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, before in known.items():
            if before is not None:
                signal.signal(number, before)


def end_on_interrupt() -> AbstractContextManager[None]:
    """Each of the signals ends nulie, so that nothing temporary is left behind."""
    _ending.clear()
    return on_interrupt(_end)


def _end(_number: int) -> None:
    _ending.set()
    raise KeyboardInterrupt


def complain_at_once(text: str) -> None:
    """`complain` for a signal's handler, which may have interrupted a print()."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            os.write(sys.stderr.fileno(), f"nulie: {text}\n".encode())


def stop_on_interrupt(
    cancel: threading.Event, *, quiet: bool, able: Callable[[], bool] = lambda: True,
    kept: Callable[[], str] = lambda: "the best so far is kept",
) -> AbstractContextManager[None]:  # fmt: skip
    """The first Ctrl-C stops in order, where a search is `able` to, and says what is `kept`;
    another ends nulie. A terminal that is closed may say so more than once."""

    def stop(number: int) -> None:
        if cancel.is_set() and number == getattr(signal, "SIGHUP", None):
            return
        if cancel.is_set() or not able():
            _end(number)
        cancel.set()
        if not quiet:
            complain_at_once(f"stopping; {kept()} (Ctrl-C again: quit)")

    return on_interrupt(stop)


@contextmanager
def load_libraries() -> Iterator[None]:
    """Around the import of large libraries, which stay to the end, before any file is written.

    Ctrl-C ends the program at once: an exception raised in the midst of their start comes out as
    another one, or not at all. Afterwards the garbage collector passes over what is loaded: the
    process is ours. Raises: NulieError when one of them is missing or broken."""

    def leave(_number: int) -> None:
        complain_at_once(NOTHING_WRITTEN)
        os._exit(INTERRUPTED)

    with on_interrupt(leave):
        try:
            yield
            exempt_libraries()
        except (ImportError, OSError, MemoryError) as e:
            reason = " ".join(str(e).split()) or "libraries do not fit into memory"
            raise NulieError(f"{reason}; {_remedy(e, reason)}") from e


def _remedy(error: Exception, reason: str) -> str:
    short = ("cannot allocate", "failed to map", "cannot create thread", "memory")
    if not isinstance(error, MemoryError) and not any(s in reason.lower() for s in short):
        return "install what nulie needs once more"
    with suppress(ImportError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            return f"the limit of {limit / 2**30:.1f} GiB of memory (ulimit -v) is too low"
    return "the memory is not enough; close other programs"
