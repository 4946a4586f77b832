"""What the command line says of a result, in words, and of the ops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..transforms import describe, ops

if TYPE_CHECKING:
    from ..engine import Result
    from ..jobs.outcome import Outcome
    from ..jobs.video import Film


def words(shown: str, outcome: Outcome, saved: str, wanted: int) -> str:
    """A few lines for a person. `saved`: where to; `wanted`: how many variants were asked for."""
    if outcome.result is None:
        return f"{shown}: {describe(outcome.recipe)}\n  saved as {saved}"
    verb = "saved" if outcome.changed else "copied"
    lines = [f"{shown}:", *_of_search(outcome, outcome.result, wanted), f"{verb} as {saved}"]
    return "\n  ".join(lines)


def words_of_film(shown: str, film: Film, saved: str) -> str:
    """The same of a video: a line for each shot."""
    lines = [f"{shown}:"]
    for number, shot in enumerate(film.shots, 1):
        seconds = f"{shot.begin // 60:.0f}:{shot.begin % 60:04.1f}"
        told = f"shot {number}, from {seconds}, {shot.frames:,} frames: "
        if shot.like is not None:
            told += f"looks like shot {shot.like}, and has its recipe"
        else:
            if shot.before is not None and shot.after is not None:
                by = f" ({film.predictor})" if film.predictor else ""
                told += f"score {shot.before:.2f} -> {shot.after:.2f}{by}, "
            told += describe(shot.recipe.thaw())
        lines.append(told)
    rate = film.frames / film.seconds if film.seconds else 0.0
    lines.append(f"{film.frames:,} frames in {film.seconds:.1f} s, {rate:,.0f} a second")
    lines.append(f"saved as {saved}" if film.whole else f"stopped; what was written: {saved}")
    return "\n  ".join(lines)


def _of_search(outcome: Outcome, result: Result, wanted: int) -> list[str]:
    made = list(zip(result.variants, outcome.recipes(), strict=False))
    several = len(result.variants) > 1
    lines = [
        f"{f'{number}. ' * several}score {result.base.score:.2f} -> {variant.terms.score:.2f}"
        f" ({outcome.predictor}), {describe(recipe)}"
        for number, (variant, recipe) in enumerate(made, 1)
    ]
    if not result.variants:
        stays = f"restored alone, {describe(outcome.recipe)}" * outcome.changed
        lines.append(
            f"nothing found that beats it (score {result.base.score:.2f},"
            f" {outcome.predictor}): {stays or 'it stays as it is'}"
        )
    elif len(result.variants) < wanted:
        lines.append(f"only {len(result.variants)} of {wanted}: no other one that looks distinct")
    rate = result.evaluations / result.seconds if result.seconds else 0.0
    stopped = "stopped after " if outcome.stopped else ""
    lines.append(
        f"{stopped}{result.evaluations:,} nodes in {result.seconds:.1f} s, {rate:,.0f} a second"
    )
    return lines


def ops_table() -> str:
    lines = []
    for op in ops().values():
        lines.append(f"{op.id}: {op.help}")
        for dial in op.dials:
            modes = {"soft": dial.soft, "hard": dial.hard}
            ranges = [f"{mode} {b[0]:g}..{b[1]:g}" for mode, b in modes.items() if b]
            lines.append(
                f"    {dial.name} ({dial.unit}): {', '.join(ranges)},"
                f" at most {dial.low:g}..{dial.high:g}, neutral {dial.neutral:g}"
            )
    return "\n".join(lines)
