"""Processes that work for a job, as many as the machine has cores or GPUs."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ModelError, NulieError, SettingsError
from . import worker
from .worker import Task

AUTO = "auto"
MEMORY = 1 << 30
"""Bytes that a worker takes, about: libraries, a small model, a photo of 24 megapixels."""
MOST_STARTS = 3
"""So many workers in a row may end before they begin."""
GRACE = 5.0
"""Seconds until a worker that was let go is ended."""
_PACKAGE = __name__.split(".")[0]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def number(workers: int | str) -> int | None:
    """A count of workers from a text; None for `AUTO`. Raises: SettingsError."""
    if workers == AUTO:
        return None
    try:
        count = int(workers)
    except ValueError:
        count = 0
    if not 1 <= count <= 1024:
        raise SettingsError(f"workers must be auto or a number from 1 to 1024, not {workers}")
    return count


def fitting() -> int:
    """As many workers as there are cores, and memory for."""
    free = cores() * MEMORY
    with suppress(AttributeError, ValueError, OSError):  # where the system does not say
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores(), free // MEMORY))


class Worker:
    """One process; `work` is what it is at, None while it is idle or not ready."""

    def __init__(self, task: bytes, environment: dict[str, str], heard: queue.SimpleQueue[Any]):
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", worker.__name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            # Ctrl-C is for the driver, who tells its workers what to do about it.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )  # fmt: skip
        self.ready = False
        self.work: Any = None
        self._write(pickle.dumps(sys.path) + task)
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()

    def do(self, work: Any, chunk: Any) -> None:
        self.work = work
        self._write(pickle.dumps(chunk))

    def cancel(self) -> None:
        """The chunk in work ends in an orderly way."""
        self._write(pickle.dumps(None))

    @property
    def death(self) -> str:
        """How it ended, in words."""
        code = self.process.wait()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it has ended, which is heard
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def _listen(self, heard: queue.SimpleQueue[Any]) -> None:
        assert self.process.stdout is not None
        with suppress(EOFError, OSError, pickle.UnpicklingError, ValueError):
            while True:
                heard.put((self, *pickle.load(self.process.stdout)))
        heard.put((self, None, None))


class Workers:
    """So many processes that do one task; those that end are replaced as long as there is work.

    with Workers(task, 2) as workers:
        for one in workers.idle():
            one.do(chunk, chunk)
        for one, content in workers.hear(1.0):
            ...
    """

    def __init__(self, task: Task, count: int, *, devices: Sequence[str] = ()) -> None:
        """`devices` are GPUs, one for each worker, as `CUDA_VISIBLE_DEVICES` names them."""
        self.count = count
        self._task = pickle.dumps(task)
        threads = str(max(1, cores() // count))
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        self._environments: list[dict[str, str]] = [
            dict.fromkeys(names, threads) if not devices
            else {"CUDA_VISIBLE_DEVICES": devices[number]} for number in range(count)
        ]  # fmt: skip
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._all: list[Worker] = []
        self._lost_at_start = 0
        self._refusal: NulieError | None = None

    def __enter__(self) -> Workers:
        try:
            for environment in self._environments:
                self._start(environment)
        except OSError as e:
            self.kill()
            raise NulieError(f"no worker can be started ({e}); free some memory") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def idle(self) -> list[Worker]:
        return [one for one in self._all if one.ready and one.work is None]

    def busy(self) -> list[Worker]:
        return [one for one in self._all if one.work is not None]

    def hear(self, seconds: float) -> list[tuple[Worker, Any]]:
        """What was told meanwhile, waiting for the first for so long at most; None of a worker that
        has ended, which is replaced; it still has its `work` then. Raises: what a worker refuses to
        go on for; ModelError when they end before they begin."""
        if self._refusal is not None:
            raise self._refusal
        told: list[tuple[Worker, Any]] = []
        with suppress(queue.Empty):
            while True:
                one, kind, content = self._heard.get(timeout=0 if told else seconds)
                if one not in self._all:
                    continue
                if kind == worker.READY:
                    one.ready, self._lost_at_start = True, 0
                elif kind == worker.END:
                    one.work = None
                elif kind == worker.TOLD:
                    told.append((one, content))
                elif kind == worker.REFUSED:
                    self._refusal = content  # after what was told before
                    break
                else:
                    self._replace(one)
                    told.append((one, None))
                seconds = 0
                if kind in (worker.READY, worker.END):
                    break  # there is somebody to be given work
        return told

    def cancel(self) -> None:
        for one in self._all:
            one.cancel()

    def kill(self) -> None:
        for one in self._all:
            one.kill()
        self._all.clear()

    def _replace(self, one: Worker) -> None:
        number = self._all.index(one)
        if not one.ready:
            self._lost_at_start += 1
            if self._lost_at_start >= MOST_STARTS:
                raise ModelError(f"workers end before they begin ({one.death}); see above")
        one.kill()
        self._all[number] = Worker(self._task, self._environments[number], self._heard)

    def _start(self, environment: dict[str, str]) -> None:
        self._all.append(Worker(self._task, environment, self._heard))
