"""`nulie train`: a restorer of one's own, from the folder to its use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from nulie.errors import SettingsError, WeightsError
from nulie.fit import critics
from nulie.fit.restorers import JOBS, Patches, Training
from nulie.fit.spoil import scan
from nulie.image_io import Photo
from nulie.jobs.inputs import items
from nulie.jobs.restoration import Restorers, last_steps, read
from nulie.jobs.train import KINDS, Train
from nulie.restore import create, model_id, pictures
from nulie.restore.own import Own

from .conftest import ROOT, picture
from .test_cli import started

SMALL = ("--features", 8, "--depth", 1, "--steps", 12)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NULIE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "trained"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    folder.mkdir()
    for number in range(4):
        picture(220, 200, seed=number).save(folder / f"{number}.png")
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(ROOT / "standalone.py"), "train", *map(str, arguments)]


def train(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_from_the_folder_to_its_use(kind: str, folder: Path, home: Path, tmp_path: Path) -> None:
    done = train(kind, folder, "--name", "mine", *SMALL)
    assert "trained on 3 pictures in 12 steps" in done.stdout
    assert "use it: nulie photo.jpg --model mine" in done.stdout
    assert sorted(p.name for p in home.iterdir()) == ["mine.png", "mine.safetensors"]
    with Image.open(home / "mine.png") as sheet:
        assert sheet.size == (480, 160)
    used = subprocess.run(
        [sys.executable, str(ROOT / "standalone.py"), str(folder / "0.png"), "--model", "mine",
         "--no-search", "-o", str(tmp_path / "out.png")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert used.returncode == 0, used.stderr
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == ((440, 400) if kind == "upscale" else (220, 200))
    # A result names it, and the recipe finds it again.
    again = subprocess.run(
        [sys.executable, str(ROOT / "standalone.py"), str(folder / "1.png"),
         "--recipe", str(tmp_path / "out.png"), "-o", str(tmp_path / "two.png")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr


def test_the_same_command_makes_the_same_file(folder: Path, home: Path) -> None:
    train("repair", folder, "--name", "one", *SMALL)
    train("repair", folder, "--name", "two", *SMALL)
    assert (home / "one.safetensors").read_bytes() == (home / "two.safetensors").read_bytes()


@pytest.mark.parametrize("lively", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_it_is_stopped_and_goes_on(lively: bool, folder: Path, home: Path) -> None:
    """To the same file that it makes in one go."""
    found = items([str(folder)], recursive=False)
    cancel = threading.Event()

    def work(name: str, steps: int = 12) -> Train:
        plain = Train(kind="denoise", items=found, name=name, steps=steps, features=8, depth=1)
        return replace(plain, perceptual=lively, adversarial=lively)

    def stop(what: str, share: float) -> None:
        if what.startswith("step 5"):
            cancel.set()

    assert work("stopped").run(stop, print, cancel) is None
    assert [path.name for path in home.iterdir()] == ["stopped.state"]
    with pytest.raises(SettingsError, match="was stopped that had another steps"):
        work("stopped", steps=13).run(stop, print, threading.Event())
    for name in ("stopped", "whole"):
        done = work(name).run(lambda what, share: None, print, threading.Event())
        assert done is not None
        assert done.steps == 12
    assert (home / "stopped.safetensors").read_bytes() == (home / "whole.safetensors").read_bytes()
    assert not (home / "stopped.state").exists()


def test_ctrl_c_says_that_it_can_go_on(folder: Path, home: Path) -> None:
    running = started("train", "denoise", folder, "--name", "long", "--minutes", 60)
    time.sleep(8)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    # Before it has begun there is nothing to go on with.
    assert ("the same command goes on" in told) == (home / "long.state").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense", "FOLDER", "--name", "a"), "there is no training 'nonsense'; known: upscale"),
        (("scan", "FOLDER", "--name", "../a"), "use letters, digits"),
        (("scan", "FOLDER", "--name", "x2"), "nulie has a restorer of that name"),
        (("scan", "--name", "a"), "name a folder of clean pictures"),
        (("scan", "FOLDER", "--name", "a", "--minutes", "0"), "minutes must be above 0"),
        (("scan", "FOLDER", "--name", "a", "--from", "nobody"), "no restorer is called 'nobody'"),
        (("scan", "FOLDER/0.png", "--name", "a"), "1 of the pictures can be used, and two"),
        (("scan", "nowhere", "--name", "a"), "nowhere"),
        (("scan", "FOLDER", "--name", "a", "--scale", "4"), "--scale is not for scan"),
        (("color", "FOLDER", "--name", "a", "--scale", "2"), "--scale is not for color"),
        (("color", "FOLDER", "--name", "a", "--features", "8"), "--features is not for color"),
        (("color", "FOLDER", "--name", "a", "--depth", "2"), "--depth is not for color"),
        (("color", "FOLDER", "--name", "a", "--depth", "0"), "--depth is not for color"),
        (("scan", "FOLDER", "--name", "a", "--depth", "0"), "--depth within 1..32"),
        (("color", "FOLDER", "--name", "a", "--perceptual"), "--perceptual is not for color"),
    ],
)
def test_mistakes_cost_a_sentence(
    arguments: tuple[str, ...], message: str, folder: Path, home: Path
) -> None:
    done = train(*(a.replace("FOLDER", str(folder)) for a in arguments), code=2)
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].count(message) == 1 or "nowhere" in message


def test_processes_prepare_what_a_gpu_would_wait_for() -> None:
    """The same patches, from wherever a training goes on."""
    patches = Patches(JOBS["repair"], [np.asarray(picture(220, 200))], (), seed=1, count=2)
    prepared = patches.ahead(3)
    for step in range(3, 9):
        for one, other in zip(next(prepared), patches[step], strict=True):
            assert torch.equal(one, other)


def test_pairs_must_fit(folder: Path, home: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "scans"
    spoiled.mkdir()
    for path in folder.iterdir():
        Image.open(path).resize((200, 200)).save(spoiled / path.name)
    done = train("scan", folder, "--spoiled", spoiled, "--name", "a", *SMALL, code=2)
    assert "its spoiled form must be of 220 x 200 pixels" in done.stderr


def test_a_loss_falls_and_the_average_is_what_is_kept() -> None:
    photos = [np.asarray(picture(220, 200, seed=n)) for n in range(3)]
    training = Training(JOBS["denoise"], photos, features=16, depth=2)
    seen, truth, strength = training.patches[1000]

    def off() -> float:
        with torch.inference_mode():
            return float((training.net(seen / 255, strength) - truth / 255).abs().mean())

    before = off()
    for n in range(60):
        training.step(n / 60)
    assert off() < 0.9 * before
    training.net.load_state_dict(training.average)
    assert off() < 0.9 * before
    net = training.net.state_dict()
    assert set(training.average) == set(net)
    assert all(v.shape == net[k].shape for k, v in training.average.items())


@pytest.mark.slow
def test_what_looks_well_can_be_made_more_faithful(folder: Path, home: Path) -> None:
    """As the network that it began with is."""
    train("upscale", folder, "--name", "base", *SMALL)
    goals = "--perceptual", "--adversarial", "--steps", 12
    train("upscale", folder, "--name", "vivid", "--from", "base", *goals)
    base, vivid = create("base", "cpu"), create("vivid", "cpu")
    assert isinstance(vivid, Own)
    assert vivid.metadata["from"] == model_id(base)
    assert vivid.metadata["made by"] == "nulie train upscale --perceptual --adversarial"
    photo = Photo(picture(40, 30))

    def at(share: float) -> npt.NDArray[Any]:
        return np.asarray(pictures.restore(photo, vivid, {"faithful": share}).pixels).astype(int)

    faithful = np.asarray(pictures.restore(photo, base, {}).pixels)
    assert (at(1.0) == faithful).all()
    lively = np.asarray(pictures.restore(photo, vivid, {}).pixels)
    assert (at(0.0) == lively).all()
    apart = np.abs(lively.astype(int) - faithful).mean()
    assert 0 < np.abs(at(0.5) - faithful).mean() < apart
    (wanted,) = last_steps(photo, read({"model": "vivid", "faithful": 0.5}), Restorers("cpu"))
    assert dict(wanted.params)["faithful"] == 0.5
    (home / "base.safetensors").unlink()
    alone = create("vivid", "cpu")
    assert not alone.dials
    with pytest.raises(WeightsError, match=r"vivid was made from base@.* is not here"):
        alone.restore(torch.zeros(1, 3, 8, 8), {"faithful": 0.5})
    with pytest.raises(SettingsError, match=r"--faithful 0\.5: vivid can be only one way"):
        last_steps(photo, read({"model": "vivid", "faithful": 0.5}), Restorers("cpu"))


def test_what_is_blurred_looks_unlike_and_can_be_told() -> None:
    torch.manual_seed(0)
    clean = torch.from_numpy(np.array(picture(96, 96))).permute(2, 0, 1)[None].float() / 255
    blurred = torch.nn.functional.avg_pool2d(clean, 3, 1, 1)
    made = clean.lerp(blurred, 0.3).requires_grad_()
    assert critics.unlike(clean, clean).item() == 0
    near, far = critics.unlike(made, clean), critics.unlike(blurred, clean)
    assert 0 < near.item() < far.item()
    near.sum().backward()
    assert made.grad is not None
    assert made.grad.abs().max() > 0
    opponent = critics.Opponent(2)
    told = [opponent.judge(blurred, clean).item()]
    for _ in range(30):
        opponent.learn(blurred, clean)
        told.append(opponent.judge(blurred, clean).item())
    assert told[-1] > told[0] + 0.3


def test_to_begin_with_another_network_is_to_know_what_it_knows() -> None:
    photos = [np.asarray(picture(220, 200, seed=n)) for n in range(3)]
    first = Training(JOBS["x2"], photos, features=8, depth=2)
    second = Training(JOBS["x4"], photos, features=8, depth=2, seed=5, start=first.average)
    own, other = first.net.state_dict(), second.net.state_dict()
    same = [name for name in own if own[name].shape == other[name].shape]
    assert len(same) == len(own) - 2
    assert all(torch.equal(own[name], other[name]) for name in same)


@pytest.mark.parametrize(("depth", "deeper"), [(1, 2), (2, 5), (3, 4), (8, 12)])
def test_a_deeper_network_begins_with_all_that_it_began_from_does(depth: int, deeper: int) -> None:
    photos = [np.asarray(picture(220, 200, seed=n)) for n in range(3)]
    first = Training(JOBS["denoise"], photos, features=8, depth=depth)
    first.step(0.5)
    start = first.net.state_dict()
    second = Training(JOBS["denoise"], photos, features=8, depth=deeper, start=start)
    seen, _, strength = first._batch()
    with torch.no_grad():
        known, same = (one.net(seen, strength) for one in (first, second))
    assert second.net.depth == deeper
    assert torch.allclose(known, same, atol=1e-5)
    second.step(0.5)
    new = second.net.state_dict()
    assert any(not torch.equal(new[name], value) for name, value in start.items())


def test_a_book_of_ones_own(tmp_path: Path, data: Path, home: Path) -> None:
    """Scans of a coarse halftone: who has learned them restores them better than the general
    network, which knows dots of 6 pixels at most."""
    clean, scans = tmp_path / "clean", tmp_path / "scans"
    clean.mkdir()
    scans.mkdir()
    rng = np.random.default_rng(0)
    for path in sorted((data / "photos-train").glob("*.jpg"))[:40]:
        image = Image.open(path).convert("RGB")
        image.save(clean / f"{path.stem}.png")
        page, _ = scan(np.asarray(image), rng, cell=8.0)
        Image.fromarray(page).save(scans / f"{path.stem}.png")
    train(
        "scan", clean, "--spoiled", scans, "--name", "mybook", "--from", "scan",
        "--steps", os.environ.get("NULIE_BOOK_STEPS", "80"),
    )  # fmt: skip
    gains = []
    for path in sorted((data / "photos-train").glob("*.jpg"))[-6:]:
        truth = np.asarray(Image.open(path).convert("RGB"))
        page, _ = scan(truth, rng, cell=8.0)
        errors = [
            np.mean((np.asarray(pictures.restore(Photo(Image.fromarray(page)), net, {}).pixels)
                     - truth.astype(float)) ** 2)
            for net in (create("scan", "cpu"), create("mybook", "cpu"))
        ]  # fmt: skip
        gains.append(10 * np.log10(errors[0] / errors[1]))
    assert np.mean(gains) > 0.1


def test_values_are_checked_before_any_picture_is_read() -> None:
    with pytest.raises(SettingsError, match="scale must be 2 or 4"):
        Train(kind="upscale", items=[], name="a", scale=3)
