"""A run's events as a progress bar on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..engine import Event, Finished, Noted, Result, Started
from ..recipe.settings import Settings
from ..search import Improved

SHORTEST = 0.1
"""Seconds between two looks of the bar; a batch may take less than a hundredth."""


def follow(
    events: Generator[Event, None, None], name: str, settings: Settings, *, hide: bool
) -> Result:
    """Consumes a run's events and returns its result. The bar shows on a terminal only."""
    by_time = settings.seconds is not None
    with tqdm(
        total=settings.seconds if by_time else settings.evaluations,
        desc=name,
        file=sys.stderr,
        mininterval=SHORTEST,
        leave=False,
        disable=hide or not _on_terminal(),
        bar_format="{desc} |{bar}| {postfix}",
    ) as bar:
        base = best = 0.0
        for event in events:
            if isinstance(event, Finished):
                return event.result
            if isinstance(event, Started):
                base = best = event.base.total
                continue
            if isinstance(event, Noted):
                tqdm.write(f"{name}: {event.text}", file=sys.stderr)
                continue
            best = max(best, getattr(event, "best_score", best))
            bar.n = event.seconds if by_time else event.evaluations
            if bar.total is not None:
                bar.n = min(bar.n, bar.total)
            rate = event.evaluations / event.seconds if event.seconds else 0.0
            bar.postfix = (
                f"{event.seconds:.0f} s, {event.evaluations:,} nodes, {rate:,.0f}/s,"
                f" best {best:.2f} ({best - base:+.2f})"
            )
            bar.update(0)
    raise AssertionError("a run always ends with Finished")


def recorded(
    events: Generator[Event, None, None], points: list[tuple[float, float]]
) -> Generator[Event, None, None]:
    """The same events; notes (seconds, best score) at each improvement."""
    for event in events:
        if isinstance(event, Improved):
            points.append((event.seconds, event.score))
        yield event


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
