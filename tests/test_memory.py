"""Memory that goes back to the system, measured in a process of its own."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None) if os.name == "posix" else None, "malloc_trim"),
    reason="the C library is no glibc",
)

HELPERS = """
import resource, threading
from pathlib import Path
from statistics import median

def resident():
    "MB of memory that the process holds, but for what the system may drop and read again."
    _, held, of_files, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (held - of_files) * resource.getpagesize() >> 20

def apart(work, *given):
    thread = threading.Thread(target=work, args=given)
    thread.start()
    thread.join()
"""
BLOCKS = """
import numpy as np
from nulie.memory import give_back

def work(tidy):
    blocks = [np.ones(1 << 20, np.uint8) for _ in range(40)]
    del blocks
    tidy()

np.ones(30 << 20, np.uint8)  # from now on the C library keeps blocks of that size
before = resident()
apart(work, lambda: None)
kept = resident() - before
apart(work, give_back)
print(kept, resident() - before)
"""
SEARCHES = """
from nulie.engine import Enhancement
from nulie.memory import give_back
from nulie.predictor import create
from nulie.settings import Settings
from tests.conftest import picture

predictor, _ = create("statistics")
photo = picture(600, 400)

def search(seed):
    for _ in Enhancement(photo, predictor, Settings(evaluations=400, seed=seed)).events():
        pass

def work(seed):
    search(seed)
    give_back()

sizes = []
for seed in range(10):
    apart(work, seed)
    sizes.append(resident())
# A single one may be some MB off either way.
print(round(median(sizes[5:]) - median(sizes[:3])))
"""
EXEMPT = """
import gc
from nulie.memory import exempt_libraries

import torch
exempt_libraries()
print(len(gc.get_objects()), gc.get_freeze_count())
"""
ABANDONED = """
from nulie.engine import Enhancement
from nulie.predictor import create
from tests.conftest import picture

events = Enhancement(picture(600, 400), create("statistics")[0]).events()
for _ in range(40):
    next(events)
"""


def run(code: str) -> list[str]:
    """The words that the code prints. Complaints at its end do not change its exit status."""
    done = subprocess.run(
        [sys.executable, "-c", HELPERS + code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_what_a_thread_has_freed_goes_back() -> None:
    without, with_it = map(int, run(BLOCKS))
    assert without >= 30
    assert with_it < 10


def test_a_search_that_is_left_unfinished_ends_without_complaint() -> None:
    run(ABANDONED)


def test_searches_in_threads_of_their_own_leave_nothing_behind() -> None:
    assert int(run(SEARCHES)[0]) < 15  # without `give_back` it is 24 to 45


def test_the_garbage_collector_passes_over_what_was_loaded() -> None:
    watched, exempt = map(int, run(EXEMPT))
    assert watched < 1000 < 100_000 < exempt
