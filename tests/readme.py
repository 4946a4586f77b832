"""README.md's table of options, made of what `nulie --help` says.

    python -m tests.readme

writes it anew.
"""

from __future__ import annotations

import argparse

from nulie.cli import enhance

from .conftest import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- options -->\n", "<!-- end of options -->\n"


def table() -> str:
    """The options in the groups of `--help`."""
    _, general, *groups = enhance.parser()._action_groups
    lines = ["| option | meaning |", "| --- | --- |"]
    for group in [*groups, general]:
        title = "general" if group is general else group.title
        lines += [f"| **{title}** | |"]
        lines += [_row(a) for a in group._group_actions if a.dest != "help"]
    return "\n".join(lines) + "\n"


def split(text: str) -> tuple[str, str, str]:
    """README's text before the table, the table, and the text after it."""
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    assert begin, f"README.md has no {BEGIN}"
    assert end, f"README.md has no {END}"
    return before + begin, inside, end + after


def _row(action: argparse.Action) -> str:
    names = list(action.option_strings)
    metavar = "" if action.nargs == 0 else action.metavar or action.dest.upper()
    if metavar and not isinstance(action, argparse.BooleanOptionalAction):
        names[-1] += f" [{metavar}]" if action.nargs == "?" else f" {metavar}"
    shown = ", ".join(f"`{name}`" for name in names)
    said = (action.help or "") % {}
    return f"| {shown} | {said.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    before, _, after = split(README.read_text(encoding="utf-8"))
    README.write_text(before + table() + after, encoding="utf-8")
