"""How the libraries below share the processor's cores, whichever way nulie is entered."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Literal

ENVIRONMENT = {
    # Threads that spin while they wait bring torch to a crawl as soon as anything else runs on the
    # same cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",  # numpy's matrices here are small
}
"""What torch and numpy read once, when they are loaded."""

Library = Literal["openmp", "openblas"]


def set_defaults() -> None:
    """Sets `ENVIRONMENT` for what is not loaded yet and for child processes. What is set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def one_core(library: Library) -> AbstractContextManager[Any]:
    """Keeps a library to one core until the context is left: OpenMP, which is torch's, in the
    calling thread alone; numpy's OpenBLAS in all threads.

    For work that is shared out already, or is too small to be. It also helps where the library was
    loaded before `set_defaults` could say anything. Does nothing without threadpoolctl."""
    controller = _controller(library)
    return nullcontext() if controller is None else controller.limit(limits=1)


@cache
def _controller(library: Library) -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # a web UI that was told to install nothing
        return None
    kind = "user_api" if library == "openmp" else "internal_api"
    return ThreadpoolController().select(**{kind: library})
