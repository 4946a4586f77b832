"""A plan: what is the same for all files of a job, made of plain values that are checked there."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..engine.checkpoint import Checkpoint
from ..errors import SettingsError
from ..image_io import default_output, shown_path
from ..models.device import PRECISIONS
from ..recipe import Recipe, Settings
from ..transforms.strength import scale
from . import checkpoints, recipes, reference, restoration, values, video
from .inputs import SUFFIXES
from .reference import Reference
from .restoration import Restoration, Restorers
from .video import Shot, Video

BY_RECIPE = "recipe"
"""The mode that applies a recipe in place of a search."""
BUDGET = "seconds", "evaluations"


@dataclass(frozen=True)
class Choice:
    """Who judges, and on what device; see `predictor.create`."""

    name: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    views: int = 1
    head: Path | None = None
    clip_weights: Path | None = None


@dataclass(frozen=True)
class Results:
    output: Path | None = None
    """The result of a single picture."""
    output_dir: Path | None = None
    """Folder for the results; None: beside each input."""
    numbered: bool = False
    """Whether a result whose name is taken gets a number; else it is refused."""
    overwrite: bool = False
    skip_existing: bool = False
    """Whether a named file whose result is there is passed over; those of folders always are."""
    dry_run: bool = False
    """Whether files are read and nothing is written."""
    suffix: str | None = None
    """`.png` and the like; None: each as its input."""
    quality: int | None = None
    """1 to 100, of JPEG, WebP and AVIF; None: as the input."""
    keep_dates: bool = False
    """Whether results have the dates of their inputs."""
    save_recipe: Path | None = None
    report: Path | None = None
    checkpoint: Path | None = None
    checkpoint_every: float = 60.0
    """Seconds."""
    job: str = ""
    """Digest of the settings of a job that can go on; its results carry a mark made of it."""
    lies_on: int | None = None
    """The device of `output_dir` when the job began, as the system numbers it."""
    wait: float = 3600.0
    """Seconds for which a job waits for a disk that is full, or a share that is gone."""


@dataclass(frozen=True)
class Plan:
    """What a job does to each of its files."""

    settings: Settings = field(default_factory=Settings)
    recipe: Recipe | None = None
    recipe_file: Path | None = None
    choice: Choice = field(default_factory=Choice)
    results: Results = field(default_factory=Results)
    resume: Checkpoint | None = None
    resume_file: Path | None = None
    judge_recipe: bool = False
    """Whether the predictor says what a recipe that is applied has done to the score."""
    like: Reference | None = None
    """What results are to look like: its likeness judges, in place of `choice`'s predictor."""
    restoration: Restoration = field(default_factory=Restoration)
    search: bool = True
    """Whether there is a search; else it is restored alone."""
    strength: float = 1.0
    """How far recipes that are found are turned, see `scale`; `recipe` is turned already."""
    same: bool = False
    """Whether all photos get one recipe."""
    shots: tuple[Shot, ...] = ()
    """Of the film that `recipe_file` was written for; `recipe` is the first one's."""
    video: Video = field(default_factory=Video)
    """How films are written."""

    @property
    def judge(self) -> str:
        """The name of who judges, as far as it is known before anything is loaded."""
        return self.like.judge if self.like else self.choice.name

    def inputs(self) -> list[Path | None]:
        choice = self.choice
        like = self.like.path if self.like else None
        return [self.recipe_file, Path(choice.name), choice.head, choice.clip_weights, like]


_OF_RESULTS = {field.name for field in fields(Results)}
_OF_CHOICE = {"predictor", "device", "precision", "views", "head", "clip_weights"}
_OTHERS = {field.name for field in fields(Settings)} | {
    *("recipe", "resume", "judge_recipe", "like", "strength", "search"),
    *restoration.NAMES,
    *("same", *video.NAMES),
}
KNOWN = frozenset(_OTHERS | _OF_CHOICE | _OF_RESULTS)
"""Names of the values that make a plan."""


def plan(given: Mapping[str, Any], *, files: int = 1) -> Plan:
    """The plan of a job over so many `files`, from values by the names in `KNOWN`; what is missing
    or None has its default. See `values.settings` for those of a search, `Choice` and `Results`;
    `predictor` is a name, `recipe` a path, a text or a text's data, `resume` a path, `like` a path,
    a picture or a `Reference`; with it the guards that are not given are off.

    Raises: SettingsError, RecipeError, CheckpointError, ImageError on what has no meaning, cannot
    be read, or contradicts another value."""
    unknown = sorted(set(given) - KNOWN)
    if unknown:
        close = difflib.get_close_matches(unknown[0], KNOWN, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(KNOWN))}"
        raise SettingsError(f"there is no setting {unknown[0]!r}; {hint}")
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("mode") == BY_RECIPE:
        del given["mode"]
        given.setdefault("recipe", "")
    results = _results(given)
    _check_together(given, results, files)
    like = given.get("like")
    if like is not None and not isinstance(like, Reference):
        like = reference.read(like)
    settings = values.settings({**(values.NO_GUARDS if like else {}), **given})
    strength = values.strength(given.get("strength", Plan.strength))
    shots, recipe = _recipes(given["recipe"], strength) if "recipe" in given else ((), None)
    wanted = restoration.read(given)
    resume = checkpoints.read(Path(given["resume"])) if "resume" in given else None
    if resume is not None:
        settings = _resumed(resume, given, settings)
    recipe_file = given["recipe"] if isinstance(given.get("recipe"), Path) else None
    return Plan(
        settings, recipe, recipe_file, _choice(given), results, resume, given.get("resume"),
        judge_recipe=bool(given.get("judge_recipe", False)), like=like, strength=strength,
        restoration=wanted, search=bool(given.get("search", True)),
        same=bool(given.get("same", False)), shots=shots, video=video.read(given),
    )  # fmt: skip


def restorers(plan: Plan) -> Restorers:
    """The models that its recipes may name, each loaded when it is first needed."""
    return Restorers(plan.choice.device, plan.restoration.models)


def _recipes(given: Any, strength: float) -> tuple[tuple[Shot, ...], Recipe]:
    """Those of shots, where it has some, and the one for anything else."""
    read = video.shots(given)
    if not read:
        return (), scale(recipes.read(given), strength)
    shots = tuple(replace(shot, recipe=scale(shot.recipe, strength)) for shot in read)
    return shots, shots[0].recipe.thaw()


def _resumed(resume: Checkpoint, given: Mapping[str, Any], asked: Settings) -> Settings:
    """The settings of a search that goes on: its own, but for what has no part in how its tree
    grows. Raises: SettingsError when something else is asked for."""
    settings = resume.budget(given.get("seconds"), given.get("evaluations"))
    free = {name: getattr(asked, name) for name in ("top", "patience") if name in given}
    settings = replace(settings, **free)
    names = sorted({field.name for field in fields(Settings)} & {*given} - {*BUDGET})
    other = [name for name in names if getattr(asked, name) != getattr(settings, name)]
    if other:
        options = ", ".join(
            f"--{name.replace('ranges', 'range').replace('_', '-')}" for name in other
        )
        raise SettingsError(f"--resume goes on as the search began; leave out {options}")
    return settings


def _choice(given: Mapping[str, Any]) -> Choice:
    named = {name: given[name] for name in _OF_CHOICE - {"predictor"} if name in given}
    named["views"] = values.whole("views", given.get("views", Choice.views))
    choice = Choice(_name(given), **named)
    if choice.precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise SettingsError(f"precision {choice.precision!r} is unknown; known: {known}")
    if choice.views not in (1, 2):
        raise SettingsError(f"views must be 1 or 2, not {choice.views}")
    return choice


def _name(given: Mapping[str, Any]) -> str:
    return str(given.get("predictor", "")).strip() or Choice.name


def _results(given: Mapping[str, Any]) -> Results:
    results = Results(**{name: given[name] for name in _OF_RESULTS if name in given})
    quality = results.quality
    if quality is not None and not 1 <= quality <= 100:
        raise SettingsError(f"quality must be within 1..100, not {quality}")
    if not results.checkpoint_every > 0:
        raise SettingsError(f"checkpoint-every must be above 0, not {results.checkpoint_every:g}")
    if results.suffix:
        suffix = f".{results.suffix.lower().removeprefix('.')}"
        if default_output(Path(f"photo{suffix}")).suffix != suffix:
            kinds = "png, jpg, webp, tif, bmp or avif"
            raise SettingsError(f"format {results.suffix!r} is not written; choose {kinds}")
        results = replace(results, suffix=suffix)
    return results


def _check_together(given: Mapping[str, Any], results: Results, files: int) -> None:
    recipe, resume = given.get("recipe"), given.get("resume")
    if recipe is not None and (resume or results.checkpoint):
        raise SettingsError("--recipe applies a recipe without a search; leave checkpoints out")
    names = [n for n in restoration.NAMES if n not in ("restore_strength", "faithful")]
    restored = [name for name in names if given.get(name)]
    if recipe is not None and restored and restored != ["model"]:
        raise SettingsError(f"--{restored[0]} and --recipe: a recipe says itself what is restored")
    if given.get("faithful") is not None and not {"upscale", "model"} & {*restored}:
        raise SettingsError("--faithful says how a picture is enlarged; add --upscale")
    if given.get("same") and (recipe is not None or resume or int(given.get("top", 1)) > 1):
        option = "top" if recipe is None and not resume else "recipe" if recipe else "resume"
        raise SettingsError(f"--same searches one recipe for all; leave --{option} out")
    if not given.get("search", True) and not restored:
        raise SettingsError("--no-search leaves nothing to be done; add --repair, --upscale ...")
    if "like" in given:
        if _name(given) != Choice.name:
            raise SettingsError("--like and --predictor both say who judges; leave one of them out")
        if given.get("head") or given.get("clip_weights"):
            raise SettingsError("a head and weights of CLIP are not for --like")
        if recipe is not None and not given.get("judge_recipe"):
            raise SettingsError("--like is for a search, and with --recipe there is none")
    if results.output and (results.output_dir or results.suffix):
        option = "--output-dir" if results.output_dir else "--format"
        raise SettingsError(f"--output names the whole path; leave {option} out")
    if results.skip_existing and results.overwrite:
        raise SettingsError(
            "--skip-existing keeps what --overwrite replaces; leave one of them out"
        )
    if results.save_recipe and results.save_recipe.suffix.lower() in SUFFIXES:
        shown = shown_path(results.save_recipe)
        raise SettingsError(f"--save-recipe {shown}: it writes JSON; choose a name such as x.json")
    if results.report and results.report.suffix.lower() not in (".html", ".htm"):
        shown = shown_path(results.report)
        raise SettingsError(f"--report {shown}: it writes HTML; choose a name such as x.html")
    if results.report and recipe is not None:
        raise SettingsError("--report tells of a search, and with --recipe there is none")
    for name in ("output", "save_recipe", "report", "checkpoint", "resume"):
        if files > 1 and given.get(name):
            option = f"--{name.replace('_', '-')}"
            raise SettingsError(f"{option} is for a single image, and here are {files}")
