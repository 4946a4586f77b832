"""Progress bars on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..jobs.events import Searching

SHORTEST = 0.1
"""Seconds between two looks of the bar; a batch may take less than a hundredth."""


class Bar:
    """The bar of one search after the other."""

    def __init__(self, *, hide: bool) -> None:
        self._hide = hide or not _on_terminal()
        self._bar: tqdm[None] | None = None

    def show(self, event: Searching) -> None:
        if self._hide:
            return
        if self._bar is None:
            self._bar = tqdm(
                total=1.0,
                desc=event.item.file_name,
                file=sys.stderr,
                mininterval=SHORTEST,
                leave=False,
                bar_format="{desc} |{bar}| {postfix}",
            )
        self._bar.n = event.share
        self._bar.postfix = (
            f"{event.seconds:.0f} s, {event.evaluations:,} nodes, {event.rate:,.0f}/s,"
            f" best {event.best:.2f} ({event.best - event.base:+.2f})"
        )
        self._bar.update(0)

    def close(self) -> None:
        """The search is over; another one may begin."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def shares(*, hide: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar that is told what is going on and the share of it that is done, 0..1."""
    with tqdm(
        total=1.0,
        file=sys.stderr,
        mininterval=SHORTEST,
        leave=False,
        disable=hide or not _on_terminal(),
        bar_format="{desc} |{bar}| {percentage:.0f} %",
    ) as bar:

        def show(what: str, share: float) -> None:
            if bar.disable:
                return
            if what != bar.desc:
                bar.set_description_str(what, refresh=False)
            bar.n = min(1.0, share)
            bar.update(0)

        yield show


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
