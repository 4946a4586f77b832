"""Models that stay loaded, so that whoever asks again has them at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from .download import Progress

MOST_LOADED = 2
"""Models kept, the last used ones; while others are being loaded one more, those included."""

Model = TypeVar("Model")
_Key = tuple[str, str, tuple[Path, ...]]


class Pool(Generic[Model]):
    """Loads each model once, whoever asks for it, and different ones at the same time."""

    def __init__(self, load: Callable[..., Model]) -> None:
        """`load(name, device=..., folders=..., progress=...)` makes a model."""
        self._load = load
        self._changed = threading.Condition()
        self._loaded: OrderedDict[_Key, Model] = OrderedDict()
        self._loading: dict[_Key, _Loading[Model]] = {}

    def get(
        self, name: str = "auto", device: str = "auto", *,
        folders: Sequence[Path] = (), progress: Progress | None = None,
    ) -> Model:  # fmt: skip
        """The model of that name. All who wait for it are told by their own `progress`, each in its
        own thread, how far a download is. Whoever raises there waits no longer; if it is the one
        that loads, the next takes over. Raises: what loading it raises."""
        key = (name, device, tuple(folders))

        def settled() -> bool:
            known = key in self._loaded or key in self._loading
            return known or len(self._loading) <= MOST_LOADED

        while True:
            with self._changed:
                self._changed.wait_for(settled)
                if key in self._loaded:
                    self._loaded.move_to_end(key)
                    return self._loaded[key]
                loading = self._loading.get(key)
                if loading is None:
                    mine = self._loading[key] = _Loading()
                    self._make_room(MOST_LOADED + 1 - len(self._loading))
            if loading is None:
                return self._fill(key, mine, progress)
            if self._follow(loading, progress):
                return loading.model.result()

    def ready(self, name: str, device: str, folders: Sequence[Path] = ()) -> bool:
        """Whether `get` would have nothing to load."""
        with self._changed:
            return (name, device, tuple(folders)) in self._loaded

    def clear(self) -> None:
        """Forgets all that are loaded, so that their memory can be freed."""
        with self._changed:
            self._loaded.clear()

    def _fill(self, key: _Key, loading: _Loading[Model], progress: Progress | None) -> Model:

        def tell(file: str, done: int, size: int) -> None:
            with self._changed:
                loading.news = (file, done, size)
                self._changed.notify_all()
            if progress is not None:
                try:
                    progress(file, done, size)
                except BaseException:
                    loading.abandoned = True
                    raise

        name, device, folders = key
        try:
            model = self._load(name, device=device, folders=folders, progress=tell)
        except BaseException as e:
            # Ctrl-C and the like are for this thread alone.
            loading.abandoned |= not isinstance(e, Exception)
            with self._changed:
                del self._loading[key]
                loading.model.set_exception(e)
                self._changed.notify_all()
            raise
        with self._changed:
            del self._loading[key]
            self._loaded[key] = model
            self._make_room(MOST_LOADED)
            loading.model.set_result(model)
            self._changed.notify_all()
        return model

    def _follow(self, loading: _Loading[Model], progress: Progress | None) -> bool:
        """Waits until it is over. Whether there is a result, be it an error."""
        told, over = None, loading.model.done
        while True:
            with self._changed:
                self._changed.wait_for(lambda: over() or loading.news != told)  # noqa: B023
                if over():
                    return not loading.abandoned
                told = loading.news
            if progress is not None and told is not None:
                progress(*told)

    def _make_room(self, most: int) -> None:
        while len(self._loaded) > most:
            self._loaded.popitem(last=False)


@dataclass
class _Loading(Generic[Model]):
    """A model on its way, as those see it who wait for it."""

    model: Future[Model] = field(default_factory=Future)
    news: tuple[str, int, int] | None = None
    abandoned: bool = False
    """Whether it ended because the one that loaded did not want it any more."""
