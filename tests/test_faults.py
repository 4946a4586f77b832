"""What goes wrong around a run: disks, streams, signals, links, damaged files. Each as its user
meets it, in a process of its own where that makes a difference."""

from __future__ import annotations

import copy
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

import nulie.predictor
from nulie.cli import main
from nulie.engine import Enhancement
from nulie.recipe.settings import Settings
from nulie.search import Progress

from .conftest import FakePredictor, picture

ROUNDS = int(os.environ.get("NULIE_FUZZ", "72"))
"""How many damaged checkpoints are tried; by hand, some thousands."""

# Damaged checkpoints.

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**62, 2**70, -(2**70), 0.5, -1e300, 1e308, float("inf"), float("nan"),
    "", "x", "brightness", "9" * 5000, [], [[]], {}, {"op": "brightness"}, [1, 2], [None] * 3,
)  # fmt: skip


def places(data: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to values within, of long lists the first and the last alone."""
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = [(at, data[at]) for at in sorted({0, 1, len(data) - 1} & {*range(len(data))})]
    else:
        return [way]
    found = [place for key, value in inner for place in places(value, (*way, key))]
    return [way, *found] if way else found


def damage(data: Any, rng: random.Random) -> Any:
    """A copy with one or two of its values gone, changed, doubled or in each other's place."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 2))):
        *way, key = rng.choice(places(data))
        holder = data
        for part in way:
            holder = holder[part]
        kind = rng.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder[key], list):
            holder[key] = holder[key][: rng.randrange(len(holder[key]) + 1)]
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == 3 and type(holder[key]) in (int, float):
            holder[key] = holder[key] * rng.choice((-1, 0, 2, 1e6)) + rng.choice((0, 1, 0.5))
        else:
            holder[key] = rng.choice(ODD)
    return data


def scratch(text: str, rng: random.Random) -> bytes:
    """The bytes of a text with some of them wrong, gone or new, or without its end."""
    found = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 3, 20))):
        at = rng.randrange(len(found))
        kind = rng.randrange(5)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[at : at + rng.randrange(1, 30)]
        elif kind == 2:
            found[at:at] = rng.choice((b"\0", b"9" * 30, b"e99", b"-", b"[", b'"', b"\xff", b"NaN"))
        elif kind == 3:
            found[at] = rng.choice(b"0123456789.,:-")
    return bytes(found[: rng.randrange(len(found))] if rng.random() < 0.1 else found)


@pytest.fixture(scope="module")
def checkpoints() -> list[str]:
    """Of both formats, from the middle of searches on `picture()`."""
    run = Enhancement(picture(), FakePredictor(), Settings(seconds=None, evaluations=300))
    for event in run.events():
        if isinstance(event, Progress) and event.evaluations > 150:
            break
    data = Path(__file__).with_name("data")
    old = [data / "checkpoints" / "format1.json", data / "checkpoint-1.json"]
    return [run.checkpoint().to_json(), *(path.read_text() for path in old)]


def test_a_damaged_checkpoint_is_refused_in_a_sentence_or_gone_on_from(
    checkpoints: list[str], tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (FakePredictor(), ""))
    rng = random.Random(int(os.environ.get("SEED", 5)))
    photo, state = tmp_path / "a.png", tmp_path / "state.json"
    picture().save(photo)
    codes, tracebacks = [], []
    for number in range(ROUNDS):
        text = checkpoints[number % len(checkpoints)]
        if number % 3:
            state.write_text(json.dumps(damage(json.loads(text), rng)))
        else:
            state.write_bytes(scratch(text, rng))
        damaged = state.read_bytes()
        budget = ("--evaluations", "320", "--checkpoint", str(tmp_path / "other.json"))
        enhance = (str(photo), "--overwrite", "--resume", str(state), *budget)
        for argv in (enhance, ("tree", str(state))):
            try:
                code: object = main(argv)
            except Exception as e:
                code = repr(e)
            said = capsys.readouterr().err
            codes.append(code)
            if code not in (0, 2) or said.count("\n") != (code == 2) or "failed (" in said:
                (tmp_path / f"damaged-{number}.json").write_bytes(damaged)
                tracebacks.append(f"{number}, {argv[0]}: {code}, {said[:300]}")
    assert tracebacks == []
    assert {0, 2} == set(codes)
