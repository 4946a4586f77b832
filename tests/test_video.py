"""Films in and out: what ffprobe says of results, what is refused, what goes wrong on the way."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nulie.errors import ExtraError, ImageError
from nulie.jobs import events
from nulie.jobs.host import Host
from nulie.jobs.inputs import items
from nulie.jobs.job import Job
from nulie.jobs.names import Names
from nulie.jobs.plan import plan
from nulie.recipe import ModelStep, Recipe, Step
from nulie.transforms import freeze, render, table_of

from .conftest import picture
from .test_cli import EMBEDDED, Run, process, refused, run, small_disk, started
from .test_colorize import decoder, mobilenet
from .test_faults import names, no_larger, posix, until

__all__ = ["decoder", "mobilenet", "run", "small_disk"]  # fixtures

av = pytest.importorskip("av", reason="needs PyAV, the extra [video]")
from nulie.video import making, paint, parts, shots, source  # noqa: E402
from nulie.video.film import process as process_film  # noqa: E402
from nulie.video.pixels import Pixels  # noqa: E402
from nulie.video.recipes import Recipes  # noqa: E402

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="needs the programs ffmpeg, which makes the films, and ffprobe, which judges",
)
BRIGHTER = Recipe((Step.of("brightness", factor=1.2),))
VIVID = BRIGHTER.then(Step.of("saturation", factor=1.3))
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def ffmpeg(target: Path, *arguments: object) -> Path:
    """A film, as Debian's program makes it."""
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments), str(target)]
    subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)
    return target


def bars(seconds: float = 1.0, rate: object = 25, size: str = "160x120") -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}")


def probe(path: Path, *what: str) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", *what, str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


def times(path: Path) -> list[Fraction]:
    """When the frames of the main stream are shown."""
    asked = (
        "-select_streams",
        "v:0",
        "-show_entries",
        "frame=pts:stream=time_base",
        "-show_streams",
    )
    found = probe(path, "-show_frames", *asked)
    base = Fraction(found["streams"][0]["time_base"])
    return [frame["pts"] * base for frame in found["frames"]]


def packets(path: Path, kind: str) -> list[Any]:
    """Of all streams of a kind, by stream: when they are due, and a digest of their bytes."""
    found = probe(path, "-show_packets", "-show_data_hash", "md5", "-show_streams")
    indices = [s["index"] for s in found["streams"] if s["codec_type"] == kind]
    return [
        [
            (p.get("pts_time"), p["data_hash"])
            for p in found["packets"]
            if p["stream_index"] == index
        ]
        for index in indices
    ]


def stream(path: Path, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = probe(path, "-show_streams")["streams"][number]
    return found


def planes(path: Path) -> list[list[npt.NDArray[Any]]]:
    """`[H, W]` levels of each plane of each frame, in the order in which they are shown."""
    with av.open(str(path)) as container:
        return [
            [
                np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width].copy()
                for p in frame.planes
            ]
            for frame in container.decode(video=0)
        ]


def recipe_file(folder: Path, recipe: Recipe = BRIGHTER) -> Path:
    path = folder / "look.json"
    path.write_text(recipe.to_json())
    return path


def made(film: Path, *options: object, recipe: Recipe = BRIGHTER) -> Path:
    """The result of the command line, in a process of its own."""
    done = process(film, "--recipe", recipe_file(film.parent, recipe), *options)
    assert (done.code, done.err) == (0, ""), done
    return film.with_stem(f"{film.stem}_nulie")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return ffmpeg(tmp_path / "clip.mp4", *bars(), *H264)


# What a film is beside its pictures.


def test_all_but_the_pictures_stays(tmp_path: Path) -> None:
    """Irregular times, two tracks of sound, subtitles, chapters, tags of colour, names."""
    subtitles, chapters = tmp_path / "s.srt", tmp_path / "c.txt"
    subtitles.write_text(
        "1\n00:00:00,100 --> 00:00:00,900\nHello\n\n2\n00:00:01,000 --> 00:00:01,800\nYou\n"
    )
    parts = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={at}\nEND={at + 1000}\ntitle=Part {at}\n"
        for at in (0, 1000)
    )
    chapters.write_text(f";FFMETADATA1\ntitle=My film\n{parts}")
    film = ffmpeg(
        tmp_path / "clip.mp4", *bars(2, 30), "-f", "lavfi", "-i", "sine=440:d=2",
        "-f", "lavfi", "-i", "sine=880:d=2:r=48000", "-i", subtitles, "-i", chapters,
        "-map", "0:v", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4",
        "-vf", "select='not(mod(n*n,7)-2)+eq(mod(n,3),0)'", "-vsync", "passthrough", *H264,
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
        "-color_range", "tv", "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s", "mov_text",
        "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu",
    )  # fmt: skip
    for name in ("clip.mp4", "clip.mkv"):
        if name == "clip.mkv":
            film = ffmpeg(
                tmp_path / name, "-i", film, "-map", "0:v", "-map", "0:a", "-map", "0:s",
                "-c", "copy", "-c:s", "srt", "-attach", chapters,
                "-metadata:s:t", "mimetype=text/plain",
            )  # fmt: skip
        result = made(film)
        before = times(film)
        assert len({b - a for a, b in pairwise(before)}) > 2, "is irregular"
        assert times(result) == before
        for kind in ("audio", "subtitle"):
            assert packets(result, kind) == packets(film, kind)
            assert len(packets(film, kind)) == {"audio": 2, "subtitle": 1}[kind]
        chapters_of = [probe(path, "-show_chapters")["chapters"] for path in (film, result)]
        assert chapters_of[0] == chapters_of[1]
        assert len(chapters_of[0]) == 2
        facts = ["color_range", "color_space", "color_primaries", "color_transfer", "pix_fmt"]
        facts += ["time_base", "codec_type", "disposition", "width"]
        for one, other in zip(
            *(probe(p, "-show_streams")["streams"] for p in (film, result)), strict=True
        ):
            assert [one.get(f) for f in facts] == [other.get(f) for f in facts]
            assert one.get("tags", {}).get("language") == other.get("tags", {}).get("language")
            if one["codec_type"] == "attachment":
                assert one["extradata_size"] == other["extradata_size"]
        assert probe(result, "-show_format")["format"]["tags"]["title"] == "My film"


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001"])
def test_rotation_rate_and_timecode(tmp_path: Path, rate: str) -> None:
    upright = ffmpeg(tmp_path / "a.mov", *bars(rate=rate), *H264)
    given = ("-timecode", "01:00:00:00", "-metadata:s:v", "rotate=90")
    film = ffmpeg(tmp_path / "clip.mov", "-i", upright, "-c", "copy", *given)
    done = process(film, "--recipe", recipe_file(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert "clip.mov: its timecode track is not copied" in done.out
    result = tmp_path / "clip_nulie.mov"
    assert times(result) == times(film)
    turned = [[d.get("displaymatrix") for d in stream(p)["side_data_list"]] for p in (film, result)]
    assert turned[0] == turned[1]
    assert turned[0] != [None]
    assert stream(result)["avg_frame_rate"] == rate


def test_sound_in_mono_and_a_cover(tmp_path: Path, clip: Path) -> None:
    picture(64, 64).save(cover := tmp_path / "cover.png")
    film = ffmpeg(
        tmp_path / "song.mp4", "-i", clip, "-f", "lavfi", "-i", "sine=d=1", "-i", cover,
        "-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-c:a", "aac", "-ac", "1",
        "-disposition:v:1", "attached_pic",
    )  # fmt: skip
    result = made(film)
    assert packets(result, "audio") == packets(film, "audio")
    assert packets(result, "video")[1] == packets(film, "video")[1]
    assert stream(result, 2)["disposition"]["attached_pic"] == 1
    assert stream(result, 1)["channels"] == 1


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("odd.webm", ("-vf", "format=yuv444p,crop=159:119:0:0:exact=1", "-pix_fmt", "yuv420p",
                      "-c:v", "libvpx-vp9"), ("vp9", "yuv420p", 159)),
        ("odd.mp4", ("-vf", "format=yuv444p,crop=159:119:0:0:exact=1", "-pix_fmt", "yuv420p",
                     "-c:v", "ffv1", "-f", "matroska"), ("h264", "yuv444p", 159)),
        ("deep.mp4", ("-pix_fmt", "yuv420p10le", "-c:v", "libx264"), ("h264", "yuv420p10le", 160)),
        ("full.mp4", ("-pix_fmt", "yuvj420p", "-c:v", "libx264"), ("h264", "yuvj420p", 160)),
        ("grey.mp4", ("-pix_fmt", "gray", "-c:v", "libx264"), ("h264", "yuvj420p", 160)),
        ("old.avi", ("-c:v", "mpeg4"), ("h264", "yuv420p", 160)),
        ("rgb.mov", ("-c:v", "png", "-pix_fmt", "rgb24"), ("h264", "yuvj444p", 160)),
    ],
)  # fmt: skip
def test_sizes_and_formats(tmp_path: Path, name: str, given: tuple[str, ...], kept: Any) -> None:
    film = ffmpeg(tmp_path / name, *bars(), *given)
    options = ["--codec", "h264"] if name == "odd.mp4" else []
    result = made(film, *options)
    result = result if result.exists() else result.with_suffix(".mkv")
    of = stream(result)
    assert (of["codec_name"], of["pix_fmt"], of["width"]) == kept
    assert [round(t, 3) for t in times(result)] == [round(t, 3) for t in times(film)]


def test_avi_knows_no_times_of_frames_that_are_stored_out_of_order(tmp_path: Path) -> None:
    film = ffmpeg(tmp_path / "old.avi", *bars(), *H264, "-bf", "3")
    process(film, "--recipe", recipe_file(tmp_path))
    found = times(tmp_path / "old_nulie.mkv")
    assert len(found) == 25
    assert {b - a for a, b in pairwise(found)} == {Fraction(1, 25)}


def test_ten_bits_become_what_eight_become(tmp_path: Path) -> None:
    """Beside what 8 bits lose: the deep way is another one."""
    picture(160, 120).save(tmp_path / "a.png")
    seen = []
    for pix_fmt in ("yuv444p", "yuv444p10le"):
        still = ("-i", tmp_path / "a.png", "-vf", "scale=flags=accurate_rnd+full_chroma_int")
        film = ffmpeg(tmp_path / f"{pix_fmt}.mkv", *still, "-c:v", "ffv1", "-pix_fmt", pix_fmt)
        result = source.Source(made(film, "--codec", "ffv1", recipe=VIVID), "result")
        assert result.facts.pix_fmt == pix_fmt
        photo = Pixels(result.facts, pix_fmt).photo(next(result.frames()))
        seen.append(np.asarray(photo.pixels).astype(float))
    assert np.abs(seen[0] - seen[1]).mean() < 1
    assert np.abs(seen[0] - seen[1]).max() < 8


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["vp9", "av1", "ffv1"])
def test_other_codecs_in_matroska(tmp_path: Path, clip: Path, codec: str) -> None:
    film = ffmpeg(tmp_path / "film.mkv", "-i", clip, "-c", "copy")
    result = made(film, "--codec", codec)
    assert stream(result)["codec_name"] == codec
    assert times(result) == times(film)


@pytest.mark.slow
def test_codec_and_quality(clip: Path) -> None:
    sizes = []
    for crf in (18, 40):
        result = made(clip, "--codec", "hevc", "--crf", crf, "--overwrite")
        assert stream(result)["codec_name"] == "hevc"
        sizes.append(result.stat().st_size)
    assert sizes[1] < 0.8 * sizes[0]


# What is done to the pictures.


@pytest.mark.parametrize(("size", "matrix"), [("1280x720", "bt709"), ("160x120", "bt601")])
def test_colours_are_those_of_the_film_s_own_matrix(tmp_path: Path, size: str, matrix: str) -> None:
    """A film that names none has that of HD or SD by its size. Red stays red."""
    film = ffmpeg(
        tmp_path / "clip.mp4", "-f", "lavfi", "-i", f"color=c=0xC02010:s={size}:r=5:d=0.4",
        "-vf", f"scale=out_color_matrix={matrix}:flags=accurate_rnd,format=yuv420p",
        "-c:v", "libx264", "-crf", "0",
    )  # fmt: skip
    facts = source.Source(film, "clip.mp4").facts
    frame = next(source.Source(film, "clip.mp4").frames())
    seen = Pixels(facts, "yuv420p").photo(frame).pixels
    assert np.abs(np.asarray(seen).reshape(-1, 3).mean(0) - (0xC0, 0x20, 0x10)).max() < 2


def test_filters_give_the_bytes_that_the_door_gives(clip: Path) -> None:
    facts = source.Source(clip, "clip").facts
    table = table_of(BRIGHTER)
    assert table is not None
    recipes = (BRIGHTER, BRIGHTER, 0.0)
    painter = paint.Painter(facts, "yuv420p", [paint.Stretch(0, BRIGHTER)], None)
    quick = painter.quick(BRIGHTER)
    assert quick is not None
    for frame in list(source.Source(clip, "clip").frames())[:3]:
        one, other = quick(frame), painter.paint(frame, recipes)
        assert (one.pts, one.duration) == (other.pts, other.duration) == (frame.pts, frame.duration)
        for a, b in zip(one.planes, other.planes, strict=True):
            assert bytes(a) == bytes(b)


def test_the_tables_of_recipes() -> None:
    image = picture(64, 48)
    recipe = Recipe((Step.of("contrast", factor=1.3), Step.of("gamma", gamma=0.8)))
    assert table_of(recipe) is None, "it measures"
    frozen = freeze(recipe, image)
    table = table_of(frozen)
    assert table is not None
    assert image.point(table.ravel().tolist()) == render(recipe, image)
    assert table_of(VIVID) is None, "saturation mixes channels"


def test_what_stays_in_the_picture_stays(tmp_path: Path) -> None:
    """Within a shot each pixel that does not change comes out the same, before it is encoded."""
    picture(160, 120).save(tmp_path / "still.png")
    film = ffmpeg(
        tmp_path / "clip.mkv", "-loop", "1", "-t", "1", "-i", tmp_path / "still.png", *bars(),
        "-filter_complex", "[1]crop=40:40[m];[0][m]overlay=x=20:y=20:shortest=1", "-c:v", "ffv1",
        "-pix_fmt", "yuv420p",
    )  # fmt: skip
    done = process(film, "--codec", "ffv1", "--seconds", 1, *EMBEDDED, "--min-light", 0.5)
    assert (done.code, done.err) == (0, "")
    assert "shot 1" in done.out
    assert "shot 2" not in done.out
    before, after = planes(film), planes(tmp_path / "clip_nulie.mkv")
    assert any((a != b).any() for a, b in zip(before[0], after[0], strict=True)), "does something"
    assert any((before[0][0] != frame[0]).any() for frame in before[1:]), "something moves"
    # Around what moves: half a pixel of colour has a say.
    for frame in after[1:]:
        for number, (plane, first) in enumerate(zip(frame, after[0], strict=True)):
            at = 70 if number == 0 else 35
            assert (plane[at:] == first[at:]).all()
            assert (plane[:, at:] == first[:, at:]).all()


@pytest.mark.slow
def test_models_work_frame_by_frame(tmp_path: Path, clip: Path) -> None:
    short = ffmpeg(tmp_path / "short.mp4", "-i", clip, "-frames:v", "3", *H264)
    options = ("--no-search", "--denoise", 8, "--upscale", 2)
    done = process(short, *options)
    assert (done.code, done.err) == (0, "")
    result = tmp_path / "short_nulie.mp4"
    assert (stream(result)["width"], stream(result)["height"]) == (320, 240)
    assert times(result) == times(short)
    assert "denoise by denoise (sigma 8), upscale by x2 (size 2)" in done.out


def test_a_grey_film_gets_colours_that_do_not_swim(
    tmp_path: Path, mobilenet: Path, decoder: Path
) -> None:
    """What does not change does not move by a level; what is seen first in a shot is guessed."""
    picture(320, 240).convert("L").save(tmp_path / "still.png")
    film = ffmpeg(
        tmp_path / "clip.mkv", "-loop", "1", "-t", "0.4", "-i", tmp_path / "still.png",
        *bars(0.4), "-filter_complex",
        "[1]format=gray,crop=40:40[m];[0]format=gray[s];[s][m]overlay=x=20+8*n:y=190:shortest=1",
        "-c:v", "ffv1", "-pix_fmt", "gray",
    )  # fmt: skip
    given = {"colorize": str(decoder), "search": False, "codec": "ffv1"}
    told = [
        *Job(items([str(film)], recursive=False), plan(given), Host(film=process_film)).events()
    ]
    [filmed] = [event for event in told if isinstance(event, events.Filmed)]
    [step] = filmed.film.shots[0].recipe.before
    assert step.op == "colorize"
    before, after = planes(film), planes(tmp_path / "clip_nulie.mkv")
    assert len(after) == len(before) == 10
    assert any((a[0] != b[0]).any() for a, b in pairwise(before)), "something moves"
    for frame in after:
        assert max(np.ptp(chroma) for chroma in frame[1:]) > 8, "has colours"
    for number in range(3):
        still = [frame[number][: 100 if number == 0 else 50] for frame in after]
        assert all((one == still[0]).all() for one in still)


def test_hints_are_for_photos(clip: Path, run: Run) -> None:
    refused(run(clip, "--hint", "1,1=#ff0000", "--no-search"), "--hint is for photos")


# Shots.


def slides(target: Path, *kinds: str, fade: float = 0.0) -> Path:
    """A second of each of some pictures, mixed with colours; two may be faded into each other."""
    inputs: list[object] = []
    for number, kind in enumerate(kinds):
        path = target.with_name(f"{number}.png")
        image = picture(160, 120, number)
        Image.blend(image, Image.new("RGB", image.size, kind), 0.6).save(path)
        inputs += ["-loop", "1", "-t", 1 + fade, "-r", "25", "-i", path]
    count = len(kinds)
    joined = f"{''.join(f'[{i}]' for i in range(count))}concat=n={count}"
    if fade:
        joined = f"[0][1]xfade=duration={fade}:offset=0.8"
    return ffmpeg(target, *inputs, "-filter_complex", joined, *H264)


def found(film: Path, **options: Any) -> list[shots.Found]:
    finder, all_ = shots.Finder(**options), []
    for frame in source.Source(film, film.name).frames():
        if (one := finder.add(frame)) is not None:
            all_.append(one)
    return [*all_, finder.end()]


def test_cuts_are_found(tmp_path: Path) -> None:
    film = slides(tmp_path / "clip.mp4", "black", "white", "grey")
    assert [(s.begin, s.end, s.cut) for s in found(film)] == [
        (0, 25, True), (25, 50, True), (50, 75, True),
    ]  # fmt: skip
    assert [len(s.keys) for s in found(film)] == [5, 5, 5]
    assert [s.time for s in found(film)] == [0.0, 1.0, 2.0]
    [whole] = found(film, split=False)
    assert (whole.begin, whole.end) == (0, 75)


def test_a_dissolve_is_no_cut_and_a_flash_is_nothing(tmp_path: Path) -> None:
    [_, second] = found(slides(tmp_path / "clip.mp4", "black", "white", fade=0.5))
    assert not second.cut
    assert 20 <= second.begin <= 33
    flash = ffmpeg(
        tmp_path / "flash.mp4", *bars(2), "-vf", "drawbox=c=white:t=fill:enable='between(n,20,22)'",
        *H264,
    )  # fmt: skip
    assert len(found(flash)) == 1


def test_key_frames_are_spread_however_long_a_shot_is(tmp_path: Path) -> None:
    film = ffmpeg(tmp_path / "clip.mp4", *bars(12), *H264)
    [shot] = found(film)
    at = [round(25 * frame.time) for frame in shot.keys]
    assert len(at) == 5
    assert at[0] < 75
    assert at[-1] > 225
    assert min(b - a for a, b in pairwise(at)) > 20


def test_recipes_fade_where_there_is_no_cut(clip: Path) -> None:
    facts = source.Source(clip, "clip").facts
    stretches = [
        paint.Stretch(0, Recipe()), paint.Stretch(8, BRIGHTER), paint.Stretch(20, VIVID, cut=False),
    ]  # fmt: skip
    painter = paint.Painter(facts, "yuv420p", stretches, None)
    told = [painter.recipes_of(number) for number in range(25)]
    assert told[7] == (Recipe(), Recipe(), 0.0)
    assert told[8] == told[15] == (BRIGHTER, BRIGHTER, 0.0)
    assert [share for before, after, share in told[16:24]] == [(n + 0.5) / 8 for n in range(8)]
    assert {(before, after) for before, after, _ in told[16:24]} == {(BRIGHTER, VIVID)}
    assert told[24] == (VIVID, VIVID, 0.0)
    # Halfway the levels lie in the middle.
    frame = next(source.Source(clip, "clip").frames())
    ends = [painter.paint(frame, (r, r, 0.0)) for r in (BRIGHTER, VIVID)]
    middle = painter.paint(frame, (BRIGHTER, VIVID, 0.5))
    planes: list[Any] = [f.planes[1] for f in (*ends, middle)]
    low, high, half = (np.frombuffer(plane, np.uint8).astype(int) for plane in planes)
    assert np.abs((low + high) / 2 - half).mean() < 1


def test_each_shot_has_a_recipe_and_a_scene_seen_again_its_own(tmp_path: Path) -> None:
    film = slides(tmp_path / "clip.mp4", "black", "white")
    both = ffmpeg(
        tmp_path / "both.mp4", "-i", film, "-i", film, "-filter_complex", "[0][1]concat=n=2", *H264
    )
    done = process(both, "--evaluations", 60, *EMBEDDED, "--json", "--min-light", 0)
    assert done.code == 0, done
    told = json.loads(done.out)
    assert [shot["begin"] for shot in told["shots"]] == [0.0, 1.0, 2.0, 3.0]
    recipes = [shot["recipe"] for shot in told["shots"]]
    assert all(recipe["frozen"] for recipe in recipes)
    assert recipes[0] != recipes[1]
    assert recipes[:2] == recipes[2:]
    assert told["frames"] == 100
    assert "(--min-contrast)" not in done.out
    again = process(both, "--evaluations", 60, *EMBEDDED, "--overwrite", "--min-light", 0)
    assert "shot 3, from 0:02.0, 25 frames: looks like shot 1, and has its recipe" in again.out


def test_recipes_of_shots_are_written_and_applied_again(tmp_path: Path) -> None:
    film = slides(tmp_path / "clip.mp4", "black", "white")
    look, report = tmp_path / "shots.json", tmp_path / "report.html"
    beside = ("--save-recipe", look, "--report", report)
    done = process(film, "--evaluations", 60, *EMBEDDED, "--min-light", 0, *beside)
    assert (done.code, done.err) == (0, "")
    saved = json.loads(look.read_text())
    assert [(shot["begin"], shot["frames"]) for shot in saved["shots"]] == [(0, 25), (1, 25)]
    assert saved["shots"][0]["recipe"] != saved["shots"][1]["recipe"]
    page = report.read_text()
    assert page.count("Shot 2, from 0:01.0, 25 frames") == 1
    assert page.count('<input type="range"') == 2
    pictures = re.findall('data:image/jpeg;base64,[^"]+', page)
    assert len(set(pictures)) == len(pictures) == 4
    words = re.findall(r"score .*, (.*)\n", done.out)
    assert len(words) == 2
    assert all(line.partition("), ")[2] in page for line in words)
    again = tmp_path / "again.mp4"
    done = process(film, "--recipe", look, "-o", again)
    assert (done.code, done.err) == (0, "")
    assert packets(again, "video") == packets(tmp_path / "clip_nulie.mp4", "video")
    assert "()" not in done.out, "nobody judges"
    picture().save(photo := tmp_path / "photo.png")
    refused(process(photo, "--recipe", look), "shots.json: has recipes for 2 shots of a video")
    longer = ffmpeg(tmp_path / "longer.mp4", *bars(5), *H264)
    told = "the recipes of 2 shots are of a video of 50 frames, and"
    refused(process(longer, "--recipe", look), told, "longer.mp4 has 125")


def test_the_recipe_of_one_shot_is_for_anything(clip: Path, run: Run) -> None:
    look = clip.with_name("one.json")
    found = run(clip, "--evaluations", 40, *EMBEDDED, "--min-light", 0, "--save-recipe", look)
    assert (found.code, found.err) == (0, "")
    [shot] = json.loads(look.read_text())["shots"]
    picture().save(photo := clip.with_name("photo.png"))
    told = json.loads(run(photo, "--recipe", look, "--json").out)
    bare = [{k: v for k, v in s.items() if k != "frozen"} for s in shot["recipe"]["steps"]]
    assert told["recipe"] == {"nulie": 2, "frozen": False, "steps": bare}
    assert bare


@pytest.mark.parametrize(
    ("shots", "told"),
    [
        ([], "has no shots"),
        ([{"begin": 0, "recipe": {"nulie": 2, "steps": []}}], "shot 1: has no begin, number of"),
        ([{"begin": 0, "frames": -1, "recipe": {"nulie": 2, "steps": []}}], "cannot be below 0"),
        ([{"begin": 0, "frames": 5, "recipe": {"nulie": 2}}], "shot 1: not a nulie recipe"),
    ],
)
def test_damaged_recipes_of_shots(clip: Path, run: Run, shots: list[Any], told: str) -> None:
    look = clip.with_name("look.json")
    look.write_text(json.dumps({"nulie video": 1, "shots": shots}))
    refused(run(clip, "--recipe", look), f"{look}: ", told)


# What is refused, what fails.


def hdr(trc: str) -> tuple[str, ...]:
    tags = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", trc)
    return ("-pix_fmt", "yuv420p10le", "-c:v", "libx264", *tags)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("pq.mp4", hdr("smpte2084"), "is HDR (PQ)"),
        ("hlg.mp4", hdr("arib-std-b67"), "is HDR (HLG)"),
        ("alpha.mov", ("-c:v", "png", "-pix_fmt", "rgba"), "is transparent in parts"),
        ("alpha.webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p"), "is transparent in parts"),
        ("sound.mp4", ("-f", "lavfi", "-i", "sine=d=1", "-map", "1"), "holds no video stream"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, name: str, given: tuple[str, ...], told: str) -> None:
    film = ffmpeg(tmp_path / name, *bars(), *given)
    refused(process(film, "--recipe", recipe_file(tmp_path)), name, told)
    assert names(tmp_path) == {name, "look.json"}


def test_a_file_that_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind")
    refused(process(tmp_path / "a.mp4"), "a.mp4: is no video that can be read")
    refused(process(tmp_path / "b.mp4"), "b.mp4: cannot be read (No such file or directory)")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--codec", "theora"), "codec 'theora' is unknown"),
        (("--crf", "70"), "crf must be within 0..63"),
        (("--codec", "h264", "--crf", "60"), "--crf for h264 is within 0..51"),
        (("--output", "x.gif"), "a video is written as one of .mp4"),
        (("--checkpoint", "x.json"), "--checkpoint is for photos"),
        (("--top", "2"), "--top is for photos"),
    ],
)  # fmt: skip
def test_options_without_a_meaning(
    clip: Path, run: Run, options: tuple[str, ...], told: str
) -> None:
    refused(run(clip, *EMBEDDED, *options), told)
    assert names(clip.parent) == {"clip.mp4"}


def test_a_format_that_does_not_hold_the_codec(tmp_path: Path, run: Run) -> None:
    film = ffmpeg(tmp_path / "clip.webm", *bars(), "-c:v", "libvpx-vp9")
    refused(
        run(film, "--codec", "h264", "--recipe", recipe_file(tmp_path)),
        "a .webm does not hold h264; choose another --codec",
    )


def test_a_result_that_is_there_stays(clip: Path, run: Run) -> None:
    there = clip.with_name("clip_nulie.mp4")
    there.write_text("mine")
    refused(run(clip, "--recipe", recipe_file(clip.parent)), "clip_nulie.mp4: exists")
    assert there.read_text() == "mine"
    assert run(clip.parent, *EMBEDDED).code == 0, "passed over in a folder"
    assert there.read_text() == "mine"


def damaged(film: Path) -> Path:
    """The same with bytes in the middle of its pictures overwritten."""
    data = bytearray(film.read_bytes())
    at = data.find(b"mdat") + 4
    for packet in probe(film, "-select_streams", "v:0", "-show_packets")["packets"][12:13]:
        at, size = int(packet["pos"]), int(packet["size"])
        data[at + 4 : at + size] = b"\xff" * (size - 4)
    film.write_bytes(data)
    return film


def test_a_damaged_packet_costs_its_frame_and_is_said(tmp_path: Path) -> None:
    film = ffmpeg(
        tmp_path / "clip.mp4", *bars(), "-f", "lavfi", "-i", "sine=d=1", "-c:v", "mjpeg",
        "-q:v", "3", "-pix_fmt", "yuvj420p", "-c:a", "aac",
    )  # fmt: skip
    sound = packets(film, "audio")
    done = process(damaged(film), "--recipe", recipe_file(tmp_path))
    assert done.code == 1
    assert re.fullmatch(
        r"nulie: \S*clip.mp4: is damaged at 0:00\.5; what .* in the result\n", done.err
    )
    result = tmp_path / "clip_nulie.mp4"
    assert packets(result, "audio") == sound
    assert len(times(result)) in (24, 25)
    assert set(times(result)) <= {Fraction(n, 25) for n in range(25)}


def test_a_film_that_ends_early(tmp_path: Path, clip: Path) -> None:
    film = ffmpeg(tmp_path / "short.mkv", "-i", clip, "-c", "copy")
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    done = process(film, "--recipe", recipe_file(tmp_path))
    assert done.code in (0, 1)
    assert "Traceback" not in done.err
    assert 0 < len(times(tmp_path / "short_nulie.mkv")) < 25


@posix
def test_a_full_disk_leaves_nothing(clip: Path) -> None:
    look = recipe_file(clip.parent)
    limit = no_larger(8_000)
    done = process(clip, "--recipe", look, preexec_fn=limit)
    refused(done, "clip_nulie.mp4: cannot be written (File too large)")
    assert names(clip.parent) == {"clip.mp4", "look.json"}


@pytest.fixture
def long_clip(tmp_path: Path) -> Path:
    return ffmpeg(tmp_path / "long.mp4", *bars(30, 30, "640x360"), "-preset", "ultrafast", *H264)


def at_work(film: Path, *options: object) -> subprocess.Popen[str]:
    """nulie that has begun to write."""
    child = started(film, "--recipe", recipe_file(film.parent, VIVID), *options)
    there = lambda: any(p.stat().st_size > 100_000 for p in film.parent.glob(".nulie-*.tmp"))  # noqa: E731
    until(there, child)
    return child


@posix
def test_what_a_killed_run_leaves_goes_with_the_next_one(long_clip: Path) -> None:
    folder = long_clip.parent
    with at_work(long_clip) as child:
        child.kill()
    [left] = folder.glob(".nulie-*")
    assert names(folder) == {"long.mp4", "look.json", left.name}
    done = process(long_clip, "--recipe", recipe_file(folder))
    assert (done.code, done.err) == (0, "")
    assert times(folder / "long_nulie.mp4") == times(long_clip)
    assert names(folder) == {"long.mp4", "look.json", "long_nulie.mp4"}


@posix
@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_leaves_a_playable_part_or_nothing(long_clip: Path, keep: bool) -> None:
    with at_work(long_clip, *["--keep-part"] * keep) as child:
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in told
    kept = {"long_nulie_part.mp4"} if keep else set()
    assert names(long_clip.parent) == {"long.mp4", "look.json", *kept}
    if keep:
        assert "stopping; what is written is kept" in told
        part = times(long_clip.parent / "long_nulie_part.mp4")
        assert part == times(long_clip)[: len(part)]
        assert 0 < len(part) < 900
    else:
        assert "stopping; nothing is kept of this video" in told


# Beside photos, and in a program.


@pytest.mark.slow
def test_photos_and_films_of_a_folder(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    ffmpeg(album / "clip.mp4", *bars(0.4), *H264)
    picture().save(album / "photo.png")
    look = recipe_file(tmp_path)
    done = process(album, "--recipe", look, "--output-dir", tmp_path / "better", "--json")
    assert (done.code, done.err.count("saved")) == (0, 2)
    assert names(tmp_path / "better") == {"clip_nulie.mp4", "photo_nulie.png"}
    told = {Path(line["input"]).name: line for line in map(json.loads, done.out.splitlines())}
    assert told["clip.mp4"]["frames"] == 10
    dry = process(album, "--recipe", look, "--dry-run", "--output-dir", tmp_path / "other")
    assert "clip.mp4 -> " in dry.out
    assert not (tmp_path / "other").exists()


def test_events_tell_how_far_it_is(clip: Path) -> None:
    from nulie.video.film import process as film

    job = Job(
        items([str(clip)], recursive=False), plan({"recipe": BRIGHTER.to_json()}), Host(film=film)
    )
    told = list(job.events())
    filming = [event for event in told if isinstance(event, events.Filming)]
    assert filming
    assert filming[0].words.startswith("writing: frame 1 of 25")
    assert isinstance(told[-1], events.Ended)
    assert told[-1].written == (clip.with_name("clip_nulie.mp4"),)
    half = events.Filming(job.items[0], "writing", 50, 100, 2.0)
    assert (half.share, half.words) == (0.5, "writing: frame 50 of 100, 25 a second, 0:02 left")


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraError, match=r"a video needs av; .*its extra \[video\]$"):
        source.require()
    monkeypatch.setattr(source, "PYTHON", (99, 0))
    with pytest.raises(ExtraError, match=r"today's needs Python 99.0, and this one is older$"):
        source.require()


# Jobs that go on.


JOB = "0123456789abcdef"


def of_a_job(film: Path, stop: Callable[[events.Event], bool], **given: Any) -> list[events.Event]:
    """What is told of a film of a job, in this process, until `stop` of an event."""
    wanted = plan({"evaluations": 60, "predictor": "statistics", "min_light": 0, **given})
    wanted = replace(wanted, results=replace(wanted.results, job=JOB))
    [item], cancel, told = items([str(film)], recursive=False), threading.Event(), []
    own = Names([item.path], overwrite=False)
    for event in process_film(item, wanted, Host(), own, cancel=cancel):
        told.append(event)
        if stop(event):
            cancel.set()
    return told


def never(event: events.Event) -> bool:
    return False


@pytest.mark.parametrize(
    ("name", "codec", "bframes"),
    [("clip.mp4", "h264", True), ("clip.mkv", "ffv1", False), ("clip.mkv", "hevc", True)],
)
def test_parts_are_joined_without_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str, bframes: bool
) -> None:
    """Irregular times, sound, and frames that are stored out of order."""
    film = ffmpeg(
        tmp_path / name, *bars(3, 30), "-f", "lavfi", "-i", "sine=440:d=3", "-vf",
        "select='not(mod(n*n,7)-2)+eq(mod(n,3),0)'", "-vsync", "passthrough", *H264, "-c:a", "aac",
    )  # fmt: skip
    monkeypatch.setattr(parts, "MOST", 20)
    look = {"recipe": VIVID.to_json(), "codec": codec}
    filmed = of_a_job(film, never, **look)[-1]
    assert isinstance(filmed, events.Filmed)
    joined = film.with_stem("clip_nulie")
    assert filmed.written == (joined,)
    assert times(joined) == times(film)
    assert packets(joined, "audio") == packets(film, "audio")
    out = tmp_path / f"direct{film.suffix}"
    job = Job(
        items([str(film)], recursive=False), plan({**look, "output": out}), Host(film=process_film)
    )
    list(job.events())
    one, other = probe(joined, "-show_packets"), probe(out, "-show_packets")
    stored = [p for p in one["packets"] if p["codec_type"] == "video"]
    assert len(stored) == filmed.film.frames == len(times(film))
    assert sum("K" in p["flags"] for p in stored) >= 3
    assert bframes == any(a["pts"] > b["pts"] for a, b in pairwise(stored))
    if name == "clip.mp4":  # Matroska does not write them down
        assert all(a["dts"] < b["dts"] <= b["pts"] for a, b in pairwise(stored))
    assert [s.get("duration_ts") for s in probe(joined, "-show_streams")["streams"]] == [
        s.get("duration_ts") for s in probe(out, "-show_streams")["streams"]
    ]
    assert len(one["packets"]) == len(other["packets"])
    ours, theirs = (np.stack([frame[0] for frame in planes(path)]) for path in (joined, out))
    if codec == "ffv1":
        assert (ours == theirs).all()
    for number, frame in enumerate(ours.astype(int)):  # else encoders lose in other places
        assert np.abs(theirs - frame).mean((1, 2)).argmin() == number
    assert names(tmp_path) - {film.name, joined.name, out.name} == {
        p.name for p in tmp_path.glob(".nulie-*.film")
    }


def test_what_a_job_has_found_and_encoded_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = slides(tmp_path / "clip.mp4", "black", "white", "grey")
    monkeypatch.setattr(parts, "LEAST", 20)
    monkeypatch.setattr(making, "LOOK", 0.0)
    searched: list[int] = []
    encoded: list[int | None] = []
    search, write = Recipes._searched, parts.Part.write

    def searching(self: Recipes, keys: Any) -> Any:
        searched.append(len(self.shots))
        return search(self, keys)

    def writing(self: parts.Part, frame: Any) -> None:
        encoded.append(frame and frame.pts)
        write(self, frame)

    monkeypatch.setattr(Recipes, "_searched", searching)
    monkeypatch.setattr(parts.Part, "write", writing)
    # Ended within the search for the second shot.
    of_a_job(film, lambda e: isinstance(e, events.Searching) and len(searched) > 1)
    assert searched == [0, 1]
    [kept] = tmp_path.glob(".nulie-*.film")
    [first] = json.loads(kept.read_text())["shots"]
    # Ended within the second part.
    of_a_job(film, lambda e: isinstance(e, events.Filming) and len(encoded) > 30)
    assert searched == [0, 1, 1, 2]
    assert sorted(p.suffix for p in tmp_path.glob(".nulie-*")) == [".film", ".part"]
    assert not (tmp_path / "clip_nulie.mp4").exists()
    before = len(encoded)
    told = of_a_job(film, never)
    assert searched == [0, 1, 1, 2], "all are known"
    assert isinstance(told[-1], events.Filmed)
    assert told[-1].film.shots[0].data() == first
    assert len([pts for pts in encoded[before:] if pts is not None]) == 50, "of 75"
    assert times(tmp_path / "clip_nulie.mp4") == times(film)
    [event] = of_a_job(film, never)
    assert isinstance(event, events.Skipped)


def test_damage_is_said_by_the_run_that_joins_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it was another one that has met it."""
    film = ffmpeg(
        tmp_path / "clip.mkv", *bars(), "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"
    )
    look = {"recipe": BRIGHTER.to_json(), "codec": "ffv1"}
    join = making.Making._join

    def broken(*_: Any) -> None:
        raise OSError("no more of it today")

    monkeypatch.setattr(making.Making, "_join", broken)
    with pytest.raises(ImageError, match="no more of it today"):
        of_a_job(damaged(film), never, **look)
    monkeypatch.setattr(making.Making, "_join", join)
    monkeypatch.setattr(parts.Parts, "writing", broken)
    told = of_a_job(film, never, **look)
    [amiss] = [event.text for event in told if isinstance(event, events.Amiss)]
    assert "is damaged at 0:00.5" in amiss
    assert isinstance(told[-1], events.Filmed)
    assert len(times(tmp_path / "clip_nulie.mkv")) in (24, 25)


@posix
def test_a_job_waits_for_a_film_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    """And keeps no part that may end where the share did."""
    monkeypatch.setattr(making, "LOOK", 0.0)
    away = clip.with_name("away")
    waited: list[str] = []

    def pull(event: events.Event) -> bool:
        if isinstance(event, events.Filming) and not waited and clip.exists():
            clip.rename(away)
        if isinstance(event, events.Held):
            waited.append(event.text)
            assert not [*tmp_path.glob(".nulie-*")]
            away.rename(clip)
        return False

    told = of_a_job(clip, pull, recipe=BRIGHTER.to_json())
    assert waited == [f"{clip}: is gone; bring it back"]
    assert isinstance(told[-1], events.Filmed)
    assert times(clip.with_name("clip_nulie.mp4")) == times(clip)


@posix
def test_a_job_goes_on_after_a_kill(tmp_path: Path) -> None:
    """As its user meets it: the same command again, and a folder in which one is done."""
    album = tmp_path / "album"
    album.mkdir()
    short = ffmpeg(album / "a.mp4", *bars(0.4), *H264)
    long = ffmpeg(album / "b.mp4", *bars(70, 30, "320x180"), "-preset", "ultrafast", *H264)
    command = (album, "--recipe", recipe_file(tmp_path, VIVID), "--job", tmp_path / "x.job")
    with started(*command) as child:
        until(lambda: any(album.glob(".nulie-*-0.part")), child)
        child.kill()
    done = album / "a_nulie.mp4"
    assert done.exists()
    assert not (album / "b_nulie.mp4").exists()
    at = done.stat().st_mtime_ns
    other = process(*command, "--crf", 30)
    refused(other, "x.job: the job began with crf not given, and now it is 30")
    again = process(*command)
    assert (again.code, again.err) == (0, "")
    assert done.stat().st_mtime_ns == at
    assert times(album / "b_nulie.mp4") == times(long)
    assert times(done) == times(short)
    assert names(album) == {"a.mp4", "b.mp4", "a_nulie.mp4", "b_nulie.mp4"}
    assert names(tmp_path) - {f"album/{name}" for name in names(album)} == {"look.json", "x.job"}
    last = process(*command)
    assert (last.code, last.err) == (0, "")
    assert "2 of 2 images were done before" in last.out


@posix
def test_a_job_waits_for_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    clip = ffmpeg(tmp_path / "clip.mp4", *bars(0.2, size="48x32"), *H264)
    (filling := small_disk / "filling").write_bytes(bytes(16 << 10))
    look = recipe_file(tmp_path)
    given = ("--recipe", look, "--crf", 40, "--job", tmp_path / "x.job")
    with started(clip, "--output-dir", small_disk, *given) as child:
        assert child.stderr is not None
        line = child.stderr.readline()
        assert "waiting: " in line
        assert "free some space" in line
        filling.unlink()
        child.communicate(timeout=60)
        assert child.returncode == 0
    assert names(small_disk) == {"clip_nulie.mp4"}
    assert times(small_disk / "clip_nulie.mp4") == times(clip)


def test_parts_begin_with_shots_and_where_colours_are_carried_with_cuts_alone() -> None:
    colored = Recipe((), (ModelStep.of("colorize", "x@" + "0" * 64),))
    for recipe, wanted in ((BRIGHTER, [0, 300, 1800]), (colored, [0, 500])):
        begins = (0, 100, 300, 500)
        borders = parts.Borders([paint.Stretch(b, recipe, cut=b != 300) for b in begins])
        numbers = [borders.part_of(number) for number in range(2100)]
        assert [numbers.index(part) for part in sorted(set(numbers))] == wanted


def test_a_job_keeps_no_part_of_its_own(clip: Path, run: Run) -> None:
    job = ("--job", clip.with_name("x.job"), "--recipe", recipe_file(clip.parent))
    refused(run(clip, *job, "--keep-part"), "--job goes on with what is written")
