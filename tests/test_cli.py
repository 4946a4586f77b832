"""The command line as its users meet it: in processes of its own where that makes a difference."""

from __future__ import annotations

import errno
import importlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image, PngImagePlugin

import nulie.fit.statistics
import nulie.predictor
from nulie import __version__, image_io
from nulie.cli import main
from nulie.predictor.base import Judge, Prediction
from nulie.recipe import Recipe, Step

from .conftest import ROOT, FakePredictor, picture

EMBEDDED = ("--predictor", "statistics")
FEW = ("--evaluations", "40", *EMBEDDED)
PROGRAM = (sys.executable, str(ROOT / "standalone.py"))
BRIGHTER = Recipe((Step.of("brightness", factor=1.2),))


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line within this process."""

    def run(*argv: object) -> Done:
        capsys.readouterr()
        code = main([str(a) for a in argv])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """Takes the place of the embedded predictor."""
    predictor = FakePredictor()
    monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (predictor, ""))
    return predictor


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    picture(48, 32).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.png, b.jpg, and c.png in a folder within; beside them what is none of nulie's business."""
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.jpg", "deeper/c.png", "a_nulie.png", ".hidden.png")):
        picture(40, 32, seed).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def look(tmp_path: Path) -> Path:
    path = tmp_path / "look.json"
    path.write_text(BRIGHTER.to_json())
    return path


def started(*argv: object, **options: Any) -> subprocess.Popen[str]:
    """nulie in a process of its own, which hears SIGINT and SIGHUP even where this one is deaf to
    them, as under nohup."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    heard: dict[str, Any] = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    before = {
        getattr(signal, name): signal.signal(getattr(signal, name), handler)
        for name, handler in heard.items()
        if hasattr(signal, name)
    }
    try:
        return subprocess.Popen([*PROGRAM, *map(str, argv)], **options)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def process(*argv: object, **options: Any) -> Done:
    with started(*argv, **options) as child:
        try:
            out, err = child.communicate(timeout=120)
        except BaseException:
            child.kill()
            raise
    return Done(child.returncode, out, err)


def refused(done: Done, *parts: object) -> None:
    """One line that names what is wrong, and nothing else."""
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("nulie: ")
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    assert "Traceback" not in done.err
    for part in parts:
        assert str(part) in done.err


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if p.is_file()}


# What it is for.


def test_one_image_in_a_process_of_its_own(photo: Path, run: Run) -> None:
    """The default name beside the input, a report in words, silence on a stderr that is no
    terminal; and the same seed gives the same bytes, there and here."""
    before = photo.read_bytes()
    done = process(photo, *FEW, "--seed", 3)
    result = photo.with_name("photo_nulie.png")
    assert (done.code, done.err) == (0, "")
    assert "score" in done.out
    assert "40 nodes" in done.out
    assert f"saved as {result}" in done.out
    assert photo.read_bytes() == before
    assert image_io.load(result).size == (48, 32)
    again, other = photo.with_name("again.png"), photo.with_name("other.png")
    assert run(photo, *FEW, "--seed", 3, "-o", again).code == 0
    assert again.read_bytes() == result.read_bytes()
    more = ("--evaluations", 150)  # first each op is tried alone, whatever the seed
    assert run(photo, *FEW, *more, "--seed", 3, "-o", again, "--overwrite").code == 0
    assert run(photo, *FEW, *more, "--seed", 4, "-o", other).code == 0
    assert other.read_bytes() != again.read_bytes()


def test_the_console_command_is_this_main() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert 'nulie = "nulie.cli:main"' in project
    assert len((ROOT / "standalone.py").read_text().splitlines()) <= 10


def test_a_folder_and_one_line_of_json_for_each_image(folder: Path, run: Run, fake: object) -> None:
    (folder / "b.gif").write_bytes(b"GIF89a but not really")
    (folder / "a_nulie.png").unlink()
    done = run(folder, "--recursive", *FEW, "--json")
    assert done.code == 1
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(line["input"]).name for line in lines] == ["a.png", "b.gif", "b.jpg", "c.png"]
    assert [line.get("changed") for line in lines] == [True, None, True, True]
    assert "b.gif" in lines[1]["error"]
    for line in (lines[0], *lines[2:]):
        assert line["variants"][0]["after"]["score"] > line["before"]["score"]
        assert line["recipe"]["nulie"] == 2
        assert line["evaluations"] == 40
        assert all(Path(p).is_file() for p in line["output"])


def test_only_what_is_asked_for_in_a_folder(folder: Path, run: Run, look: Path) -> None:
    there = files(folder)
    assert run(folder, "--recipe", look, "--quiet") == (1, *run_errors(folder))
    (folder / "a_nulie.png").unlink()
    (folder / "b_nulie.jpg").unlink()
    assert run(folder, "--recipe", look, "--quiet") == (0, "", "")
    assert files(folder) == there | {"b_nulie.jpg"}


def run_errors(folder: Path) -> tuple[str, str]:
    exists = f"{folder / 'a_nulie.png'}: exists; choose another name or allow overwriting"
    return "", f"nulie: {exists}\nnulie: 1 of 2 images failed\n"


def test_folders_keep_their_structure(folder: Path, tmp_path: Path, run: Run, look: Path) -> None:
    better = tmp_path / "much" / "better"
    assert run(folder, "--recursive", "--output-dir", better, "--recipe", look).code == 0
    assert files(better) == {"a_nulie.png", "b_nulie.jpg", "deeper/c_nulie.png"}


def test_patterns_that_no_shell_has_expanded(folder: Path, run: Run, look: Path) -> None:
    done = run(folder / "**" / "*.png", "--recipe", look, "--json", "--overwrite")
    assert done.code == 0
    names = {Path(json.loads(line)["input"]).name for line in done.out.splitlines()}
    assert names == {"a.png", "c.png"}


def test_a_name_that_looks_like_a_pattern(tmp_path: Path, run: Run, look: Path) -> None:
    path = tmp_path / "photo[1].png"
    picture(20, 20).save(path)
    assert run(path, "--recipe", look).code == 0
    assert (tmp_path / "photo[1]_nulie.png").is_file()


def test_variants(photo: Path, run: Run, fake: object) -> None:
    done = run(
        photo, *FEW, "--evaluations", 300, "--top", 2, "--json", "--output-dir", photo.parent
    )
    (line,) = done.out.splitlines()
    report = json.loads(line)
    outputs = [photo.with_name("photo_nulie.png"), photo.with_name("photo_nulie_2.png")]
    assert report["output"] == [str(o) for o in outputs]
    pixels = [image_io.load(o).pixels.tobytes() for o in outputs]
    assert pixels[0] != pixels[1]
    found = [json.loads(image_io.read_text(o)["nulie"])["steps"] for o in outputs]
    assert found == [v["recipe"]["steps"] for v in report["variants"]]


def test_recipes_from_search_to_other_images(photo: Path, run: Run) -> None:
    look, first = photo.with_name("look.json"), photo.with_name("photo_nulie.png")
    assert run(photo, *FEW, "--save-recipe", look).code == 0
    again, third = photo.with_name("again.png"), photo.with_name("third.png")
    assert run(photo, "--recipe", look, "-o", again).code == 0
    copy = photo.with_name("copy.json")
    assert run(photo, "--recipe", first, "-o", third, "--save-recipe", copy).code == 0
    pixels = {image_io.load(p).pixels.tobytes() for p in (first, again, third)}
    assert len(pixels) == 1
    assert copy.read_text() == look.read_text()


def test_quiet_says_nothing(photo: Path, run: Run) -> None:
    assert run(photo, *FEW, "--quiet") == (0, "", "")


def test_notes_leave_the_json_alone(tmp_path: Path, run: Run, look: Path) -> None:
    path = tmp_path / "two.gif"
    picture(20, 20).save(path, save_all=True, append_images=[picture(20, 20, 1)])
    done = run(path, "--recipe", look, "--json")
    assert json.loads(done.out)["output"] == [str(tmp_path / "two_nulie.png")]
    assert "first of 2 frames" in done.err


def test_options_may_stand_anywhere(folder: Path, run: Run, look: Path) -> None:
    files = (folder / "a.png", "--overwrite", folder / "b.jpg", "--", folder / "deeper" / "c.png")
    assert run("--recipe", look, *files).code == 0
    assert (folder / "deeper" / "c_nulie.png").is_file()


def test_parameters_stay_in_the_result(tmp_path: Path, run: Run) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a castle, Steps: 20, Seed: 1")
    path = tmp_path / "made.png"
    picture(48, 32).save(path, pnginfo=info)
    assert run(path, *FEW).code == 0
    with Image.open(tmp_path / "made_nulie.png") as image:
        text = image.info
    assert text["parameters"] == "a castle, Steps: 20, Seed: 1"
    found = json.loads(text["nulie"])
    assert found["steps"]
    assert found["score"]["after"] > found["score"]["before"]
    assert found["score"]["by"] == "statistics"


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> None:
    """A predictor for whom every change is for the worse."""

    class Content(FakePredictor):
        def judge(self, photo: torch.Tensor) -> Judge:
            return lambda batch: Prediction(-(batch != photo).float().flatten(1).mean(1))

    monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (Content(), ""))


@pytest.mark.usefixtures("content")
def test_what_nothing_beats_is_copied(tmp_path: Path, run: Run) -> None:
    path, look = tmp_path / "a.jpeg", tmp_path / "look.json"
    picture(40, 32).save(path, quality=60)
    done = run(path, *FEW, "-o", tmp_path / "b.jpg", "--save-recipe", look)
    assert done.code == 0
    assert "nothing found that beats it" in done.out
    assert f"copied as {tmp_path / 'b.jpg'}" in done.out
    assert (tmp_path / "b.jpg").read_bytes() == path.read_bytes()
    assert Recipe.from_json(look.read_text()) == Recipe()
    # Another format needs other bytes, and the pixels are the same.
    assert run(path, *FEW, "-o", tmp_path / "c.png").code == 0
    pixels = [image_io.load(p).pixels.tobytes() for p in (path, tmp_path / "c.png")]
    assert pixels[0] == pixels[1]


def test_help_version_and_ops_load_nothing_heavy(run: Run) -> None:
    code = (
        "import sys\nfrom nulie.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "heavy = {'torch', 'gradio', 'open_clip'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for argv in (["--help"], ["fit", "--help"], ["--version"], ["--list-ops"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *argv],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    assert run("--version").out == f"nulie {__version__}\n"
    usage = run("--help").out
    for option in ("--mode", "--seconds", "--overwrite", "nulie fit"):
        assert option in usage
    ops = run("--list-ops").out
    assert all(op in ops for op in ("brightness", "gamma", "solarize"))


# What is never overwritten.


def test_an_existing_file_stays(photo: Path, run: Run, look: Path) -> None:
    there = photo.with_name("photo_nulie.png")
    there.write_bytes(b"precious")
    refused(run(photo, *FEW), there, "exists")
    refused(run(photo, *FEW, "-o", photo.with_name("new.png"), "--save-recipe", look), "exists")
    assert not photo.with_name("new.png").exists()
    assert there.read_bytes() == b"precious"
    assert Recipe.from_json(look.read_text()) == BRIGHTER
    assert run(photo, "--recipe", look, "--overwrite").code == 0
    assert image_io.load(there).size == (48, 32)


def test_variants_never_replace_files_either(photo: Path, run: Run) -> None:
    second = photo.with_name("photo_nulie_2.png")
    second.write_bytes(b"precious")
    refused(run(photo, *FEW, "--top", 2), second)
    assert second.read_bytes() == b"precious"
    assert not photo.with_name("photo_nulie.png").exists()


@pytest.mark.parametrize("way", ["itself", "dots", "symlink", "hard link"])
def test_the_input_is_never_written_to(photo: Path, run: Run, look: Path, way: str) -> None:
    before, target = photo.read_bytes(), photo.with_name("link.png")
    if way == "itself":
        target = photo
    elif way == "dots":
        (photo.parent / "sub").mkdir()
        target = photo.parent / "sub" / ".." / "photo.png"
    elif way == "symlink":
        target.symlink_to(photo)
    else:
        os.link(photo, target)
    done = run(photo, "--recipe", look, "-o", target, "--overwrite")
    refused(done, target, "input")
    assert photo.read_bytes() == before
    assert target.is_symlink() == (way == "symlink")


def test_nor_is_the_input_that_a_link_leads_to(photo: Path, run: Run, look: Path) -> None:
    link = photo.with_name("link.png")
    link.symlink_to(photo)
    refused(run(link, "--recipe", look, "-o", photo, "--overwrite"), photo, "input")


def test_nor_another_input(folder: Path, run: Run, look: Path) -> None:
    """As a shell gives them: the result of an earlier run is among `*.png`."""
    inputs = [folder / "a.png", folder / "a_nulie.png"]
    before = [p.read_bytes() for p in inputs]
    done = run(*inputs, "--recipe", look, "--overwrite", "--quiet")
    assert done.code == 1
    assert f"{inputs[1]}: is an input" in done.err
    assert [p.read_bytes() for p in inputs] == before
    assert (folder / "a_nulie_nulie.png").is_file()


def test_nor_by_the_recipe(folder: Path, run: Run, look: Path) -> None:
    photo, other = folder / "a.png", folder / "b.jpg"
    before = photo.read_bytes(), other.read_bytes()
    for target in (photo, other):
        done = run(photo, *FEW, "--save-recipe", target, "--overwrite")
        refused(done, target, "JSON")
    link = folder / "link.json"
    link.symlink_to(photo)
    refused(run(photo, *FEW, "-o", folder / "x.png", "--save-recipe", link, "--overwrite"), link)
    out = ("-o", folder / "x.png", "--overwrite")
    refused(run(photo, "--recipe", look, "--save-recipe", look, *out), look, "input")
    assert (photo.read_bytes(), other.read_bytes()) == before
    assert not (folder / "x.png").exists()


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_two_results_never_share_a_name(
    tmp_path: Path, run: Run, look: Path, overwrite: tuple[str, ...]
) -> None:
    inputs = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", tmp_path / "c" / "x.gif"]
    for seed, path in enumerate(inputs):
        path.parent.mkdir()
        picture(20, 20, seed).save(path)
    done = run(*inputs, "--output-dir", tmp_path / "out", "--recipe", look, "--quiet", *overwrite)
    assert done.code == 1
    lines = done.err.splitlines()
    assert len(lines) == 3
    for line, path in zip(lines[:2], inputs[1:], strict=True):
        assert str(path) in line
        assert "--output" in line
        assert str(tmp_path / "out" / "x_nulie.png") in line
    assert lines[2] == "nulie: 2 of 3 images failed"
    found = json.loads(image_io.read_text(tmp_path / "out" / "x_nulie.png")["nulie"])
    assert found == json.loads(BRIGHTER.to_json())
    alone = run(inputs[0], "--recipe", look, "-o", tmp_path / "alone.png")
    assert alone.code == 0
    results = [image_io.load(tmp_path / p).pixels for p in ("alone.png", "out/x_nulie.png")]
    assert results[0].tobytes() == results[1].tobytes()


# What is refused.


def _damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad files by kind, each with a word of its message."""
    whole = folder / "whole.jpg"
    picture(96, 64).save(whole)
    data = whole.read_bytes()
    for name, content in (
        ("empty.jpg", b""),
        ("short.jpg", data[: len(data) // 2]),
        ("text.png", b"this is no picture at all, and it says so"),
    ):
        (folder / name).write_bytes(content)
    (folder / "none").mkdir()
    return {
        "missing": (folder / "missing.jpg", "no such file"),
        "empty": (folder / "empty.jpg", "empty"),
        "truncated": (folder / "short.jpg", "cut short"),
        "no image": (folder / "text.png", "PNG"),
        "no images": (folder / "none", "no images"),
        "no match": (folder / "*.tiff", "pattern"),
        "long name": (folder / f"{'x' * 300}.jpg", "name"),
        "long result": (folder / f"{'x' * 250}.png", "too long"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "empty",
        "truncated",
        "no image",
        "no images",
        "no match",
        "long name",
        "long result",
    ],
)
def test_bad_input(tmp_path: Path, run: Run, kind: str) -> None:
    path, word = _damaged(tmp_path)[kind]
    if kind == "long result":
        picture(20, 20).save(path)
    before = files(tmp_path)
    refused(run(path, *FEW), path.stem, word)
    assert files(tmp_path) == before


def test_bad_input_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "missing.jpg"
    refused(process(path), path, "no such file")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seconds", "0"], "seconds must be above 0"),
        (["--seconds", "-3"], "seconds must be above 0"),
        (["--seconds", "nan"], "seconds"),
        (["--seconds", "inf"], "seconds"),
        (["--seconds", "soon"], "--seconds"),
        (["--evaluations", "0"], "evaluations must be 1 or more"),
        (["--evaluations", "1.5"], "--evaluations"),
        (["--top", "0"], "top must be within 1..100"),
        (["--quality", "900"], "quality must be within 1..100"),
        (["--min-light", "2"], "min-light must be within 0..1"),
        (["--keep-content", "-1"], "keep-content must be 0 or more"),
        (["--mode", "sfot"], "soft"),
        (["--ops", "brightnes"], "brightness"),
        (["--ops", ""], "op"),
        (["--range", "saturation"], "NAME=LOW:HIGH"),
        (["--range", "saturation=1:x"], "NAME=LOW:HIGH"),
        (["--range", "saturation=2:1"], "saturation"),
        (["--range", "saturation=-5:99"], "saturation"),
        (["--range", "nonsense=0:1"], "nonsense"),
        (["--predictor", "statistic"], "did you mean statistics?"),
        (["--predictor", "missing.safetensors"], "missing.safetensors"),
        (["--device", "toaster"], "toaster"),
        (["--secnods", "3"], "--secnods"),
        (["--seconds"], "--seconds"),
        (["-o", "x.txt"], ".png"),
        (["-o", "x.png", "--output-dir", "y"], "--output-dir"),
        (["-o", "."], "."),
        (["--recipe", "missing.json"], "missing.json"),
        (["--recipe", "."], "."),
        (["--save-recipe", "."], "folder"),
    ],
)
def test_bad_options(
    photo: Path, run: Run, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(photo.parent)
    refused(run(photo, *FEW, *options), words)
    assert files(photo.parent) == {"photo.png"}


def test_no_image_at_all(run: Run, photo: Path) -> None:
    refused(run(), "--help")
    refused(run("--keep-content", photo), "after the images")
    # As from an unset variable of a shell; the folder one is in is not meant.
    refused(run(""), "empty")


def test_single_image_options_refuse_many(folder: Path, run: Run) -> None:
    refused(run(folder, "-o", "x.png"), "--output", "2")
    refused(run(folder, "--save-recipe", "x.json"), "--save-recipe", "2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"nulie": 99, "steps": []}',
        '{"nulie": 1, "steps": [{"op": "sparkle"}]}',
        '{"nulie": 1, "steps": [{"op": "brightness", "factor": 1e9}]}',
        '{"nulie": 1, "steps": [{"op": "brightness", "factor": NaN}]}',
        '{"nulie": 1, "steps": [{"op": "brightness", "factor": ' + "9" * 5000 + "}]}",
        '{"nulie": ' + "[" * 100_000,
    ],
    ids=["empty", "text", "list", "bare", "format", "op", "range", "nan", "digits", "depth"],
)
def test_bad_recipes(photo: Path, run: Run, text: str) -> None:
    look = photo.with_name("look.json")
    look.write_text(text)
    refused(run(photo, "--recipe", look), look)
    assert files(photo.parent) == {"photo.png", "look.json"}


def test_recipes_that_are_none(photo: Path, run: Run) -> None:
    refused(run(photo, "--recipe", photo), photo, "no recipe")
    binary = photo.with_name("look.bin")
    binary.write_bytes(bytes(range(256)))
    refused(run(photo, "--recipe", binary), binary, "no recipe")


def test_one_bad_file_does_not_stop_the_others(folder: Path, run: Run, look: Path) -> None:
    (folder / "a.png").write_bytes(b"")
    done = run(folder, "--recipe", look, "--overwrite")
    assert done.code == 1
    assert done.err.splitlines() == [
        f"nulie: {folder / 'a.png'}: is empty; get a whole copy of it",
        "nulie: 1 of 2 images failed",
    ]
    assert (folder / "b_nulie.jpg").is_file()
    (folder / "b.jpg").write_bytes(b"")
    assert run(folder, "--recipe", look, "--overwrite").code == 2


def test_a_predictor_that_is_missing_is_said_once(folder: Path, run: Run) -> None:
    done = run(folder, "--predictor", folder / "taste.safetensors", "--overwrite")
    refused(done, "taste.safetensors")


def test_what_is_no_predictor(photo: Path, run: Run) -> None:
    path = photo.with_name("taste.safetensors")
    path.write_bytes(b"nonsense")
    refused(run(photo, *FEW, "--predictor", path), path)


def test_folders_that_cannot_be_written_to(
    photo: Path, run: Run, monkeypatch: pytest.MonkeyPatch, fake: FakePredictor
) -> None:
    """It is said before the search, which may take hours."""
    file = photo.with_name("file")
    file.write_text("no folder")
    refused(run(photo, *FEW, "--output-dir", file / "out"), file, "Not a directory")
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(run(photo, *FEW, "--output-dir", photo.parent / "new" / "er"), "Permission denied")
    assert fake.judged == 0
    assert files(photo.parent) == {"photo.png", "file"}


def test_a_disk_that_fills_up(
    photo: Path, run: Run, monkeypatch: pytest.MonkeyPatch, fake: object
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = run(photo, *FEW)
    refused(done, photo.with_name("photo_nulie.png"), "free some space")
    # What was found is not lost.
    _, _, text = done.err.partition("the recipe would be ")
    assert Recipe.from_json(text).steps
    assert files(photo.parent) == {"photo.png"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 kilobytes."""
    mount, point = shutil.which("mount"), tmp_path / "disk"
    point.mkdir()
    command = [mount or "", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(point)]
    if not mount or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_disk_that_is_full(photo: Path, run: Run, look: Path, small_disk: Path) -> None:
    picture(300, 200).save(photo)
    refused(run(photo, "--recipe", look, "--output-dir", small_disk), "free some space")
    assert files(small_disk) == set()


def test_a_broken_torch_is_said_in_a_line(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "torch.py").write_text("raise ImportError('libtorch.so is not there')")
    done = process(photo, *FEW, env={**os.environ, "PYTHONPATH": str(tmp_path / "lib")})
    refused(done, "libtorch.so is not there")


def test_memory_that_is_not_enough(
    folder: Path, run: Run, look: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def much(*_: object, **__: object) -> image_io.Photo:
        raise MemoryError

    monkeypatch.setattr(image_io, "load", much)
    done = run(folder, "--recipe", look)
    assert done.code == 2
    assert done.err.count("memory is not enough") == 2


# Names.


@pytest.mark.parametrize(
    "name", ["two\nlines.png", "Ünïcödé 日本 😀.png", "-o.png", "per%20cent {}.png"]
)
def test_names_of_all_kinds(
    tmp_path: Path, run: Run, look: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    picture(20, 20).save(path)
    monkeypatch.chdir(tmp_path)
    argument = name if name.startswith("-") else path
    done = run("--recipe", look, "--json", "--", argument)
    assert (done.code, done.err.count("\n")) == (0, 2)
    (output,) = json.loads(done.out)["output"]
    assert Path(output).name == path.stem + "_nulie.png"
    assert Path(output).is_file()
    done = run("--recipe", look, "--overwrite", "--", argument)
    assert done.out.count("\n") == 2
    refused(run("--recipe", look, "--", argument), "exists")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such name")
def test_a_name_in_no_encoding(tmp_path: Path, look: Path) -> None:
    folder = os.fsencode(tmp_path)
    picture(20, 20).save(tmp_path / "x.png")
    os.rename(folder + b"/x.png", folder + b"/caf\xe9.png")  # noqa: PTH104
    done = process(os.fsdecode(folder + b"/caf\xe9.png"), "--recipe", look)
    assert (done.code, done.err) == (0, "")
    assert os.path.exists(folder + b"/caf\xe9_nulie.png")  # noqa: PTH110


# Ctrl-C.


@pytest.fixture
def keyboard() -> Iterator[Callable[..., Any]]:
    """Makes a function that presses Ctrl-C some times, and does then what another one does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def pressed(times: int, then: Callable[..., Any]) -> Callable[..., Any]:
        def press(*arguments: Any, **options: Any) -> Any:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            return then(*arguments, **options)

        return press

    yield pressed
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("many", [False, True], ids=["image", "folder"])
def test_interrupting_a_search(folder: Path, photo: Path, many: bool) -> None:
    """A bar on the terminal tells the score and the speed; Ctrl-C keeps what was found."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    argv = (folder, "--recursive", "--overwrite") if many else (photo,)
    try:
        with started(*argv, "--seconds", 600, *EMBEDDED, stderr=theirs) as child:
            try:
                os.close(theirs)
                shown = read_until(ours, "nodes")
                child.send_signal(signal.SIGINT)
                shown += read_until(ours, None)
                out, _ = child.communicate(timeout=120)
            except BaseException:
                child.kill()
                raise
    finally:
        os.close(ours)
    assert "Traceback" not in shown
    assert "|" in shown
    assert "/s" in shown
    assert "best" in shown
    assert "stopping; the best so far is kept" in shown
    assert "stopped after" in out
    first = folder / "a.png" if many else photo
    result = first.with_name(first.stem + "_nulie.png")
    assert f"as {result}" in out
    assert image_io.load(result).size == image_io.load(first).size
    if many:
        assert child.returncode == 130
        rest = (folder / "b.jpg", folder / "deeper" / "c.png")
        assert f"not looked at: {rest[0]}, {rest[1]}" in shown
        assert not (folder / "b_nulie.jpg").exists()
    else:
        assert child.returncode == 0
        assert "not looked at" not in shown


def read_until(terminal: int, word: str | None, seconds: float = 120) -> str:
    """What a program writes to a terminal until a word comes, or until its end."""
    shown, deadline = "", time.monotonic() + seconds
    while word is None or word not in shown:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, f"{word!r} never came: {shown!r}"
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            assert word is None, f"{word!r} never came: {shown!r}"
            break
        shown += data.decode(errors="replace")
    return shown


@pytest.mark.skipif(sys.platform == "win32", reason="processes get no such signal there")
def test_interrupting_the_start(photo: Path, tmp_path: Path) -> None:
    """While a library is being imported, an exception would come out as anything."""
    (tmp_path / "lib").mkdir()
    text = (
        "import sys, time\nprint('ready', flush=True)\n"
        "try:\n    time.sleep(120)\nexcept BaseException:\n    raise ImportError('broken')\n"
    )
    (tmp_path / "lib" / "torch.py").write_text(text)
    before = files(tmp_path)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    with started(photo, *FEW, env=env) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    assert err == "nulie: interrupted; nothing was written\n"
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("where", "times"),
    [
        ("nulie.image_io.load", 1),
        ("nulie.predictor.base.Prediction", 2),
        ("nulie.transforms.render", 2),
        ("nulie.image_io.save", 2),
        ("nulie.image_io.atomic._place_new", 2),
    ],
)
def test_interrupting_before_there_is_a_result(
    photo: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    keyboard: Callable[..., Any],
    where: str,
    times: int,
) -> None:
    """The first Ctrl-C ends the search, the second one the program: here both at once."""
    module, _, name = where.rpartition(".")
    known = getattr(importlib.import_module(module), name)
    if name == "Prediction":
        monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (FakePredictor(), ""))
        monkeypatch.setattr("tests.conftest.Prediction", keyboard(times, known))
    else:
        monkeypatch.setattr(where, keyboard(times, known))
    done = run(photo, *FEW)
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "nulie: interrupted; nothing was written"
    assert "Traceback" not in done.err
    assert files(photo.parent) == {"photo.png"}


def test_interrupting_between_two_images(
    folder: Path,
    run: Run,
    look: Path,
    monkeypatch: pytest.MonkeyPatch,
    keyboard: Callable[..., Any],
) -> None:
    load, save = image_io.load, image_io.save

    def saved(*arguments: Any, **options: Any) -> Path:
        path = save(*arguments, **options)
        monkeypatch.setattr(image_io, "load", keyboard(1, load))
        return path

    monkeypatch.setattr(image_io, "save", saved)
    done = run(folder, "--recursive", "--overwrite", "--recipe", look)
    assert done.code == 130
    rest = f"{folder / 'b.jpg'}, {folder / 'deeper' / 'c.png'}"
    assert done.err == f"nulie: interrupted; not done: {rest}\n"
    assert image_io.read_text(folder / "a_nulie.png")["nulie"]


def test_ctrl_c_is_as_before_afterwards(
    photo: Path, run: Run, keyboard: Callable[..., Any]
) -> None:
    assert run(photo, *FEW).code == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert run(photo, *FEW, "--overwrite").code == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


# Streams.


@pytest.mark.parametrize("argv", [["--list-ops"], ["--help"], ["--recipe"]])
def test_a_reader_that_goes_away(photo: Path, look: Path, argv: list[str]) -> None:
    """As in `nulie ... | head -1`."""
    if argv == ["--recipe"]:
        argv = [str(photo), "--json", "--recipe", str(look)]
    read, write = os.pipe()
    os.close(read)
    done = process(*argv, stdout=write)
    os.close(write)
    assert done.code == 1 or argv == ["--help"]  # there argparse swallows it
    assert "Traceback" not in done.err
    assert "Broken" not in done.err
    if look.name in argv[-1]:
        assert photo.with_name("photo_nulie.png").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_from_the_start(photo: Path, look: Path, closed: str) -> None:
    missing = photo.with_name("missing.png")
    command = [*PROGRAM, str(missing), str(photo), "--recipe", str(look), "--json"]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [("error" in line) for line in lines] == ([] if ">&-" in closed[:3] else [True, False])
    assert "Traceback" not in done.stderr
    assert image_io.load(photo.with_name("photo_nulie.png")).pixels.size == (48, 32)


# nulie fit


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs to fit to, which takes no time here."""
    monkeypatch.setattr(nulie.fit.statistics, "BATCH", 8)
    folder = tmp_path / "best"
    folder.mkdir()
    for seed in range(9):
        picture(36, 24, seed).save(folder / f"{seed}.png")
    return folder


EASY = ("--effort", "0.002")


def test_a_taste_of_ones_own(best: Path, tmp_path: Path, run: Run, photo: Path) -> None:
    taste = tmp_path / "new" / "taste.safetensors"
    done = run("fit", best, "-o", taste, *EASY)
    assert (done.code, done.err) == (0, "")
    assert "9 photographs" in done.out
    assert files(tmp_path) >= {"new/taste.safetensors"}
    assert run(photo, *FEW, "--predictor", taste).code == 0
    again = tmp_path / "again.safetensors"
    assert run("fit", best, "-o", again, *EASY, "--quiet") == (0, "", "")
    assert again.read_bytes() == taste.read_bytes()


def test_fit_reports_bad_photographs(best: Path, tmp_path: Path, run: Run) -> None:
    (best / "1.png").write_bytes(b"")
    taste = tmp_path / "taste.safetensors"
    done = run("fit", best, "-o", taste, *EASY)
    assert done.code == 1
    assert done.err == f"nulie: {best / '1.png'}: is empty; get a whole copy of it\n"
    assert "8 photographs" in done.out
    (best / "2.png").write_bytes(b"")
    done = run("fit", best, "-o", taste, *EASY, "--overwrite")
    assert done.code == 2
    assert "7 photographs are too few" in done.err


def test_what_fit_refuses(best: Path, tmp_path: Path, run: Run) -> None:
    taste = tmp_path / "taste.safetensors"
    refused(run("fit"), "nulie fit --help")
    assert run("fit", tmp_path / "missing", "-o", taste).code == 2
    refused(run("fit", best, "-o", tmp_path / "taste.txt"), ".safetensors")
    refused(run("fit", best, "--effort", "0"), "effort")
    refused(run("fit", best, "-o", best / "0.png" / taste.name), "Not a directory")
    taste.write_bytes(b"precious")
    refused(run("fit", best, "-o", taste), "exists")
    assert taste.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "where",
    [
        "nulie.fit.parts._part",
        "nulie.fit.statistics._loss",
        "nulie.image_io.atomic._place_new",
    ],
)
def test_interrupting_fit(
    best: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    keyboard: Callable[..., Any],
    where: str,
) -> None:
    module, _, name = where.rpartition(".")
    known = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(where, keyboard(1, known))
    before = files(tmp_path)
    done = run("fit", best, "-o", tmp_path / "taste.safetensors", *EASY)
    assert done == (130, "", "nulie: interrupted; nothing was written\n")
    assert files(tmp_path) == before


def test_a_photograph_named_like_a_command(
    tmp_path: Path, run: Run, look: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(20, 20).save(tmp_path / "fit", "PNG")
    assert run("./fit", "--recipe", look).code == 0
    assert (tmp_path / "fit_nulie.png").is_file()


# Like another picture; weaker and stronger


def test_like_another_picture(run: Run, photo: Path, tmp_path: Path) -> None:
    reference = tmp_path / "dusk.png"
    picture(48, 32, seed=5).point([level // 2 for level in range(256)] * 3).save(reference)
    done = run(photo, "--like", reference, "--evaluations", 60, "--json")
    line = json.loads(done.out)
    assert done.code == 0
    assert "(likeness to dusk.png)" in done.err
    assert line["predictor"] == "likeness to dusk.png"
    after = line["variants"][0]["after"]
    assert after["score"] > line["before"]["score"]
    assert after["light"] < 0.9, "that guard is off"
    with Image.open(line["output"][0]) as written:
        assert json.loads(written.info["nulie"])["score"]["by"] == line["predictor"]
    held = run(
        photo, "--like", reference, "--evaluations", 60, "--json", "--overwrite", "--min-light", 0.9
    )
    assert all(v["after"]["light"] >= 0.9 for v in json.loads(held.out)["variants"])
    both = run(photo, "--like", reference, *FEW)
    refused(both, "--like and --predictor")
    refused(run(photo, "--like", reference, "--output", reference, "--overwrite"))
    refused(run(photo, "--like", tmp_path / "nowhere.png"), "nowhere.png", "no such file")


def test_half_of_a_recipe(run: Run, photo: Path, look: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    saved = tmp_path / "half.json"
    done = run(photo, "--recipe", look, "--strength", 0.5, "-o", out, "--save-recipe", saved)
    assert done.code == 0
    assert Recipe.from_json(saved.read_text()) == Recipe((Step.of("brightness", factor=1.1),))
    assert "brightness 1.10" in done.out
    refused(run(photo, *FEW, "--strength", 2), "strength must be within 0..1.5")


def test_guards_of_colour_and_contrast(run: Run, photo: Path) -> None:
    def terms(*options: object) -> Any:
        return json.loads(run(photo, *FEW, "--json", "--overwrite", *options).out)["before"]

    assert terms()["color"] == terms()["contrast"] == pytest.approx(1)
    assert terms("--min-color", 0)["color"] is None
    assert terms("--min-contrast", 0)["contrast"] is None
    refused(run(photo, *FEW, "--min-color", 2), "min-color must be within 0..1")
