"""Models that stay loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from nulie.models.pool import MOST_LOADED, Pool

WAIT = 10.0


class Loader:
    """Loads when it is let, and tells what it is told to tell."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.held = 0
        """Loads under way."""
        self.most_held = 0
        self.gate = threading.Event()
        self.gate.set()
        self.news: list[tuple[str, int, int]] = []
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, name: str, *, progress: Callable[..., None], **_: Any) -> tuple[str, int]:
        with self._lock:
            self.begun.append(name)
            self.held += 1
            self.most_held = max(self.most_held, self.held)
        try:
            for news in self.news:
                progress(*news)
            assert self.gate.wait(WAIT)
            if self.error is not None:
                raise self.error
            return name, len(self.begun)
        finally:
            with self._lock:
                self.held -= 1


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def pool(loader: Loader) -> Pool[tuple[str, int]]:
    return Pool(loader)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


def until(holds: Callable[[], bool]) -> None:
    """Waits for what other threads bring about."""
    ready = threading.Event()
    for _ in range(int(WAIT * 200)):
        if holds():
            return
        ready.wait(0.005)
    raise AssertionError("it never came")


def test_a_model_is_loaded_once(
    loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    loader.gate.clear()
    models = [threads.submit(pool.get) for _ in range(5)]
    until(lambda: bool(loader.begun))
    assert not pool.ready("auto", "auto")
    loader.gate.set()
    assert {model.result(WAIT) for model in models} == {("auto", 1)}
    assert loader.begun == ["auto"]
    assert pool.ready("auto", "auto")
    assert not pool.ready("auto", "cpu")


def test_the_one_used_longest_ago_makes_room(loader: Loader, pool: Pool[Any]) -> None:
    names = [f"m{i}" for i in range(MOST_LOADED)]
    for name in names:
        pool.get(name)
    pool.get(names[0])
    pool.get("new")
    assert pool.ready(names[0], "auto")
    assert not pool.ready(names[1], "auto")
    pool.clear()
    assert not pool.ready("new", "auto")


def test_all_who_wait_are_told(
    loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    """Also who comes when the download has gone half its way; each in its own thread."""
    told: dict[int, list[tuple[str, int, int]]] = {i: [] for i in range(4)}
    who: dict[int, set[int]] = {i: set() for i in told}
    loader.gate.clear()
    loader.news = [("x.pth", 1, 2)]

    def ask(number: int) -> tuple[int, Any]:
        def progress(*news: Any) -> None:
            told[number].append(news)
            who[number].add(threading.get_ident())

        return threading.get_ident(), pool.get(progress=progress)

    first = threads.submit(ask, 0)
    until(lambda: bool(told[0]))
    others = [threads.submit(ask, i) for i in (1, 2, 3)]
    silent = threads.submit(pool.get)
    until(lambda: all(told.values()))
    loader.gate.set()
    for number, waiter in enumerate([first, *others]):
        thread, model = waiter.result(WAIT)
        assert who[number] == {thread}
        assert model == ("auto", 1)
        assert told[number] == [("x.pth", 1, 2)]
    assert silent.result(WAIT) == ("auto", 1)


def test_who_waits_may_go_without_harm(
    loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    def stop(*_: Any) -> None:
        raise KeyError("enough")

    loader.gate.clear()
    loader.news = [("x.pth", 1, 2)]
    first = threads.submit(pool.get)
    until(lambda: bool(loader.begun))
    with pytest.raises(KeyError):
        threads.submit(pool.get, progress=stop).result(WAIT)
    loader.gate.set()
    assert first.result(WAIT) == ("auto", 1)


def test_when_the_one_that_loads_goes_the_next_takes_over(
    loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    waiting = threading.Event()

    def stop(*_: Any) -> None:
        assert waiting.wait(WAIT)
        raise KeyError("enough")

    loader.news = [("x.pth", 1, 2)]
    first = threads.submit(pool.get, progress=stop)
    until(lambda: bool(loader.begun))
    told = threading.Event()
    second = threads.submit(pool.get, progress=lambda *_: told.set())
    assert told.wait(WAIT)
    waiting.set()
    with pytest.raises(KeyError):
        first.result(WAIT)
    assert second.result(WAIT) == ("auto", 2)


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_is_that_of_all_who_wait_but_an_interrupt_is_not(
    error: BaseException, loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    loader.gate.clear()
    loader.news = [("x.pth", 1, 2)]
    loader.error = error
    told = threading.Event()
    first = threads.submit(pool.get)
    until(lambda: bool(loader.begun))
    second = threads.submit(pool.get, progress=lambda *_: told.set())
    assert told.wait(WAIT)
    loader.gate.set()
    assert _outcome(first) is error
    if isinstance(error, ValueError):
        assert _outcome(second) is error
        assert loader.begun == ["auto"]
    else:
        _outcome(second)
        assert loader.begun == ["auto", "auto"]
    loader.error = None
    assert pool.get()[0] == "auto", "a failure is not kept"


def test_different_models_do_not_wait_for_each_other(
    loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    pool.get("quick")
    loader.gate.clear()
    slow = [threads.submit(pool.get, name) for name in ("slow", "slower")]
    until(lambda: loader.held == 2)
    if pool.ready("quick", "auto"):
        assert threads.submit(pool.get, "quick").result(WAIT) == ("quick", 1)
    loader.gate.set()
    assert {model.result(WAIT)[0] for model in slow} == {"slow", "slower"}


def test_never_are_there_more_than_one_beyond_the_bound(
    loader: Loader, pool: Pool[Any], threads: ThreadPoolExecutor
) -> None:
    for i in range(MOST_LOADED):
        pool.get(f"old{i}")
    loader.gate.clear()
    models = [threads.submit(pool.get, f"m{i}") for i in range(3 * MOST_LOADED)]

    def held() -> int:
        return loader.held + sum(pool.ready(f"old{i}", "auto") for i in range(MOST_LOADED))

    until(lambda: loader.held == MOST_LOADED + 1)
    threading.Event().wait(0.05)
    assert held() == MOST_LOADED + 1
    loader.gate.set()
    assert len({model.result(WAIT)[0] for model in models}) == 3 * MOST_LOADED
    assert loader.most_held == MOST_LOADED + 1
    assert sum(pool.ready(f"m{i}", "auto") for i in range(3 * MOST_LOADED)) == MOST_LOADED


def _outcome(future: Future[Any]) -> BaseException | None:
    return future.exception(WAIT)
