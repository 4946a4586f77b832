"""A video on the tab of batches: its shots first, then the whole; stopped; beside photos."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PYTHON, Visitor, dull
from .test_batch import batch, said

Visit = Callable[..., Visitor]
CLEAR = "#nulie_batch_files [aria-label=Clear], #nulie_batch_files [title=Clear]"
SERVED_WITH_AV = (
    subprocess.run([PYTHON, "-c", "import av"], check=False, capture_output=True).returncode == 0
)
pytestmark = [
    pytest.mark.skipif(not SERVED_WITH_AV, reason="the page's Python has no PyAV"),
    pytest.mark.skipif(
        not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg and ffprobe"
    ),
]


def film(folder: Path, *, seconds: float = 1, rate: int = 15) -> Path:
    """Two shots of that length, of dull pictures, with sound."""
    inputs: list[object] = []
    for number in range(2):
        still = folder / f"{number}.png"
        still.write_bytes(dull(240, 180, seed=number))
        light = f"eq=brightness={0.3 * number:.1f}"
        shot = folder / f"{number}.mkv"
        run(
            "-loop", "1", "-t", seconds, "-r", rate, "-i", still, "-vf", light, "-c:v", "ffv1", shot
        )
        inputs += ["-i", shot]
    made = folder / "walk.webm"
    run(
        *inputs, "-f", "lavfi", "-i", f"sine=d={2 * seconds}", "-filter_complex",
        "[0][1]concat=n=2,format=yuv420p[v]", "-map", "[v]", "-map", "2", "-c:v", "libvpx-vp9",
        "-deadline", "realtime", "-cpu-used", "8", made,
    )  # fmt: skip
    return made


def run(*arguments: object) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)


def frames(path: Path) -> str:
    command = [
        "ffprobe",
        "-v",
        "error",
        "-count_frames",
        "-select_streams",
        "v:0",
        "-of",
        "csv=p=0",
    ]
    asked = ["-show_entries", "stream=nb_read_frames,codec_name", str(path)]
    return subprocess.run([*command, *asked], capture_output=True, text=True, check=True).stdout


def test_shots_are_shown_and_then_the_whole_is_made(visit: Visit, tmp_path: Path) -> None:
    person = visit()
    page = person.page
    clip = film(tmp_path)
    batch(person, [clip], run=False)
    button = page.locator("#nulie_batch_run").last
    assert button.inner_text() == "Look at its shots"
    button.click()
    said(person, "These are its shots, before and after.", seconds=60)
    told = said(person, "Shot 2, from 0:01.0, 15 frames", "table")
    assert "30 frames, 2 shots" in told
    assert told.count("score") == 2
    shown = [
        page.locator(f"#nulie_batch_table img.nulie-{which}").nth(number).get_attribute("src")
        for number in range(2)
        for which in ("before", "after")
    ]
    assert len(set(shown)) == 4
    assert page.locator("#nulie_batch_zip a").count() == 0, "nothing is written yet"
    assert button.inner_text() == "Make the whole video"
    button.click()
    said(person, "1 of 1 files done", seconds=60)
    assert "30 frames, 2 shots" in said(person, "walk_nulie.webm", "table")
    page.wait_for_function(
        "() => { const v = document.querySelector('#nulie_batch_zip video');"
        " return v && v.videoWidth === 240 && Math.abs(v.duration - 2) < 0.2 }"
    )
    assert frames(person.download("#nulie_batch_zip a")) == "vp9,30\n"
    # Another file: nothing is left of the look.
    photo = tmp_path / "day.png"
    photo.write_bytes(dull(120, 90))
    page.locator(CLEAR).first.click()
    page.set_input_files("#nulie_batch_files input[type=file]", [clip, photo])
    page.wait_for_function(
        "() => document.querySelector('#nulie_batch_run').innerText === 'Enhance all'"
    )
    button.click()
    said(person, "2 of 2 files done", seconds=60)


def test_a_look_is_stopped_and_what_is_no_film_is_said(visit: Visit, tmp_path: Path) -> None:
    person = visit()
    page = person.page
    batch(person, [film(tmp_path)], seconds=300, run=False)
    page.click("#nulie_batch_run")
    said(person, "nodes")
    page.click("#nulie_batch_stop")
    said(person, "Stopped; nothing was made.")
    assert page.locator("#nulie_batch_run").last.inner_text() == "Look at its shots"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    page.locator(CLEAR).first.click()
    page.set_input_files("#nulie_batch_files input[type=file]", [broken])
    page.wait_for_timeout(1500)
    page.click("#nulie_batch_run")
    said(person, "broken.mp4: is no video that can be read")
