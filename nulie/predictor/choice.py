"""The choice among predictors: those of nulie, of installed packages, of files, of the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, WeightsError
from ..models import device as devices
from ..models.contents import Contents
from ..models.registry import Entry, FileKind, Registry, instance
from ..models.store import find
from . import checkpoints, heads
from .adapt import adapt
from .pair import Pair
from .published import CLIP, WEIGHTS

if TYPE_CHECKING:
    from ..models.download import Progress
    from .base import Predictor

Choice = tuple["Predictor", str]
"""A predictor and what to tell the user of it, often nothing."""

WAIT, FEWEST = 10.0, 300
"""Seconds, the usual time of a search, in which CLIP must judge so many candidates for `auto` to
take it."""


@dataclass(frozen=True)
class Options:
    """What a predictor is loaded with: see `create`."""

    device: str
    precision: str
    views: int
    head: Path | None
    clip_weights: Path | None
    folders: Sequence[Path]
    progress: Progress | None
    network: bool


def create(
    name: str = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    views: int = 1,
    head: Path | None = None,
    clip_weights: Path | None = None,
    folders: Sequence[Path] = (),
    progress: Progress | None = None,
    network: bool = True,
    named_only: bool = False,
) -> Choice:
    """A predictor and what to tell the user of it, often nothing.

    `name` is one of `REGISTRY.names()`, the path of a file, or `module:Name`, a class of your own
    with a method `judge` or `render`; or two of these with a plus between them, the first to
    propose and the second to choose (see `Pair`). With `named_only`, for requests from other
    machines, it must be a name, or two of them. `auto` is `clip-sac` on a GPU, on a CPU that is
    fast enough, or where one of CLIP's options is given; else, or where its weights cannot be had,
    `retouch`; where those cannot be had either, `statistics`. `precision`, `views`, `head` and
    `clip_weights` are CLIP's: see `clip.Clip`; `folders` are further places to look for files. What
    is missing is downloaded unless `network` is False; `progress` is told how far that is.

    Raises: UnknownModelError; ModelError on an unknown device, options that do not go together, or
    broken code of somebody's own; WeightsError when files are missing and cannot be had, or are not
    what they should be."""
    options = Options(device, precision, views, head, clip_weights, folders, progress, network)
    two = _two(name, named_only=named_only)
    if two is None:
        return REGISTRY.find(name, named_only=named_only)(options)
    # Both are known before either is loaded.
    loads = [REGISTRY.find(one, named_only=named_only) for one in two]
    given = options
    if not any(one in CLIP for one in two):
        _refuse_files_of_clip(name, options)
    else:  # they are for that one
        given = replace(options, head=None, clip_weights=None)
    (first, note), (second, other) = (
        load(options if one in CLIP else given) for one, load in zip(two, loads, strict=True)
    )
    return Pair(first, second), "; ".join(filter(None, (note, other)))


def _two(name: str, *, named_only: bool) -> tuple[str, str] | None:
    """The names on either side of a plus; None where it is none between two names, but part of a
    file's, say."""
    first, plus, second = name.partition("+")
    if not plus or (not named_only and Path(name).is_file()):
        return None
    known = first in REGISTRY.names() or (not named_only and ":" in first)
    return (first, second) if known else None


def _auto(options: Options) -> Choice:
    asked = (options.device, options.precision, options.views) != ("auto", "auto", 1)
    if not (asked or options.head or options.clip_weights):
        too_slow = _too_slow_for_clip()
        if too_slow:
            chosen = _without_clip(options, tried=False)
            other = "choose that with --predictor clip-sac"
            return chosen, f"judged by '{chosen.name}', for {too_slow}; {other}"
    try:
        return _clip("clip-sac", options)
    except ModelError as e:
        # What was asked for explicitly is not replaced by something else.
        files = options.head or options.clip_weights
        computing = (options.device, options.precision) != ("auto", "auto")
        if files or (computing and not isinstance(e, WeightsError)):
            raise
        chosen = _without_clip(options, tried=isinstance(e, WeightsError))
        return chosen, f"judged by '{chosen.name}', without CLIP: {e}"


def _too_slow_for_clip() -> str:
    """Why CLIP would keep the user waiting for too little here; nothing where it would not."""
    if devices.resolve("auto").type != "cpu":
        return ""
    from . import pace

    count = pace.evaluations(WAIT)
    if count >= FEWEST:
        return ""
    seen = "one candidate" if round(count) == 1 else f"{count:.0f} candidates"
    return f"CLIP would see about {seen} in {WAIT:.0f} s on this CPU"


def _without_clip(options: Options, *, tried: bool) -> Predictor:
    """`retouch` where its files are or can be had, else `statistics`. `tried`: CLIP's files could
    not be had."""
    # Its files come from the host that has CLIP's heads. Where that has just failed to give one,
    # the user is not kept waiting for it a second time.
    head = WEIGHTS[CLIP["clip-sac"][1]]
    if tried and options.network and find(head, options.folders) is None:
        options = replace(options, network=False)
    try:
        return _retouch(options)[0]
    except WeightsError:
        return _statistics(options)[0]


def _clip(name: str, options: Options) -> Choice:
    from .clip import Clip

    clip = Clip(
        name,
        device=options.device,
        precision=options.precision,
        views=options.views,
        head=options.head,
        weights=options.clip_weights,
        folders=options.folders,
        progress=options.progress,
        network=options.network,
    )
    return clip, ""


def _retouch(options: Options) -> Choice:
    _refuse_files_of_clip("retouch", options)
    from .retouch import Retouch

    retouch = Retouch(
        # As small a thing as `statistics`.
        device="cpu" if options.device == "auto" else options.device,
        folders=options.folders,
        progress=options.progress,
        network=options.network,
    )
    return retouch, ""


def _statistics(options: Options, path: Path | None = None) -> Choice:
    _refuse_files_of_clip("statistics", options)
    from .statistics import Statistics

    # Too small a thing for a GPU: it is done before the data are there.
    return Statistics(path, device="cpu" if options.device == "auto" else options.device), ""


def _own(thing: Any, name: str, options: Options) -> Choice:
    """What somebody's code provides: a class, a function that makes a predictor, or one itself."""
    _refuse_files_of_clip(name, options)
    device = None if options.device == "auto" else devices.resolve(options.device)
    return adapt(instance(thing, options.device), name=name, device=device), ""


def _refuse_files_of_clip(name: str, options: Options) -> None:
    if options.head or options.clip_weights:
        raise ModelError(f"a head and weights of CLIP are not for the predictor {name}")


def _is_statistics(contents: Contents) -> bool:
    from .statistics import FORMAT

    return contents.metadata.get("format", "").startswith(FORMAT.rstrip("0123456789"))


def _is_head(contents: Contents) -> bool:
    return heads.width_of(contents.shapes) is not None


def _clip_with_head(contents: Contents, options: Options) -> Choice:
    """The predictor whose encoder gives embeddings of the head's width, where there is one."""
    if options.head:
        raise ModelError(f"{contents.path} and {options.head} are two heads; give one of them")
    from .tower import ARCHS

    width = heads.width_of(contents.shapes)
    fitting: dict[str, str] = {}
    for name, (encoder, _) in CLIP.items():
        if ARCHS[encoder].dim == width:
            fitting.setdefault(encoder, name)
    if len(fitting) != 1:
        names = " or ".join(fitting.values()) or "none of nulie's encoders gives"
        use = f"give it with --head, and with --predictor {names}" if fitting else names
        raise ModelError(f"{contents.path} is a head for embeddings of {width} numbers; {use}")
    [name] = fitting.values()
    return _clip(name, replace(options, head=contents.path))


def _is_encoder(contents: Contents) -> bool:
    return contents.script or any(map(checkpoints.tower_name, contents.shapes))


def _refuse_encoder(contents: Contents, options: Options) -> Choice:
    raise ModelError(
        f"{contents.path} is not a predictor but looks like CLIP's encoder; give it with"
        " --clip-weights, and with --predictor the name of the predictor"
    )


REGISTRY: Registry[Options, Choice] = Registry("predictor", "nulie.predictors", _own)
"""Every predictor that can be chosen. A package adds its own by an entry point of that group."""

REGISTRY.add(
    Entry(
        "auto",
        "clip-sac on a GPU or a fast CPU, where its weights are or can be downloaded, else retouch,"
        " else statistics",
        _auto,
    ),
    Entry(
        "clip-sac",
        "CLIP ViT-L/14 with the head of the original NUlIE",
        partial(_clip, "clip-sac"),
    ),
    Entry(
        "clip-laion",
        "CLIP ViT-L/14 with LAION's head",
        partial(_clip, "clip-laion"),
    ),
    Entry(
        "clip-b32",
        "the smallest and fastest CLIP, with LAION's head",
        partial(_clip, "clip-b32"),
    ),
    Entry(
        "clip-b16",
        "a smaller CLIP, with LAION's head",
        partial(_clip, "clip-b16"),
    ),
    Entry("statistics", "embedded, without a download", _statistics),
    Entry(
        "retouch",
        "a small network that retouches as experts do (2.4 MB; trained on MIT-Adobe FiveK, a"
        " research data set)",
        _retouch,
    ),
    FileKind(
        "a file of nulie fit",
        _is_statistics,
        lambda contents, options: _statistics(options, contents.path),
    ),
    FileKind("a head for CLIP", _is_head, _clip_with_head),
    FileKind("CLIP's encoder (with --clip-weights)", _is_encoder, _refuse_encoder),
)
