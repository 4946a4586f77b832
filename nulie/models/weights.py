"""Weights files: which there are, where they lie, how they get here, whether they are intact.

Nothing is fetched at import; `obtain` and `fetch` do it when somebody asks. Encoders live in the
Hugging Face cache, which other programs share; heads live in nulie's own folder.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import PredictorError, WeightsError
from . import digests, download
from .download import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """One file of weights as its publisher offers it."""

    name: str
    file: str
    size: int
    """Bytes."""
    sha256: str
    licence: str
    path: str = ""
    """Address of a head below the endpoint of heads."""
    repo: str = ""
    """Repository of an encoder on the Hugging Face hub."""
    revision: str = ""
    """Commit of that repository which has the file."""
    openai: str = ""
    """SHA-256 of the archive `<name>.pt` in which OpenAI published the same encoder."""


_HUB_FILE = "open_clip_model.safetensors"
_OLD_HUB_FILE = "open_clip_pytorch_model.bin"
_MIT = "MIT (OpenAI)"

WEIGHTS = {
    w.name: w
    for w in (
        Weights(
            name="ViT-L-14",
            file=_HUB_FILE,
            size=1_710_517_724,
            sha256="9ce2e8a8ebfff3793d7d375ad6d3c35cb9aebf3de7ace0fc7308accab7cd207e",
            licence=_MIT,
            repo="timm/vit_large_patch14_clip_224.openai",
            revision="18d0535469bb561bf468d76c1d73aa35156c922b",
            openai="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        ),
        Weights(
            name="ViT-B-16",
            file=_HUB_FILE,
            size=598_516_980,
            sha256="4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f",
            licence=_MIT,
            repo="timm/vit_base_patch16_clip_224.openai",
            revision="977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d",
            openai="5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
        ),
        Weights(
            name="ViT-B-32",
            file=_HUB_FILE,
            size=605_143_284,
            sha256="e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
            licence=_MIT,
            repo="timm/vit_base_patch32_clip_224.openai",
            revision="a6f597a30f7b82c51704746581f9a4e41421e878",
            openai="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        ),
        Weights(
            name="sac+logos+ava1-l14-linearMSE",
            file="sac+logos+ava1-l14-linearMSE.pth",
            size=3_714_759,
            sha256="21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
            licence="Apache-2.0",
            path="christophschuhmann/improved-aesthetic-predictor/main/",
        ),
        *(
            Weights(
                name=f"sa_0_4_{model}_linear",
                file=f"sa_0_4_{model}_linear.pth",
                size=size,
                sha256=sha256,
                licence="MIT (LAION)",
                path="LAION-AI/aesthetic-predictor/main/",
            )
            for model, size, sha256 in (
                (
                    "vit_l_14",
                    4071,
                    "2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba",
                ),
                (
                    "vit_b_16",
                    3047,
                    "8ad3923d7ecf019df20ecd2ab5542a3075fbba0278d239c0371345f3d7fcbde0",
                ),
                (
                    "vit_b_32",
                    3047,
                    "c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f",
                ),
            )
        ),
    )
}
"""Every file nulie knows, by name. The hub's files carry the digests that others have recorded for
them; a download that differs is refused."""

PREDICTORS = {
    "clip-sac": ("ViT-L-14", "sac+logos+ava1-l14-linearMSE"),
    "clip-laion": ("ViT-L-14", "sa_0_4_vit_l_14_linear"),
    "clip-b16": ("ViT-B-16", "sa_0_4_vit_b_16_linear"),
    "clip-b32": ("ViT-B-32", "sa_0_4_vit_b_32_linear"),
}
"""Predictor to (encoder, head)."""


@dataclass(frozen=True)
class Status:
    """What is known of one weights file on this machine."""

    name: str
    predictors: tuple[str, ...]
    """Which predictors need it."""
    size: int
    """Bytes: of the file found, else of the download."""
    licence: str
    path: Path | None
    """Where it lies; None where it is not on this machine."""
    verified: bool | None
    """True: its digest was right. False: it was wrong. None: not looked at yet, or absent."""

    @property
    def present(self) -> bool:
        return self.path is not None


def find(weights: Weights, folders: Sequence[Path] = ()) -> Path | None:
    """An intact copy on this machine, or None; no network. `folders` are further places to look,
    such as a web UI's folder of CLIP models. Reads a large file whole the first time it is met,
    and remembers its digest after that."""
    for path, sha256 in _candidates(weights, folders):
        try:
            if digests.verify(path, sha256, anew=not weights.repo):
                return path
            logger.warning("%s is passed over: its SHA-256 is not %s", path, sha256)
        except OSError as e:
            logger.warning("%s is passed over: %s", path, e)
    return None


def obtain(
    weights: Weights,
    *,
    folders: Sequence[Path] = (),
    progress: Progress | None = None,
    network: bool = True,
) -> Path:
    """The path of an intact copy, downloaded where there is none.

    Raises: WeightsError within 5 seconds when there is none and its publisher cannot be reached,
    and whenever what comes is not the file expected.
    """
    path = find(weights, folders)
    if path is not None:
        return path
    if not network:
        raise WeightsError(f"{weights.name} is not on this machine; {remedy(weights)}")
    try:
        if weights.repo:
            path = _from_hub(weights, progress)
        else:
            path = digests.cache_folder() / "heads" / weights.file
            url = download.heads_url(weights.path + weights.file)
            download.to_file(url, path, weights.sha256, weights.size, progress)
    except WeightsError as e:
        raise WeightsError(f"{e}; {remedy(weights)}") from e
    digests.remember(path, weights.sha256)
    return path


def fetch(
    name: str = "clip-sac",
    *,
    progress: Progress | None = None,
    folders: Sequence[Path] = (),
) -> list[Path]:
    """Sees to it that the files of predictor `name` (or the one file of that name) are here, the
    head first, and returns their paths. Raises: PredictorError on an unknown name, WeightsError
    as `obtain` does."""
    return [obtain(w, folders=folders, progress=progress) for w in reversed(named(name))]


def named(name: str) -> list[Weights]:
    """The files that `name`, a predictor or a file of weights, stands for."""
    if name in PREDICTORS:
        return [WEIGHTS[part] for part in PREDICTORS[name]]
    if name in WEIGHTS:
        return [WEIGHTS[name]]
    known = ", ".join([*PREDICTORS, *WEIGHTS])
    raise PredictorError(f"no weights are called {name!r}; known: {known}")


def status(folders: Sequence[Path] = ()) -> list[Status]:
    """One row per file, quickly: digests are looked up, not computed."""
    return [_status(w, folders, compute=False) for w in WEIGHTS.values()]


def check(folders: Sequence[Path] = ()) -> list[Status]:
    """One row per file with every digest computed anew; changes no file."""
    return [_status(w, folders, compute=True) for w in WEIGHTS.values()]


def remedy(weights: Weights) -> str:
    """What a user can do who lacks `weights`; the end of an error message."""
    users = _users(weights)
    option = "--clip-weights FILE" if weights.repo else "--head FILE"
    return (
        f"when online, run 'nulie weights fetch {users[0] if users else weights.name}', "
        f"or give a copy with {option}, or use --predictor statistics"
    )


def _users(weights: Weights) -> tuple[str, ...]:
    return tuple(name for name, parts in PREDICTORS.items() if weights.name in parts)


def _status(weights: Weights, folders: Sequence[Path], compute: bool) -> Status:
    path, verified = None, None
    for candidate, sha256 in _candidates(weights, folders):
        seen = digests.compute(candidate) if compute else digests.recall(candidate)
        if compute and seen:
            digests.remember(candidate, seen)
        if path is None or seen == sha256:
            path, verified = candidate, None if seen is None else seen == sha256
        if verified:
            break
    return Status(
        name=weights.name,
        predictors=_users(weights),
        size=path.stat().st_size if path else weights.size,
        licence=weights.licence,
        path=path,
        verified=verified,
    )


def _candidates(weights: Weights, folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Files that may be these weights, each with the digest it must have, the best first."""
    if not weights.repo:
        for folder in (digests.cache_folder() / "heads", *folders):
            if (folder / weights.file).is_file():
                yield folder / weights.file, weights.sha256
        return
    repo = _snapshots(weights)
    pinned = repo / weights.revision / weights.file
    if pinned.is_file():
        yield pinned, weights.sha256
    for other in sorted(repo.glob("*/" + weights.file)):
        if other != pinned:
            yield other, weights.sha256
    for old in sorted(repo.glob("*/" + _OLD_HUB_FILE)):
        # Its digest is not on record here, but the hub names a blob by its SHA-256.
        if re.fullmatch("[0-9a-f]{64}", old.resolve().name):
            yield old, old.resolve().name
    for folder in (Path.home() / ".cache" / "clip", *folders):
        if (folder / f"{weights.name}.pt").is_file():
            yield folder / f"{weights.name}.pt", weights.openai


def _snapshots(weights: Weights) -> Path:
    """Where the hub's cache keeps the repository, by the hub's own rules; importing it to ask
    takes a second."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    old = os.environ.get("HUGGINGFACE_HUB_CACHE")
    hub = os.environ.get("HF_HUB_CACHE") or old or f"{home}/hub"
    repo = "models--" + weights.repo.replace("/", "--")
    return Path(os.path.expandvars(hub)).expanduser() / repo / "snapshots"


def _from_hub(weights: Weights, progress: Progress | None) -> Path:
    pinned = _snapshots(weights) / weights.revision / weights.file
    if pinned.is_file():
        # `find` has refused it, and huggingface_hub would hand it out unseen.
        _delete_blob(pinned)
    path = download.from_hub(
        weights.repo, weights.file, weights.revision, weights.name, weights.size, progress
    )
    found = digests.compute(path)
    if found != weights.sha256:
        _delete_blob(path)
        raise WeightsError(
            f"{weights.file} from {weights.repo} has SHA-256 {found} instead of "
            f"{weights.sha256} and was deleted"
        )
    return path


def _delete_blob(pointer: Path) -> None:
    blob = pointer.resolve()
    try:
        pointer.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    except OSError as e:
        raise WeightsError(f"{pointer} is damaged and cannot be deleted: {e}") from e
