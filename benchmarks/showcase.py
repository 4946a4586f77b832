"""Makes the picture at the head of README.md, and what it says of it, from files in examples/.

    python -m benchmarks.showcase

writes docs/before-after.jpg, before on the left, and docs/before-after.json: for each row the
photograph, the command, the recipe and the scores before and after.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 450
"""Pixels of each of the two pictures of a row."""
COMMANDS = (
    "nulie examples/faded.jpg --mode hard --evaluations 4000 --predictor statistics",
    "nulie examples/cat.png --evaluations 1500 --predictor statistics",
    "nulie examples/rocket.jpg --evaluations 2000 --like examples/coffee.png",
)


def main() -> int:
    pairs, said = [], []
    for command in COMMANDS:
        _, photo, *options = command.split()
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "made.png")
            line = [sys.executable, "standalone.py", photo, *options, "--json", "-o", str(made)]
            report = json.loads(subprocess.run(line, cwd=ROOT, check=True, stdout=-1).stdout)
            pictures = [Image.open(path).convert("RGB") for path in (ROOT / photo, made)]
        scores = [report["before"]["score"], report["variants"][0]["after"]["score"]]
        scores = [round(score, 2) for score in scores]
        said.append({"photo": photo, "command": command, "recipe": report["recipe"]})
        said[-1]["scores"] = scores
        size = (WIDTH, round(WIDTH * pictures[0].height / pictures[0].width))
        pair = Image.new("RGB", (2 * WIDTH, size[1]))
        for number, picture in enumerate(pictures):
            pair.paste(picture.resize(size, Image.Resampling.LANCZOS), (number * WIDTH, 0))
        pairs.append(pair)
    whole = Image.new("RGB", (2 * WIDTH, sum(pair.height for pair in pairs)))
    top = 0
    for pair in pairs:
        whole.paste(pair, (0, top))
        top += pair.height
    whole.save(ROOT / "docs" / "before-after.jpg", quality=85)
    text = json.dumps(said, indent=1) + "\n"
    (ROOT / "docs" / "before-after.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
