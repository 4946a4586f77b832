"""Whole libraries: scores that are kept, tables, marks for other programs, near-duplicates."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nulie.cli import main
from nulie.errors import ImageError, LibraryError, SettingsError
from nulie.image_io import jpeg, load, marks, read_text
from nulie.image_io import xmp as xmp_packet
from nulie.image_io.metadata import SCORE_KEY
from nulie.jobs.events import Failed
from nulie.jobs.host import Host
from nulie.jobs.inputs import Item, items
from nulie.jobs.plan import Choice
from nulie.jobs.score import Scored
from nulie.library import duplicates, export, scoring, stars
from nulie.library.store import Store, opened
from nulie.predictor.clip import Clip

from .conftest import picture
from .test_cli import Run, process, refused, run

__all__ = ["run"]  # a fixture

BY = ("--predictor", "statistics")
EXIFTOOL = shutil.which("exiftool")
KINDS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "TIFF": "tif"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a library of five pictures."""
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        inside = tmp_path / "in" / f"{number % 2}"
        inside.mkdir(parents=True, exist_ok=True)
        picture(200, 150, seed=number).save(inside / f"{number}.{('png', 'jpg')[number % 2]}")
    return tmp_path


def score(*more: object, run: Run) -> list[dict[str, Any]]:
    done = run("score", "in", "--recursive", "--library", "l.nulie", "--json", *BY, *more)
    assert done.code in (0, 1), done.err
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is read of the library meanwhile."""
    read: list[Path] = []
    real = Path.read_bytes

    def spy(path: Path) -> bytes:
        if path.suffix in (".png", ".jpg"):
            read.append(path)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", spy)
    return read


# Scores


def test_a_second_run_reads_no_image(place: Path, run: Run, no_reading: list[Path]) -> None:
    first = score(run=run)
    assert len(no_reading) == 5
    no_reading.clear()
    second = score(run=run)
    assert second == first
    assert no_reading == []
    # A file that has changed is read again; one that was moved is known by its contents.
    picture(90, 90, seed=77).save("in/0/0.png")
    shutil.move("in/0/2.png", "in/moved.png")
    third = {line["input"]: line["score"] for line in score(run=run)}
    assert {p.name for p in no_reading} == {"0.png", "moved.png"}
    before = {line["input"]: line["score"] for line in first}
    assert third["in/moved.png"] == before["in/0/2.png"]
    assert third["in/0/0.png"] != before["in/0/0.png"]


def test_a_second_run_loads_no_large_libraries(place: Path, run: Run) -> None:
    score(run=run)
    command = ["score", "in", "--recursive", "--library", "l.nulie", *BY]
    code = f"import sys; from nulie.cli import main; main({command}); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *rows, loaded = said.stdout.splitlines()
    assert (len(rows), loaded) == (5, "False")


def test_scores_of_a_library_are_those_without(place: Path, run: Run) -> None:
    """JPEGs that are read smaller are off by thousandths."""
    picture(1600, 1200, seed=3).save("in/large.jpg", quality=92)
    kept = {line["input"]: line["score"] for line in score(run=run)}
    done = run("score", "in", "--recursive", "--json", *BY)
    exact = {row["input"]: row["score"] for row in map(json.loads, done.out.splitlines())}
    assert kept.keys() == exact.keys()
    for name, value in exact.items():
        assert kept[name] == pytest.approx(value, abs=0.02 if "jpg" in name else 1e-4)


def test_a_jpeg_may_be_read_smaller(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1600, 1000).save(path, exif=exif)
    assert load(path).size == (1000, 1600)
    assert load(path, least=448).size == (500, 800)
    assert load(path, least=100).size == (125, 200)
    assert load(path, least=2000).size == (1000, 1600)


def test_errors_are_rows_and_are_kept(place: Path, run: Run, no_reading: list[Path]) -> None:
    Path("in/bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    Path("in/empty.jpg").touch()
    first = score(run=run)
    errors = [line for line in first if "error" in line]
    assert {line["input"] for line in errors} == {"in/bad.png", "in/empty.jpg"}
    no_reading.clear()
    assert {json.dumps(line) for line in score(run=run)} == {json.dumps(line) for line in first}
    assert no_reading == []
    done = run("score", "in", "-o", "t.csv", "--format", "csv", "--recursive", *BY)
    assert done.code == 1
    rows = table(Path("t.csv"))
    assert [bool(row["error"]) for row in rows] == [False] * 5 + [True] * 2
    assert all(row["score"] for row in rows[:5])


def test_processes_score_as_one_does(place: Path) -> None:
    for number in range(70):
        picture(64, 64, seed=100 + number).save(f"in/{number}.png")
    Path("in/bad.png").write_bytes(b"nothing")
    found = []
    for workers in ("1", "2"):
        named = ("score", "in", "-r", "--library", f"{workers}.nulie", "--workers", workers)
        named = (*named[:2], "--recursive", *named[3:])
        done = process(*named, "--format", "jsonl", *BY)
        found.append((done.code, sorted(done.out.splitlines())))
    assert found[0] == found[1]
    assert found[0][0] == 1
    assert len(found[0][1]) == 76


@pytest.mark.slow
def test_a_picture_that_ends_its_worker_is_a_row(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one may that a decoder cannot stand."""
    Path("judge.py").write_text(
        "import os, signal\n"
        "class Judge:\n"
        "    input_size = 32\n"
        "    def judge(self, photo):\n"
        "        if photo.float().mean((1, 2)).tolist() == [255, 0, 0]:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return lambda batch: batch.float().mean((1, 2, 3))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(place))
    Image.new("RGB", (64, 64), (255, 0, 0)).save("in/deadly.png")
    named = ("score", "in", "--recursive", "--library", "l.nulie", "--workers", "2")
    done = process(*named, "--predictor", "judge:Judge", "--json")
    assert done.code == 1
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["input"] for line in lines if "error" in line] == ["in/deadly.png"]
    assert len(lines) == 6


def test_auto_is_who_judged_first(place: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    score(run=run)
    done = run("score", "in", "--recursive", "--library", "l.nulie", "--json")
    assert {json.loads(line)["predictor"] for line in done.out.splitlines()} == {"statistics"}


def test_what_is_no_library(place: Path, run: Run) -> None:
    Path("text.nulie").write_text("nothing of the kind" * 100)
    refused(run("score", "in", "--recursive", "--library", "text.nulie", *BY), "is no library")
    refused(run("duplicates", "in", "none.nulie", "--recursive"), "there is no such library")


# Embeddings


class _Counting(Clip):
    """CLIP's smallest encoder, its weights as chance has it, that counts what it sees."""

    seen = 0

    def __init__(self) -> None:
        super().__init__("clip-b32", device="cpu", random_weights=True)

    def describe(self, photos: Any) -> torch.Tensor:
        photos = list(photos)
        _Counting.seen += len(photos)
        return super().describe(photos)


@pytest.fixture(scope="module")
def small_clip() -> Clip:
    torch.manual_seed(3)
    return _Counting()


def of_clip(clip: Clip, store: Store, head: Path | None = None) -> list[Any]:
    host = Host(load=lambda choice, progress: (clip, ""))
    choice = Choice("clip-b32", head=head)
    made = scoring.Scoring(items(["in"], recursive=True), choice, host, store, None)
    return [event for event in made.events() if isinstance(event, (Scored, Failed))]


def test_another_head_is_one_product_of_matrices(
    place: Path, small_clip: Clip, no_reading: list[Path]
) -> None:
    Path("in/bad.png").write_bytes(b"nothing")
    weight = torch.randn(1, 512, generator=torch.Generator().manual_seed(5)) * 20
    save_file({"weight": weight, "bias": torch.tensor([2.0])}, "own.safetensors")
    with opened(Path("l.nulie")) as store:
        first = {e.item: e for e in of_clip(small_clip, store)}
        assert len(first) == 6
        exact = small_clip.exact()
        for item, event in first.items():
            if isinstance(event, Scored):
                from nulie.transforms.preview import shrink

                photo = shrink(load(item.path, least=448).pixels, 224)
                expected = exact.predict([photo]).scores.item()
                assert event.score == pytest.approx(expected, abs=1e-4)
        seen = _Counting.seen
        no_reading.clear()
        again = {e.item: e for e in of_clip(small_clip, store, Path("own.safetensors"))}
        assert (_Counting.seen, no_reading) == (seen, [])
        (kind,) = store.kinds()
        ((_, vectors),) = store.vectors(kind)
        scores = vectors.astype("f4") @ weight[0].numpy() + 2
        got = [e.score for e in again.values() if isinstance(e, Scored)]
        assert sorted(got) == pytest.approx(sorted(scores.tolist()), abs=1e-4)
        assert isinstance(again[Item(Path("in/bad.png"), found=True)], Failed)


# Tables


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rows_of(*scores: float | None) -> list[scoring.Row]:
    return [
        scoring.Row(Item(Path(f"{chr(97 + n)}.png")), s, "" if s is not None else "bad", "p", 5, n)
        for n, s in enumerate(scores)
    ]


def test_rows_are_chosen_and_sorted() -> None:
    rows = rows_of(5.0, None, 7.0, 6.0)

    def names(**wanted: Any) -> str:
        found = export.chosen(rows, export.Wanted(**wanted))
        return "".join(row.item.path.stem for row in found)

    assert names() == "cdab"
    assert names(sort="name") == "abcd"
    assert names(sort="time") == "dcba"
    assert names(least=6) == "cd"
    assert names(least=5.5, most=6.5) == "d"
    with pytest.raises(SettingsError, match="sort 'size' is unknown"):
        names(sort="size")


def test_forms_of_a_table(tmp_path: Path) -> None:
    rows = rows_of(5.0, None)
    assert list(export.text(rows, "table")) == ["  5.0000  a.png", "   error  b.png: bad"]
    assert [json.loads(line)["score"] for line in export.text(rows, "jsonl")] == [5.0, None]
    output = tmp_path / "t.csv"
    export.write(rows, export.Wanted(format="csv", output=output))
    assert [row["path"] for row in table(output)] == ["a.png", "b.png"]
    with pytest.raises(SettingsError, match="add -o FILE"):
        export.Wanted(format="parquet")


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra [library] brings pyarrow")
    output = tmp_path / "t.parquet"
    export.write(rows_of(5.0, None), export.Wanted(format="parquet", output=output))
    table = parquet.read_table(output).to_pydict()
    assert table["score"] == [5.0, None]
    assert list(table) == list(export.COLUMNS)


# Marks


def exiftool(path: Path, *options: str) -> dict[str, Any]:
    if EXIFTOOL is None:
        pytest.skip("no exiftool, which judges what other programs read")
    command = [EXIFTOOL, "-json", "-G1", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def kept(kind: str, path: Path) -> None:
    more: dict[str, Any] = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x03ab\0\0"}
    more["exif"] += bytes(4)
    if kind in ("PNG", "TIFF"):
        more = {}
    picture(60, 40).save(path, kind, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_goes_into_a_file_and_the_pixels_stay(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{KINDS[kind]}"
    kept(kind, path)
    valid = exiftool(path, "-validate").get("ExifTool:Validate")
    os.utime(path, ns=(10**18, 10**18))
    path.chmod(0o640)
    before = load(path).pixels.tobytes()
    coded = _coded(kind, path.read_bytes())
    assert marks.embed(path, marks.Mark(6.25, "clip-sac", 4))
    assert not marks.embed(path, marks.Mark(6.25, "clip-sac", 4)), "nothing has changed"
    assert load(path).pixels.tobytes() == before
    assert _coded(kind, path.read_bytes()) == coded
    assert (path.stat().st_mtime_ns, path.stat().st_mode & 0o777) == (10**18, 0o640)
    assert exiftool(path, "-validate").get("ExifTool:Validate") == valid
    said = exiftool(path, "-a")
    assert said["XMP-xmp:Rating"] == 4
    if kind == "PNG":
        assert said["PNG:Aesthetic_score"] == 6.25
        # As DiffusionToolkit reads it: a text of that name.
        assert read_text(path)[SCORE_KEY] == "6.2500"
    if kind in ("JPEG", "WEBP"):
        assert said["IFD0:Make"] == "ab"
    # Another score, other stars: nulie's own are replaced.
    assert marks.embed(path, marks.Mark(3.5, "clip-sac", 1))
    said = exiftool(path, "-a")
    assert said["XMP-xmp:Rating"] == 1
    assert 3.5 in (said.get("PNG:Aesthetic_score"), said.get("XMP-nulie:Score"))
    assert load(path).size == (60, 40)


def _coded(kind: str, data: bytes) -> bytes:
    """The bytes that the pixels are made of."""
    if kind == "PNG":
        from nulie.image_io import png

        return b"".join(whole for name, _, _, whole in png.chunks(data) if name == b"IDAT")
    if kind == "JPEG":
        return data[data.index(b"\xff\xda") :]
    if kind == "WEBP":
        at = data.index(b"VP8 ")
        return data[at : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]
    return data[8 : 8 + 60 * 40 * 3]


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_further_pictures_of_a_jpeg_are_found_after_it(behind: bool, tmp_path: Path) -> None:
    """As in those of cameras and phones, which have an index of them: its places are counted from
    itself, so a packet that lies behind it may not grow."""
    path = tmp_path / "a.jpg"
    picture(60, 40).save(path, "MPO", save_all=True, append_images=[picture(30, 20, seed=1)])
    if behind:
        data = path.read_bytes()
        segments = [(m, data[a:b]) for m, a, b in jpeg.walk(data)]
        index = next(s for m, s in segments if m == 0xE2 and s.startswith(jpeg.MPF))
        at = data.index(index) + len(index)
        path.write_bytes(data[:at] + jpeg.put(0xE1, jpeg.XMP, PERSON) + data[at:])
        before = path.read_bytes()
        with pytest.raises(ImageError, match=r"would not be found.*use --xmp sidecar"):
            marks.embed(path, marks.Mark(6.25, "clip-sac", 4))
        assert path.read_bytes() == before
        return
    assert marks.embed(path, marks.Mark(6.25, "clip-sac", 4))
    with Image.open(path) as image:
        image.seek(1)
        assert image.size == (30, 20)


def test_what_no_decoder_opens_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    picture(60, 40).save(path)
    before = path.read_bytes()
    monkeypatch.setitem(marks._KINDS, "PNG", lambda data, _: data[:60])
    with pytest.raises(ImageError, match="takes no score"):
        marks.embed(path, marks.Mark(6.25, "clip-sac", 4))
    assert path.read_bytes() == before


def test_a_score_is_not_for_every_kind(place: Path, run: Run) -> None:
    picture(20, 20).save("in/a.bmp")
    before = Path("in/a.bmp").read_bytes()
    done = run("score", "in/a.bmp", "in/0/0.png", "--embed", *BY)
    assert done.code == 1
    assert "a.bmp: BMP takes no score; use --xmp sidecar" in done.err
    assert Path("in/a.bmp").read_bytes() == before
    assert SCORE_KEY in read_text(Path("in/0/0.png"))


def test_a_library_knows_what_was_written_into(
    place: Path, run: Run, no_reading: list[Path]
) -> None:
    first = score("--embed", run=run)
    no_reading.clear()
    assert score(run=run) == first
    assert no_reading == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_result_does_not_claim_the_score_of_its_input(
    kind: str, tmp_path: Path, run: Run
) -> None:
    path = tmp_path / f"a.{KINDS[kind]}"
    kept(kind, path)
    marks.embed(path, marks.Mark(6.25, "clip-sac", 4))
    (tmp_path / "look.json").write_text('{"nulie": 1, "steps": [{"op": "invert"}]}')
    assert run(path, "--recipe", tmp_path / "look.json").code == 0
    made = path.with_name(f"a_nulie.{KINDS[kind]}")
    assert b"6.25" in path.read_bytes()
    assert b"6.25" not in made.read_bytes()


PERSON = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmp:Rating="2"><dc:subject><rdf:Bag><rdf:li>a cat</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_a_persons_rating_is_never_replaced(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    picture().save(photo)
    side = tmp_path / "a.xmp"
    side.write_bytes(PERSON)
    assert marks.sidecar(photo) == side, "it is there already"
    marks.write_sidecar(photo, marks.Mark(6.0, "clip-sac", 5))
    said = exiftool(side)
    assert (said["XMP-xmp:Rating"], said["XMP-dc:Subject"]) == (2, "a cat")
    assert said["XMP-nulie:Score"] == 6
    assert not (tmp_path / "a.jpg.xmp").exists()
    # Nulie's own is replaced, until a person gives another one.
    other = tmp_path / "b.jpg"
    picture().save(other)
    for given, expected in ((3, 3), (4, 4)):
        marks.write_sidecar(other, marks.Mark(6.0, "clip-sac", given))
        assert exiftool(tmp_path / "b.jpg.xmp")["XMP-xmp:Rating"] == expected
    mine = (tmp_path / "b.jpg.xmp").read_text("utf-8").replace('xmp:Rating="4"', 'xmp:Rating="1"')
    (tmp_path / "b.jpg.xmp").write_text(mine, "utf-8")
    marks.write_sidecar(other, marks.Mark(6.0, "clip-sac", 5))
    assert exiftool(tmp_path / "b.jpg.xmp")["XMP-xmp:Rating"] == 1


def test_a_rating_in_elements_is_one_as_well() -> None:
    packet = PERSON.replace(b' xmp:Rating="2"', b"").replace(
        b"<dc:subject>", b"<xmp:Rating>3</xmp:Rating><dc:subject>"
    )
    made = xmp_packet.marked(packet, 5.0, "p", 1)
    assert b"<xmp:Rating>3</xmp:Rating>" in made
    assert b'Rating="1"' not in made


def test_sidecars_and_stars_from_the_command_line(place: Path, run: Run) -> None:
    score("--xmp", "sidecar", "--stars", "1,2,3,4,9.99", run=run)
    beside = sorted(p.name for p in Path("in").rglob("*.xmp"))
    assert beside == ["0.png.xmp", "1.jpg.xmp", "2.png.xmp", "3.jpg.xmp", "4.png.xmp"]
    assert exiftool(Path("in/0/0.png.xmp"))["XMP-xmp:Rating"] == 4
    refused(run("score", "in/0/0.png", "--stars", "1,2,3,4,5", *BY), "add --xmp sidecar")
    refused(run("score", "in/0/0.png", "--xmp", "inside", *BY), "there is sidecar")
    refused(run("score", "in/0/0.png", "--xmp", "sidecar", "--stars", "5,4", *BY), "five rising")


def test_stars() -> None:
    least = stars.thresholds("5,5.5,6,6.5,7")
    assert [stars.stars(score, least) for score in (4.9, 5, 6.2, 7, 9)] == [0, 1, 3, 5, 5]


# Near-duplicates


@pytest.fixture
def alike(place: Path, small_clip: Clip) -> list[Item]:
    """Five pictures, three versions of the first one, and a copy of the second."""
    first = load("in/0/0.png").pixels
    first.save("in/again.jpg", quality=60)
    first.resize((160, 120)).save("in/smaller.png")
    shutil.copy("in/1/1.jpg", "in/copy.jpg")
    return items(["in"], recursive=True)


def test_near_duplicates_by_hashes(alike: list[Item], run: Run) -> None:
    pytest.importorskip("imagehash", reason="the extra [library] brings imagehash")
    scores = {line["input"]: line["score"] for line in score(run=run)}
    done = run("duplicates", "in", "l.nulie", "--recursive", "--json")
    groups = [json.loads(line) for line in done.out.splitlines()]
    found = [{row["path"] for row in group} for group in groups]
    assert found == [
        {"in/0/0.png", "in/again.jpg", "in/smaller.png"}, {"in/1/1.jpg", "in/copy.jpg"},
    ]  # fmt: skip
    for group in groups:
        values = [scores[row["path"]] for row in group]
        assert values == sorted(values, reverse=True)
    # The rest goes where it is told to, and nothing is lost.
    before = {p.name: p.read_bytes() for p in Path("in").rglob("*.*")}
    assert run("duplicates", "in", "l.nulie", "--recursive", "--move", "aside").code == 2
    assert run("duplicates", "in", "l.nulie", "--recursive", "--keep", "best", "--move", "aside",
               "-o", "keep.txt").code == 0  # fmt: skip
    left, moved = ({p.name for p in Path(f).rglob("*.*")} for f in ("in", "aside"))
    assert len(moved) == 3
    assert left | moved == before.keys()
    assert {Path(line).name for line in Path("keep.txt").read_text().splitlines()} == left
    assert all(p.read_bytes() == before[p.name] for p in Path("aside").rglob("*.*"))


def test_near_duplicates_by_embeddings(alike: list[Item], small_clip: Clip) -> None:
    with opened(Path("l.nulie")) as store:
        of_clip(small_clip, store)
        same = duplicates.groups(alike, store, least=2)
        groups = duplicates.groups(alike, store, least=0.9999)
    assert [{item.path.name for item in group.items} for group in same] == [{"1.jpg", "copy.jpg"}]
    (first,) = [group for group in groups if Path("in/0/0.png") in {i.path for i in group.items}]
    assert Path("in/smaller.png") in {item.path for item in first.items}


def test_groups_are_led_by_the_best_and_are_no_chains() -> None:
    angles = np.deg2rad([0, 4, 8, 60, 64, 180])
    matrix = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    least = float(np.cos(np.deg2rad(5)))
    assert list(duplicates._groups(matrix, least)) == [[0, 1], [2], [3, 4], [5]]


def test_groups_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 16)).astype(np.float32)
    matrix = np.concatenate([base, base, base])
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    whole = list(duplicates._groups(matrix, 0.999))
    assert whole == [[n, n + 40, n + 80] for n in range(40)]
    monkeypatch.setattr(duplicates, "ROWS", 3)
    assert list(duplicates._groups(matrix, 0.999)) == whole


def test_what_the_library_does_not_know(place: Path) -> None:
    with opened(Path("x.nulie")) as store:
        store.put_vector("some kind", b"x" * 16, np.ones(4))
        store.commit(now=True)
        with pytest.raises(LibraryError, match="knows none of these pictures"):
            duplicates.groups(items(["in"], recursive=True), store)


def test_nothing_is_moved_over_another_file(place: Path, tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "1.jpg").write_bytes(b"mine")
    pair = (Item(Path("in/0/0.png")), Item(Path("in/1/1.jpg")))
    with pytest.raises(Exception, match="cannot be moved there"):
        duplicates.put_aside([duplicates.Group(pair, (1.0, 0.5))], tmp_path / "aside")
    assert (tmp_path / "aside" / "1.jpg").read_bytes() == b"mine"
    assert Path("in/1/1.jpg").is_file()


@pytest.mark.parametrize("links", [True, False], ids=["one disk", "another disk"])
def test_what_is_moved_is_there_whole(
    links: bool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("in/1/1.jpg")
    os.utime(path, ns=(10**18, 10**18))
    data, mode = path.read_bytes(), path.stat().st_mode
    if not links:

        def refused(*_: object) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "link", refused)
    pair = (Item(Path("in/0/0.png")), Item(path))
    [(_, target)] = duplicates.put_aside([duplicates.Group(pair, (1.0, 0.5))], tmp_path / "aside")
    assert not path.exists()
    assert target.read_bytes() == data
    assert (target.stat().st_mode, target.stat().st_mtime_ns) == (mode, 10**18)


def test_help_of_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("score", "duplicates", "job"):
        assert main([command, "--help"]) == 0
        assert f"nulie {command}" in capsys.readouterr().out
