"""Strategies at equal evaluations: what each gains on the photographs, by preview and at full size.

    python -m benchmarks.search [--seeds 3] [--evaluations 3000] [--most 26] [--results FILE]

All runs on one photograph go side by side and share their batches, so that strategies which try
one recipe at a time take no longer than others. Each run's result is a line of the results file; a
second call with that file does what is missing. Needs the package cmaes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from nulie import image_io, transforms
from nulie.engine.objective import SEARCH_MARGIN, Objective
from nulie.predictor import create
from nulie.predictor.base import Judge, Prediction, Predictor
from nulie.recipe import Recipe, version1
from nulie.recipe.settings import Settings
from nulie.search import Strategy
from nulie.transforms.preview import Renderer, shrink
from nulie.transforms.sample import sample

from .common import machine, photos, table
from .strategies import STRATEGIES

MARKS = (100, 300, 1000, 3000)
BATCH = 64
TIE = 0.005
"""Points of the score by which a run may lie behind and yet count as even."""
ORIGINAL, TREE = "the original's rule", "nulie's tree"


class Rough:
    """A predictor with waves on top: `WAVES` cosines of random directions of the picture in 8 x 8
    cells, of a third of a point in all. Has many local optima where the other has few."""

    WAVES = 64

    def __init__(self, smooth: Predictor) -> None:
        self._smooth = smooth
        self.name = f"rough {smooth.name}"
        self.input_size, self.device = smooth.input_size, smooth.device
        self.batch_size = smooth.batch_size
        seeded = torch.Generator().manual_seed(5)
        self._ways = torch.randn(3 * 8 * 8, self.WAVES, generator=seeded) * 0.25
        self._starts = torch.rand(self.WAVES, generator=seeded) * 2 * torch.pi
        self._heights = torch.randn(self.WAVES, generator=seeded) * 0.06

    def judge(self, photo: torch.Tensor) -> Judge:
        smooth = self._smooth.judge(photo)

        def judge(batch: torch.Tensor) -> Prediction:
            cells = torch.nn.functional.adaptive_avg_pool2d(batch.float() / 64, 8).flatten(1)
            waves = (cells @ self._ways + self._starts).cos() @ self._heights
            return Prediction(smooth(batch).scores + waves)

        return judge


class Run:
    """One strategy on its way."""

    def __init__(self, name: str, mode: str, seed: int, base: float) -> None:
        self.key = (name, mode, seed)
        # The original's rule has the ops and the ranges of the original, and stacks them.
        original = name == ORIGINAL
        space = version1.space(mode, None, {}) if original else transforms.space(mode)  # type: ignore[arg-type]  # checked there
        self._strategy: Strategy = STRATEGIES[name](space, seed)
        self._strategy.tell([(Recipe(), base)])
        self._base, self._best = base, base
        self.done = 0
        self.gains: list[tuple[int, float]] = []
        """After how many evaluations which gain was reached first."""
        self.recipes: dict[int, Recipe] = {}
        self._recipe = Recipe()

    def ask(self, most: int) -> list[Recipe]:
        """As many as `nulie.search.run` would ask for."""
        return self._strategy.ask(min(BATCH, max(1, self.done // 4), most - self.done))

    def tell(self, recipes: Sequence[Recipe], scores: Sequence[float]) -> None:
        self._strategy.tell(list(zip(recipes, scores, strict=True)))
        for recipe, score in zip(recipes, scores, strict=True):
            self.done += 1
            if score > self._best:
                self._best, self._recipe = score, recipe
                self.gains.append((self.done, score - self._base))
            if self.done in MARKS:
                self.recipes[self.done] = self._recipe


def race(job: tuple[Path, bool, list[tuple[str, str, int]], int, bool]) -> list[dict[str, Any]]:
    """All of these runs on one photograph, in step."""
    path, rough, keys, most, full_size = job
    torch.set_num_threads(1)
    image = image_io.load(path).pixels
    predictor: Any = create("statistics")[0]
    predictor = Rough(predictor) if rough else predictor
    preview = shrink(image, predictor.input_size)
    render = Renderer(preview, sample(image), cache_bytes=512 << 20)
    objective = Objective(predictor, preview, Settings(), margin=SEARCH_MARGIN)
    base = objective.base.total
    runs = [Run(*key, base) for key in keys]
    while live := [run for run in runs if run.done < most]:
        batches = [run.ask(most) for run in live]
        together = [recipe for batch in batches for recipe in batch]
        scores: list[float] = []
        for at in range(0, len(together), 256):
            scores += objective.totals(render(together[at : at + 256]))
        for run, batch in zip(live, batches, strict=True):
            run.tell(batch, scores[: len(batch)])
            del scores[: len(batch)]
    results = []
    judge = Objective(predictor, preview, Settings())
    for run in runs:
        final = run.recipes[max(run.recipes)]
        result: dict[str, Any] = {"photo": path.name, "rough": rough, "key": list(run.key)}
        result |= {"gains": run.gains, "steps": len(final.steps), "most": most}
        if full_size:
            small = shrink(transforms.render(final, image), predictor.input_size)
            result["full size"] = judge(small[None])[0].total - base
        results.append(result)
    return results


def gain(result: dict[str, Any], mark: int) -> float:
    """What a run had gained after so many evaluations."""
    return max([value for done, value in result["gains"] if done <= mark], default=0.0)


def reached(result: dict[str, Any], wanted: float) -> float:
    """After how many evaluations a run had gained as much; infinite when it never did."""
    return next((done for done, value in result["gains"] if value >= wanted - 1e-6), float("inf"))


def rows(results: list[dict[str, Any]], rough: bool, mode: str, most: int) -> Iterator[list[str]]:
    """A row of the table for each strategy, over the runs that all strategies have done."""
    by_run: dict[Any, dict[str, dict[str, Any]]] = {}
    for result in results:
        name, its_mode, seed = result["key"]
        if (result["rough"], its_mode, result["most"]) == (rough, mode, most):
            by_run.setdefault((result["photo"], seed), {})[name] = result
    names = [name for name in STRATEGIES if any(name in runs for runs in by_run.values())]
    whole = [runs for runs in by_run.values() if all(name in runs for name in names)]
    marks = [mark for mark in MARKS if mark <= most]
    for name in names if whole else []:
        mine = [runs[name] for runs in whole]
        row = [f"{name} ({len(mine)} runs)"]
        row += [f"{statistics.mean(gain(r, mark) for r in mine):.3f}" for mark in marks]
        full = [r["full size"] for r in mine if "full size" in r]
        row.append(f"{statistics.mean(full):.3f}" if full else "")
        row.append(f"{statistics.mean(r['steps'] for r in mine):.1f}")
        if ORIGINAL in names:
            theirs = [runs[ORIGINAL] for runs in whole]
            pairs = list(zip(mine, theirs, strict=True))
            row += [
                f"{statistics.mean(gain(a, mark) >= gain(b, mark) - TIE for a, b in pairs):.0%}"
                for mark in marks
            ]
            shares = [reached(a, gain(b, most)) / most for a, b in pairs]
            middle = statistics.median(shares)
            row.append(f"{middle:.0%}" if middle <= 1 else "never")
        yield row


def report(results: list[dict[str, Any]], most: int) -> None:
    marks = [f"{mark:,}" for mark in MARKS if mark <= most]
    head = ["strategy", *marks, "full size", "steps"]
    head += [f"even or better, {mark}" for mark in marks] + ["evaluations to its final score"]
    print(machine(), "\n")
    for rough in (False, True):
        for mode in ("soft", "hard"):
            lines = list(rows(results, rough, mode, most))
            if lines:
                name = "`statistics` made rough" if rough else "`statistics`"
                print(f"{name}, {mode}\n\n{table(head[: len(lines[0])], lines)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photos", type=Path, help="a folder; default: the test data's")
    parser.add_argument("--most", type=int, help="photographs, default: all")
    parser.add_argument("--names", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--full-size", action="store_true", help="score winners at full size")
    parser.add_argument("--results", type=Path, default=Path("search.jsonl"))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    if options.results.exists():
        results = [json.loads(line) for line in options.results.read_text().splitlines()]
    known = {(r["photo"], r["rough"], *r["key"], r["most"]) for r in results}
    jobs = []
    for seed in range(options.seeds):
        for path in photos(options.photos)[: options.most]:
            for rough in (False, True):
                keys = [(name, mode, seed) for mode in ("soft", "hard") for name in options.names]
                keys = [k for k in keys if (path.name, rough, *k, options.evaluations) not in known]
                if keys:
                    jobs.append((path, rough, keys, options.evaluations, options.full_size))
    with multiprocessing.Pool(options.processes) as pool, options.results.open("a") as file:
        for runs in pool.imap_unordered(race, jobs):
            results += runs
            file.writelines(json.dumps(result) + "\n" for result in runs)
            file.flush()
    report(results, options.evaluations)


if __name__ == "__main__":
    main()
