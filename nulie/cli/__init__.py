"""The command line: one file for each command. Only here does nulie print."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ..errors import NulieError
from . import console
from .console import INTERRUPTED, NOTHING_WRITTEN, complain, load_libraries

COMMANDS = ("duplicates", "fit", "job", "match", "ui", "score", "train", "tree", "weights")
"""Modules with `main(arguments) -> exit code`; any other first word is an image to enhance."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Exit codes: 0 done, 1 some of the images failed, 2 nothing was done (bad
    options or input), 130 interrupted before all was done."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # A file's name may hold what the terminal's encoding has no sign for.
        with contextlib.suppress(AttributeError, ValueError):
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        _check_place()
        with console.end_on_interrupt():
            code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except NulieError as e:
        complain(str(e))
        return 2
    except MemoryError:
        complain("the memory is not enough for this; close other programs or scale it down")
        return 2
    except KeyboardInterrupt:
        complain(NOTHING_WRITTEN)
        return INTERRUPTED
    except OSError as e:
        if not isinstance(e, BrokenPipeError):  # whoever read our output has gone
            complain(f"{e.filename or 'stdout'}: {e.strerror or e}")
        console.give_up_stdout()
        return 1


def _check_place() -> None:
    """Makes up for a user without a home, as in containers, where nothing is kept then. Raises:
    NulieError when the working folder is gone, in which libraries end the process."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/nonexistent"
    try:
        Path.cwd()
    except OSError:
        gone = "the folder that nulie was started in is gone; go to another one"
        raise NulieError(gone) from None


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--ui"]:  # as users of webuis know it
        arguments = ["ui", *arguments[1:]]
    # A file of a command's name is still an image: ./fit
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    with load_libraries():
        module = import_module(f".{command or 'enhance'}", __name__)
    try:
        return int(module.main(arguments[1:] if command else arguments))
    except SystemExit as e:  # argparse has shown its help
        return int(e.code or 0)
