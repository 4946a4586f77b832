"""Progress bars on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..jobs.events import Filming, Restoring, Searching, Standing

SHORTEST = 0.1
"""Seconds between two looks of the bar; a batch may take less than a hundredth."""

Download = Callable[[str, int, int], None]
"""Is told (name, bytes done, bytes in all)."""


class Bar:
    def __init__(self, *, hide: bool) -> None:
        self._hide = hide or not _on_terminal()
        self._bar: tqdm[None] | None = None
        self.place = ""
        """Before the file's name: which of how many it is."""

    def show(self, event: Searching | Restoring | Filming) -> None:
        if self._hide:
            return
        self._bar = self._bar or _of_share(self.place + event.item.file_name, "{postfix}")
        self._bar.n = event.share
        self._bar.postfix = event.words
        if isinstance(event, Searching):
            self._bar.postfix = (
                f"{event.seconds:.0f} s, {event.evaluations:,} nodes, {event.rate:,.0f}/s,"
                f" best {event.best:.2f} ({event.gain:+.2f})"
            )
        self._bar.update(0)

    def stand(self, standing: Standing) -> None:
        """Of a job over many files."""
        if self._hide:
            return
        self._bar = self._bar or _of_share(None, "{postfix}")
        self._bar.n = standing.share
        self._bar.postfix = standing.words
        self._bar.update(0)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def shares(*, hide: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar that is told what is going on and the share of it that is done, 0..1."""
    with _of_share(None, "{percentage:.0f} %", hide=hide or not _on_terminal()) as bar:

        def show(what: str, share: float) -> None:
            if bar.disable:
                return
            if what != bar.desc:
                bar.set_description_str(what, refresh=False)
            bar.n = min(1.0, share)
            bar.update(0)

        yield show


@contextmanager
def download_bar(*, hide: bool) -> Iterator[Download]:
    bars: dict[str, tqdm[None]] = {}
    hidden = hide or not _on_terminal()

    def show(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(
                desc=name, total=total, unit="B", unit_scale=True, unit_divisor=1024,
                file=sys.stderr, disable=hidden,
            )  # fmt: skip
            if hidden and not hide and done < total and sys.stderr is not None:
                print(f"downloading {name} ({total / 2**20:,.0f} MiB)", file=sys.stderr, flush=True)
        bars[name].n = done
        bars[name].update(0)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def _of_share(what: str | None, figures: str, *, hide: bool = False) -> tqdm[None]:
    return tqdm(
        desc=what, total=1.0, mininterval=SHORTEST, leave=False, file=sys.stderr, disable=hide,
        bar_format=f"{{desc}} |{{bar}}| {figures}",
    )  # fmt: skip


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
