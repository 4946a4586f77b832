"""Jobs on Ray: two machines, which are two processes of it here, and each loss as it happens."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nulie.image_io import load
from nulie.jobs import journal
from nulie.predictor import tower

from .conftest import ROOT
from .test_cli import EMBEDDED, Done, Run, process, refused, run, started
from .test_clip import half_tensors, write
from .test_parallel import expected, library, linux, results, rows, until

__all__ = ["run"]  # a fixture
ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
JUDGE = '''
"""As that of test_parallel; its settings lie beside it, for an actor has not the driver's
environment."""
import hashlib, os, signal, time
from pathlib import Path

HERE = Path(__file__).parent

class Judge:
    input_size = 32

    def judge(self, photo):
        seen = hashlib.sha256(photo.numpy().tobytes()).hexdigest()
        with open(HERE / "log", "ab", buffering=0) as log:
            log.write(f"{os.getpid()} {seen} {os.environ.get('MACHINE', '')}\\n".encode())
        time.sleep(float((HERE / "slow").read_text()))
        red, green, blue = photo.float().mean((1, 2))
        if red > 240 and green < 10 and blue < 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return lambda batch: 10 - (batch.float().mean((1, 2, 3)) - 150).abs() / 10
'''
COUNT = 40


@dataclass
class Machines:
    """Two of one core each, as README starts them; the second can be lost."""

    address: str
    folder: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str, before: tuple[str, ...] = ()) -> None:
        number = len(self.processes)
        command = [*before, sys.executable, "-m", "ray.scripts.scripts", "start", "--block",
                   "--num-cpus=1", "--disable-usage-stats", *words]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MACHINE": str(number)}
        child = subprocess.Popen(
            command, env=environment, cwd=self.folder, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.processes.append(child)
        assert child.stdout is not None
        said = []
        for line in child.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                return
        raise AssertionError("".join(said))

    def join(self, *before: str) -> None:
        self.start(f"--address={self.address}", before=before)

    def lose(self) -> None:
        """The last one, as by a power cut."""
        child = self.processes.pop()
        for pid in _below(child.pid):
            os.kill(pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def _below(pid: int) -> list[int]:
    """A process and all that it has started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, left = list[int](), [pid]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return found


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="nulie-", dir="/tmp")  # names of sockets are short
    made = Machines(f"127.0.0.1:{port}", folder)
    try:
        made.start(
            "--head", f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}",
            "--include-dashboard=false", "--object-store-memory=100000000",
        )  # fmt: skip
        made.join()
        yield made
    finally:
        while made.processes:
            made.lose()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "judge.py").write_text(JUDGE)
    (tmp_path / "slow").write_text("0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    library(tmp_path / "in", 7)
    return tmp_path


def words(*more: object) -> tuple[object, ...]:
    named = ("in", "--recursive", "--output-dir", "out", "--job", "a.job")
    return (*named, "--evaluations", "4", "--predictor", "judge:Judge", "--quiet", *more)


def on(machines: Machines, *more: object) -> tuple[object, ...]:
    return words("--engine", "ray", "--address", machines.address, *more)


def ended(child: subprocess.Popen[str]) -> Done:
    out, err = child.communicate(timeout=240)
    return Done(child.returncode, out, err)


def looks(machine: str | None = None) -> list[tuple[str, str]]:
    """Who has looked at what, once each."""
    log = Path("log")
    lines = (line.split() for line in log.read_text().splitlines()) if log.exists() else ()
    each = [(pid, seen) for pid, seen, *at in lines if machine is None or at == [machine]]
    return list(dict.fromkeys(each))


def whole(count: int) -> bool:
    """All results are there, and nothing else."""
    made = results()
    assert made == expected(count)
    for name in made:
        assert load(Path("out", name)).size == (40, 32)
    assert Counter(rows().values()) == {journal.DONE: count}
    return True


def made() -> int:
    return len([*Path("out").rglob("*_nulie.png")])


# Here


@ray
def test_actors_give_what_processes_do(place: Path) -> None:
    (place / "in" / "0" / "0000.bmp").write_bytes(b"BM nothing")
    found = {}
    for name, more in (("processes", ("--workers", "2")), ("ray", ("--engine", "ray"))):
        given = ("in", "--recursive", "--output-dir", name, "--evaluations", "40", "--quiet")
        done = process(*given, *more, *EMBEDDED)
        made = {path: (place / name / path).read_bytes() for path in results(place / name)}
        found[name] = done.code, done.out, done.err, made
    assert found["ray"] == found["processes"]
    assert found["ray"][0] == 1
    assert len(found["ray"][3]) == 7


def test_without_the_extra(place: Path) -> None:
    (place / "ray.py").write_text("raise ModuleNotFoundError('no', name='ray')")
    refused(process(*words("--engine", "ray")), "pip install 'nulie[ray]'")


def test_what_is_not_for_ray(place: Path, run: Run) -> None:
    refused(run(*words("--engine", "spark")), "engine 'spark' is unknown; known: processes, ray")
    refused(run(*words("--address", "auto")), "add --engine ray")
    refused(run(*words("--engine", "ray", "--address", "ray://a:1")), "give HOST:PORT")
    refused(run(*words("--engine", "ray", "--device", "cuda:1")), "give cuda")
    given = ("in/0/0000.png", "--engine", "ray")
    refused(run(*given, "--output", "a.png"), "--engine ray is for many images")
    refused(run("score", *given), "add --library")


@ray
def test_there_is_no_ray(place: Path) -> None:
    environment = {**os.environ, "RAY_TMPDIR": str(place)}
    done = process(*words("--engine", "ray", "--address", "auto"), env=environment)
    refused(done, "address auto: no Ray to work with", "ray start --head")


@pytest.mark.slow
@linux
@pytest.mark.parametrize("evaluations", [4, 60], ids=["copied", "changed"])
def test_a_result_that_another_worker_has_just_put_there(place: Path, evaluations: int) -> None:
    """One that was given up for lost, and was not."""
    given = words("--workers", "1", "--evaluations", evaluations)
    assert process(*given).code == 0
    whole(7)
    Path("out").rename("kept")
    Path("a.job").unlink()
    (place / "judge.py").write_text(
        JUDGE.replace("time.sleep", "os.system('mkdir -p out && cp -rn kept/. out'); time.sleep")
    )
    done = process(*given)
    assert (done.code, done.err) == (0, "")
    whole(7)


# On two machines


@pytest.mark.slow
@ray
@linux
def test_two_machines_give_what_one_does(place: Path, machines: Machines) -> None:
    library(place / "in", COUNT)
    (place / "slow").write_text("0.05")
    done = process(*on(machines))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert looks("0")
    assert looks("1")
    assert len(looks()) == COUNT
    whole(COUNT)
    before = {name: Path("out", name).read_bytes() for name in results()}
    Path("log").unlink()
    assert process(*words()).code == 0  # the same job, without Ray
    assert not Path("log").exists()
    shutil.rmtree("out")
    Path("a.job").unlink()
    assert process(*words()).code == 0
    assert before == {name: Path("out", name).read_bytes() for name in results()}


@pytest.mark.slow
@ray
@linux
def test_workers_and_a_machine_are_lost(place: Path, machines: Machines) -> None:
    library(place / "in", COUNT)
    (place / "slow").write_text("0.3")
    child = started(*on(machines))
    until(lambda: Path("log").exists() and made() > 4, 120)
    os.kill(int(looks()[-1][0]), signal.SIGKILL)
    there = made()
    until(lambda: made() > there + 6 and bool(looks("1")), 120)
    machines.lose()
    done = ended(child)
    assert (done.code, done.out, done.err) == (0, "", "")
    whole(COUNT)
    assert COUNT <= len(looks()) <= COUNT + 2


@pytest.mark.slow
@ray
@linux
def test_the_driver_is_killed(place: Path, machines: Machines) -> None:
    library(place / "in", COUNT)
    (place / "slow").write_text("0.2")
    for more in (8, 20):
        child = started(*on(machines))
        until(lambda more=more: made() > more, 120)  # type: ignore[misc]
        child.kill()
        child.communicate()
    done = process(*words())  # without Ray
    assert (done.code, done.out, done.err) == (0, "", "")
    whole(COUNT)
    assert COUNT <= len(looks()) <= COUNT + 2 * 2


@pytest.mark.slow
@ray
@linux
def test_ray_itself_is_lost(place: Path, machines: Machines) -> None:
    library(place / "in", COUNT)
    (place / "slow").write_text("0.2")
    child = started(*on(machines))
    until(lambda: made() > 8, 120)
    while machines.processes:
        machines.lose()
    done = ended(child)
    assert done.code != 0
    done = process(*words())
    assert (done.code, done.err) == (0, "")
    whole(COUNT)
    assert COUNT <= len(looks()) <= COUNT + 2


@pytest.mark.slow
@ray
@linux
def test_all_cores_are_taken(place: Path, machines: Machines) -> None:
    (place / "slow").write_text("120")
    child = started(*on(machines))
    until(lambda: len(looks()) == 2, 120)
    (place / "slow").write_text("0")
    other = started(*on(machines, "--output-dir", "other", "--job", "b.job"))
    assert other.stderr is not None
    assert other.stderr.readline() == (
        "nulie: waiting: no worker has begun; ray status says what is free\n"
    )
    assert ended(child).code == 0
    assert ended(other).code == 0
    assert results(Path("other")) == results() == expected(7)


@pytest.mark.slow
@ray
@linux
def test_a_file_that_ends_its_actor(place: Path, machines: Machines) -> None:
    library(place / "in", COUNT)
    Image.new("RGB", (40, 32), (255, 0, 0)).save(place / "in" / "1" / "deadly.png")
    done = process(*on(machines))
    assert done.code == 1
    assert done.out == ""
    assert "deadly.png: has ended its worker twice (Ray has lost it) and is set aside" in done.err
    assert results() == expected(COUNT)
    assert Counter(rows().values()) == {journal.DONE: COUNT, journal.ASIDE: 1}
    Path("in/1/deadly.png").unlink()
    Image.new("RGB", (40, 32), (0, 255, 0)).save(place / "in" / "1" / "deadly.png")
    again = process("job", "a.job", "--retry-failed", "--engine", "ray", "--address",
                    machines.address)  # fmt: skip
    assert again.code == 0, again.err
    assert Counter(rows().values()) == {journal.DONE: COUNT + 1}


@pytest.mark.slow
@ray
@linux
@pytest.mark.parametrize("hidden", ["out", "in"])
def test_a_machine_sees_other_folders(place: Path, machines: Machines, hidden: str) -> None:
    Path("out").mkdir()
    shade = f'mount -t tmpfs none {place / hidden} && exec "$0" "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", shade, "true"], capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    machines.lose()
    machines.join("unshare", "-m", "sh", "-c", shade)
    done = process(*on(machines))
    name = {"out": str(place / "out"), "in": "in/"}[hidden]
    refused(done, f"machine {socket.gethostname()} does not see", name)
    assert results() == []
    assert not Path("log").exists()


@pytest.mark.slow
@ray
@linux
def test_a_library_is_scored(place: Path, machines: Machines) -> None:
    (place / "in" / "0" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    given = ("score", "in", "--recursive", "--format", "csv", *EMBEDDED)
    there = ("--engine", "ray", "--address", machines.address)
    by_ray = process(*given, "--library", "ray.nulie", *there)
    here = process(*given, "--library", "here.nulie")
    assert by_ray == here
    assert by_ray.code == 1
    assert process(*given, "--library", "ray.nulie").out == here.out


@pytest.mark.slow
@ray
@linux
def test_a_library_is_scored_by_clip(place: Path, machines: Machines) -> None:
    arch = tower.ARCHS["ViT-B-32"]
    write(place / "clip.safetensors", "safetensors", half_tensors(arch))
    weight = torch.randn(1, arch.dim, generator=torch.Generator().manual_seed(3))
    head = {"weight": 20 * weight / weight.norm(), "bias": torch.tensor([5.0])}
    save_file(head, place / "head.safetensors")
    given = ("score", "in", "--recursive", "--format", "jsonl", "--sort", "name", "--library")
    judge = ("--predictor", "clip-b32", "--clip-weights", "clip.safetensors", "--device", "cpu",
             "--head", "head.safetensors")  # fmt: skip
    there = ("--engine", "ray", "--address", machines.address)
    by_ray = process(*given, "ray.nulie", *judge, *there)
    here = process(*given, "here.nulie", *judge)
    assert (by_ray.code, here.code) == (0, 0)
    scores = [[json.loads(line)["score"] for line in one.out.splitlines()]
              for one in (by_ray, here)]  # fmt: skip
    assert len(scores[0]) == 7
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    # Embeddings came, too: another head reads no image.
    for path in (path for path in Path("in").rglob("*") if path.is_file()):
        there_since = path.stat()
        path.write_bytes(bytes(there_since.st_size))
        os.utime(path, ns=(there_since.st_atime_ns, there_since.st_mtime_ns))
    save_file({**head, "bias": torch.tensor([6.0])}, place / "head.safetensors")
    again = process(*given, "ray.nulie", *judge)
    assert again.code == 0
    for line, before in zip(again.out.splitlines(), by_ray.out.splitlines(), strict=True):
        assert json.loads(line)["score"] == pytest.approx(json.loads(before)["score"] + 1, abs=0.01)


if sys.platform == "win32":
    pytestmark = pytest.mark.skip(reason="kills and mounts as POSIX has them")
