"""Many files over several workers, and jobs that go on where they were ended."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import JobError, PlaceError, SettingsError
from ..image_io import atomic, reason, shown_path
from ..models import digests
from ..predictor import CLIP_NAMES
from . import journal, names, plan, values
from . import workers as crews
from .events import (
    Amiss,
    Begun,
    Done,
    Ended,
    Event,
    Failed,
    Filmed,
    Filming,
    Held,
    Noted,
    Planned,
    Skipped,
    Standing,
)
from .host import Film, Host
from .inputs import Item, is_film
from .job import Job
from .journal import ASIDE, CHANGED, DONE, FAILED, Journal, Version
from .plan import Plan, restorers
from .queue import Chunk, Queue, grouped
from .worker import Send
from .workers import AUTO, Worker, Workers

if TYPE_CHECKING:
    from ..models.download import Progress
    from ..predictor import Predictor

MANY = 4
"""Files from which the start of further processes pays."""
LOOK = 0.25
"""Seconds between two words on how it stands."""
_OF_ONE = "output", "save_recipe", "report", "checkpoint"
_TOLD = Noted, Planned, Skipped, Amiss, Failed, Done, Filmed, Filming, Held
_KEPT = ".film", ".part"
"""Of films, as long as the job is not done."""


@dataclass(frozen=True)
class _Handed:
    """What a worker is given: files with their numbers and versions, and the results of others
    whose names theirs might be."""

    files: tuple[tuple[int, Item, Version], ...]
    taken: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Enhancing:
    """The task of a worker."""

    plan: Plan
    inputs: tuple[Path | None, ...]
    owner: str
    film: Film | None = None
    """See `Host.film`."""

    def begin(self, send: Send, cancel: threading.Event) -> Callable[[_Handed], None]:
        atomic.owner = self.owner
        loaded: list[tuple[Predictor, str]] = []

        def load(choice: Any, progress: Progress | None) -> tuple[Predictor, str]:
            if not loaded:
                from .host import load as found

                loaded.append((found(choice, progress)[0], ""))
            return loaded[0]

        plan = self.plan
        if plan.search or plan.judge_recipe:
            from . import picture  # noqa: F401  # before the first file, and its clock

            if plan.like is None and (plan.recipe is None or plan.judge_recipe):
                load(plan.choice, None)
        host = Host(load=load, models=restorers(plan), film=self.film)
        own = names.Names(self.inputs, overwrite=plan.results.overwrite)

        def work(chunk: _Handed) -> None:
            for path in chunk.taken:
                own.add(path)
            for number, item, version in chunk.files:
                if cancel.is_set():
                    break
                self._one(number, item, version, host, own, send, cancel)

        return work

    def _one(
        self, number: int, item: Item, version: Version, host: Host, own: names.Names, send: Send,
        cancel: threading.Event,
    ) -> None:  # fmt: skip
        if self.plan.results.job and journal.version_of(item.path) not in (version, None):
            said = f"{item.shown}: has changed since the job began; the next run does it"
            send((number, Failed(item, said), CHANGED))
            return
        state = ""
        for event in Job([item], self.plan, host, cancel=cancel, names=own).events():
            if isinstance(event, Done):
                event = replace(event, outcome=event.outcome.told())
            if isinstance(event, (Done, Filmed, Skipped, Planned)):
                state = DONE
            if isinstance(event, Failed):
                now = journal.version_of(item.path)
                state = CHANGED if self.plan.results.job and now not in (version, None) else FAILED
            if isinstance(event, _TOLD):
                send((number, event, ""))
        send((number, None, state))


@dataclass
class _File:
    """What became of one so far."""

    told: list[Event] = field(default_factory=list)
    state: str = ""
    over: bool = False


class ParallelJob:
    """As `Job`, over several workers; with a journal it goes on where it was ended."""

    def __init__(
        self, items: Sequence[Item], plan: Plan, host: Host, workers: int | str = AUTO, *,
        journal: Path | None = None, cancel: threading.Event | None = None, retry: bool = False,
        told: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """`told` are the plain values that the plan was made of, for the journal; with `retry` what
        has failed is done once more."""
        self.items = tuple(items)
        self.plan = plan
        self.cancel = cancel or threading.Event()
        self._host, self._wanted = host, workers
        self._path, self._retry, self._told = journal, retry, told
        self._journal: Journal | None = None
        self._started = 0.0
        self._before = self._failed_before = 0
        self._stopped = ""

    def events(self) -> Generator[Event | Standing | Ended, None, None]:
        """Those of each file together, in the order of the files, and how all stands. Raises:
        ModelError when there is nobody to judge, JobError when the journal does not allow it."""
        with ExitStack() as stack:
            items: list[tuple[Item, Version]] = [(item, None) for item in self.items]
            if self._path is not None:
                self._journal = stack.enter_context(journal.drive(self._path))
                # Before anything is loaded, for most second starts have little to do.
                items = self._begin(self._journal)
            if items:
                yield from self._choose(items[0][0])
            self._files = items
            yield from self._run()

    def _begin(self, written: Journal) -> list[tuple[Item, Version]]:
        settings = described(self.plan)
        written.begin(settings)
        if self._told is not None:
            written.keep("told", {"folder": str(Path.cwd()), **values.kept(self._told)})
        results = self.plan.results
        lies_on = None
        if results.output_dir is not None:
            try:
                results.output_dir.mkdir(parents=True, exist_ok=True)
                lies_on = results.output_dir.stat().st_dev
            except OSError as e:
                shown = shown_path(results.output_dir)
                raise JobError(f"{shown}: no folder for results ({reason(e)})") from None
        job = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()
        self.plan = replace(self.plan, results=replace(results, job=job, lies_on=lies_on))
        left = written.plan(self.items, retry=self._retry)
        state = written.state()
        self._failed_before = state.failed
        self._before = sum(state.counts.values()) - len(left) - state.failed
        return left

    def _choose(self, first: Item) -> Generator[Event, None, None]:
        """Who judges is found out once, and what is missing is downloaded once, before there are
        workers."""
        plan = self.plan
        judged = plan.search if plan.recipe is None else plan.judge_recipe
        # Those that may have files to be fetched.
        fetched = {*plan.choice.name.split("+")} & {"auto", "retouch", *CLIP_NAMES}
        if not judged or plan.like is not None or not fetched:
            return
        if plan.choice.name == "auto" and self._journal and (known := self._journal.kept("judge")):
            plan = replace(plan, choice=replace(plan.choice, name=known))
        predictor, note = yield from self._host.predictor(first, plan.choice)
        if note:
            yield Noted(first, note)
        if plan.choice.name == "auto":
            plan = replace(plan, choice=replace(plan.choice, name=predictor.name))
            if self._journal is not None:
                self._journal.keep("judge", predictor.name)
        self.plan = plan

    def _run(self) -> Generator[Event | Standing | Ended, None, None]:
        files, results = self._files, self.plan.results
        count, devices = _crew(self.plan, self._wanted, len(files))
        keys = [_key(item, self.plan) for item, _ in files]
        self._all = [_File() for _ in files]
        self._queue = Queue(grouped(keys), count)
        self._keys, self._taken = keys, dict[Any, list[Path]]()
        owner = results.job[:12] or secrets.token_hex(6)
        inputs = [item.path for item in self.items] if results.overwrite else []
        task = _Enhancing(self.plan, (*inputs, *self.plan.inputs()), owner, self._host.film)
        kinds = ("done", "failed", "skipped", "amiss", "written")
        self._ended: dict[str, list[Any]] = {kind: [] for kind in kinds}
        self._next, self._over, self._told_at = 0, 0, 0.0
        self._started = time.monotonic()
        if self._journal is not None:
            self._sweep(owner)
        try:
            if files:
                with Workers(task, count, devices=devices) as workers:
                    yield from self._drive(workers)
                yield from self._in_order(rest=True)
        finally:
            self._sweep(owner)
            if self._journal is not None:
                self._record_all()
                counts = self._journal.state().counts
                if not counts.keys() - {DONE}:
                    self._sweep(owner, *_KEPT)
        yield self._end()

    def _drive(self, workers: Workers) -> Generator[Event | Standing, None, None]:
        stopping = False
        while self._over < len(self._all) and not self._stopped:
            if self.cancel.is_set() and not stopping:
                if self._journal is not None:
                    return  # a result that is cut short is none of the job's
                workers.cancel()
                stopping = True
            if not stopping:
                for one in workers.idle():
                    if chunk := self._queue.next():
                        one.do(chunk, self._handed(chunk))
            elif not workers.busy():
                return
            try:
                heard = workers.hear(LOOK)
            except PlaceError as e:
                self._stopped = str(e)
                return
            for one, content in heard:
                if content is None:
                    self._bury(one)
                else:
                    yield from self._take(*content)
            yield from self._in_order()
            yield from self._commit()
            if time.monotonic() - self._told_at > LOOK:
                self._told_at = time.monotonic()
                yield self._standing()

    def _handed(self, chunk: Chunk) -> _Handed:
        taken = (path for number in chunk for path in self._taken.get(self._keys[number], ()))
        return _Handed(tuple((n, *self._files[n]) for n in chunk), tuple(taken))

    def _take(self, number: int, event: Event | None, state: str) -> Generator[Event, None, None]:
        one = self._all[number]
        if event is not None:
            event = replace(event, item=self._files[number][0])
            if isinstance(event, (Held, Filming)):
                yield event
                return
            one.told.append(event)
            if isinstance(event, (Done, Filmed)):
                self._taken.setdefault(self._keys[number], []).extend(event.written)
        if event is None or state:
            self._finish(number, state)

    def _finish(self, number: int, state: str) -> None:
        one = self._all[number]
        one.over, one.state = True, state
        self._over += 1
        if self._journal is not None and state:
            texts = [e.text for e in one.told if isinstance(e, (Failed, Amiss))]
            paths = [p for e in one.told for p in getattr(e, "written", ())]
            paths += [e.result for e in one.told if isinstance(e, Skipped)]
            self._journal.record(self._files[number][0], state, "; ".join(texts), paths)

    def _bury(self, dead: Worker) -> None:
        """What is left of the chunk of a worker that has ended is done again."""
        if dead.work is None:
            return
        rest = tuple(number for number in dead.work if not self._all[number].over)
        for number in rest:
            self._all[number].told.clear()
        if rest and (aside := self._queue.died(rest)) is not None:
            item = self._files[aside][0]
            said = f"{item.shown}: has ended its worker twice ({dead.death}) and is set aside"
            self._all[aside].told.append(Failed(item, said))
            self._finish(aside, ASIDE)

    def _in_order(self, *, rest: bool = False) -> Generator[Event, None, None]:
        """What was told of files that are over, up to the first that is not; with `rest`, of all of
        them."""
        while self._next < len(self._all) and (rest or self._all[self._next].over):
            one, (item, _) = self._all[self._next], self._files[self._next]
            self._next += 1
            if not one.over:
                continue
            yield Begun(item, self._next, len(self._all))
            for event in one.told:
                self._count(event)
                yield event
            one.told = []

    def _count(self, event: Event) -> None:
        kinds = {
            Done: "done",
            Filmed: "done",
            Planned: "done",
            Failed: "failed",
            Skipped: "skipped",
            Amiss: "amiss",
        }
        kind = kinds.get(type(event))
        if kind is not None:
            self._ended[kind].append(event.item)
        if isinstance(event, (Done, Filmed)):
            self._ended["written"] += event.written

    def _commit(self) -> Generator[Event, None, None]:
        """The rows that wait. A disk that is full is waited for."""
        if self._journal is None:
            return
        until = time.monotonic() + self.plan.results.wait
        while True:
            try:
                self._journal.commit()
                return
            except OSError as e:
                if time.monotonic() > until or self.cancel.is_set():
                    self._stopped = str(e)
                    return
                yield Held(self._files[0][0], str(e))
            time.sleep(LOOK)

    def _record_all(self) -> None:
        assert self._journal is not None
        try:
            self._journal.commit(now=True)
        except OSError as e:
            self._stopped = str(e)

    def _standing(self) -> Standing:
        failed = sum(one.state in (FAILED, ASIDE, CHANGED) for one in self._all)
        spent = time.monotonic() - self._started
        rate = self._over / spent if self._over and spent else 0.0
        left = len(self._all) - self._over
        done = self._before + self._over - failed
        return Standing(done, self._failed_before + failed, left, rate)

    def _end(self) -> Ended:
        ended = self._ended
        over = {item for name in ("done", "failed", "skipped") for item in ended[name]}
        left = tuple(item for item, _ in self._files if item not in over)
        return Ended(
            tuple(ended["done"]), tuple(ended["failed"]), left, tuple(ended["written"]),
            tuple(ended["skipped"]), tuple(ended["amiss"]), self._stopped,
            self._before, self._failed_before,
        )  # fmt: skip

    def _sweep(self, owner: str, *kinds: str) -> None:
        results = self.plan.results
        # Of all files: a worker may have been killed at the last one of a folder.
        folders = {
            results.output_dir / item.folder if results.output_dir else item.path.parent
            for item in self.items
        }
        for folder in folders:
            atomic.sweep(folder, owner, *kinds)


def job(
    items: Sequence[Item], plan: Plan, host: Host, *, workers: int | str = AUTO,
    journal: Path | None = None, told: Mapping[str, Any] | None = None,
) -> Job | ParallelJob:  # fmt: skip
    """The job over so many files: with a journal or many files over workers, else here. Raises:
    SettingsError."""
    count = crews.number(workers)
    results = plan.results
    if journal is not None:
        given = {name: getattr(results, name) for name in _OF_ONE} | {"resume": plan.resume_file}
        for name in (name for name, value in given.items() if value):
            option = name.replace("_", "-")
            raise SettingsError(f"--job is for many images; leave --{option} out")
        if any(item.name for item in items):
            raise SettingsError("--job is for files and folders, not for a pipe")
        if plan.same and not all(is_film(item.path) for item in items):
            raise SettingsError("--job is for photos one by one; leave out --same")
        if plan.video.keep_part:
            raise SettingsError("--job goes on with what is written; leave out --keep-part")
    # A film keeps all cores busy, and a series has one search.
    if any(is_film(item.path) for item in items):
        if journal is not None and not results.dry_run:
            return ParallelJob(items, plan, host, count or 1, journal=journal, told=told)
        return Job(items, plan, host)
    if plan.same:
        return Job(items, plan, host)
    if results.dry_run or plan.resume_file or (journal is None and len(items) < 2):
        return Job(items, plan, host)
    if journal is None and (len(items) < MANY if count is None else count == 1):
        return Job(items, plan, host)
    if journal is None and count is None and _crew(plan, AUTO, len(items))[0] == 1:
        return Job(items, plan, host)
    return ParallelJob(items, plan, host, count or AUTO, journal=journal, told=told)


def described(plan: Plan) -> dict[str, Any]:
    """What the results of a plan depend on, by the names of options, as JSON has it."""
    results, choice = plan.results, plan.choice
    said: dict[str, Any] = {
        **asdict(plan.settings),
        **{f"restore {name}": value for name, value in asdict(plan.restoration).items()},
        "recipe": plan.recipe and plan.recipe.to_json(),
        "shots": [shot.data() for shot in plan.shots],
        "predictor": choice.name, "precision": choice.precision, "views": choice.views,
        "device": choice.device, "search": plan.search, "strength": plan.strength,
        "format": results.suffix, "quality": results.quality, "keep_dates": results.keep_dates,
        "output_dir": results.output_dir and str(results.output_dir.absolute()),
        "codec": plan.video.codec, "crf": plan.video.crf, "same": plan.same,
        "version": __version__,
    }  # fmt: skip
    if plan.like is not None:
        said["like"] = hashlib.sha256(plan.like.pixels.tobytes()).hexdigest()
    files = {"head": choice.head, "clip_weights": choice.clip_weights, "predictor": choice.name}
    files |= {f"model {name}": name for name in plan.restoration.models}
    for name, file in files.items():
        if file is not None and Path(file).is_file():
            path = Path(file)
            said[name] = digests.recall(path) or digests.remember(path, digests.compute(path))
    return {name: _plain(value) for name, value in said.items()}


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _crew(plan: Plan, wanted: int | str, files: int) -> tuple[int, list[str]]:
    """How many workers, and the GPU of each where there are some."""
    named = plan.choice.name.split("+")
    small = plan.like is not None or not {*named} & {*CLIP_NAMES, "auto"}
    gpus: list[str] = []
    if plan.choice.device in ("auto", "cuda") and not (small and plan.choice.device == "auto"):
        import torch

        if torch.cuda.is_available():
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            gpus = (
                visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))
            )
    if wanted != AUTO:
        count = int(wanted)
    elif gpus:
        count = len(gpus)
    elif {*named} & {*CLIP_NAMES} or plan.choice.device not in ("auto", "cpu"):
        count = 1  # its products of matrices keep all cores busy
    else:
        count = crews.fitting()
    count = max(1, min(count, files))
    return count, [gpus[number % len(gpus)] for number in range(count)] if gpus else []


def _key(item: Item, plan: Plan) -> tuple[Path, str]:
    """Files with the same one may get results of the same name."""
    folder = plan.results.output_dir
    place = folder / item.folder if folder else item.path.parent
    return place, item.path.stem.casefold()


def resumed(
    items: Sequence[Item], told: Mapping[str, Any], host: Host, *,
    workers: int | str, journal: Path,
) -> ParallelJob:  # fmt: skip
    """A job that goes on with what its journal was told, and does once more what has failed."""
    wanted = plan.plan(values.unkept(told), files=len(items))
    films = any(is_film(item.path) for item in items)
    count = crews.number(workers) or (1 if films else AUTO)
    return ParallelJob(items, wanted, host, count, journal=journal, retry=True)
