"""README and its like say what is so: commands parse, figures come out, links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import nulie
from nulie import image_io
from nulie.cli import COMMANDS
from nulie.engine import checkpoint
from nulie.engine.pipeline import apply
from nulie.errors import ExtraError, needed_for
from nulie.jobs import journal
from nulie.jobs.picture import marks
from nulie.library import store
from nulie.predictor import Predictor, create
from nulie.predictor.like import Like
from nulie.recipe import FORMAT, Recipe, Step, space
from nulie.settings import Settings
from nulie.transforms import base, color, describe, ops, render
from nulie.transforms.preview import shrink

from . import readme
from .conftest import ROOT, picture

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
TEXT = readme.README.read_text(encoding="utf-8")


def blocks(kind: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def commands() -> Iterator[list[str]]:
    """Arguments of each nulie that README calls."""
    named = re.findall(r"`nulie ([^`]+)`", TEXT)
    for line in "\n".join([*blocks("sh"), *(f"nulie {n}" for n in named)]).splitlines():
        for part in re.split(r"&&|;", line):
            words = shlex.split(part, comments=True)
            if words and re.fullmatch(r"(.*/)?(nulie|standalone\.py)", words[0]):
                yield words[1:]
            elif words[1:2] == ["standalone.py"]:
                yield words[2:]


# README


def test_the_options_are_those_of_help() -> None:
    """`python -m tests.readme` writes them anew."""
    assert readme.split(TEXT)[1] == readme.table()


@pytest.mark.parametrize("words", [pytest.param(c, id=" ".join(c)) for c in commands()])
def test_commands_are_understood(words: list[str]) -> None:
    command = words[0] if words[0] in COMMANDS else "enhance"
    module = import_module(f"nulie.cli.{command}")
    known = {s for a in module.parser()._actions for s in a.option_strings}
    assert {word for word in words if word.startswith("-")} <= known
    if command == "enhance" and "--help" not in words:
        module.parser().parse(words, "images")


def test_there_are_commands_to_look_at() -> None:
    assert len(list(commands())) > 12


def test_the_figure_comes_out_as_printed() -> None:
    """The recipes beside the first picture give the scores they say, and the picture shows what
    they make. Whether a search finds just these depends on the machine."""
    said = json.loads((ROOT / "docs" / "before-after.json").read_text("utf-8"))
    shown = Image.open(ROOT / "docs" / "before-after.jpg").convert("RGB")
    top, width = 0, shown.width // 2
    for row in said:
        recipe = Recipe.from_json(json.dumps(row["recipe"]))
        before, after = row["scores"]
        assert f"| `{row['command']}` | {describe(recipe)} | {before:.2f} to {after:.2f} |" in TEXT
        photo = image_io.load(ROOT / row["photo"])
        made = apply(recipe, photo)
        like = re.search(r"--like (\S+)", row["command"])
        judge: Predictor = create("statistics")[0]
        if like:
            judge = Like(shrink(image_io.load(ROOT / like[1]).pixels, Like.input_size))
        mark = marks(photo, judge, Settings(min_light=0.0, protect_skin=False))
        assert mark(photo).score == pytest.approx(before, abs=0.01)
        assert mark(made).score == pytest.approx(after, abs=0.01)
        height = round(width * photo.pixels.height / photo.pixels.width)
        for left, pixels in ((0, photo.pixels), (width, made.pixels)):
            part = shown.crop((left, top, left + width, top + height)).resize((32, 32))
            wanted = pixels.resize((32, 32))
            assert np.abs(np.asarray(part, int) - np.asarray(wanted, int)).mean() < 8
        top += height
    assert top == shown.height


def test_the_python_runs(tmp_path: Path) -> None:
    (code,) = blocks("python")
    for name in ("photo.jpg", "other.jpg"):
        shutil.copy(ROOT / "examples" / "faded.jpg", tmp_path / name)
    assert "seconds=5" in code
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + code.replace(
        "seconds=5", "evaluations=60"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert (tmp_path / "other_better.png").is_file()


def test_every_op_is_named_with_its_ranges() -> None:
    rows = TEXT.partition("The ops, with their")[2].partition("\n\nThe search uses")[0].splitlines()
    for op in ops().values():
        (row,) = [row for row in rows if re.search(rf"\b{op.id}\b", row)]
        for dial in op.dials:
            for low, high in filter(None, (dial.soft, dial.hard)):
                if dial.unit != "share" and op.id not in ("solarize", "posterize"):
                    assert f"{low:.3g} .. {high:.3g}" in row, op.id


# All of them


@pytest.mark.parametrize("file", [pytest.param(f, id=f.name) for f in DOCUMENTS])
def test_links_lead_to_files(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith("http"):
            path, _, heading = link.partition("#")
            target = file.parent / path if path else file
            assert target.exists(), link
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.M) if heading else []
            assert not heading or heading in [h.lower().replace(" ", "-") for h in headings], link


def test_the_folders_of_contributing_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:nulie|scripts)/[\w/]*(?:\.py)?)`", text))
    assert len(named) > 12
    for name in named:
        assert (ROOT / name).exists(), name
    rooms = {f"nulie/{p.parent.name}/" for p in (ROOT / "nulie").glob("*/__init__.py")}
    assert rooms <= named


def test_the_python_of_contributing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The op is added to the table, in both its forms; the predictor drives a search."""
    op, predictor = blocks("python", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    monkeypatch.setattr(base, "_OPS", dict(ops()))
    monkeypatch.setattr(space, "_DIALS", dict(space._DIALS))
    exec(op, {**vars(color), "ImageOps": ImageOps})
    photo = picture()
    exact = render(Recipe((Step.of("negate", amount=0.3),)), photo)
    batch = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None]
    tensor = base.get("negate").tensor
    assert tensor is not None
    close = tensor(batch, {"amount": np.array([0.3])}, {})[0].permute(1, 2, 0).numpy()
    assert (close == np.asarray(exact)).all()
    own: dict[str, Any] = {}
    exec(predictor, own)
    result = nulie.enhance(photo, predictor=own["Bright"](), evaluations=60)
    assert result.terms.light > 1.05


def test_formats_in_the_changelog_are_those_of_the_code() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"| recipe | {FORMAT} |" in text
    assert f"| checkpoint | {checkpoint.FORMAT} |" in text
    assert f"| job (`--job`) | {journal.FORMAT} |" in text
    assert f"| library (`--library`) | {store.FORMAT} |" in text


# The project's own file


def project() -> str:
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_version_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", nulie.__version__)
    assert 'dynamic = ["version"]' in project()
    assert "\nversion =" not in project()


def test_files_beside_the_code_are_packaged() -> None:
    line = re.search(r"^nulie = \[(.*)\]$", project(), re.M)
    assert line
    patterns = ast.literal_eval(f"[{line[1]}]")
    for file in (ROOT / "nulie").rglob("*"):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            name = f"/{file.relative_to(ROOT / 'nulie').as_posix()}"
            assert any(fnmatch(name, f"/{p.replace('**/', '*')}") for p in patterns), name


@pytest.mark.parametrize(("extra", "package", "command"), [("page", "gradio", "ui")])
def test_a_missing_extra_is_named(extra: str, package: str, command: str, tmp_path: Path) -> None:
    assert re.search(rf'^{extra} = \["{package}\b', project(), re.M)
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from nulie.cli import main; raise SystemExit(main([{command!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"nulie: the page needs {package}; install that, or nulie with its extra [{extra}]\n"
    )


def test_what_is_missing_within_a_package_is_no_missing_extra() -> None:
    with (
        pytest.raises(ExtraError, match=r"needs nowhere; .* \[some\]"),
        needed_for("it", "nowhere", extra="some"),
    ):
        import_module("nowhere")
    with pytest.raises(ModuleNotFoundError, match="nowhere"), needed_for("it", "x", extra="some"):
        import_module("nowhere")
