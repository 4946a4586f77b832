"""A million nodes: memory, and what the search itself costs a node at the start and at the end.

    python -m benchmarks.longrun [--nodes 1000000]

The first row is of the nodes that a surrogate guides. The scores come from a smooth function of the
recipe, so all time is the search's own.
"""

from __future__ import annotations

import argparse
import gc
import math
import resource
import time
from collections.abc import Sequence

from nulie import transforms
from nulie.recipe import Recipe
from nulie.search import Progress, Tree, run

from .common import machine, table


def score(recipe: Recipe) -> float:
    """Best where the factors multiply to 1.7; waves keep the tree busy."""
    total = math.prod(dict(s.params).get("factor", 1.0) for s in recipe.steps)
    rest = sum(v for s in recipe.steps for n, v in s.params if n != "factor")
    return -abs(math.log(max(total, 1e-3) / 1.7)) + 0.1 * math.sin(7 * rest)


def peak_memory() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--mode", default="hard")
    options = parser.parse_args()
    gc.freeze()  # as the command line does once all is imported
    tree = Tree(transforms.space(options.mode), 0)
    scoring = 0.0

    def evaluate(recipes: Sequence[Recipe]) -> list[float]:
        nonlocal scoring
        start = time.perf_counter()
        scores = [score(r) for r in recipes]
        scoring += time.perf_counter() - start
        return scores

    before = peak_memory()
    rows, marks = [], [Tree.GUIDED_UNTIL, *(options.nodes * k // 10 for k in range(1, 11))]
    start, counted, begun = time.perf_counter(), 0, 0.0
    steps = run(tree, evaluate, base_score=score(Recipe()), evaluations=options.nodes, batch=64)
    for event in steps:
        if isinstance(event, Progress) and event.evaluations >= marks[0]:
            spent = time.perf_counter() - start - scoring
            each = (spent - begun) / (event.evaluations - counted) * 1e6
            rows.append([f"{event.evaluations:,}", f"{each:.0f}", f"{peak_memory() - before:,.0f}"])
            counted, begun = event.evaluations, spent
            marks.pop(0)
    print(f"{options.mode} mode, {machine()}\n")
    print(table(["nodes", "bookkeeping, microseconds a node", "memory above the start, MB"], rows))


if __name__ == "__main__":
    main()
