"""The options that choose a predictor, and the bar of what is downloaded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm


def add(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("predictor")
    group.add_argument(
        "--predictor",
        default="auto",
        metavar="NAME",
        help="auto (default): clip-sac where its weights are or can be downloaded, else"
        " statistics; clip-sac, clip-laion, clip-b32, clip-b16: CLIP with a head; statistics:"
        " embedded; the name of an installed package's; a file: one made by `nulie fit`, or a head"
        " for CLIP; or module:Name, a class of your own",
    )
    group.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    group.add_argument(
        "--precision",
        default="auto",
        metavar="P",
        help="of CLIP in the search: auto (default), fp32, fp16, bf16; results are scored in fp32",
    )
    group.add_argument(
        "--views",
        type=int,
        default=1,
        metavar="N",
        help="2: CLIP looks at the mirrored image, too, in the search (default 1; results: 2)",
    )
    group.add_argument("--head", type=Path, metavar="FILE", help="CLIP head of your own")
    group.add_argument(
        "--clip-weights", type=Path, metavar="FILE", help="CLIP weights, OpenAI's or open_clip's"
    )


def values(options: argparse.Namespace) -> dict[str, Any]:
    """The options as values of a plan."""
    names = ("predictor", "device", "precision", "views", "head", "clip_weights")
    return {name: getattr(options, name) for name in names}


Download = Callable[[str, int, int], None]
"""Is told (name, bytes done, bytes in all)."""


@contextmanager
def download_bar(*, hide: bool) -> Iterator[Download]:
    """A bar with the size, one for each file, which is told (name, bytes done, bytes in all)."""
    bars: dict[str, Any] = {}
    hidden = hide or sys.stderr is None or not sys.stderr.isatty()

    def show(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(
                desc=name,
                total=total,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                file=sys.stderr,
                disable=hidden,
            )
            if hidden and not hide and done < total and sys.stderr is not None:
                print(f"downloading {name} ({total / 2**20:,.0f} MiB)", file=sys.stderr, flush=True)
        bar = bars[name]
        bar.n = done
        bar.update(0)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()
