"""Many images over several processes, and jobs that go on: each fault as it happens, with real
kills, disks and signals."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nulie.errors import JobError
from nulie.image_io import atomic, load
from nulie.jobs import journal
from nulie.jobs.events import Done as DoneEvent
from nulie.jobs.host import Host
from nulie.jobs.inputs import Item, items
from nulie.jobs.job import Job
from nulie.jobs.plan import plan
from nulie.jobs.queue import LARGEST, Queue, grouped

from .conftest import picture
from .test_cli import EMBEDDED, Done, process, refused, small_disk, started

__all__ = ["small_disk"]  # a fixture

linux = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="processes are looked up in /proc"
)
JUDGE = '''
"""A judge that takes next to no time, writes down what it looks at, and ends over red pictures."""
import hashlib, os, signal, time

class Judge:
    input_size = 32

    def judge(self, photo):
        if os.environ.get("LOG"):
            seen = hashlib.sha256(photo.numpy().tobytes()).hexdigest()
            with open(os.environ["LOG"], "ab", buffering=0) as log:
                log.write(f"{os.getpid()} {seen}\\n".encode())
        time.sleep(float(os.environ.get("SLOW", 0)))
        red, green, blue = photo.float().mean((1, 2))
        if red > 240 and green < 10 and blue < 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return lambda batch: 10 - (batch.float().mean((1, 2, 3)) - 150).abs() / 10
'''
QUICK = ("--evaluations", "4", "--predictor", "judge:Judge")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a quick judge and a library of seven pictures."""
    (tmp_path / "judge.py").write_text(JUDGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    library(tmp_path / "in", 7)
    return tmp_path


def library(folder: Path, count: int) -> None:
    for number in range(count):
        inside = folder / f"{number % 3}"
        inside.mkdir(parents=True, exist_ok=True)
        picture(40, 32, seed=number).save(inside / f"{number:04}.png")


def job(*more: object, environment: dict[str, str] | None = None) -> Done:
    return process(*words(*more), env={**os.environ, **(environment or {})})


def words(*more: object) -> tuple[object, ...]:
    named = ("in", "--recursive", "--output-dir", "out", "--job", "a.job", "--workers", "2")
    return (*named, *QUICK, *more)


def results(folder: Path = Path("out")) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def expected(count: int = 7) -> list[str]:
    return sorted(f"{number % 3}/{number:04}_nulie.png" for number in range(count))


def rows(file: str = "a.job") -> dict[str, str]:
    with sqlite3.connect(file) as base:
        return {Path(p).name: state for p, state in base.execute("SELECT path, state FROM file")}


def until(there: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(child: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


def pids_in(log: Path) -> set[str]:
    """Of the processes that have looked at a picture."""
    return {line.split()[0] for line in log.read_text().splitlines()} if log.exists() else set()


def shut(child: subprocess.Popen[str], number: int = signal.SIGKILL) -> Done:
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    return Done(child.returncode, out, err)


# The queue


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 5), st.sets(st.integers(0, 59), max_size=4),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_whatever_ends_workers_all_other_files_are_done_once(
    count: int, workers: int, deadly: set[int], chance: random.Random
) -> None:
    queue = Queue(grouped(list(range(count))), workers)
    done: Counter[int] = Counter()
    aside: list[int] = []
    while chunk := queue.next():
        assert len(chunk) <= LARGEST
        rest = list(chunk)
        while rest:
            by_chance = chance.random() < 0.02 and not aside and done[rest[0]] == 0
            if rest[0] in deadly or by_chance:
                lost = queue.died(tuple(rest))
                aside += [lost] if lost is not None else []
                break
            done[rest.pop(0)] += 1
    assert set(done.values()) <= {1}
    assert sorted([*done, *aside]) == list(range(count))
    assert {n for n in deadly if n < count} <= set(aside)


def test_files_whose_results_may_be_called_the_same_stay_together() -> None:
    queue = Queue(grouped(["a", "b", "a", "c", "b"]), 1)
    assert queue.next() + queue.next() + queue.next() == (0, 2, 1, 4, 3)
    wide = Queue(grouped(["same"] * 20), 2)
    assert len(wide.next()) == 20


# The journal


def test_a_journal_has_each_file_once(place: Path) -> None:
    named = items(["in"], recursive=True)
    with journal.drive(Path("x.job")) as one:
        one.begin({"evaluations": 4})
        assert [item for item, _ in one.plan(named)] == named
        one.record(named[0], journal.DONE, output=[Path("out/a.png")])
        one.record(named[1], journal.FAILED, "bad")
        one.record(named[2], journal.CHANGED)
        one.commit(now=True)
    with journal.drive(Path("x.job")) as one:
        one.begin({"evaluations": 4})
        assert [item for item, _ in one.plan(named)] == named[2:]
        assert [item for item, _ in one.plan(named, retry=True)] == named[1:]
        assert [item for item, _ in one.plan(named[4:])] == named[4:]
        with pytest.raises(JobError, match="evaluations 4, and now it is 5"):
            one.begin({"evaluations": 5})
    with journal.look(Path("x.job")) as one:
        assert (one.state().counts, one.state().running) == ({"done": 1, "planned": 3}, False)


def test_what_is_no_journal(place: Path) -> None:
    refused(process("job", "no.job"), "no.job: there is no such job")
    Path("text.job").write_text("nothing of the kind" * 100)
    refused(process("job", "text.job"), "is no job of nulie's")
    refused(job("--job", "text.job"), "is no job of nulie's")
    refused(job("--report", "x.html"), "report")
    refused(job("--workers", "none"), "workers must be auto or a number")


# Over cores


def test_several_processes_give_what_one_does(place: Path) -> None:
    (place / "in" / "0" / "0000.bmp").write_bytes(b"BM nothing")
    picture(40, 32, seed=99).save(place / "in" / "0" / "0003.gif")  # its result has another's name
    found = {}
    for workers in ("1", "2"):
        command = ("in", "--recursive", "--output-dir", f"out{workers}", "--json")
        done = process(*command, "--workers", workers, "--evaluations", "40", *EMBEDDED)
        lines = [json.loads(line) for line in done.out.splitlines()]
        for line in lines:
            line.pop("seconds", None)
            line["output"] = [Path(path).name for path in line.get("output", ())]
            line["error"] = str(line.get("error")).replace(f"out{workers}", "out")
        made = {name: (place / f"out{workers}" / name).read_bytes()
                for name in results(place / f"out{workers}")}  # fmt: skip
        found[workers] = done.code, lines, made
    assert found["1"] == found["2"]
    assert found["1"][0] == 1
    assert len(found["1"][2]) == 7


def test_what_is_told_of_an_outcome_is_small(place: Path) -> None:
    """It goes from one process to another."""
    big = picture(1200, 900)
    big.save("big.png")
    wanted = plan({"evaluations": 40, "predictor": "statistics", "output_dir": place / "out"})
    events = Job([Item(Path("big.png"))], wanted, Host()).events()
    (done,) = [e for e in events if isinstance(e, DoneEvent)]
    told = done.outcome.told()
    assert len(pickle.dumps(told)) < 20_000
    assert told.data() == done.outcome.data()


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_so_far_of_all_workers(place: Path) -> None:
    command = ("in", "--recursive", "--output-dir", "out", "--workers", "2", *QUICK[2:])
    log = place / "log"
    child = started(*command, "--seconds", "60", env={**os.environ, "LOG": str(log)})
    until(lambda: len(pids_in(log)) == 2)
    time.sleep(3)
    done = shut(child, signal.SIGINT)
    assert done.code == 130
    assert "not done:" in done.err
    assert len(results()) == 2
    assert all(name in expected() for name in results())


# Jobs


def test_a_job_from_its_begin_to_its_end(place: Path) -> None:
    done = job()
    assert (done.code, done.err) == (0, "")
    assert results() == expected()
    assert set(rows().values()) == {journal.DONE}
    before = {name: (place / "out" / name).stat().st_mtime_ns for name in results()}
    again = job()
    assert (again.code, again.err) == (0, "")
    assert "7 of 7 images were done before" in again.out
    assert before == {name: (place / "out" / name).stat().st_mtime_ns for name in results()}
    assert not [*place.glob("*.lock")]
    said = process("job", "a.job")
    assert (said.code, said.out) == (0, "7 done, 0 failed, 0 left\n")


@pytest.mark.slow
def test_new_files_join_a_job(place: Path) -> None:
    assert job().code == 0
    library(place / "in", 9)
    log = place / "log"
    assert job(environment={"LOG": str(log)}).code == 0
    assert results() == expected(9)
    assert len({line.split()[1] for line in log.read_text().splitlines()}) == 2


@linux
def test_kills_over_many_images(place: Path) -> None:
    """Of the driver and of workers: every output once and whole, every row once, at most one image
    a worker that was killed computed twice, no temporary left."""
    library(place / "in", 200)
    log = place / "log"
    environment = {**os.environ, "LOG": str(log), "SLOW": "0.01"}
    kills = 0
    while True:
        began = len(results()) if Path("out").is_dir() else 0
        child = started(*words("--quiet"), env=environment)
        of_worker = False
        with child:
            while child.poll() is None:
                made = len(results()) - began if Path("out").is_dir() else 0
                if kills < 6 and made >= 20 and not of_worker:
                    os.kill(children(child)[0], signal.SIGKILL)
                    of_worker, kills = True, kills + 1
                elif kills < 6 and made >= 45:
                    child.kill()
                    kills += 2  # both of its workers end with it
                    break
                time.sleep(0.01)
            child.communicate()
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
    assert kills == 6
    assert results() == expected(200)
    for name in results():
        assert load(place / "out" / name).size == (40, 32)
    assert Counter(rows().values()) == {journal.DONE: 200}
    assert len(rows()) == 200
    looks = [line.split() for line in log.read_text().splitlines()]
    once = {(pid, seen) for pid, seen in looks}  # a process looks at one picture several times
    assert 200 <= len(once) <= 200 + kills


def test_outputs_without_a_row_are_adopted(place: Path) -> None:
    assert job().code == 0
    Path("a.job").unlink()  # as if nothing of it had reached the disk
    log = place / "log"
    done = job(environment={"LOG": str(log)})
    assert done.code == 0
    assert not log.exists(), "an image was looked at again"
    assert set(rows().values()) == {journal.DONE}


@pytest.mark.slow
def test_variants_that_were_cut_short_are_made_anew(place: Path) -> None:
    assert job("--top", "2", "--evaluations", "30").code == 0
    made = results()
    second = next(name for name in made if name.endswith("_nulie_2.png"))
    first = second.replace("_2.png", ".png")
    before = Path("out", first).read_bytes()
    Path("out", first).unlink()
    Path("a.job").unlink()
    assert job("--top", "2", "--evaluations", "30").code == 0
    assert results() == made
    assert Path("out", first).read_bytes() == before


@linux
def test_an_unreadable_file_and_one_that_ends_its_worker(place: Path) -> None:
    from PIL import Image

    (place / "in" / "1" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    Image.new("RGB", (40, 32), (255, 0, 0)).save(place / "in" / "2" / "deadly.png")
    done = job()
    assert done.code == 1
    assert results() == expected()
    assert "deadly.png: has ended its worker twice (SIGKILL) and is set aside" in done.err
    assert "2 of 9 images failed" in done.err
    assert rows()["bad.png"] == journal.FAILED
    assert rows()["deadly.png"] == journal.ASIDE
    told = process("job", "a.job")
    assert told.code == 1
    assert told.out.startswith("7 done, 2 failed, 0 left\n")
    assert "deadly.png" in told.out
    # Nothing is tried again unasked.
    log = place / "log"
    again = job(environment={"LOG": str(log)})
    assert again.code == 1
    assert not log.exists()
    # Once they are mended it is one word.
    for name in ("1/bad.png", "2/deadly.png"):
        picture(40, 32, seed=len(name)).save(place / "in" / name)
    mended = process("job", place / "a.job", "--retry-failed", cwd="/")
    assert mended.code == 0, mended.err
    assert len(results()) == 9
    assert set(rows().values()) == {journal.DONE}


@pytest.mark.slow
def test_a_predictor_that_cannot_be_had(place: Path) -> None:
    refused(job("--job", "n.job", "--predictor", "judge:Nobody"), "judge:Nobody")
    Path("judge.py").write_text("import os\nos.abort()\n")
    done = job()
    assert done.code == 2
    assert "workers end before they begin (SIGABRT)" in done.err


@pytest.mark.slow
@linux
def test_a_second_driver_is_refused(place: Path) -> None:
    child = started(*words("--quiet"), env={**os.environ, "SLOW": "2"})
    until(lambda: Path("a.job.lock").exists() and bool(Path("a.job.lock").read_bytes()))
    refused(job(), "another one is at work on this job", f"process {child.pid}")
    assert ", at work" in process("job", "a.job").out
    watched = process("job", "a.job", "--watch")
    assert watched.out == "7 done, 0 failed, 0 left\n"
    child.communicate(timeout=60)
    assert child.returncode == 0


@pytest.mark.slow
def test_a_foreign_file_is_never_replaced(place: Path) -> None:
    foreign = place / "out" / "1" / "0001_nulie.png"
    foreign.parent.mkdir(parents=True)
    picture(9, 9).save(foreign)
    before = foreign.read_bytes()
    done = job()
    assert done.code == 1
    assert "0001_nulie.png: exists" in done.err
    assert foreign.read_bytes() == before
    assert rows()["0001.png"] == journal.FAILED
    assert results() == expected()


@linux
def test_a_disk_that_is_full_is_waited_for(place: Path, small_disk: Path) -> None:
    filling = small_disk / "filling"
    filling.write_bytes(bytes(16 << 10))
    named = ("in/0", "--output-dir", small_disk, "--job", "b.job", "--workers", "2", *QUICK)
    child = started(*named, stderr=subprocess.PIPE)
    assert child.stderr is not None
    line = child.stderr.readline()
    assert "waiting: " in line
    assert "free some space" in line
    assert results(small_disk) == ["filling"]
    filling.unlink()
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert results(small_disk) == ["0000_nulie.png", "0003_nulie.png", "0006_nulie.png"]


@pytest.mark.slow
@linux
def test_a_job_gives_up_after_its_time(place: Path, small_disk: Path) -> None:
    (small_disk / "filling").write_bytes(bytes(16 << 10))
    named = ("in/0", "--output-dir", small_disk, "--job", "b.job", "--wait", "1", *QUICK)
    done = process(*named)
    assert done.code == 1
    assert "given up: " in done.err
    assert "the same command goes on" in done.err
    assert results(small_disk) == ["filling"]
    (small_disk / "filling").unlink()
    assert process(*named).code == 0


@linux
@pytest.mark.parametrize("place_of", ["in", "out"])
def test_a_share_that_is_gone_is_waited_for(place_of: str, place: Path) -> None:
    """Of the library, and of the results, whose folder is not made anew meanwhile."""
    child = started(*words(), env={**os.environ, "SLOW": "0.2"})
    assert child.stderr is not None
    until(lambda: len(results()) >= 1 if Path("out").is_dir() else False)
    Path(place_of).rename("away")
    assert f"{place_of}: is gone" in child.stderr.readline()
    assert not Path(place_of).exists()
    Path("away").rename(place_of)
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert results() == expected()


@pytest.mark.slow
@linux
def test_an_input_that_changed_meanwhile(place: Path) -> None:
    """Before its turn, and during it."""
    child = started(*words("--workers", "1"), env={**os.environ, "SLOW": "1"})
    until(lambda: Path("out").is_dir() and len(results()) >= 1)
    for number in (1, 2, 4, 5):  # one of them is in work
        picture(40, 32, seed=50 + number).save(f"in/{number % 3}/{number:04}.png")
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    changed = [name for name, state in rows().items() if state == journal.CHANGED]
    assert 1 <= len(changed) <= 4
    assert err.count("has changed") == len(changed)
    again = job()
    assert again.code == 0
    assert results() == expected()
    assert set(rows().values()) == {journal.DONE}


@pytest.mark.slow
def test_other_settings_are_refused_by_name(place: Path) -> None:
    assert job().code == 0
    refused(job("--seed", "3"), "the job began with seed 0, and now it is 3")
    refused(job("--mode", "hard"), "mode soft, and now it is hard")
    refused(job("--format", "jpg"), "format not given, and now it is .jpg")
    Path("look.json").write_text('{"nulie": 1, "steps": [{"op": "invert"}]}')
    refused(process(*words()[:-4], "--recipe", "look.json"), "evaluations 4, and now")


@pytest.mark.slow
def test_other_weights_are_refused_by_name(place: Path) -> None:
    from nulie.predictor.statistics import EMBEDDED as FILE

    shutil.copy(FILE, "own.safetensors")
    named = ("in/0", "--output-dir", "out", "--job", "w.job", "--evaluations", "4")
    assert process(*named, "--predictor", "own.safetensors").code == 0
    data = bytearray(Path("own.safetensors").read_bytes())
    data[-1] ^= 1
    Path("own.safetensors").write_bytes(data)
    refused(process(*named, "--predictor", "own.safetensors"), "the job began with predictor ")


@pytest.mark.slow
@linux
def test_an_end_in_good_order(place: Path) -> None:
    """Nothing that was cut short is taken for a result of the job."""
    log = place / "log"
    child = started(*words("--evaluations", "100000"), env={**os.environ, "LOG": str(log)})
    until(lambda: len(pids_in(log)) == 2)
    done = shut(child, signal.SIGTERM)
    assert done.code == 130
    assert results() == []
    assert not [*Path("out").rglob(".nulie-*")]


def test_temporaries_of_killed_workers_are_swept(place: Path) -> None:
    assert job().code == 0
    owner = next(_jobs())[:12]
    out = place / "out"
    # All files of the first folder are done.
    left = [out / folder / f".nulie-{owner}-0123456789abcdef.tmp" for folder in ("0", "1")]
    other = out / "1" / ".nulie-0123456789abcdef.tmp"
    for path in (*left, other):
        path.write_bytes(b"half")
    library(place / "in", 8)
    assert job().code == 0
    assert not any(path.exists() for path in left)
    assert other.exists(), "another program may be writing it"


def _jobs() -> Iterator[str]:
    """The digest in the names of a job's temporaries."""
    from nulie.jobs.parallel import ParallelJob

    wanted = plan(
        {"evaluations": 4, "predictor": "judge:Judge", "output_dir": Path("out"), "wait": 3600.0}
    )
    made = ParallelJob(items(["in"], recursive=True), wanted, Host(), 2, journal=Path("a.job"))
    for event in made.events():
        assert event is not None
    yield made.plan.results.job


def test_a_sweep_takes_its_own_alone(tmp_path: Path) -> None:
    for name in (".nulie-abc-1.tmp", ".nulie-abd-1.tmp", ".nulie-1.tmp", "abc.tmp"):
        (tmp_path / name).touch()
    atomic.sweep(tmp_path, "abc")
    assert {p.name for p in tmp_path.iterdir()} == {".nulie-abd-1.tmp", ".nulie-1.tmp", "abc.tmp"}


@linux
def test_what_somebody_is_still_at_is_not_swept(tmp_path: Path) -> None:
    (dead := tmp_path / ".nulie-abc-1.tmp").touch()
    with atomic.writing(tmp_path / "a", overwrite=False, of="abc") as draft:
        assert not dead.exists()
        atomic.sweep_dead(tmp_path, "abc")
        draft.file.write(b"whole")
    assert {p.name for p in tmp_path.iterdir()} == {"a"}
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.slow
@linux
def test_workers_end_with_their_driver(place: Path) -> None:
    child = started(*words("--evaluations", "100000"))
    until(lambda: len(children(child)) == 2)
    pids = children(child)
    shut(child)
    until(lambda: not any(_alive(pid) for pid in pids), 10)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if sys.platform == "win32":
    pytestmark = pytest.mark.skip(reason="kills and mounts as POSIX has them")
