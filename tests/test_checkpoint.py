"""Long runs: state kept on disk, gone on from after a kill, printed as a tree."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nulie.cli import main
from nulie.engine import Enhancement, Finished
from nulie.engine.checkpoint import Checkpoint
from nulie.errors import CheckpointError, SettingsError
from nulie.recipe import Recipe
from nulie.recipe.settings import Settings
from nulie.search import Progress
from nulie.tree import nodes

from .conftest import ROOT, FakePredictor, picture


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    picture().save(path)
    return path


def enhance(*arguments: object) -> int:
    return main([*map(str, arguments), "--predictor", "statistics", "--overwrite", "--quiet"])


def started(checkpoint: Path, evaluations: int = 400) -> Checkpoint:
    """A checkpoint from the middle of a run."""
    run = Enhancement(picture(), FakePredictor(), Settings(seconds=None, evaluations=evaluations))
    for event in run.events():
        if isinstance(event, Progress) and event.evaluations > evaluations // 2:
            break
    checkpoint.write_text(run.checkpoint().to_json())
    return run.checkpoint()


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path: Path) -> None:
    settings = Settings(seconds=None, evaluations=400)
    whole = list(Enhancement(picture(), FakePredictor(), settings).events())[-1]
    checkpoint = Checkpoint.from_json(started(tmp_path / "c").to_json())
    run = Enhancement(picture(), FakePredictor(), checkpoint.settings, resume=checkpoint)
    resumed = list(run.events())[-1]
    assert isinstance(whole, Finished)
    assert isinstance(resumed, Finished)
    assert resumed.result.variants == whole.result.variants
    assert resumed.result.evaluations == whole.result.evaluations == 400


def test_a_resumed_run_knows_the_best_score_so_far(tmp_path: Path) -> None:
    checkpoint = started(tmp_path / "c")
    run = Enhancement(picture(), FakePredictor(), checkpoint.settings, resume=checkpoint)
    scores = [event.best_score for event in run.events() if isinstance(event, Progress)]
    assert checkpoint.best_score <= scores[0]


def test_a_checkpoint_of_the_first_format_leads_where_it_led_then() -> None:
    """Written in the middle of a search by nulie 1.0, which then gave these variants, but with
    a digit more: what rounding may cost is asked of the eye by now."""
    folder = Path(__file__).with_name("data") / "checkpoints"
    text = (folder / "format1.json").read_text()
    expected = json.loads((folder / "format1_result.json").read_text())["variants"]
    checkpoint = Checkpoint.from_json(text)
    assert json.loads(text)["nulie-checkpoint"] == 1
    assert json.loads(checkpoint.to_json())["nulie-checkpoint"] == 2
    run = Enhancement(picture(), FakePredictor(), checkpoint.settings, resume=checkpoint)
    *_, last = run.events()
    assert isinstance(last, Finished)
    variants = [(Recipe.from_json(recipe), total) for recipe, total in expected]
    assert len(variants) == 3
    assert [v.recipe for v in last.result.variants] == [recipe for recipe, _ in variants]
    assert [v.terms.total for v in last.result.variants] == pytest.approx([t for _, t in variants])


def test_killed_and_resumed(photo: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of a real run; the checkpoint is whole and leads to the same end."""
    budget = ["--evaluations", "1500", "--seed", "2"]
    whole = tmp_path / "whole.json"
    assert enhance(photo, "-o", tmp_path / "a.png", "--checkpoint", whole, *budget) == 0
    state = tmp_path / "state.json"
    command = [sys.executable, "standalone.py", photo, "-o", tmp_path / "b.png", *budget]
    command += ["--checkpoint", state, "--checkpoint-every", "0.05", "--predictor", "statistics"]
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if state.exists() and json.loads(state.read_text())["evaluations"] >= 100:
                break
            time.sleep(0.01)
        assert process.poll() is None, "it should be in the midst of its search"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait()
    assert json.loads(state.read_text())["evaluations"] < 1500
    assert enhance(photo, "-o", tmp_path / "b.png", "--resume", state) == 0
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    ends = [json.loads(f.read_text()) for f in (whole, state)]
    assert ends[1]["best_score"] >= ends[0]["best_score"]
    assert ends[1]["evaluations"] == 1500


def test_a_larger_budget_goes_further(photo: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    assert enhance(photo, "--checkpoint", state, "--evaluations", 60) == 0
    assert enhance(photo, "--resume", state, "--evaluations", 90) == 0
    assert json.loads(state.read_text())["evaluations"] == 90
    assert enhance(photo, "--resume", state) == 2  # nothing is left of the budget


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "checkpoint"),
        ("{}", "not a checkpoint"),
        ('{"nulie-checkpoint": 9}', "format 9 is unknown; this version reads 1 and 2"),
        ('{"nulie-checkpoint": true}', "format True"),
        ('{"nulie-checkpoint": 1}', "not a whole"),
        (None, "cannot be read"),
    ],
)
def test_bad_checkpoints_are_named(content, said, photo, tmp_path, capsys) -> None:
    state = tmp_path / "state.json"
    if content is not None:
        state.write_text(content)
    assert main([str(photo), "--resume", str(state), "--predictor", "statistics"]) == 2
    error = capsys.readouterr().err
    assert "state.json" in error
    assert said in error
    assert error.count("\n") == 1
    assert main(["tree", str(state)]) == 2


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    text = started(tmp_path / "c").to_json()
    for length in (10, len(text) // 2, len(text) - 1):
        with pytest.raises(CheckpointError):
            Checkpoint.from_json(text[:length])


def test_another_photo_or_predictor_is_refused(tmp_path: Path) -> None:
    checkpoint = started(tmp_path / "c")
    with pytest.raises(CheckpointError, match="another photo"):
        Enhancement(picture(seed=1), FakePredictor(), checkpoint.settings, resume=checkpoint)
    other = FakePredictor()
    other.name = "other"
    with pytest.raises(CheckpointError, match="--predictor fake"):
        Enhancement(picture(), other, checkpoint.settings, resume=checkpoint)


def test_budgets_count_what_is_spent(tmp_path: Path) -> None:
    checkpoint = started(tmp_path / "c")
    assert checkpoint.budget(None, None) == checkpoint.settings
    assert checkpoint.budget(None, 999).evaluations == 999
    with pytest.raises(SettingsError, match="already"):
        checkpoint.budget(None, 3)


def test_tree_prints_every_remembered_node_once(tmp_path: Path, capsys) -> None:
    checkpoint = started(tmp_path / "c")
    assert main(["tree", str(tmp_path / "c"), "--most", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(checkpoint.tree["nodes"])
    assert lines[0].endswith("input")
    best = max(node.score for node in nodes(checkpoint.tree))
    assert any(line.startswith("*") and f"{best:.4f}" in line for line in lines)
    depths = [len(line[12:]) - len(line[12:].lstrip()) for line in lines]
    assert all(b <= a + 2 for a, b in itertools.pairwise(depths))


def test_tree_for_graphviz(tmp_path: Path, capsys) -> None:
    started(tmp_path / "c")
    assert main(["tree", str(tmp_path / "c"), "--dot", "--most", "20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("digraph")
    nodes = [line for line in out.splitlines() if "[label=" in line]
    edges = [line for line in out.splitlines() if "->" in line]
    assert len(nodes) == len(edges) + 1
    assert len(nodes) >= 20
