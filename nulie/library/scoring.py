"""The scores of a library's pictures, each read once for all times."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from .. import image_io
from ..errors import ImageError
from ..image_io import reason, shown_path
from ..jobs import cluster
from ..jobs.events import Event, Failed, Noted, Standing
from ..jobs.host import Host
from ..jobs.inputs import Item
from ..jobs.journal import Version, version_of
from ..jobs.plan import Choice
from ..jobs.queue import LARGEST, Queue
from ..jobs.score import Scored
from ..jobs.workers import Workers, cores, fitting
from ..predictor import CLIP_NAMES, exact_form, score_photos
from .judges import Judge, errors_key, judge_of
from .store import Known, Store

if TYPE_CHECKING:
    import torch

    from ..predictor import Predictor
    from ..predictor.clip import Clip

MANY = 64
"""Files from which the start of further processes pays."""
LOOK = 0.25
"""Seconds between two words on how it stands."""
DECODERS = 8
"""Threads at most that decode for one model."""
BY_CLIP = 256
"""Files in a chunk at most, of those that CLIP judges: each ends with a model that waits."""


@dataclass(frozen=True)
class Row:
    """A picture of the library."""

    item: Item
    score: float | None
    error: str
    predictor: str
    size: int = 0
    changed: int = 0
    """Time of change, ns since 1970."""

    @staticmethod
    def of(
        item: Item, score: float | None, error: str, predictor: str, version: Version = None
    ) -> Row:
        """`version` is that of the file, where it is known already."""
        return Row(item, score, error, predictor, *(version or version_of(item.path) or (0, 0)))


def row_of(event: Scored | Failed, predictor: str) -> Row:
    """The row that an event tells of; `predictor` was asked for."""
    if isinstance(event, Scored):
        return Row.of(event.item, event.score, "", event.predictor, event.version)
    return Row.of(event.item, None, event.text.removeprefix(f"{event.item.shown}: "), predictor)


@dataclass(frozen=True)
class _Read:
    """What came of a file: of its contents, or an error."""

    number: int
    version: Version = None
    digest: bytes | None = None
    score: float | None = None
    error: str = ""
    vector: Any = None
    known: bool = False
    """Whether the contents were known already."""


@dataclass(frozen=True)
class _Scoring:
    """The task of a worker: it reads, and judges what it has read. It tells of many at a time, for
    one takes milliseconds."""

    choice: Choice
    known: frozenset[bytes]
    by_clip: bool = False

    def begin(self, cancel: threading.Event) -> Callable[[Any], Iterator[list[_Read]]]:
        from ..jobs.host import load

        exact = exact_form(load(self.choice)[0])
        if self.by_clip:
            return lambda chunk: iter([list(_beside(exact, chunk, self.known))])
        return lambda chunk: self.work(exact, chunk)

    def work(self, exact: Predictor, chunk: Iterable[tuple[int, Path]]) -> Iterator[list[_Read]]:
        batch = []
        for number, path in chunk:
            read, preview = look(number, path, exact.input_size, self.known)
            if preview is None:
                yield [read]
            else:
                batch.append((read, preview))
        for at in range(0, len(batch), exact.batch_size):
            rows = batch[at : at + exact.batch_size]
            scores = score_photos(exact, [preview for _, preview in rows])
            yield [
                replace(read, score=worth) for (read, _), worth in zip(rows, scores, strict=True)
            ]


def look(
    number: int, path: Path, size: int, known: frozenset[bytes] | set[bytes]
) -> tuple[_Read, torch.Tensor | None]:
    """Reads a file: its digest, and its preview unless that is known or it cannot be read."""
    from ..transforms.preview import shrink

    version = version_of(path)
    shown = shown_path(path)
    try:
        if not path.is_file():
            image_io.load(path)  # has the words for it
        data = path.read_bytes()
    except ImageError as e:
        return _Read(number, error=str(e).removeprefix(f"{shown}: ")), None
    except (OSError, ValueError) as e:
        return _Read(number, error=f"cannot be opened ({reason(e)}); check its name"), None
    digest = hashlib.blake2b(data, digest_size=16).digest()
    if digest in known:
        return _Read(number, version, digest, known=True), None
    try:
        # A preview is made of at least four times its pixels.
        photo = image_io.load(BytesIO(data), name=shown, least=2 * size)
        return _Read(number, version, digest), shrink(photo.pixels, size)
    except ImageError as e:
        return _Read(number, version, digest, error=str(e).removeprefix(f"{shown}: ")), None


class Scoring:
    """Iterate over `events()` once."""

    def __init__(
        self, items: Sequence[Item], choice: Choice, host: Host, store: Store,
        workers: int | None, ray: str | None = None,
    ) -> None:  # fmt: skip
        """`workers`: None for as many as fit; `ray`: the address of a cluster that is to do it."""
        self.items = tuple(items)
        self._ray = ray
        self._choice, self._host, self._store, self._workers = choice, host, store, workers
        self._over = self._failed = 0
        self._loaded: Predictor | None = None

    def events(self) -> Generator[Event | Standing, None, None]:
        """`Scored` or `Failed` of each file, and how it stands. Raises: ModelError, LibraryError,
        WeightsError."""
        if not self.items:
            return
        yield from self._choose()
        self._judge = judge_of(self._choice)
        self._versions = [version_of(item.path) for item in self.items]
        digests = self._quick_look()
        known = self._known(digests)
        yield from self._notes()
        left = []
        for number, digest in enumerate(digests):
            if digest is not None and digest in known:
                found = known[digest]
                yield self._row(number, self._versions[number], found.score, found.error)
            else:
                left.append(number)
        self._began, self._before, self._told_at = monotonic(), self._over, 0.0
        for read in self._reads(left, frozenset(known)) if left else ():
            if isinstance(read, Event):
                yield read
                continue
            score: float | None = read.score
            error: str | None = read.error
            if read.known:
                assert read.digest is not None
                score, error = known[read.digest].score, known[read.digest].error
            self._keep(read)
            yield self._row(read.number, read.version, score, error)
            if monotonic() - self._told_at > LOOK:
                self._told_at = monotonic()
                yield self._standing()
        self._store.commit(now=True)
        yield from self._notes()

    def _notes(self) -> Iterator[Noted]:
        while self._store.notes:
            yield Noted(self.items[0], self._store.notes.pop(0))

    def _choose(self) -> Generator[Event, None, None]:
        """A library's scores are to be compared: `auto` is whoever judged it first."""
        if self._choice.name == "auto":
            name = self._store.about("predictor")
            if name is None:
                name = (yield from self._load()).name
            self._choice = replace(self._choice, name=name)
        if self._store.about("predictor") is None:
            self._store.set_about("predictor", self._choice.name)

    def _load(self) -> Generator[Event, None, Predictor]:
        if self._loaded is None:
            self._loaded, note = yield from self._host.predictor(self.items[0], self._choice)
            if note:
                yield Noted(self.items[0], note)
        return self._loaded

    def _quick_look(self) -> list[bytes | None]:
        """The digests of files that are as they were when they were read."""
        known = self._store.files()
        digests: list[bytes | None] = []
        for item, version in zip(self.items, self._versions, strict=True):
            found = known.get(_key(item))
            same = found is not None and version == found[:2]
            digests.append(found[2] if found is not None and same else None)
        return digests

    def _known(self, digests: Sequence[bytes | None]) -> dict[bytes, Known]:
        """Scores and errors by digest. A score whose embedding is gone is none: the picture is read
        again, so that there is one for whoever asks next."""
        errors, kind = self._store.scores(errors_key()), self._judge.vectors
        scores = self._store.scores(self._judge.scores) if self._judge.scores else {}
        if not kind:
            return errors | scores
        there = self._store.with_vectors(kind)
        # Of a file that is yet to be read nobody knows what is in it.
        asked = there if None in digests else there.intersection(filter(None, digests))
        if wanted := asked - scores.keys():
            scores |= self._by_head(wanted)
            there = self._store.with_vectors(kind)  # damaged ones have gone meanwhile
        return errors | {digest: one for digest, one in scores.items() if digest in there}

    def _by_head(self, wanted: set[bytes]) -> dict[bytes, Known]:
        """Scores of embeddings that are kept, by a head that has not seen them yet."""
        weight, bias = _head(self._judge)
        found: dict[bytes, Known] = {}
        for names, vectors in self._store.vectors(self._judge.vectors):
            scores = (vectors.astype("f4") @ weight + bias).tolist()
            judged = zip(names, scores, strict=True)
            found |= {digest: Known(score, None) for digest, score in judged if digest in wanted}
        self._store.put_scores(self._judge.scores, found)
        return found

    def _reads(self, left: Sequence[int], known: frozenset[bytes]) -> Iterator[_Read | Event]:
        files = [(number, self.items[number].path) for number in left]
        count = min(self._workers or fitting(), len(files))
        clip = self._choice.name in CLIP_NAMES or bool(self._judge.vectors)
        if self._ray is not None:
            yield from self._by_ray(_Scoring(self._choice, known, clip), files, self._ray)
            return
        if clip:
            predictor = yield from self._load()
            yield from _beside(exact_form(predictor), files, known)
            return
        task = _Scoring(self._choice, known)
        few = len(files) < MANY if self._workers is None else count == 1
        if few or count == 1 or self._choice.device not in ("auto", "cpu"):
            predictor = yield from self._load()
            yield from _here(task, exact_form(predictor), files)
        else:
            with Workers(task, count) as workers:
                yield from _in_workers(workers, files, LARGEST)

    def _by_ray(
        self, task: _Scoring, files: Sequence[tuple[int, Path]], address: str
    ) -> Iterator[_Read]:
        gpu = task.by_clip and self._choice.device in ("auto", "cuda")
        roots = {item.path.parents[len(item.folder.parts)]: item.path for item in self.items}
        seen = {path: version_of(path) for path in roots.values() if path.is_file()}
        with cluster.joined(address), cluster.shared([], seen, ""):
            gpu = gpu and cluster.gpus() > 0
            with cluster.Actors(task, [], self._workers, most=len(files), gpu=gpu) as workers:
                yield from _in_workers(workers, files, BY_CLIP if task.by_clip else LARGEST)

    def _keep(self, read: _Read) -> None:
        if read.digest is None or read.version is None:
            return
        self._store.put_file(_key(self.items[read.number]), *read.version, read.digest)
        if not read.known:
            if read.error:
                self._store.put_score(errors_key(), read.digest, None, read.error)
            elif self._judge.scores:
                self._store.put_score(self._judge.scores, read.digest, read.score)
            if read.vector is not None and self._judge.vectors:
                self._store.put_vector(self._judge.vectors, read.digest, read.vector)
        self._store.commit()

    def _row(self, number: int, version: Version, score: float | None, error: str | None) -> Event:
        item, name = self.items[number], self._choice.name
        self._over += 1
        if score is None:
            self._failed += 1
            return Failed(item, f"{item.shown}: {error or ''}")
        return Scored(item, score, name, version)

    def _standing(self) -> Standing:
        spent = max(monotonic() - self._began, 1e-9)
        left, rate = len(self.items) - self._over, (self._over - self._before) / spent
        return Standing(self._over - self._failed, self._failed, left, rate)


def _here(task: _Scoring, exact: Predictor, files: Sequence[tuple[int, Path]]) -> Iterator[_Read]:
    for at in range(0, len(files), exact.batch_size):
        for reads in task.work(exact, files[at : at + exact.batch_size]):
            yield from reads


def _beside(
    exact: Any, files: Sequence[tuple[int, Path]], known: frozenset[bytes]
) -> Iterator[_Read]:
    """Pictures are read in threads while the model is at work."""
    size = exact.input_size
    waiting: deque[Future[tuple[_Read, torch.Tensor | None]]] = deque()
    rest = iter(files)
    batch: list[tuple[_Read, torch.Tensor]] = []
    with ThreadPoolExecutor(min(DECODERS, cores() + 1)) as pool:
        try:
            while True:
                while len(waiting) < 2 * exact.batch_size + DECODERS:
                    file = next(rest, None)
                    if file is None:
                        break
                    waiting.append(pool.submit(look, *file, size, known))
                if waiting:
                    read, preview = waiting.popleft().result()
                    if preview is None:
                        yield read
                    else:
                        batch.append((read, preview))
                if len(batch) == exact.batch_size or (batch and not waiting):
                    yield from _judged(exact, batch)
                    batch.clear()
                if not waiting and not batch:
                    return
        finally:
            for future in waiting:
                future.cancel()


def _judged(exact: Clip, batch: Sequence[tuple[_Read, torch.Tensor]]) -> Iterator[_Read]:
    described = exact.describe([preview for _, preview in batch])
    scores = exact.mark(described).tolist()
    vectors = described.cpu().numpy()
    for (read, _), score, vector in zip(batch, scores, vectors, strict=True):
        yield replace(read, score=score, vector=vector)


def _in_workers(
    workers: Workers | cluster.Actors, files: Sequence[tuple[int, Path]], largest: int
) -> Iterator[_Read]:
    queue = Queue([(place,) for place in range(len(files))], workers.count, largest)
    over = [False] * len(files)
    places = {number: place for place, (number, _) in enumerate(files)}
    left = len(files)
    while left:
        for one in workers.idle():
            if chunk := queue.next():
                one.do(chunk, [files[place] for place in chunk])
        for one, reads in workers.hear(LOOK):
            if reads is None:
                rest = tuple(place for place in one.work or () if not over[place])
                aside = queue.died(rest) if rest else None
                if aside is None:
                    continue
                said = f"has ended its worker twice ({one.death}) and is set aside"
                reads = [_Read(files[aside][0], error=said)]
            for read in reads:
                over[places[read.number]] = True
                left -= 1
                yield read


def _head(judge: Judge) -> tuple[Any, float]:
    """Weight and bias of the head of a judge, read or fetched."""
    from ..models.store import obtain
    from ..predictor import heads
    from ..predictor.published import WEIGHTS

    return heads.affine(judge.head or obtain(WEIGHTS[judge.part]))


def _key(item: Item) -> str:
    return str(item.path.absolute())
