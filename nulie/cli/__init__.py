"""The command line: one file for each command. Only here does nulie print."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import NulieError

COMMANDS = ("fit",)
"""First words that name a command; anything else is an image to enhance. Each is a module with
`main(arguments) -> exit code`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Exit codes: 0 done, 1 some of the images failed, 2 nothing was done (bad
    options or input), 130 interrupted before anything was done."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    # A file of a command's name is still an image: ./fit
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    module = import_module(f".{command or 'enhance'}", __name__)
    try:
        code: int = module.main(arguments[1:] if command else arguments)
        sys.stdout.flush()
        return code
    except NulieError as e:
        print(f"nulie: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nulie: interrupted; nothing was written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
