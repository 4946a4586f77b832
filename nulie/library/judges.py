"""Who has judged: what a score or an embedding depends on, known without loading a model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from ..image_io import reads
from ..jobs.plan import Choice
from ..models import digests
from ..models.contents import look
from ..predictor import CLIP_NAMES
from ..predictor.heads import width_of
from ..predictor.published import CLIP, RETOUCH, STATISTICS, WEIGHTS

SEEN = "preview 2"
"""How pictures are made small. A change of it needs a new number."""
_BY_WIDTH = {768: "clip-sac"}
"""Predictors whose encoder is the only one with embeddings of that width."""


def errors_key() -> str:
    """Of those that cannot be read, whoever judges: with what is installed to read pictures."""
    able = [kind for kind in ("HEIC", "JPEG XL", "RAW") if reads(kind)]
    return ", ".join([f"errors of {__version__}", SEEN, *able])


@dataclass(frozen=True)
class Judge:
    """Keys of what is kept; empty where nothing is."""

    scores: str = ""
    vectors: str = ""
    """Of embeddings, which any head on the same encoder can judge."""
    head: Path | None = None
    """A head of the user's own."""
    part: str = ""
    """The published head, where it is that."""


def judge_of(choice: Choice) -> Judge:
    """Of a choice that is not `auto`. What somebody's own code says is not kept, for nobody knows
    when it changes. Raises: WeightsError."""
    if choice.name in CLIP_NAMES:
        encoder, head = (WEIGHTS[part].sha256 for part in CLIP[choice.name])
        encoder = _of_file(choice.clip_weights) if choice.clip_weights else encoder
        # Of both views, in single precision: what scores results.
        vectors = f"{CLIP[choice.name][0]} {encoder[:16]} both views, fp32, {SEEN}"
        head = _of_file(choice.head) if choice.head else head
        part = "" if choice.head else CLIP[choice.name][1]
        return Judge(f"{vectors}, head {head[:16]}", vectors, choice.head, part)
    path = Path(choice.name)
    if path.is_file() and (name := _BY_WIDTH.get(width_of(look(path).shapes) or 0)):
        return judge_of(replace(choice, name=name, head=path))
    if choice.name == "statistics":
        return Judge(f"statistics {_of_file(STATISTICS)[:16]}, {SEEN}")
    if choice.name == "retouch":
        parts = "".join(WEIGHTS[part].sha256 for part in RETOUCH)
        return Judge(f"retouch {hashlib.sha256(parts.encode()).hexdigest()[:16]}, {SEEN}")
    if path.is_file() and width_of(look(path).shapes) is None:
        return Judge(f"file {_of_file(path)[:16]}, {SEEN}")
    return Judge()


def _of_file(path: Path) -> str:
    return digests.recall(path) or digests.remember(path, digests.compute(path))
