"""What goes wrong around a run: disks, streams, signals, links, damaged files. Each as its user
meets it, in a process of its own where that makes a difference."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import nulie.drawing
import nulie.predictor
from nulie import image_io
from nulie.cli import main
from nulie.engine import Enhancement
from nulie.errors import ImageError
from nulie.image_io import reads
from nulie.recipe.settings import Settings
from nulie.search import Progress

from .conftest import DATA, ROOT, FakePredictor, picture
from .test_cli import EMBEDDED, FEW, PROGRAM, Done, Run, process, run, started

__all__ = ["run"]  # a fixture

ROUNDS = int(os.environ.get("NULIE_FUZZ", "220"))
"""How many damaged checkpoints are tried, which takes seconds; by hand, some thousands."""
SEED = int(os.environ.get("NULIE_FUZZ_SEED", "5"))
BRIGHTER = '{"nulie": 1, "steps": [{"op": "brightness", "factor": 1.2}]}'
posix = pytest.mark.skipif(sys.platform == "win32", reason="other systems have none of it")


def enhanced(*argv: object, **options: Any) -> Done:
    """The command line in a process of its own; no traceback, whatever happens."""
    done = process(*argv, **options)
    assert "Traceback" not in done.err
    return done


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def until(there: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    picture(48, 32).save(path)
    return path


@pytest.fixture
def look(tmp_path: Path) -> Path:
    path = tmp_path / "look.json"
    path.write_text(BRIGHTER)
    return path


def is_read(kind: str) -> bool:
    """Whether what reads it is installed."""
    return reads(kind) or (kind == "video" and find_spec("av") is not None)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder as a camera, a phone and a storage of the network leave it."""
    folder = tmp_path / "album"
    (folder / "@eaDir" / "b.jpg").mkdir(parents=True)
    (folder / "deeper" / ".thumbnails").mkdir(parents=True)
    picture(40, 30).save(folder / "b.jpg", quality=90)
    for name in ("@eaDir/b.jpg/THUMB_XL.jpg", "deeper/.thumbnails/t.jpg", ".hidden.jpg"):
        shutil.copy(folder / "b.jpg", folder / name)
    picture(40, 30, 1).save(folder / "deeper" / "c.png")
    for name in ("x.HEIC", "y.heif", "deeper/z.jxl", "r.CR2", "film.MOV", "notes.txt"):
        (folder / name).write_bytes(b"x")
    for path in [*folder.rglob("*")]:
        kind = {".heic": "HEIC", ".heif": "HEIC", ".jxl": "JPEG XL", ".cr2": "RAW", ".mov": "video"}
        if is_read(kind.get(path.suffix.lower(), "")):
            path.unlink()  # a picture here, and no true one
    return folder


# What is beside the picture.


def no_larger(size: int) -> Callable[[], None]:
    """For a process that may write no file of more bytes, as on a disk that is full."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@posix
def test_what_cannot_be_written_beside_a_picture_costs_no_picture(photo: Path) -> None:
    folder = photo.parent
    beside: tuple[object, ...] = ("--checkpoint", folder / "c.json", "--report", folder / "r.html")
    beside += ("--checkpoint-every", "0.001", "--save-recipe", folder / "s.json")
    limit = no_larger(20_000)
    done = enhanced(photo, *beside, "--evaluations", 400, *EMBEDDED, preexec_fn=limit)
    assert done.code == 1
    assert done.out.count("c.json: cannot be written (File too large)") == 1
    assert done.out.count("the search goes on") == 1
    assert [line.partition(": cannot")[0] for line in done.err.splitlines()] == [
        f"nulie: {folder / name}" for name in ("c.json", "r.html")
    ]
    assert names(folder) - {"c.json"} == {"a.png", "a_nulie.png", "s.json"}
    assert image_io.read_text(folder / "a_nulie.png")["nulie"]


@posix
def test_of_several_variants_those_are_kept_that_could_be_written(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (FakePredictor(), ""))
    whole = image_io.atomic.write

    def write(path: Path, data: bytes, **options: Any) -> None:
        if path.name == "a_nulie_2.png":
            raise ImageError(f"{path}: cannot be written")
        whole(path, data, **options)

    monkeypatch.setattr(image_io.atomic, "write", write)
    assert main([str(photo), "--top", "3", *map(str, FEW)]) == 1
    assert "a_nulie_2.png: cannot be written; the recipe would be {" in capsys.readouterr().err
    assert {"a_nulie.png", "a_nulie_3.png"} <= names(photo.parent)


def test_a_report_that_cannot_be_drawn(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def draw(*_: object, **__: object) -> str:
        raise MemoryError

    monkeypatch.setattr(nulie.drawing, "report", draw)
    report = photo.with_name("r.html")
    assert main([str(photo), "--report", str(report), *map(str, FEW)]) == 1
    assert "r.html: not made" in capsys.readouterr().err
    assert names(photo.parent) == {"a.png", "a_nulie.png"}


@pytest.mark.parametrize(
    ("output", "checkpoint", "recipe"),
    [("z.png", "z.png", "s"), ("z.png", "r.json", "./r.json"), ("z.png", "c", "z.png.json/../c")],
)
def test_a_name_for_two_files_is_refused_before_the_search(
    photo: Path, output: str, checkpoint: str, recipe: str
) -> None:
    argv = ("-o", output, "--checkpoint", checkpoint, "--save-recipe", recipe, "--overwrite")
    done = enhanced(photo, *argv, "--seconds", 600, *EMBEDDED, cwd=photo.parent)
    assert done.code == 2
    assert "two files would be called so" in done.err
    assert names(photo.parent) == {"a.png"}


@pytest.mark.parametrize("gone", [False, True])
def test_an_input_that_changes_during_the_search(photo: Path, gone: bool) -> None:
    """Nothing is found, and so the photo would be copied: not the one that is there by now."""
    output, state = photo.with_name("out.png"), photo.with_name("c.json")
    narrow = ("--ops", "brightness", "--range", "brightness=0.5:0.6", "--min-light", 1)
    argv = (photo, "-o", output, "--checkpoint", state, *narrow, "--seconds", 2, "--patience", 0)
    with started(*argv, *EMBEDDED) as child:
        until(state.exists, child)
        photo.unlink()
        if not gone:
            picture(20, 20).save(photo)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "a.png: has changed meanwhile; the result is of what it was before" in err
    assert image_io.load(output).pixels.tobytes() == picture(48, 32).tobytes()


def test_going_on_says_what_it_cannot_change(photo: Path) -> None:
    state, output = photo.with_name("c.json"), photo.with_name("o.png")
    assert enhanced(photo, "--checkpoint", state, *FEW, "--mode", "hard").code == 0
    resume = (photo, "-o", output, "--resume", state, "--evaluations", 60, *EMBEDDED)
    other = ("--seed", 9, "--mode", "soft", "--ops", "brightness", "--range", "gamma=1:1.1")
    done = enhanced(*resume, "--top", 2, *other)
    assert done.code == 2
    assert "leave out --mode, --ops, --range, --seed\n" in done.err
    assert enhanced(*resume, "--mode", "hard", "--seed", 0, "--top", 2).code == 0
    assert output.with_name("o_2.png").exists()


# Ends.


@posix
@pytest.mark.parametrize("end", ["SIGTERM", "SIGHUP"])
def test_a_signal_keeps_the_best_so_far(photo: Path, end: str) -> None:
    state = photo.with_name("c.json")
    with started(photo, "--checkpoint", state, "--seconds", 600, "--patience", 0, *EMBEDDED) as c:
        until(state.exists, c)
        c.send_signal(getattr(signal, end))
        if end == "SIGHUP":
            c.send_signal(signal.SIGHUP)  # shells and terminals do
        out, _ = c.communicate(timeout=60)
    assert c.returncode == 0
    assert "stopped after" in out
    assert names(photo.parent) == {"a.png", "a_nulie.png", "c.json"}


@posix
def test_a_signal_leaves_nothing_temporary(photo: Path, tmp_path: Path) -> None:
    """Not even what came from stdin."""
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    state = tmp_path / "c.json"
    argv = ("-", "--checkpoint", state, "--seconds", 600, "--patience", 0, *EMBEDDED)
    # The picture may have gone to stdout before a signal comes that ends it all.
    options = {"env": environment, "text": False}
    with photo.open("rb") as file, started(*argv, stdin=file, **options) as child:
        until(state.exists, child)
        assert any(name.startswith("tmp/") for name in names(tmp_path))
        for _ in range(200):  # the second one, however soon it comes
            child.send_signal(signal.SIGTERM)
            time.sleep(0.01)
            if child.poll() is not None:
                break
        child.communicate(timeout=60)
    assert child.returncode in (130, -signal.SIGTERM)  # which may come after the end of it all
    assert names(tmp_path) == {"a.png", "c.json"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_a_stdout_that_is_full_costs_no_picture(photo: Path, look: Path) -> None:
    other = shutil.copy(photo, photo.with_name("b.png"))
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = enhanced(photo, other, "--recipe", look, stdout=full)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "stdout: cannot be written (No space left on device)" in done.err
        assert {"a_nulie.png", "b_nulie.png"} < names(photo.parent)
        for argv in (["--list-ops"], ["score", photo, *EMBEDDED]):
            done = enhanced(*argv, stdout=full)
            assert (done.code, done.err.count("\n")) == (1, 1)


@posix
def test_a_working_folder_that_is_gone(photo: Path) -> None:
    folder = photo.with_name("gone")
    folder.mkdir()
    shell = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    command = ["sh", "-c", shell, "sh", folder, *PROGRAM, photo, *FEW]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nulie: the folder that nulie was started in is gone; go to another one\n"


@posix
def test_a_user_without_a_home(photo: Path) -> None:
    """As in containers: an own number, but no name and no entry for it."""
    code = (
        "import os, pwd, sys\n"
        "def none(_): raise KeyError\n"
        "pwd.getpwuid = none; os.environ.pop('HOME', 0)\n"
        "from nulie.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for argv in (["weights"], [photo, "--evaluations", "20", "--predictor", "auto"]):
        command = [sys.executable, "-c", code, *map(str, argv)]
        environment = {n: v for n, v in os.environ.items() if n not in ("NULIE_HOME", "HF_HOME")}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@posix
def test_a_link_that_leads_to_itself(photo: Path, look: Path, run: Run) -> None:
    ring = photo.with_name("ring.png")
    ring.symlink_to(ring.name)
    for argv in ((photo, "-o", ring, "--overwrite"), (photo, "-o", ring), (ring,)):
        done = run(*argv, "--recipe", look)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "ring.png: " in done.err
        assert "failed (" not in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in another way")
def test_a_limit_of_memory_is_named(photo: Path) -> None:
    import resource

    limit = 700 << 20

    def low() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = enhanced(photo, *FEW, preexec_fn=low)
    assert done.code == 2
    assert "the limit of 0.7 GiB of memory (ulimit -v) is too low" in done.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["ui", "--port", "99999"], "within 1..65535"),
        (["a.png", "--checkpoint", "c", "--checkpoint-every", "nan"], "above 0"),
        (["a.png", "--keep-content", "1e308"], "1e6 at most"),
        (["a.png", "--format", "gif"], "choose png, jpg"),
        (["a.png", "--format", "png", "-o", "x.png"], "leave --format out"),
        (["a.png", "--overwrite", "--skip-existing"], "leave one of them out"),
        (["https://example.org/a.png"], "is an address, and nulie reads files"),
        (["-", "a.png"], "name no other"),
        (["-", "--json"], "leave out --json"),
    ],
)
def test_what_has_no_meaning(argv: list[str], said: str, capsys) -> None:
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


# Folders.


def test_a_folder_counts_what_it_passes_over(album: Path, look: Path) -> None:
    done = enhanced(album, "--recursive", "--recipe", look)
    assert done.code == 0
    counts = {"HEIC": 2, "JPEG XL": 1, "RAW": 1, "video": 1}
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.items() if not is_read(kind))
    said = f"nulie: passed over: {kinds}; export them as JPEG or PNG first\n"
    assert done.err == (said if kinds else "")
    made = {name for name in names(album) if "_nulie" in name}
    assert made == {"b_nulie.jpg", "deeper/c_nulie.png"}
    before = (album / "b_nulie.jpg").stat().st_mtime_ns
    done = enhanced(album, "--recursive", "--recipe", look, "--quiet")
    assert done == (0, "", "")  # a second time
    (album / "b.jpg").rename(album / "d.jpg")
    assert enhanced(album, "--recursive", "--recipe", look).code == 0
    assert (album / "d_nulie.jpg").exists()
    assert (album / "b_nulie.jpg").stat().st_mtime_ns == before
    for name in ("d.jpg", "b_nulie.jpg", "d_nulie.jpg"):
        (album / name).unlink()
    done = enhanced(album, "--recipe", look)
    assert done.code == 2
    here = kinds.replace("JPEG XL (1), ", "")  # it lies deeper
    said = f" (passed over: {here};" if here else ";"
    assert f"no images in this folder{said}" in done.err


def test_what_is_excluded(
    album: Path, look: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)

    def planned(*argv: object) -> set[str]:
        done = run(*argv, "--dry-run", "--recipe", look, "--json", "--quiet")
        lines = [json.loads(line) for line in done.out.splitlines()]
        return {Path(line["input"]).name for line in lines}

    before = names(album)
    everything = {"b.jpg", "c.png"}
    assert planned(album, "--recursive") == everything
    assert planned("**/*.*g", "--recursive") == everything
    for pattern in ("deep*", "c.png", "*.png", "deeper/c.*"):
        assert planned(album, "--recursive", "--exclude", pattern) == {"b.jpg"}
    assert planned("**/*.*g", "--exclude", "x", "--exclude", "deeper") == {"b.jpg"}
    assert names(album) == before


def test_a_dry_run_says_what_would_be_read_and_written(photo: Path) -> None:
    picture(9, 9).save(photo.with_name("b.gif"))
    (photo.parent / "c.jpg").write_bytes(b"no picture")
    output = photo.with_name("o")
    done = enhanced(photo.parent, "--dry-run", "--output-dir", output, "--format", "webp")
    assert done.code == 1
    lines = [f"{photo} -> {output / 'a_nulie.webp'}"]
    lines += [f"{photo.with_name('b.gif')} -> {output / 'b_nulie.webp'}"]
    assert [line for line in done.out.splitlines() if "->" in line] == lines
    assert "c.jpg: " in done.err
    assert names(photo.parent) == {"a.png", "b.gif", "c.jpg"}


def test_results_that_are_there(photo: Path, look: Path, run: Run) -> None:
    result = photo.with_name("a_nulie.png")
    picture(9, 9).save(result)
    assert run(photo, "--recipe", look).code == 2
    assert run(photo.parent, "--recipe", look).code == 2  # somebody else's
    done = run(photo, "--recipe", look, "--skip-existing")
    assert done.code == 0
    assert "1 of 1 images skipped" in done.out
    assert image_io.load(result).size == (9, 9)
    done = run(photo, "--recipe", look, "--skip-existing", "--json", "--quiet")
    assert json.loads(done.out) == {"input": str(photo), "skipped": str(result)}


@posix
def test_a_private_photo_stays_private_and_keeps_its_dates(photo: Path) -> None:
    report = photo.with_name("r.html")
    photo.chmod(0o600)
    os.utime(photo, (1.5e9, 1.5e9))
    assert enhanced(photo, "--report", report, "--keep-dates", *FEW).code == 0
    result = photo.with_name("a_nulie.png")
    for path in (result, report):
        assert (path.stat().st_mode & 0o777, path.stat().st_mtime) == (0o600, 1.5e9)
    photo.chmod(0o444)
    assert enhanced(photo, "--overwrite", *FEW).code == 0
    assert result.stat().st_mode & 0o777 == 0o644
    assert result.stat().st_mtime > 1.6e9


@posix
def test_no_moment_shows_a_private_photo_to_others(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (FakePredictor(), ""))
    sync, modes = os.fsync, []

    def fsync(handle: int) -> None:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode):
            modes.append(stat.S_IMODE(status.st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    photo.chmod(0o600)
    beside = [str(photo.with_name(name)) for name in ("s.json", "r.json", "r.html")]
    options = [
        f"{a}={b}"
        for a, b in zip(("--checkpoint", "--save-recipe", "--report"), beside, strict=True)
    ]
    assert main([str(photo), *options, *map(str, FEW)]) == 0
    assert len(modes) >= 4
    assert set(modes) == {0o600}


# Pipes.


def test_a_photo_through_pipes(photo: Path, look: Path, tmp_path: Path) -> None:
    def piped(*argv: object, data: bytes = photo.read_bytes()) -> tuple[int, bytes, str]:
        command = [*PROGRAM, *map(str, argv), "--recipe", str(look)]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr.decode()

    def opened(data: bytes) -> tuple[str | None, tuple[int, int]]:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return image.format, image.size

    code, out, err = piped("-")
    assert (code, *opened(out)) == (0, "PNG", (48, 32))
    assert "saved as stdout" in err
    code, out, err = piped("-", "--format", "webp", "--quiet")
    assert (code, *opened(out), err) == (0, "WEBP", (48, 32), "")
    code, out, err = piped(photo, "-o", "-", "--format", "jpg")
    assert (code, *opened(out)) == (0, "JPEG", (48, 32))
    code, out, _ = piped("-", "-o", "x.png", "--json")
    assert (code, json.loads(out)["input"]) == (0, "stdin")
    assert piped("-", "--output-dir", "new")[:2][0] == 0
    for data, said in ((b"", "stdin: is empty"), (b"no picture", "stdin: ")):
        code, out, err = piped("-", data=data)
        assert (code, out, said in err) == (2, b"", True)
    assert names(tmp_path) == {"a.png", "look.json", "x.png", "new/stdin_nulie.png"}


def test_names_with_a_dash(photo: Path, look: Path) -> None:
    photo.rename(photo.with_name("-dash.png"))
    for argv in (("--", "-dash.png"), ("./-dash.png",)):
        assert enhanced("--overwrite", "--recipe", look, *argv, cwd=photo.parent).code == 0
    said = enhanced("--help").out
    assert "nulie -- -dash.jpg" in said


# Damaged weights.


def test_damaged_weights_in_our_own_words(photo: Path, capsys) -> None:
    """PyTorch's would tell how to have a stranger's code run."""
    rng = random.Random(SEED)
    path = photo.with_name("w.pth")
    whole = io.BytesIO()
    torch.save({"state_dict": torch.nn.Linear(768, 1).state_dict()}, whole)
    module = io.BytesIO()
    torch.save(torch.nn.Linear(768, 1), module)
    old = io.BytesIO()
    torch.save([1], old, _use_new_zipfile_serialization=False)
    number = io.BytesIO()
    torch.save({"state_dict": 3}, number)
    safe = struct.pack("<Q", 9) + b'{"a": 1, '
    bad = [b"", b"x", safe, module.getvalue(), old.getvalue(), number.getvalue()]
    for _ in range(40):
        data = whole.getvalue()
        bad.append(data[: rng.randrange(len(data))])
    for data in bad:
        path.write_bytes(data)
        assert main([str(photo), "--predictor", str(path), "--evaluations", "9"]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "w.pth" in err
        assert not any(word in err for word in ("orch", "weights_only", "failed ("))


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
            holder[key] = copy.deepcopy(rng.choice(ODD))
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
        if isinstance(event, Progress) and event.evaluations > 100:
            break
    fresh = run.checkpoint().to_json()
    data = Path(__file__).with_name("data")
    old = [data / "checkpoints" / "format1.json", data / "checkpoint-1.json"]
    # Damaged ones that were met, as if they were of this photo and not at their end.
    met = [json.loads(path.read_text()) for path in (DATA / "cases").glob("checkpoint_*.json")]
    said = {**json.loads(fresh), "evaluations": 100}
    for one in met:
        one |= {name: said[name] for name in ("photo", "predictor", "evaluations")}
    return [fresh, *(path.read_text() for path in old), *map(json.dumps, met)]


def test_a_damaged_checkpoint_is_refused_in_a_sentence_or_gone_on_from(
    checkpoints: list[str], tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nulie.predictor, "create", lambda *_, **__: (FakePredictor(), ""))
    rng = random.Random(SEED)
    photo, state = tmp_path / "a.png", tmp_path / "state.json"
    picture().save(photo)
    codes, tracebacks = [], []
    for number in range(ROUNDS):
        text = checkpoints[number % len(checkpoints)]
        if rng.random() < 0.7:
            state.write_text(json.dumps(damage(json.loads(text), rng)))
        else:
            state.write_bytes(scratch(text, rng))
        damaged = state.read_bytes()
        budget = ("--evaluations", "150", "--checkpoint", str(tmp_path / "other.json"))
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
