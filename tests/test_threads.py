"""The libraries' threads, as each way into nulie leaves them; in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch

from nulie.threads import ENVIRONMENT, one_core

from .conftest import ROOT

SHOW = f"import os; print(*(os.environ.get(name) for name in {list(ENVIRONMENT)!r}))"
WAYS = ["nulie", "nulie.engine", "nulie.cli", "nulie.transforms"]


def run(code: str, **environment: str) -> str:
    bare = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=bare | environment,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_sets_them_before_torch_is_loaded(way: str) -> None:
    assert run(f"import {way}; {SHOW}") == "PASSIVE 1"


def test_what_the_host_has_set_stays() -> None:
    assert run(f"import nulie; {SHOW}", OMP_WAIT_POLICY="ACTIVE") == "ACTIVE 1"


def test_one_core_is_this_threads_alone_and_over_when_it_is_left() -> None:
    known = torch.get_num_threads()
    if known == 1:
        pytest.skip("torch has one thread anyway")
    seen: list[int] = []
    with one_core("openmp"):
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        seen.append(torch.get_num_threads())
    assert seen == [known, 1]
    assert torch.get_num_threads() == known


SHARED_OUT = """
import threading, torch
torch.set_num_threads(3)  # by the host program, which loaded torch before nulie
from nulie.engine import Enhancement, Finished
from nulie.settings import Settings
from tests.conftest import FakePredictor, picture

class Watching(FakePredictor):
    batch_size = 64
    def judge(self, photo):
        judge = super().judge(photo)
        def watch(batch):
            seen.append((threading.current_thread().name.split("_")[0], torch.get_num_threads()))
            return judge(batch)
        return watch

seen = []
for event in Enhancement(picture(), Watching(), Settings(seconds=None, evaluations=400)).events():
    if not isinstance(event, Finished):
        continue
    between = torch.get_num_threads()
workers = {count for name, count in seen if name == "nulie"}
print(workers, {count for name, count in seen[1:] if name != "nulie"} >= {1}, between)
"""


def test_where_a_batch_is_shared_out_each_thread_has_one_core() -> None:
    """Also where torch was loaded first, by a program that chose its number of threads."""
    assert run(SHARED_OUT) == "{1} True 3"
