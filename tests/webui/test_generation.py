"""Generated images in a real web UI, which SD_WEBUI_DIR names, with a checkpoint that
SD_WEBUI_CHECKPOINT names: any will do, random weights as well."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from ..conftest import picture
from .conftest import FOLDER, needs_webui
from .running import Server, is_neo, running
from .test_real import encoded

NEO = FOLDER is not None and is_neo(Path(FOLDER))
CHECKPOINT = os.environ.get("SD_WEBUI_CHECKPOINT")
pytestmark = [
    needs_webui,
    pytest.mark.skipif(not CHECKPOINT, reason="SD_WEBUI_CHECKPOINT names no checkpoint"),
]
QUICK = {
    "prompt": "a cat", "steps": 2, "width": 128, "height": 128, "seed": 5, "sampler_name": "Euler",
}  # fmt: skip
PAINT = {"denoising_strength": 0.6, "inpainting_fill": 1, "mask_blur": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert FOLDER is not None
    assert CHECKPOINT is not None
    home = tmp_path_factory.mktemp("generation")
    with running(Path(FOLDER), home, checkpoint=Path(CHECKPOINT)) as server:
        yield server


def generate(
    server: Server, what: str, *args: Any, **more: Any
) -> tuple[list[Image.Image], list[str]]:
    """Images and their infotexts; `args` are those of nulie's script."""
    scripts = {"alwayson_scripts": {"nulie": {"args": args}}} if args else {}
    status, found = server.call(f"/sdapi/v1/{what}", {**QUICK, **scripts, **more})
    assert status == 200, found
    images = [Image.open(io.BytesIO(base64.b64decode(i))).convert("RGB") for i in found["images"]]
    return images, json.loads(found["info"])["infotexts"]


def recipe_of(infotext: str) -> str:
    recipe: str = json.JSONDecoder().raw_decode(infotext.partition("NUlIE recipe: ")[2])[0]
    return recipe


def test_an_infotext_gives_the_image_again(server: Server) -> None:
    (plain,), _ = generate(server, "txt2img")
    (image,), (text,) = generate(server, "txt2img", True, "soft", 2)
    assert ImageChops.difference(plain, image).getbbox()
    args = [True, "recipe", None, None, None, None, None, recipe_of(text)]
    assert generate(server, "txt2img", *args)[0][0].tobytes() == image.tobytes()
    if not (Path(str(FOLDER)) / "modules_forge").is_dir():
        # Forge's own API fails of an infotext, without nulie, too.
        (restored,), (told,) = generate(server, "txt2img", infotext=text)
        assert "NUlIE mode: recipe" in told
        assert restored.tobytes() == image.tobytes()


def test_the_infotext_of_a_grid_has_no_images_recipe(server: Server) -> None:
    images, texts = generate(server, "txt2img", True, "soft", 1, batch_size=2, save_images=True)
    assert len(images) == 3
    assert ["NUlIE recipe" in text for text in texts] == [False, True, True]
    assert "NUlIE mode: soft" in texts[0]


def test_bad_arguments_are_answered(server: Server) -> None:
    (plain,), _ = generate(server, "txt2img")
    (image,), (text,) = generate(server, "txt2img", True, "extreme")
    assert "NUlIE error: \"mode 'extreme' is unknown; known: soft, hard\"" in text
    assert image.tobytes() == plain.tobytes()


def test_guards_have_their_places(server: Server) -> None:
    """One control stands in several of them."""
    args = [True, "soft", 1, 0, 0.5, 0, False]
    _, (text,) = generate(server, "txt2img", *args)
    assert "NUlIE min light: 0.5" in text
    assert "NUlIE protect skin: False" in text
    assert "NUlIE min color: 0.97" in text
    if not (Path(str(FOLDER)) / "modules_forge").is_dir():
        _, (told,) = generate(server, "txt2img", infotext=text.partition(", NUlIE recipe")[0])
        assert "NUlIE min light: 0.5" in told
        assert "NUlIE protect skin: False" in told


def test_tiles_have_one_search(server: Server) -> None:
    tiles = {
        "init_images": [encoded(picture(192, 192))],
        "denoising_strength": 0.1,
        "script_name": "sd upscale",
        "script_args": [32, 0, 1, False] if NEO else [None, 32, 0, 1],
    }
    generate(server, "img2img", **tiles)  # the noise of its VAE is that of the job before
    (image,), (text,) = generate(server, "img2img", True, "soft", 20, **tiles)
    assert image.size == (192, 192)
    # One recipe for all four, which the time does not tell: a search may end early.
    again = [True, "recipe", None, None, None, None, None, recipe_of(text)]
    assert generate(server, "img2img", *again, **tiles)[0][0].tobytes() == image.tobytes()


@pytest.mark.parametrize("only_masked", [True, False])
def test_what_was_not_painted_stays(server: Server, only_masked: bool) -> None:
    mask, box = Image.new("L", (256, 192)), (100, 60, 160, 120)
    mask.paste(255, box)
    asked = {
        **PAINT, "width": 256, "height": 192, "init_images": [encoded(picture(256, 192))],
        "mask": encoded(mask), "inpaint_full_res": only_masked, "inpaint_full_res_padding": 16,
    }  # fmt: skip
    (plain,), _ = generate(server, "img2img", **asked)
    (image,), (text,) = generate(server, "img2img", True, "hard", 2, **asked)
    assert "NUlIE recipe" in text
    assert ImageChops.difference(plain, image).getbbox() == box


def test_axes_of_a_grid(server: Server) -> None:
    _, scripts = server.call("/sdapi/v1/script-info")
    name = "x/y/z plot"
    labels = next(
        s["args"][0]["choices"] for s in scripts if s["name"] == name and not s["is_img2img"]
    )
    mode, seconds = (labels.index(f"[NUlIE] {axis}") for axis in ("Mode", "Seconds"))
    nothing = [0, "", []]
    args = [mode, "", ["off", "soft"], seconds, "1, 2", [], *nothing, True, True]
    args += [False] * 5 + [0] * NEO + [0, False]  # there is a number of rows besides
    images, texts = generate(server, "txt2img", script_name=name, script_args=args)
    assert len(images) == 5
    assert ["NUlIE recipe" in text for text in texts] == [False, False, True, False, True]
    assert ["NUlIE seconds: 2" in text for text in texts] == [False] * 4 + [True]
