"""A library as somebody looks at it, without a page."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from nulie.errors import ImageError, NulieError, SettingsError
from nulie.jobs.events import Ended, Event, Failed, Planned, Standing
from nulie.jobs.host import Host
from nulie.jobs.inputs import Item, items
from nulie.jobs.plan import Choice
from nulie.jobs.tally import with_standing
from nulie.library import shelf as shelves
from nulie.library.export import Wanted, chosen
from nulie.library.scoring import Row
from nulie.library.shelf import Shelf, view
from nulie.library.store import opened

from .conftest import picture
from .test_cli import Run, run

__all__ = ["run"]  # a fixture

Events = Generator[Event | Standing | Ended, None, None]


def of(*scores: float | None) -> Shelf:
    """A shelf of pictures that are called `a`, `b`, ..."""
    shelf = Shelf()
    for letter, score in zip("abcdefgh", scores, strict=False):
        item = Item(Path(f"/photos/below/{letter}.png"), Path("below"))
        shelf.add([Row(item, score, "" if score is not None else "is none", "somebody")])
    return shelf


def names(shelf: Shelf, **asked: object) -> str:
    """The letters of a view, in its order."""
    page = shelf.page(view(asked), 0, 100)
    return "".join(row[1].removeprefix("below/")[0] for row in page["rows"])


def test_views() -> None:
    shelf = of(5, 7, None, 6, 8)
    assert names(shelf) == "ebdac"
    assert names(shelf, least="6", most=7) == "bd"
    assert names(shelf, failed=True) == "c"
    assert names(shelf, failed=True, least=1) == "c"
    assert names(shelf, name=" BELOW/D") == "d"
    page = shelf.page(view({"line": 6}), 1, 2)
    assert [row[0] for row in page["rows"]] == [1, 3]
    assert (page["total"], page["above"], page["failed"], page["range"]) == (5, 3, 1, (5, 8))
    before = page["version"]
    shelf.add([Row(Item(Path("/photos/z.png")), 9, "", "somebody")])
    assert shelf.page(view({}), 0, 1)["version"] != before
    assert names(shelf)[0] == "z"


def test_near_duplicates_are_behind_the_best_that_is_seen() -> None:
    shelf = of(5, 7, None, 6, 8)
    item = [row.item for row in shelf.rows]
    shelf.put_together([[item[4], item[0], item[3]]])
    assert shelf.folded == 2
    assert names(shelf, folded=True) == "ebc"
    assert names(shelf, folded=True, opened=[4]) == "edabc"
    assert names(shelf, folded=True, most=7) == "bd", "of those that fit"
    (first, *_) = shelf.page(view({"folded": True}), 0, 1)["rows"]
    assert first[4] == 2


def test_what_is_chosen() -> None:
    shelf = of(5, 7, None, 6, 8)

    def letters(**asked: object) -> str:
        return "".join(row.item.path.stem for row in shelf.asked(asked))

    assert letters() == "ebda"
    assert letters(line=6) == "ebd"
    assert letters(line=6, which="below") == "ac"
    assert letters(which="picked", picked=[2, 0, 99]) == "ca"
    assert letters(name="nothing", which="picked", picked=[1]) == "b"
    for wrong in ({"which": "all"}, {"picked": "1"}, {"picked": ["x"]}, {"least": "much"}):
        with pytest.raises(SettingsError):
            shelf.asked(wrong)
    with pytest.raises(ImageError, match="no pictures are chosen"):
        letters(line=9)
    assert shelf.item(-1) is None
    assert shelf.item(5) is None


def test_a_folder_and_then_its_file(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "in" / f"{number}").mkdir(parents=True)
        picture(60, 40, seed=number).save(tmp_path / "in" / f"{number}" / "one.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"nothing")
    shelf = Shelf(tmp_path / "l.nulie")
    found = items([str(tmp_path / "in")], recursive=True)
    list(shelves.fill(shelf, found, Choice("statistics"), Host()))
    again = Shelf(tmp_path / "l.nulie")
    shelves.show(again)
    for one in (shelf, again):
        assert [row[2] is None for row in one.page(view({}), 0, 9)["rows"]] == [False] * 3 + [True]
    told = [{row[1]: row[2:4] for row in s.page(view({}), 0, 9)["rows"]} for s in (shelf, again)]
    assert told[0] == told[1]
    assert "1/one.png" in told[0]
    stars = list(shelves.write_marks(shelf, {"stars": "1,2,3,4,5"}))
    assert len(stars) == 3
    assert len(list(tmp_path.rglob("*.xmp"))) == 3


def test_a_search_for_near_duplicates_can_be_ended(tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    shelf = Shelf(tmp_path / "l.nulie")
    for number in range(6):
        picture(60, 40, seed=number).save(tmp_path / f"{number}.png")
    list(shelves.fill(shelf, items([str(tmp_path)], recursive=False), Choice("statistics"), Host()))

    def tell(share: float) -> None:
        assert 0 <= share <= 1
        raise NulieError("enough")

    with pytest.raises(NulieError, match="enough"):
        shelves.fold(shelf, tell)
    assert not shelf.folds
    shares: list[float] = []
    shelves.fold(shelf, shares.append)
    assert shares == sorted(shares)
    assert shelf.folds


def test_a_shelf_of_its_own_leaves_nothing_behind() -> None:
    shelf = Shelf()
    with opened(shelf.place):
        folder = shelf.place.parent
        assert folder.is_dir()
    del shelf
    assert not folder.exists()


def test_how_a_job_stands_after_each_file() -> None:
    one, two = Item(Path("1.png")), Item(Path("2.png"))

    def events() -> Events:
        yield Planned(one, ())
        yield Failed(two, "2.png: no")
        yield Ended((one,), (two,))

    told = list(with_standing(events(), 2))
    assert [type(event).__name__ for event in told] == [
        *("Planned", "Standing", "Failed", "Standing", "Ended")
    ]
    assert isinstance(told[3], Standing)
    assert told[3].words.startswith("1 done, 1 failed, 0 left")


def test_paths_on_the_command_line(tmp_path: Path, run: Run) -> None:
    for number in range(2):
        picture(60, 40, seed=number).save(tmp_path / f"{number}.png")
    done = run("score", tmp_path, "--predictor", "statistics", "--format", "paths", "--quiet")
    assert {*done.out.splitlines()} == {str(tmp_path / f"{n}.png") for n in range(2)}


def test_rows_are_chosen_by_name_and_failure() -> None:
    rows = of(5, None, 7).rows
    assert [row.item.path.stem for row in chosen(rows, Wanted(name="C"))] == ["c"]
    assert [row.item.path.stem for row in chosen(rows, Wanted(failed=True))] == ["b"]
