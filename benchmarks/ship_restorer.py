"""Puts a network of `nulie train` among those that come along.

    python -m benchmarks.ship_restorer FILE NAME

It then says of itself that its licence is that of nulie; what it is is printed.
One that was made `--from` another says so by that one's digest: ship that one first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save

from nulie.restore import catalog, create
from nulie.restore.base import KIND


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2 or arguments[1] not in catalog.OWN:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = Path(arguments[0]), catalog.FOLDER / f"{arguments[1]}.safetensors"
    with safe_open(source, "pt") as file:
        said = json.loads(file.metadata()[KIND])
    # Not by save_file, whose files nobody else may read.
    target.write_bytes(save(load_file(source), {KIND: json.dumps({**said, "license": "MIT"})}))
    restorer = create(arguments[1], "cpu")
    dials = ", ".join(dial.name for dial in restorer.dials)
    print(f"{target}: x{restorer.scale}, dials {dials or 'none'}, {restorer.digest[:12]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
