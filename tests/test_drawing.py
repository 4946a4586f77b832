"""Slider, curve, tree and report: right for any search, and safe for any name."""

from __future__ import annotations

import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nulie import image_io
from nulie.cli import main
from nulie.drawing import compare, curve, embed, report, tree
from nulie.drawing.tree import MOST_CHILDREN, MOST_DRAWN, change
from nulie.engine import Enhancement, Finished
from nulie.recipe import Recipe, Step
from nulie.recipe.settings import Settings
from nulie.search import Improved, Node

from .conftest import FakePredictor, picture

EVIL = "<script>alert('x')</script>\"&.png"


def grown(count: int, seed: int = 0, kept: float = 1.0) -> list[Node]:
    """Nodes as a search remembers them, best first, some forgotten."""
    rng = random.Random(seed)
    nodes = [Node(Recipe(), 5.0, -1, 0)]
    for number in range(1, count):
        parent = nodes[int(len(nodes) * rng.random() ** 0.5)]
        step = Step.of("brightness", factor=round(rng.uniform(0.9, 1.1), 3))
        recipe = Recipe((*parent.recipe.steps, step)[-5:])
        nodes.append(Node(recipe, parent.score + rng.gauss(0, 0.1), parent.number, number))
    some = [n for n in nodes if rng.random() < kept]
    return sorted(some, key=lambda n: -n.score)


@pytest.mark.parametrize(("count", "kept"), [(2, 1.0), (40, 1.0), (5000, 1.0), (5000, 0.1)])
def test_a_tree_shows_the_best_branches_and_the_way_to_the_winner(count: int, kept: float) -> None:
    nodes = grown(count, kept=kept)
    best = next(n for n in nodes if n.recipe.steps)
    svg = _svg(tree(nodes, 5.0, best.recipe))
    dots = svg.findall(".//circle")
    assert len(dots) <= MOST_DRAWN + 200, "a long path to the winner is drawn whole"
    assert svg.findall(".//path[@class='nulie-branch nulie-won']")
    titles = [str(t.text) for t in svg.iter("title")]
    assert any(f"score {best.score:.2f}" in t for t in titles)
    height = float(svg.attrib["viewBox"].split()[3])
    assert height < 2200
    for dot in dots:
        assert 0 <= float(dot.attrib["cx"]) <= 960
        assert 0 <= float(dot.attrib["cy"]) <= height


def test_no_node_crowds_out_the_others() -> None:
    steps = [Step.of("brightness", factor=1 + n / 1000) for n in range(300)]
    nodes = [Node(Recipe((s,)), 6 - n / 1000, 0, n + 1) for n, s in enumerate(steps)]
    assert len(_svg(tree(nodes, 5.0)).findall(".//circle")) == 1 + MOST_CHILDREN


def test_an_empty_tree() -> None:
    assert "Nothing was tried" in tree([Node(Recipe(), 5.0, -1, 0)], 5.0)


def test_changes_in_words() -> None:
    a, b = Step.of("contrast", factor=1.1), Step.of("blur", radius=0.001)
    c = Step.of("contrast", factor=1.2)
    assert change(Recipe(), Recipe((a,))) == "adds contrast 1.10"
    assert change(Recipe((a,)), Recipe((c,))) == "contrast 1.10 becomes contrast 1.20"
    assert change(Recipe((a, b)), Recipe((a,))).startswith("drops blur")
    assert change(Recipe((a, b)), Recipe((b, a))) == "another order"


def test_a_curve_rises_and_stays_small() -> None:
    points = [(n / 100, 5 + n / 1000) for n in range(3000)]
    text = curve(points, 5.0, 30.0)
    assert len(text) < 20_000
    assert "from 5.00 to 8.00 in 30.0 seconds" in _svg(text).attrib["aria-label"]
    assert "5.00" in curve([], 5.0, 0.0)


def test_a_picture_keeps_profile_and_transparency(tmp_path: Path) -> None:
    image = picture(300, 200)
    image.putalpha(picture(300, 200, 2).getchannel(0))
    photo = image_io.from_image(image)
    small = embed(photo.pixels, photo, 100)
    assert (small.width, small.height) == (100, 67)
    assert small.uri.startswith("data:image/webp;base64,")
    assert EVIL not in compare(small, small, names=(EVIL, EVIL))


def test_the_report_is_one_file_and_safe() -> None:
    photo = image_io.from_image(picture(200, 100))
    run = Enhancement(photo.pixels, FakePredictor(), Settings(seconds=None, evaluations=200, top=2))
    events = list(run.events())
    assert isinstance(events[-1], Finished)
    points = [(e.seconds, e.score) for e in events if isinstance(e, Improved)]
    text = report(
        EVIL,
        photo,
        events[-1].result,
        recipe=events[-1].result.recipe,
        nodes=run.tree.best(),
        points=points,
        predictor="fake",
    )
    assert EVIL not in text
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert not re.findall(r"url\(|@import|https?://", text)
    assert text.count("<svg") == 2
    assert "nulie-compare" in text


def test_the_command_line_writes_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, file = tmp_path / "a.png", tmp_path / "r.html"
    picture().save(photo)
    command = [str(photo), "--evaluations", "50", "--predictor", "statistics", "--quiet"]
    assert main([*command, "--report", str(file)]) == 0
    assert "nulie-tree" in file.read_text(encoding="utf-8")
    restored = [*command, "--overwrite", "--denoise", "20", "--upscale", "2"]
    assert main([*restored, "--report", str(file)]) == 0
    told = file.read_text(encoding="utf-8")
    assert "denoise by denoise (sigma 20)" in told
    assert "upscale by x2" in told
    file.unlink()
    assert main([*command, "--overwrite", "--report", str(file)]) == 0
    assert main([*command, "--overwrite", "--report", str(tmp_path / "r.png")]) == 2
    assert "it writes HTML" in capsys.readouterr().err
    assert main([*command, "--report", str(file)]) == 2, "it exists"


def _svg(text: str) -> ElementTree.Element:
    """Parses, so that an attribute that is not closed or escaped is found."""
    found = re.search(r"<svg.*</svg>", text, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])
