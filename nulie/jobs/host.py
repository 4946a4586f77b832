"""What a job must know of the program that it runs in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plan import Choice
from .queue import Line

if TYPE_CHECKING:
    from ..models.download import Progress
    from ..models.pool import Pool
    from ..predictor import Predictor
    from .outcome import Outcome

Load = Callable[[Choice, "Progress | None"], "tuple[Predictor, str]"]


def load(choice: Choice, progress: Progress | None = None) -> tuple[Predictor, str]:
    """The predictor of a choice, and what to tell the user of it. Raises: as `create`."""
    from .. import predictor

    return predictor.create(**vars(choice), progress=progress)


def load_from(pool: Pool[tuple[Predictor, str]]) -> Load:
    """A `load` whose predictors stay loaded in the `pool`, by name and device."""
    return lambda choice, progress: pool.get(choice.name, choice.device, progress=progress)


@dataclass(frozen=True)
class Host:
    """The defaults are those of a program that does nothing else."""

    load: Load = load
    """See the function of that name. Called by any thread."""
    line: Line = field(default_factory=Line)
    """Where searches wait for their device."""
    turn: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered while a device is in use: the program's own lock, its job's start and end."""
    busy: Callable[[], bool] = lambda: False
    """Whether `turn` would have to wait for another job of the program."""
    interrupted: Callable[[], bool] = lambda: False
    """Polled during a search: whether the program wants it to end with the best so far."""
    draw: Callable[[Outcome], str] | None = None
    """The page of HTML that tells of a search, where a plan asks for that."""
    check: Callable[[Path, str], None] = lambda path, name: None
    """Raises: ImageError when a file may not be looked at: a limit of size."""
    models: Any = None
    """Models of a recipe's steps, see `engine.pipeline.apply`."""
