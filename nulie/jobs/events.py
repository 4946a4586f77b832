"""What a job tells while it works: frozen facts, each with the words for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..recipe import Recipe
from .inputs import Item

if TYPE_CHECKING:
    from .outcome import Outcome
    from .video import Film


@dataclass(frozen=True)
class Event:
    """Something that a job tells of one of its files."""

    item: Item

    @property
    def share(self) -> float:
        """How much of the file's work is done, 0 to 1."""
        return 0.0

    @property
    def words(self) -> str:
        """How it stands, in a line."""
        return ""


@dataclass(frozen=True)
class Begun(Event):
    number: int = 1
    """Of `count` files, from 1."""
    count: int = 1

    @property
    def words(self) -> str:
        return f"{self.number} of {self.count}, {self.item.file_name}"


@dataclass(frozen=True)
class _Said(Event):
    text: str

    @property
    def words(self) -> str:
        return self.text


@dataclass(frozen=True)
class Noted(_Said):
    """Something that a person should hear of once."""


@dataclass(frozen=True)
class Failed(_Said):
    share = 1.0


@dataclass(frozen=True)
class Amiss(_Said):
    """The picture is saved, but something about it, or beside it, is not as it should be."""


@dataclass(frozen=True)
class Held(_Said):
    """A disk is full, or a share is gone, and the job waits for it."""


@dataclass(frozen=True)
class Skipped(Event):
    result: Path
    """It is there already, and so nothing is done."""


@dataclass(frozen=True)
class Planned(Event):
    """What would be written if this were no dry run."""

    targets: tuple[Path, ...]


@dataclass(frozen=True)
class Loading(Event):
    """The predictor is loaded, or a file of it downloaded."""

    predictor: str
    file: str = ""
    """What is being downloaded; empty when it lies here."""
    done: int = 0
    size: int = 0
    """Bytes, of which `done` are here."""

    @property
    def share(self) -> float:
        return min(1.0, self.done / max(1, self.size)) if self.file else 0.0

    @property
    def words(self) -> str:
        if not self.file:
            return f"loading the predictor {self.predictor}"
        size = f"{self.done / 1e6:,.0f} of {self.size / 1e6:,.0f} MB"
        return f"downloading {self.file}, once: {size}"


@dataclass(frozen=True)
class Waiting(Event):
    before: int

    @property
    def words(self) -> str:
        if self.before <= 0:
            return "starting"
        others = "one search comes" if self.before == 1 else f"{self.before} searches come"
        return f"{others} first; yours begins by itself"


@dataclass(frozen=True)
class Busy(Event):
    """The program around is at something else."""

    words = "waiting for another job"


@dataclass(frozen=True)
class Restoring(Event):
    """A model is at work on the picture, or on its way here."""

    what: str
    done: float

    @property
    def share(self) -> float:
        return self.done

    @property
    def words(self) -> str:
        return f"{self.what}: {self.done:.0%}"


@dataclass(frozen=True)
class Searching(Event):
    """How a search stands after a batch."""

    base: float
    """The input's total."""
    best: float
    recipe: Recipe
    """The best so far; empty as long as nothing beats the input."""
    evaluations: int
    seconds: float
    done: float
    left: float | None
    """Seconds of the budget that are left; None where it is counted in evaluations alone."""
    stopping: bool = False

    @property
    def share(self) -> float:
        return self.done

    @property
    def rate(self) -> float:
        return self.evaluations / self.seconds if self.seconds else 0.0

    @property
    def rest(self) -> str:
        if self.stopping:
            return "stopping"
        if self.done >= 1 or (self.left is not None and self.left < 0.05):
            return "making the best ones at full size"
        return f"{self.left:.0f} s left" if self.left is not None else f"{self.done:.0%} done"

    @property
    def gain(self) -> float:
        """Points that the best one has over the input."""
        return self.best - self.base

    @property
    def pace(self) -> str:
        return f"{self.evaluations:,} nodes \u00b7 {self.rate:,.0f} a second \u00b7 {self.rest}"

    @property
    def words(self) -> str:
        return f"best score {self.best:.2f} ({self.gain:+.2f}) \u00b7 {self.pace}"


@dataclass(frozen=True)
class Filming(Event):
    """How far the frames of a film are."""

    what: str
    frame: int
    """How many there were."""
    frames: int
    """How many there will be, about; 0 where that is not known."""
    seconds: float
    """That it took so far."""

    @property
    def share(self) -> float:
        return min(1.0, self.frame / self.frames) if self.frames else 0.0

    @property
    def words(self) -> str:
        rate = self.frame / self.seconds if self.seconds else 0.0
        of = f" of {self.frames:,}" if self.frames else ""
        told = f"{self.what}: frame {self.frame:,}{of}, {rate:,.0f} a second"
        if not rate or self.frames <= self.frame:
            return told
        left = round((self.frames - self.frame) / rate)
        return f"{told}, {left // 60}:{left % 60:02d} left"


@dataclass(frozen=True)
class Filmed(Event):
    film: Film
    written: tuple[Path, ...] = ()
    share = 1.0
    words = "done"


@dataclass(frozen=True)
class Done(Event):
    outcome: Outcome
    written: tuple[Path, ...] = ()
    share = 1.0
    words = "done"


@dataclass(frozen=True)
class Standing:
    """How a job over several workers stands."""

    done: int
    failed: int
    left: int
    rate: float
    """Files a second; 0 as long as it is not known."""

    @property
    def share(self) -> float:
        return (self.done + self.failed) / max(1, self.done + self.failed + self.left)

    @property
    def words(self) -> str:
        parts = [f"{self.done:,} done", f"{self.failed:,} failed", f"{self.left:,} left"]
        if self.rate:
            pace = (
                f"{self.rate:.1f} a second" if self.rate >= 1 else f"{60 * self.rate:.1f} a minute"
            )
            parts += [pace, f"{duration(self.left / self.rate)} to go"]
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class Ended:
    """The last event of a job."""

    done: tuple[Item, ...]
    failed: tuple[Item, ...]
    left: tuple[Item, ...] = ()
    """Those that were not looked at, or not to their end, since the job was stopped."""
    written: tuple[Path, ...] = ()
    skipped: tuple[Item, ...] = ()
    amiss: tuple[Item, ...] = ()
    """Those of the done that something is amiss with."""
    stopped: str = ""
    """Why a job has given up before its end; empty where it has not."""
    before: int = 0
    failed_before: int = 0
    """How many files earlier runs of a job have done, and how many have failed in them."""
