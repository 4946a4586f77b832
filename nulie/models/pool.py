"""Models that stay loaded, so that whoever asks again has them at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from .download import Progress

MOST_LOADED = 2
"""Models kept in memory; the one that was used longest ago goes first."""

Loaded = TypeVar("Loaded")


class Pool(Generic[Loaded]):
    """Loads each model once, whoever asks for it."""

    def __init__(self, load: Callable[..., Loaded]) -> None:
        """`load(name, device=..., folders=..., progress=...)` loads a model."""
        self._load = load
        self._lock = threading.Lock()
        self.download: tuple[str, int, int] | None = None
        """File name, bytes done and bytes in all of what is being downloaded."""
        self._loaded: OrderedDict[tuple[str, str, tuple[Path, ...]], Loaded] = OrderedDict()

    def get(
        self,
        name: str = "auto",
        device: str = "auto",
        *,
        folders: Sequence[Path] = (),
        progress: Progress | None = None,
    ) -> Loaded:
        """The model of that name. Raises: what loading it raises."""

        def tell(file: str, done: int, size: int) -> None:
            self.download = (file, done, size)
            if progress is not None:
                progress(file, done, size)

        key = (name, device, tuple(folders))
        with self._lock:
            if key not in self._loaded:
                try:
                    self._loaded[key] = self._load(
                        name, device=device, folders=folders, progress=tell
                    )
                finally:
                    self.download = None
                while len(self._loaded) > MOST_LOADED:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def ready(self, name: str, device: str, folders: Sequence[Path] = ()) -> bool:
        """Whether `get` would have nothing to load."""
        return (name, device, tuple(folders)) in self._loaded

    def clear(self) -> None:
        """Forgets all of them, so that their memory can be freed."""
        with self._lock:
            self._loaded.clear()
