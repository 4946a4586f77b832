"""Gathers the photographs that the network which colours is trained on, and those it is judged by.

    python -m benchmarks.color_set FOLDER

makes links in FOLDER/train, FOLDER/varied and FOLDER/people. Apart are kept the split `apart` of
`photos-colour`, and of `photos-hr` thirty people: of the crops `PEOPLE`, one for each source that
plainly shows somebody, in the order of their names, every other one, and a second crop of the last.
No source of theirs is in FOLDER/train. There every fourth of the flowers and of the shop shelves
is, which would outweigh the rest, and no picture without colour.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .common import DATA

COMMON = {"flowers": 4, "shop": 4}
"""Of these kinds, one of so many."""
CORPUS = "codec-corpus_"
# fmt: off
PEOPLE = (
    *(f"{CORPUS}{name}.jpg" for name in (
        "0369d229ba4c9965d5caeb38c359a027a810968e_0", "097cb426910ba8ce2525dd8bb7fb1777_0",
        "100a02c269c5948392f283b2aa3bb4da_0", "100f17892cf7bb12beb12479641fcc4c_0",
        "11f2b039b293758398b1a7a8afa64bb2_0", "1277396_0", "1428647_0",
        "14ab4af28901fbeb1356b06d2d08ae06_1", "160577_0", "1618269_0",
        "1cba10ad9bb4ced57e42f7656c5f2a58d32dc6ba_2", "2600340_0",
        "28d24b9c83de066597ff96a68769884f_0", "2a2420f929cd47122eae364a2bc27710_1", "3214023_0",
        "3534924_0", "35875869841-0b10e41e57-o_0", "4934193_0",
        "50d13125b665e0c4c1673264807bfc3cc7a21781_0", "5398956_0", "5617414_0", "5739122_0",
        "6763758_0", "7394483_0", "8bb119b8ca17492392e1e3ea4b811b32_1",
        "9466a908d088d32ee73f04116c40e48c_0", "a10ae819a2d24873079c93346200cab3_0",
        "afe3676bbfcf7183d697ff7b5d5bd45b_0", "b51d5fb537246482ef7a7ab63f093cab_0",
        "c9510efb03d1852c29ecad84cc0558768728681a_1", "e0d8e29cadfc99663c7d1a4a5afe20c454ec54d0_0",
        "f67f11de4ca9ebda3db52c41fd3d26c3105687b2_0", "ff32adfa29d4b5de26293352f53cc983d12d3ede_0",
        "pexels-photo-1075776_0", "pexels-photo-1544724_0", "pexels-photo-1933873_0",
        "pexels-photo-2598024_0", "pexels-photo-2686358_0", "pexels-photo-2811087_0",
        "pexels-photo-2846602_0", "pexels-photo-3155588_0", "pexels-photo-3214683_0",
        "pexels-photo-3568544_0", "pexels-photo-3586798_0", "pexels-photo-4177747_0",
        "pexels-photo-4354221_0", "pexels-photo-4672246_0", "pexels-photo-6096399_0",
        "pexels-photo-6635187_0", "pexels-photo-796526_0",
    )),
    "example-files_nextcloud-community_2.jpg", "gb82-image-set_baby-lossless_0.jpg",
    "gb82-image-set_girl-lossless_0.jpg", "pixel-palette_02-woman_1.jpg",
    "pixel-palette_03-woman_2.jpg", "pixel-palette_04-man_0.jpg", "pixel-palette_07-students_3.jpg",
)
# fmt: on
THIRTIETH = "pixel-palette_07-students_0.jpg"


def varied() -> list[Path]:
    return [
        DATA / "photos-colour" / row["file"]
        for row in _rows("photos-colour")
        if row["split"] == "apart"
    ]


def people() -> list[Path]:
    return [DATA / "photos-hr" / name for name in (*PEOPLE[::2], THIRTIETH)]


def training() -> list[Path]:
    apart = {path.name for path in (*varied(), *people())}
    rows = [(name, row) for name in _FOLDERS for row in _rows(name)]
    sources = {_source(row) for _, row in rows if row["file"] in apart}
    paths, met = [], dict.fromkeys(COMMON, 0)
    for folder, row in rows:
        kind = row.get("kind", "")
        if _source(row) in sources or kind in ("bw", "graphic"):
            continue
        if kind in met:
            met[kind] += 1
            if met[kind] % COMMON[kind]:
                continue
        paths.append(DATA / folder / row["file"])
    return [path for path in dict.fromkeys(paths) if _colored(path)]


_FOLDERS = ("photos-colour", "photos-hr", "photos-train")


def _rows(folder: str) -> Iterator[dict[str, str]]:
    with (DATA / folder / "MANIFEST.tsv").open() as file:
        yield from csv.DictReader(file, delimiter="\t")


def _source(row: dict[str, str]) -> str:
    """What names the photograph, however its file is called: its number, else the file's name."""
    stem = Path(row["source"].rpartition(":")[2]).stem.lower()
    number = re.search(r"[0-9a-f]{24,}|\d{5,}", stem)
    return number[0] if number else stem


def _colored(path: Path) -> bool:
    small = np.asarray(Image.open(path).convert("RGB").resize((64, 64)), np.float32)
    return float((small.max(2) - small.min(2)).mean()) > 6


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    for name, paths in (("train", training()), ("varied", varied()), ("people", people())):
        folder = Path(arguments[0]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*"):
            old.unlink()
        for path in paths:
            link = folder / f"{path.parent.name}_{path.name}"
            link.symlink_to(path)
        print(f"{folder}: {len(paths)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
