"""Two predictors: one proposes, the other one chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Judge, NoteKeeper, Predictor, exact_form

if TYPE_CHECKING:
    import torch


class Pair:
    """The search asks the first; in the end the second chooses among the most different of what
    the first calls good, and the input. Meant for a quick one that no search can fool, such as a
    target, and a slow one with more taste; all marks in a report are the second's.

    What a pair gains over either of its two has not been measured.
    """

    def __init__(self, proposer: Predictor, chooser: Predictor) -> None:
        self.proposer, self.chooser = proposer, chooser
        self.name = f"{proposer.name}+{chooser.name}"
        self.input_size = proposer.input_size
        self.device = proposer.device
        self.notes: list[str] = proposer.notes if isinstance(proposer, NoteKeeper) else []

    @property
    def batch_size(self) -> int:
        """Asked for anew each time: it may shrink when memory runs out."""
        return self.proposer.batch_size

    def judge(self, photo: torch.Tensor) -> Judge:
        """See `Predictor.judge`: as the first does."""
        return self.proposer.judge(photo)

    def exact(self) -> Predictor:
        """The second, in its exact form."""
        return exact_form(self.chooser)
