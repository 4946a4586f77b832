"""`nulie score`, `nulie weights`, and an enhancement by CLIP, from the command line."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nulie.cli import main
from nulie.predictor import tower

from .conftest import picture
from .test_clip import TINY, half_tensors, write

STATISTICS = ("--predictor", "statistics")


@pytest.fixture(autouse=True)
def _no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, and publishers that refuse every connection."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for name in ("NULIE_HEADS_ENDPOINT", "HF_ENDPOINT"):
        monkeypatch.setenv(name, url)
    for name in ("NULIE_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, size in enumerate([(300, 240), (240, 300), (500, 230)]):
        picture(*size, seed=seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options for a CLIP of the usual making whose tower takes milliseconds, from real files."""
    monkeypatch.setitem(tower.ARCHS, "ViT-B-32", TINY)
    weights = write(tmp_path / "tiny.safetensors", "safetensors", half_tensors(TINY))
    head = tmp_path / "head.safetensors"
    weight = torch.randn(1, TINY.dim, generator=torch.Generator().manual_seed(3))
    save_file({"weight": 20 * weight / weight.norm(), "bias": torch.tensor([5.0])}, head)
    files = ["--clip-weights", str(weights), "--head", str(head)]
    return ["--predictor", "clip-b32", "--device", "cpu", "--precision", "fp32", *files]


def test_scores_are_a_table_best_first(photos: Path, capsys) -> None:
    assert main(["score", str(photos), *STATISTICS]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {Path(name).name for _, name in rows} == {"0.png", "1.png", "2.png"}
    scores = [float(score) for score, _ in rows]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("by", ["statistics", "clip"])
def test_scores_are_those_of_a_run(by: str, photos: Path, clip: list[str], capsys) -> None:
    """The score before a search, in its report, is what `nulie score` says of the file."""
    options = clip if by == "clip" else list(STATISTICS)
    assert main(["score", str(photos), "--json", *options]) == 0
    scored = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main([str(photos), "--json", "--quiet", "--evaluations", "12", *options]) == 0
    ran = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["input"] for r in ran] == [s["input"] for s in scored]
    for run, score in zip(ran, scored, strict=True):
        assert run["before"]["score"] == pytest.approx(score["score"], abs=2e-4)


def test_an_unreadable_image_is_reported_and_the_others_scored(photos: Path, capsys) -> None:
    (photos / "3.png").write_bytes(b"no image")
    assert main(["score", str(photos), *STATISTICS]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "3.png" in captured.err
    assert main(["score", str(photos / "3.png"), *STATISTICS]) == 2


def test_clip_enhances_and_reports_content(photos: Path, clip: list[str], capsys) -> None:
    arguments = [str(photos / "0.png"), "--json", "--quiet", "--evaluations", "40", *clip]
    assert main([*arguments, "--keep-content"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["predictor"] == "clip-b32"
    for variant in report["variants"]:
        assert variant["after"]["total"] > report["before"]["total"]
        assert 0 < variant["after"]["content"] < 2
    assert Path(report["output"][0]).exists()


def test_auto_goes_on_offline_and_an_explicit_wish_does_not(photos: Path, capsys) -> None:
    arguments = [str(photos / "0.png"), "--evaluations", "5", "--overwrite"]
    assert main(arguments) == 0
    assert "statistics" in capsys.readouterr().out
    assert main([*arguments, "--predictor", "clip-sac"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nulie weights fetch" in error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--precision", "fp8"], "fp8"),
        (["--views", "3"], "views"),
        (["--predictor", "statistics", "--head", "x.pth"], "head"),
        (["--predictor", "clip-sack"], "clip-sac"),
        (["--predictor", "clip-b32", "--head", "nowhere.pth"], "nowhere.pth"),
    ],
)
def test_bad_options_are_one_line(options: list[str], said: str, photos: Path, capsys) -> None:
    assert main(["score", str(photos), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_weights_are_listed_checked_and_fetched(capsys) -> None:
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    for word in ("ViT-L-14", "sac+logos", "MIT", "Apache-2.0", "absent"):
        assert word in out
    assert main(["weights", "check"]) == 0
    assert main(["weights", "fetch", "clip-b32"]) == 2
    told = capsys.readouterr().err
    assert "ViT-B-32: " in told
    assert "licence MIT" in told
    assert main(["weights", "fetch", "clip-b33"]) == 2
    assert main(["weights", "burn"]) == 2
    assert "--help" in capsys.readouterr().err
