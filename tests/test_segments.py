"""Embeddings beside a library: whole files, whatever ends a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from nulie.library import segments, store
from nulie.library.store import Store, opened

from .conftest import ROOT, picture
from .test_library import _Counting, of_clip, place, small_clip

__all__ = ["place", "small_clip"]  # fixtures

KIND = "an encoder"
FILE = Path("l.nulie")
FOLDER = Path("l.nulie-vectors")


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a whole file."""
    monkeypatch.chdir(tmp_path)
    for module in (segments, store):
        monkeypatch.setattr(module, "ROWS", 8)


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def put(one: Store, *numbers: int, kind: str = KIND) -> None:
    for number in numbers:
        one.put_vector(kind, digest(number), np.full(4, number, np.float32))
        one.commit(now=True)


def found(one: Store, kind: str = KIND) -> dict[int, list[float]]:
    rows: dict[int, list[float]] = {}
    for digests, block in one.vectors(kind):
        assert block.dtype == np.float16
        for name, vector in zip(digests, block, strict=True):
            assert int.from_bytes(name, "big") not in rows, "each once"
            rows[int.from_bytes(name, "big")] = vector.tolist()
    assert {digest(number) for number in rows} == one.with_vectors(kind)
    return rows


def expected(*numbers: int) -> dict[int, list[float]]:
    return {number: [float(number)] * 4 for number in numbers}


def files() -> dict[str, int]:
    """Rows by name, as other programs read them."""
    rows = {}
    for path in sorted(FOLDER.iterdir()):
        with safe_open(path, "np") as file:
            names, vectors = file.get_tensor("digests"), file.get_tensor("vectors")
            assert file.metadata()["kind"]
        assert (names.dtype, vectors.dtype) == (np.uint8, np.float16)
        assert len(names) == len(vectors)
        rows[path.name] = len(names)
    return rows


def test_what_a_run_leaves_goes_into_the_next_runs_file() -> None:
    with opened(FILE) as one:
        put(one, *range(5))
        assert not FOLDER.exists()
        assert found(one) == expected(*range(5))
    assert files() == {"000001.safetensors": 5}
    with opened(FILE) as one:
        put(one, *range(5, 20))
        put(one, 3, kind="another")
        assert found(one) == expected(*range(20))
    assert sorted(files().values()) == [1, 4, 8, 8]
    with opened(FILE) as one:
        assert found(one) == expected(*range(20))
        assert one.kinds() == [KIND, "another"]
        put(one, 3)
    with opened(FILE) as one:
        assert found(one) == expected(*range(20))


def test_embeddings_of_the_first_format_are_moved() -> None:
    base = sqlite3.connect(FILE)
    base.executescript(store._TABLES)
    base.execute("INSERT INTO about VALUES ('format', '1')")
    for number in range(21):
        data = np.full(4, number, "<f2").tobytes()
        base.execute("INSERT INTO vector VALUES (?, ?, ?)", (KIND, digest(number), data))
    base.execute("INSERT INTO score VALUES ('judge', ?, 5.0, NULL)", (digest(1),))
    base.commit()
    base.close()
    with opened(FILE) as one:
        assert found(one) == expected(*range(21))
        assert one.scores("judge") == {digest(1): store.Known(5.0, None)}
        assert one.about("format") == "2"
        assert one._base.execute("SELECT count(*) FROM vector").fetchone() == (0,)
    assert sorted(files().values()) == [5, 8, 8]


def test_what_was_merged_twice_is_one() -> None:
    """As it is where a run is killed before the files that were merged are gone."""
    with opened(FILE) as one:
        put(one, 1, 2)
    kept = (FOLDER / "000001.safetensors").read_bytes()
    with opened(FILE) as one:
        put(one, 3)
    (FOLDER / "000001.safetensors").write_bytes(kept)
    (FOLDER / ".nulie-0123456789abcdef.tmp").write_bytes(kept[:99])
    with opened(FILE) as one:
        assert found(one) == expected(1, 2, 3)
        put(one, 4)
    assert files() == {"000003.safetensors": 4}


def test_metadata_that_were_written_leave_the_embedding() -> None:
    with opened(FILE) as one:
        put(one, 1, 2)
    with opened(FILE) as one:
        put(one, 3)
        one.same_pixels(digest(1), digest(10))
        one.same_pixels(digest(3), digest(30))
        one.commit(now=True)
        assert found(one) == expected(1, 2, 3) | {10: [1.0] * 4, 30: [3.0] * 4}


@pytest.mark.parametrize("harm", ["a level", "a digest", "the end", "the start", "all"])
def test_a_damaged_file_is_set_aside_and_said(harm: str) -> None:
    with opened(FILE) as one:
        put(one, *range(16))
    path = FOLDER / "000002.safetensors"
    data = bytearray(path.read_bytes())
    if harm == "a level":
        data[-130] ^= 1  # before the digests
    elif harm == "a digest":
        data[-1] ^= 1
    elif harm == "the start":
        data[9] ^= 1
    path.write_bytes(b"" if harm == "all" else data[:-1] if harm == "the end" else data)
    with opened(FILE) as one:
        rows = {int.from_bytes(n, "big") for names, _ in one.vectors(KIND) for n in names}
        assert rows == set(range(8))
        assert found(one) == expected(*range(8))
        (said,) = one.notes
        assert said.startswith(f"{path}: is damaged and set aside; nulie score reads")
    with opened(FILE) as one:
        assert found(one) == expected(*range(8))
        assert one.notes == []
        put(one, *range(20, 24))
    names = sorted(p.name for p in FOLDER.iterdir())
    assert names == ["000001.safetensors", "000002.damaged", "000003.safetensors"]


def test_pictures_of_a_damaged_file_are_read_again(place: Path, small_clip: Any) -> None:
    Image.new("RGB", (40, 30)).save("in/more.png")
    with opened(FILE) as one:
        first = {e.item: e.score for e in of_clip(small_clip, one)}
        seen = _Counting.seen
    (path,) = FOLDER.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with opened(FILE) as one:
        again = {e.item: e.score for e in of_clip(small_clip, one)}
        assert _Counting.seen == seen + 6
    with opened(FILE) as one:
        assert len(one.with_vectors(one.kinds()[0])) == 6
        of_clip(small_clip, one)
        assert _Counting.seen == seen + 6
    assert again == pytest.approx(first, abs=1e-6)


def test_an_index_that_is_lost_costs_no_model(place: Path, small_clip: Any) -> None:
    """What is in the files is enough to score by."""
    weight = torch.randn(1, 512, generator=torch.Generator().manual_seed(5))
    save_file({"weight": weight, "bias": torch.tensor([2.0])}, "own.safetensors")
    with opened(FILE) as one:
        of_clip(small_clip, one)
        seen = _Counting.seen
    FILE.unlink()
    picture(70, 70, seed=9).save("in/new.png")
    with opened(FILE) as one:
        scores = {
            e.item.path.name: e.score for e in of_clip(small_clip, one, Path("own.safetensors"))
        }
        ((_, vectors),) = one._segments.blocks(one.kinds()[0])
    assert _Counting.seen == seen + 1
    del scores["new.png"]
    product = vectors.astype("f4") @ weight[0].numpy() + 2
    assert sorted(scores.values()) == pytest.approx(sorted(product.tolist()), abs=1e-4)


CHILD = """
import sys
from pathlib import Path
import numpy as np
from nulie.library import segments, store
segments.ROWS = store.ROWS = 8
with store.opened(Path("l.nulie")) as one:
    for number in range(int(sys.argv[1]), 100_000):
        name = number.to_bytes(16, "big")
        one.put_vector("an encoder", name, np.full(4, number, np.float32))
        one.put_score("judge", name, float(number))
        one.commit(now=True)
        print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_committed() -> None:
    start = 0
    for turn in range(6):
        words = [sys.executable, "-c", CHILD, str(start)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            for line in child.stdout:
                start = int(line) + 1
                if start % 23 == 3 * turn % 23:
                    break
            os.kill(child.pid, signal.SIGKILL)
            start = max([start, *(int(line) + 1 for line in child.stdout)])
    with opened(FILE) as one:
        rows = found(one)
        assert set(range(start)) <= rows.keys()
        assert one.scores("judge").keys() == one.with_vectors(KIND)
        put(one, 60_000)
    assert sum(files().values()) == len(rows) + 1
    assert not [*FOLDER.glob(".nulie-*")]
