"""The command line, with random weights for those of CLIP, which tests cannot download.

python tests/page/served.py ui --port 7870
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nulie import predictor
from nulie.cli import main
from nulie.predictor import Predictor

usual = predictor.create


def create(name: str = "auto", **options: Any) -> tuple[Predictor, str]:
    if not name.startswith("clip"):
        return usual(name, **options)
    from nulie.predictor.clip import Clip

    return Clip(name, device="cpu", random_weights=True), f"{name} of random weights"


predictor.create = create

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
