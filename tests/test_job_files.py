"""Files of a job: what results are called and hold, recipes read back from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nulie import image_io
from nulie.errors import ImageError, NulieError, SettingsError
from nulie.jobs import names, recipes, values
from nulie.jobs.file import pack, write
from nulie.jobs.inputs import Item
from nulie.jobs.plan import Results
from nulie.recipe import Recipe, Step

from .conftest import picture

CONTRAST = Recipe((Step.of("contrast", factor=1.1),))
NUMBERED = Results(numbered=True)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.JPG", "photo.JPG"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Windows\\x.png", "x.png"),
        ("<img src=x onerror=alert(1)>.png", "_img src_x onerror_alert(1)_.png"),
        ("...", "photo"),
        ("a" * 300 + ".jpeg", "a" * 80 + ".jpeg"),
        ("Ärger im Büro.webp", "Ärger im Büro.webp"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert names.safe_name(name) == safe


def test_a_numbered_result_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    photo = image_io.from_image(picture())
    written = []
    for suffix in (None, None, ".jpg", ".png"):
        target = names.target(Path("a.png"), tmp_path, photo, suffix)
        written.append(write(photo, CONTRAST, target, Results(numbered=True, suffix=suffix)).name)
    assert written == ["a_nulie.png", "a_nulie_2.png", "a_nulie.jpg", "a_nulie_3.png"]
    with pytest.raises(ImageError, match="exists"):
        write(photo, CONTRAST, tmp_path / "a_nulie.png", Results())


def test_what_nothing_was_done_to_is_copied_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture().save(path, quality=40)
    photo, source = image_io.load(path), Item(path)
    target = names.target(path, tmp_path / "out", photo)
    copy = write(photo, Recipe(), target, NUMBERED, source=source)
    assert copy.read_bytes() == path.read_bytes()
    again = write(photo, Recipe(), target, NUMBERED, source=source)
    assert (again.name, again.read_bytes()) == ("a_nulie_2.jpg", path.read_bytes())
    for recipe, results, with_source in (
        (CONTRAST, NUMBERED, source),
        (Recipe(), Results(numbered=True, suffix=".jpg"), source),
        (Recipe(), NUMBERED, None),
    ):
        encoded = write(photo, recipe, target, results, source=with_source)
        assert encoded.read_bytes() != path.read_bytes()


def test_a_result_says_how_it_came_about(tmp_path: Path) -> None:
    photo = image_io.from_image(picture())
    score = {"before": 5.0, "after": 6.0, "by": "me"}
    path = write(photo, CONTRAST, tmp_path / "a.png", Results(), score=score)
    assert json.loads(image_io.load(path).metadata.text["nulie"])["score"] == score
    assert recipes.of_file(path) == CONTRAST
    path = write(photo, CONTRAST, tmp_path / "b.png", Results())
    assert "score" not in image_io.load(path).metadata.text["nulie"]
    picture().save(tmp_path / "c.png")
    (tmp_path / "d.json").write_text("{}")
    (tmp_path / "e.json").write_bytes(b"\xff\xfe")
    for name in ("c.png", "d.json", "e.json", "none.json"):
        with pytest.raises(NulieError, match=name):
            recipes.of_file(tmp_path / name)


def test_a_zip_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "batch-1"
    folder.mkdir()
    (folder / "a.txt").write_text("a" * 1000)
    assert pack([folder / "a.txt"]) == folder / "nulie-batch-1.zip"
    with pytest.raises(ImageError, match=r"nulie-batch-1\.zip: no zip"):
        pack([folder / "a.txt", folder / "gone.txt"])


def test_entries_of_a_text_are_kept_right_or_wrong() -> None:
    text = "a=1:2,, b = 3:4\nno such thing"
    assert values.entries(text) == {"a": "1:2", "b": "3:4", "no such thing": ""}
    assert values.ranges("a=1:2, b=3:4") == {"a": (1, 2), "b": (3, 4)}
    assert values.ranges(["a=1:2", "b=3:4"]) == {"a": (1, 2), "b": (3, 4)}
    with pytest.raises(SettingsError, match="range no such thing: write it as"):
        values.ranges(text)
    with pytest.raises(SettingsError, match="seconds must be a number, not nothing"):
        values.settings({"seconds": ""})
