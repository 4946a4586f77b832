"""What Python and the C library are told of memory.

What is free goes back to the system, where the C library has to be told: glibc keeps a heap for
each thread, and up to 64 MB at the end of each, also once the thread is gone. A process that
searched again and again, in threads of its own, grew for twenty images and more."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

# Of malloc.h; see mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 32 << 20
"""The highest M_MMAP_THRESHOLD there is, to which glibc comes by itself in a process with large
blocks, and keeps twice as much at the end of a heap."""
_SOME = 128 << 10
"""More than FASTBIN_CONSOLIDATION_THRESHOLD, 64 KB: when such a block is freed, glibc looks at the
end of the heap."""


def give_back() -> None:
    """Returns what this thread has freed. Does nothing where the C library is another one."""
    libc: Any = ctypes.CDLL(None) if os.name == "posix" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        return
    libc.malloc.restype = ctypes.c_void_p
    libc.mallopt(_TRIM_THRESHOLD, _SOME)
    libc.free(ctypes.c_void_p(libc.malloc(_SOME)))
    # Setting one of the two has glibc leave both as they are from then on.
    libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.malloc_trim(0)  # pages within the heaps, those of other threads as well


def give_back_of(workers: ThreadPoolExecutor, count: int) -> None:
    """The same for each of `count` threads, all that the pool may have, before they end."""
    together = threading.Barrier(count)  # or a quick one would do the work of another

    def one(_: int) -> None:
        with suppress(threading.BrokenBarrierError):
            together.wait(1)
        give_back()

    with suppress(RuntimeError):  # the interpreter ends, and has no use for threads any more
        list(workers.map(one, range(count)))


def exempt_libraries() -> None:
    """Has Python's garbage collector pass over all that is loaded by now. A look through torch
    takes it a tenth of a second and more, at exit, too. For programs of nulie's own: in another
    one's process, its garbage of this moment would stay as well."""
    gc.freeze()
