"""Actors that work for a job, on Ray: one a core or GPU, of one machine or of many.

They do the tasks that the processes of `workers` do, and are dealt with alike. Where each runs, and
that it is started again when it or its machine is lost, is left to Ray. A chunk is not: what is
left of it is for the driver to say, who alone knows what is done. Paths go through Ray, and what is
told of results; never pixels."""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ExtraError, JobError, ModelError, NulieError, SettingsError
from ..image_io import reason, shown_path
from ..memory import exempt_libraries
from .journal import Version, version_of
from .worker import Task
from .workers import GRACE, MOST_STARTS, cores

_log = logging.getLogger(__name__)
PROCESSES, RAY = "processes", "ray"
"""What does the work: see `workers`, or here."""
LOCAL = "local"
"""The address of a Ray that is started for a job, on this machine alone."""
PATIENCE = 60.0
"""Seconds in which a machine must say what it sees."""
STORE = 100 << 20
"""Bytes of memory for objects, of a Ray that is started here: there are no large ones."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # or it writes to stdout of actors that are lost
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
_LIBRARIES = "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"


def address(engine: str, given: str | None) -> str | None:
    """Where Ray is to be found; None where it has no part in it. Raises: SettingsError."""
    if engine not in (PROCESSES, RAY):
        raise SettingsError(f"engine {engine!r} is unknown; known: {PROCESSES}, {RAY}")
    if given is not None and engine != RAY:
        raise SettingsError("--address is where Ray is; add --engine ray")
    if given is not None and "://" in given:
        raise SettingsError(f"address {given}: give HOST:PORT, on a machine of the cluster")
    return None if engine != RAY else given or LOCAL


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Within Ray at `address`: `LOCAL`, `auto` for the one that runs here, or HOST:PORT. Raises:
    ExtraError, JobError where there is none."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as e:
        if e.name != "ray":
            raise
        raise ExtraError("--engine ray needs Ray; pip install 'nulie[ray]'") from None
    own: dict[str, Any] = {}
    if address == LOCAL:
        # Or Ray writes one into the user's home.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
        own = {"num_cpus": cores(), "object_store_memory": STORE, "include_dashboard": False}
    by_main = threading.current_thread() is threading.main_thread()
    heeded = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **own)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as e:
        why = str(e).strip().partition("\n")[0]
        raise JobError(
            f"address {address}: no Ray to work with ({why}); start one with ray start --head"
        ) from None
    try:
        if by_main:
            signal.signal(signal.SIGTERM, heeded)  # which Ray has taken for itself
        yield
    finally:
        ray.shutdown()


@contextmanager
def shared(
    folders: Sequence[Path], files: Mapping[Path, Version], owner: str
) -> Iterator[list[Path]]:
    """Signs in the `folders` that this machine writes to, by which another one knows them, as long
    as it lasts. Raises: JobError that names a machine that does not see them, or does not see the
    `files` as this one does."""
    signs: list[Path] = []
    try:
        for folder in folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                sign = folder.absolute() / f".nulie-{owner}-{secrets.token_hex(8)}.tmp"
                sign.write_bytes(sign.name.encode())
                signs.append(sign)
            except OSError as e:
                shown = shown_path(folder)
                raise JobError(f"{shown}: cannot be written to ({reason(e)})") from None
        _ask(signs, {path.absolute(): version for path, version in files.items()})
        yield signs
    finally:
        for sign in signs:
            with suppress(OSError):
                sign.unlink()


def _ask(signs: Sequence[Path], files: Mapping[Path, Version]) -> None:
    """Has all machines look. Raises: JobError."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as At

    nodes = [node for node in ray.nodes() if node["Alive"]]
    nodes = [node for node in nodes if {"CPU", "GPU"} & node["Resources"].keys()]
    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    each = [look.options(scheduling_strategy=At(node["NodeID"], soft=False)) for node in nodes]
    told = [one.remote(__version__, signs, files) for one in each]
    for node, one in zip(nodes, told, strict=True):
        name = node["NodeManagerHostname"]
        try:
            amiss = ray.get(one, timeout=PATIENCE)
        except ray.exceptions.RayError as e:
            told_why = isinstance(e, (ray.exceptions.RayTaskError, ray.exceptions.GetTimeoutError))
            if not told_why and _is_gone(node["NodeID"]):
                _log.warning("machine %s is lost before it has begun", name)
                continue
            said = f"machine {name} cannot work ({_why(e)}); install the same nulie there, and Ray"
            raise JobError(said) from None
        if amiss:
            raise JobError(f"machine {name} {amiss}")


def _is_gone(machine: str) -> bool:
    """Whether Ray finds out, after a while, that a machine is no longer there."""
    import ray

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not any(node["Alive"] for node in ray.nodes() if node["NodeID"] == machine):
            return True
        time.sleep(0.5)
    return False


def _look(version: str, signs: Sequence[Path], files: Mapping[Path, Version]) -> str:
    """On another machine: what is amiss there."""
    if version != __version__:
        return f"has nulie {__version__}, and this one {version}; install the same"
    for sign in signs:
        folder = shown_path(sign.parent)
        try:
            if sign.read_bytes() != sign.name.encode():
                raise FileNotFoundError
            own = sign.with_name(f"{sign.stem}-{secrets.token_hex(8)}.tmp")
            own.touch()
            own.unlink()
        except FileNotFoundError:
            return f"does not see {folder} as this one does; choose a folder that all share"
        except OSError as e:
            return f"cannot write to {folder} ({reason(e)}); let it"
    for path, seen in files.items():
        if version_of(path) != seen:
            return f"does not see {shown_path(path)} as this one does; put it where all see it"
    return ""


def gpus() -> int:
    """GPUs of all machines together."""
    import ray

    return int(ray.cluster_resources().get("GPU", 0))


_Given = tuple[str, bytes, Sequence[Path], Sequence[str], str]
"""The driver's version, a task in a pickle, signs (see `shared`), where the driver looks for
modules, and what its relative names begin at."""


class _Work:
    """What Ray makes actors of."""

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._work: Callable[[Any], Iterator[Any]] | None = None

    def begin(self, given: _Given) -> NulieError | None:
        """What speaks against its doing anything."""
        if self._work is None:
            version, task, signs, paths, folder = given
            # The machine may have come later than the others.
            if amiss := _look(version, signs, {}):
                raise OSError(f"{socket.gethostname()} {amiss}")
            sys.path += [path for path in paths if path not in sys.path]
            with suppress(OSError):
                os.chdir(folder)
            try:
                self._work = pickle.loads(task).begin(self._cancel)
            except NulieError as e:
                return e
            exempt_libraries()
        return None

    def do(self, chunk: Any) -> Iterator[Any]:
        """What there is to tell, each as soon as it is known; a NulieError is a refusal."""
        if self._work is None:
            raise RuntimeError("it was started again before it was given this")
        try:
            # Ray sends into generators, which not all that can be iterated takes.
            yield from (content for content in self._work(chunk))
        except NulieError as e:
            yield e

    def cancel(self) -> None:
        self._cancel.set()


def _class(*, gpu: bool) -> Any:
    """Of actors, with what each is to have and what Ray does when it is lost."""
    import ray

    ray.method(num_returns="streaming", max_task_retries=0)(_Work.do)
    ray.method(concurrency_group="aside", max_task_retries=0)(_Work.cancel)
    return ray.remote(
        num_cpus=1, num_gpus=int(gpu), max_restarts=-1,
        max_task_retries=MOST_STARTS - 1,  # of `begin` alone
        concurrency_groups={"aside": 1}, scheduling_strategy="SPREAD",
        runtime_env={"env_vars": dict.fromkeys(_LIBRARIES, "1")},
    )(_Work)  # fmt: skip


class Actor:
    """One of them from its start, or from when it was lost, on; as `workers.Worker`."""

    def __init__(self, actor: Any, given: Any) -> None:
        self.actor = actor
        self.ready = False
        self.work: Any = None
        self.death = ""
        self.awaited: Any = actor.begin.remote(given)
        """What is heard next."""

    def do(self, work: Any, chunk: Any) -> None:
        self.work = work
        self.awaited = self.actor.do.remote(chunk)


class Actors:
    """As `workers.Workers`, in a Ray that was `joined`."""

    def __init__(
        self, task: Task, signs: Sequence[Path], count: int | None, *, most: int, gpu: bool
    ) -> None:
        """`signs` see `shared`; `count`: None for one a core or, with `gpu`, one a GPU; `most` at
        most. Raises: JobError where there is nothing to work with."""
        import ray

        there = gpus() if gpu else int(ray.cluster_resources().get("CPU", 0))
        if not there:
            raise JobError("the machines of this Ray offer no core; start one with --num-cpus")
        self.count = max(1, min(count or there, most))
        self._given: _Given = __version__, pickle.dumps(task), signs, sys.path, str(Path.cwd())
        self._gpu = gpu
        self._all: list[Actor] = []
        self._refusal: NulieError | None = None

    def __enter__(self) -> Actors:
        import ray

        made, self._sent = _class(gpu=self._gpu), ray.put(self._given)
        for _ in range(self.count):
            self._all.append(Actor(made.remote(), self._sent))
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def idle(self) -> list[Actor]:
        return [one for one in self._all if one.ready and one.work is None]

    def busy(self) -> list[Actor]:
        return [one for one in self._all if one.work is not None]

    def hear(self, seconds: float) -> list[tuple[Actor, Any]]:
        """As `Workers.hear`."""
        import ray

        if self._refusal is not None:
            raise self._refusal
        awaited = {id(one.awaited): one for one in self._all if one.awaited is not None}
        if not awaited:
            time.sleep(seconds)
            return []
        each = [one.awaited for one in awaited.values()]
        if ray.wait(each, timeout=seconds)[0]:
            each, _ = ray.wait(each, num_returns=len(each), timeout=0)
        else:
            each = []
        told = []
        for one in (awaited[id(found)] for found in each):
            try:
                content = ray.get(next(one.awaited) if one.ready else one.awaited)
            except StopIteration:
                one.work = one.awaited = None
                continue
            except ray.exceptions.RayError as e:
                one.death = _why(e)
                self._replace(one)
                told += [(one, None)] if one.ready else []
                continue
            if isinstance(content, NulieError):
                self._refusal = content  # after what was told before
            elif one.ready:
                told.append((one, content))
            else:
                one.ready, one.awaited = True, None
        return told

    def cancel(self) -> None:
        for one in self._all:
            one.actor.cancel.remote()

    def kill(self) -> None:
        import ray

        for one in self._all:
            ray.kill(one.actor)
        each = [one.awaited for one in self._all if one.awaited is not None]
        if each:
            ray.wait(each, num_returns=len(each), timeout=GRACE)
        self._all.clear()

    def _replace(self, one: Actor) -> None:
        """What was at work is waited for, as Ray starts it again; what did not even begin is given
        up."""
        number = self._all.index(one)
        if one.ready:
            _log.info("a worker is lost: %s", one.death)
            self._all[number] = Actor(one.actor, self._sent)
            return
        _log.warning("a worker is given up: %s", one.death)
        del self._all[number]
        if not self._all:
            raise ModelError(f"workers end before they begin ({one.death}); see Ray's logs")


def _why(error: Exception) -> str:
    """In a few words."""
    import ray

    if isinstance(error, ray.exceptions.RayTaskError):
        return str(error).strip().rpartition("\n")[2]
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return f"no answer in {PATIENCE:.0f} seconds"
    return "Ray has lost it"
