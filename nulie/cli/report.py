"""What the command line says of a run: in words, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..image_io import shown_path
from ..recipe import Recipe

if TYPE_CHECKING:
    from ..engine import Result, Variant
    from ..predictor.base import Predictor


def words(
    path: Path, predictor: Predictor, result: Result, written: Sequence[Path], wanted: int
) -> str:
    """A few lines for a person. `wanted`: how many variants were asked for."""
    from ..transforms import describe

    lines = [f"{shown_path(path)}:"]
    for number, variant in enumerate(result.variants, 1):
        mark = f"{number}. " if len(result.variants) > 1 else ""
        lines.append(
            f"  {mark}score {result.base.score:.2f} -> {variant.terms.score:.2f}"
            f" ({predictor.name}), {describe(variant.recipe)}"
        )
    if not result.variants:
        lines.append(
            f"  nothing found that beats it (score {result.base.score:.2f},"
            f" {predictor.name}): it stays as it is"
        )
    elif len(result.variants) < wanted:
        lines.append(f"  only {len(result.variants)} of {wanted}: no other one that looks distinct")
    rate = result.evaluations / result.seconds if result.seconds else 0.0
    stopped = "stopped after " if result.reason == "cancelled" else ""
    lines.append(
        f"  {stopped}{result.evaluations:,} nodes in {result.seconds:.1f} s, {rate:,.0f} a second"
    )
    verb = "saved" if result.variants else "copied"
    lines.append(f"  {verb} as {', '.join(map(shown_path, written))}")
    return "\n".join(lines)


def score(result: Result, variant: Variant, predictor: Predictor) -> dict[str, Any]:
    """What goes into a result beside its recipe."""
    return {
        "before": result.base.score,
        "after": variant.terms.score,
        "by": predictor.name,
    }


def of_search(
    path: Path, predictor: Predictor, result: Result, written: Sequence[Path]
) -> dict[str, Any]:
    """One image's line of `--json`."""
    return {
        "input": str(path),
        "predictor": predictor.name,
        "changed": bool(result.variants),
        "before": asdict(result.base),
        "variants": [{"recipe": data(v.recipe), "after": asdict(v.terms)} for v in result.variants],
        "recipe": data(result.recipe),
        "evaluations": result.evaluations,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "output": [str(p) for p in written],
    }


def of_recipe(path: Path, recipe: Recipe, written: Path) -> dict[str, Any]:
    """One image's line of `--json` where there was no search."""
    return {"input": str(path), "recipe": data(recipe), "output": [str(written)]}


def data(recipe: Recipe) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recipe.to_json())
    return found


def ops_table() -> str:
    from ..transforms import ops

    lines = []
    for op in ops().values():
        lines.append(f"{op.id}: {op.help}")
        for dial in op.dials:
            ranges = [
                f"{mode} {bound[0]:g}..{bound[1]:g}"
                for mode, bound in (("soft", dial.soft), ("hard", dial.hard))
                if bound
            ]
            lines.append(
                f"    {dial.name} ({dial.unit}): {', '.join(ranges)},"
                f" at most {dial.low:g}..{dial.high:g}, neutral {dial.neutral:g}"
            )
    return "\n".join(lines)
