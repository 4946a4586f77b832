from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nulie.errors import UnknownModelError, WeightsError
from nulie.models import digests, store
from nulie.models.weights import HubFile, WebFile, Weights
from nulie.predictor.published import CLIP, WEIGHTS

from .conftest import ROOT
from .publisher import Publisher

CONTENT = bytes(range(256)) * 1200
SHA = hashlib.sha256(CONTENT).hexdigest()
HEAD = "sa_0_4_vit_l_14_linear"
ENCODER = "ViT-B-32"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Homes of the test's own, no proxy, small files in the place of the real ones."""
    monkeypatch.setenv("NULIE_HOME", str(tmp_path / "nulie"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in (HEAD, ENCODER):
        copy = WEIGHTS[name].copy
        small = replace(
            WEIGHTS[name],
            size=len(CONTENT),
            sha256=SHA,
            copy=copy and replace(copy, sha256=SHA),
        )
        monkeypatch.setitem(WEIGHTS, name, small)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    with Publisher() as server:
        monkeypatch.setenv("NULIE_HEADS_ENDPOINT", server.url)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.files[address(WEIGHTS[HEAD])] = CONTENT
        server.files[address(WEIGHTS[ENCODER])] = CONTENT
        yield server


@pytest.fixture
def dead_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("NULIE_HEADS_ENDPOINT", url)
    monkeypatch.setenv("HF_ENDPOINT", url)


@pytest.fixture
def black_hole(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("NULIE_HEADS_ENDPOINT", url)
        monkeypatch.setenv("HF_ENDPOINT", url)
        yield


def address(w: Weights) -> str:
    source = w.source
    if isinstance(source, WebFile):
        return f"/{source.path}"
    return f"/{source.repo}/resolve/{source.revision}/{source.name}"


def _hub_file() -> HubFile:
    source = WEIGHTS[ENCODER].source
    assert isinstance(source, HubFile)
    return source


def head_file(tmp_path: Path) -> Path:
    return tmp_path / "nulie" / "heads" / WEIGHTS[HEAD].source.name


def hub(action: str = "fetch", seconds: float = 60) -> dict[str, Any]:
    """Fetches the encoder in a process of its own, for huggingface_hub reads its variables once."""
    small = {k: getattr(WEIGHTS[ENCODER], k) for k in ("size", "sha256")}
    code = f"""
import dataclasses, json, sys, time
from nulie.errors import WeightsError
from nulie.models import store
from nulie.predictor.published import WEIGHTS
WEIGHTS[{ENCODER!r}] = dataclasses.replace(WEIGHTS[{ENCODER!r}], **{small!r})
result = dict(calls=[], path=None, error=None)
begin = time.monotonic()
try:
    progress = lambda *call: result["calls"].append(call)
    [path] = store.fetch(WEIGHTS, {ENCODER!r}, progress=progress)
    result["path"] = str(path)
except WeightsError as e:
    result["error"] = str(e)
result["seconds"] = time.monotonic() - begin
result["torch"] = "torch" in sys.modules
print(json.dumps(result))
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert run.returncode == 0, run.stderr
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


# The address of heads.


def test_a_head_is_downloaded_with_progress_and_then_left_alone(
    publisher: Publisher, tmp_path: Path
) -> None:
    calls: list[tuple[str, int, int]] = []
    [path] = store.fetch(WEIGHTS, HEAD, progress=lambda *call: calls.append(call))
    assert path == head_file(tmp_path)
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert calls[-1] == (path.name, len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    asked = len(publisher.requests)
    assert store.fetch(WEIGHTS, HEAD) == [path]
    assert len(publisher.requests) == asked


def test_the_plus_signs_of_a_head_are_escaped_in_its_address() -> None:
    name = "sac+logos+ava1-l14-linearMSE"
    source = WEIGHTS[name].source
    assert isinstance(source, WebFile)
    assert source.url == (
        "https://raw.githubusercontent.com/christophschuhmann/improved-aesthetic-predictor/main/"
        "sac%2Blogos%2Bava1-l14-linearMSE.pth"
    )


def test_a_download_that_breaks_off_goes_on_later(publisher: Publisher, tmp_path: Path) -> None:
    publisher.cuts = [100_000]
    with pytest.raises(WeightsError, match=r"broke off after 100000 of 307200 bytes"):
        store.fetch(WEIGHTS, HEAD)
    part = head_file(tmp_path).with_name(WEIGHTS[HEAD].source.name + ".part")
    assert part.stat().st_size == 100_000
    assert store.fetch(WEIGHTS, HEAD)[0].read_bytes() == CONTENT
    assert publisher.gets() == [None, "bytes=100000-"]
    assert not part.exists()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "begun",
    [CONTENT[:5000], b"x" * 5000, CONTENT + b"x", CONTENT],
    ids=["start", "other", "long", "whole"],
)
def test_whatever_an_earlier_try_has_left_the_file_comes_out_right(
    publisher: Publisher, tmp_path: Path, begun: bytes, ranges: bool
) -> None:
    publisher.ranges = ranges
    part = head_file(tmp_path).with_name(WEIGHTS[HEAD].source.name + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(begun)
    assert store.fetch(WEIGHTS, HEAD)[0].read_bytes() == CONTENT
    assert not part.exists()


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (CONTENT[:-1] + b"x", "has SHA-256 "),
        (CONTENT[:-1], "has 307199 bytes instead of 307200"),
        (CONTENT + b"x", "has 307201 bytes instead of 307200"),
        (b"", "has 0 bytes instead of 307200"),
    ],
)
@pytest.mark.parametrize("begun", [0, 5000, len(CONTENT) - 1])
def test_wrong_content_is_deleted_and_named(
    publisher: Publisher, tmp_path: Path, served: bytes, words: str, begun: int
) -> None:
    publisher.files[address(WEIGHTS[HEAD])] = served
    if begun:
        head_file(tmp_path).parent.mkdir(parents=True)
        head_file(tmp_path).with_name(WEIGHTS[HEAD].source.name + ".part").write_bytes(
            CONTENT[:begun]
        )
    with pytest.raises(WeightsError, match=rf"{HEAD}\.pth {words}.*deleted"):
        store.fetch(WEIGHTS, HEAD)
    assert list(head_file(tmp_path).parent.iterdir()) == []


def test_a_damaged_head_in_the_cache_is_replaced(
    publisher: Publisher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [path] = store.fetch(WEIGHTS, HEAD)
    stamp = path.stat().st_mtime_ns
    path.write_bytes(b"x" + CONTENT[1:])
    os.utime(path, ns=(stamp, stamp))
    assert store.fetch(WEIGHTS, HEAD)[0].read_bytes() == CONTENT
    assert "passed over" in caplog.text


def test_a_head_that_the_publisher_has_no_more(publisher: Publisher) -> None:
    publisher.files.clear()
    with pytest.raises(WeightsError, match=r"cannot download .*weights fetch clip-laion"):
        store.fetch(WEIGHTS, HEAD)


@pytest.mark.usefixtures("dead_end")
def test_offline_without_a_head_is_an_error_with_the_remedy() -> None:
    words = r"cannot reach 127.0.0.1.*nulie weights fetch clip-laion.*--head FILE.*statistics"
    with pytest.raises(WeightsError, match=words):
        store.fetch(WEIGHTS, HEAD)


@pytest.mark.usefixtures("black_hole")
def test_a_network_that_swallows_everything_is_known_within_5_seconds() -> None:
    begin = time.monotonic()
    with pytest.raises(WeightsError, match=r"does not answer|cannot reach"):
        store.fetch(WEIGHTS, "clip-laion")
    assert time.monotonic() - begin < 5


def test_no_request_is_made_when_offline_is_wished(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        store.fetch(WEIGHTS, HEAD)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        store.fetch(WEIGHTS, ENCODER)
    with pytest.raises(WeightsError, match="not on this machine"):
        store.obtain(WEIGHTS[HEAD], network=False)
    assert publisher.requests == []


# The hub.


def test_an_encoder_comes_from_the_hub_into_its_cache(publisher: Publisher, tmp_path: Path) -> None:
    fresh = hub()
    path = Path(fresh["path"])
    assert path.read_bytes() == CONTENT
    assert tmp_path / "hf" / "hub" in path.parents
    assert fresh["torch"] is False
    if fresh["calls"]:  # older versions of the hub's library draw a bar of their own instead
        assert fresh["calls"][-1] == [ENCODER, len(CONTENT), len(CONTENT)]
    asked = len(publisher.requests)
    assert hub()["path"] == str(path)
    assert len(publisher.requests) == asked


def test_an_encoder_whose_download_is_cut_off_is_resumed(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # huggingface_hub writes 10 MB at a time; what is cut off within them comes again.
    content = CONTENT * 80
    large = replace(WEIGHTS[ENCODER], size=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(WEIGHTS, ENCODER, large)
    publisher.files[address(large)] = content
    publisher.cuts = [15_000_000]
    found = hub()
    if found["error"]:  # older versions of the hub's library leave the rest to the next call
        found = hub()
    assert Path(found["path"]).read_bytes() == content
    [first, second] = publisher.gets()
    assert first is None
    assert second is not None
    assert 1_000_000 < int(second.removeprefix("bytes=").removesuffix("-")) <= 15_000_000


@pytest.mark.parametrize("served", [b"x" + CONTENT[1:], CONTENT[:-9]], ids=["content", "size"])
def test_a_wrong_encoder_is_deleted_and_named(
    publisher: Publisher, tmp_path: Path, served: bytes
) -> None:
    publisher.files[address(WEIGHTS[ENCODER])] = served
    found = hub()
    assert found["path"] is None
    assert hashlib.sha256(served).hexdigest() in found["error"]
    assert "was deleted" in found["error"]
    assert not [p for p in (tmp_path / "hf").rglob("*") if p.is_file() and p.stat().st_size > 1000]


def test_a_damaged_encoder_in_the_cache_is_replaced(publisher: Publisher) -> None:
    path = Path(hub()["path"])
    path.write_bytes(b"x" + CONTENT[1:])
    assert Path(hub()["path"]).read_bytes() == CONTENT


@pytest.mark.usefixtures("dead_end")
def test_offline_without_an_encoder_is_known_at_once() -> None:
    found = hub()
    assert "nulie weights fetch clip-b32" in found["error"]
    assert "--clip-weights FILE" in found["error"]
    assert found["seconds"] < 5


@pytest.mark.usefixtures("black_hole")
def test_a_silent_hub_is_known_within_5_seconds() -> None:
    assert hub()["seconds"] < 5


def test_an_encoder_that_the_hub_has_no_more(publisher: Publisher) -> None:
    publisher.files.clear()
    assert "cannot download open_clip_model.safetensors" in hub()["error"]


# What is on the machine already.


def test_openais_own_file_is_used_where_it_lies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "home" / ".cache" / "clip"
    folder.mkdir(parents=True)
    (folder / "ViT-B-32.pt").write_bytes(CONTENT[:1000])
    assert store.find(WEIGHTS[ENCODER]) is None
    assert "ViT-B-32.pt is passed over" in caplog.text
    (folder / "ViT-B-32.pt").write_bytes(CONTENT)
    assert store.find(WEIGHTS[ENCODER]) == folder / "ViT-B-32.pt"


def test_folders_of_the_host_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "ViT-B-32.pt").write_bytes(CONTENT)
    (tmp_path / WEIGHTS[HEAD].source.name).write_bytes(CONTENT)
    for name in (ENCODER, HEAD):
        assert store.find(WEIGHTS[name]) is None
        found = store.find(WEIGHTS[name], [tmp_path / "nowhere", tmp_path])
        assert found is not None
        assert found.parent == tmp_path


def test_other_snapshots_of_the_hub_are_used(tmp_path: Path) -> None:
    repo = tmp_path / "hf/hub" / f"models--{_hub_file().repo.replace('/', '--')}"
    other = repo / "snapshots" / ("f" * 40)
    other.mkdir(parents=True)
    (repo / "blobs").mkdir()
    (repo / "blobs" / SHA).write_bytes(CONTENT)
    (other / "open_clip_pytorch_model.bin").symlink_to(repo / "blobs" / SHA)
    assert store.find(WEIGHTS[ENCODER]) == other / "open_clip_pytorch_model.bin"
    (repo / "blobs" / SHA).write_bytes(CONTENT[1:])
    assert store.find(WEIGHTS[ENCODER]) is None


def test_status_and_check_tell_what_is_there(publisher: Publisher) -> None:
    before = {row.name: row for row in store.status(WEIGHTS)}
    assert set(before) == set(WEIGHTS)
    assert not any(row.present for row in before.values())
    assert before["ViT-L-14"].users == ("clip-sac", "clip-laion")
    assert before["ViT-L-14"].size == 1_710_517_724

    [path] = store.fetch(WEIGHTS, HEAD)
    row = {row.name: row for row in store.status(WEIGHTS)}[HEAD]
    assert (row.path, row.verified, row.size) == (path, True, len(CONTENT))
    path.write_bytes(b"x" * len(CONTENT))
    assert {row.name: row for row in store.status(WEIGHTS)}[HEAD].verified is None
    assert {row.name: row for row in store.check(WEIGHTS)}[HEAD].verified is False
    path.write_bytes(CONTENT)
    assert {row.name: row for row in store.check(WEIGHTS)}[HEAD].verified is True


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ViT-B-32.pt").write_bytes(CONTENT)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NULIE_HOME", str(tmp_path / "file" / "nulie"))
    assert store.find(WEIGHTS[ENCODER], [tmp_path]) == tmp_path / "ViT-B-32.pt"
    with pytest.raises(WeightsError):
        store.fetch(WEIGHTS, HEAD)


def test_digests_are_remembered_and_forgotten_with_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ViT-B-32.pt"
    path.write_bytes(CONTENT)
    assert digests.verify(path, SHA)
    assert digests.recall(path) == SHA
    (tmp_path / "nulie" / "digests.json").write_text("[broken")
    assert digests.recall(path) is None
    assert digests.verify(path, SHA)
    path.write_bytes(CONTENT + b"x")
    assert not digests.verify(path, SHA)


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'clip-h14'; known: clip-sac, .*ViT-L-14"):
        store.fetch(WEIGHTS, "clip-h14")


def test_the_table_is_whole() -> None:
    for name, (encoder, head) in CLIP.items():
        assert isinstance(WEIGHTS[encoder].source, HubFile)
        assert isinstance(WEIGHTS[head].source, WebFile)
        assert store.named(WEIGHTS, name) == [WEIGHTS[head], WEIGHTS[encoder]]
    for w in WEIGHTS.values():
        assert len(w.sha256) == 64
        assert w.size > 0
        assert w.license
        assert w.source.name.endswith((".safetensors", ".pth"))


def test_nothing_heavy_is_imported_to_ask_for_weights() -> None:
    code = (
        "import sys, nulie, nulie.predictor.clip, nulie.predictor.heads\n"
        "from nulie.models import store\n"
        "from nulie.predictor.published import WEIGHTS; store.status(WEIGHTS)\n"
        "heavy = {'torch', 'open_clip', 'huggingface_hub', 'numpy', 'PIL', 'tqdm', 'gradio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
