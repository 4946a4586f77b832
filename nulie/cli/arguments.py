"""Options that several commands share, and how they read values."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import SettingsError


class Parser(argparse.ArgumentParser):
    """Complains as all of nulie does, and takes options between and after the files."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )
        self.add_argument("--verbose", action=_Verbose, help="say on stderr what happens inside")

    def error(self, message: str) -> NoReturn:
        """Raises: SettingsError."""
        raise SettingsError(f"{message}; see {self.prog} --help")

    def parse(self, arguments: Sequence[str], files: str) -> argparse.Namespace:
        """`files` is the name of the positional argument; all that follows `--` belongs to it.

        Raises: SettingsError."""
        arguments = list(arguments)
        # Not every version of argparse knows `--` when it is to take options anywhere.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        options = self.parse_intermixed_args(arguments[:end])
        setattr(options, files, [*getattr(options, files), *arguments[end + 1 :]])
        return options


class _Verbose(argparse.Action):
    """Shows what nulie's loggers say from here on."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, *_: Any) -> None:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("nulie: %(name)s: %(message)s"))
        logger = logging.getLogger("nulie")
        logger.handlers[:] = [handler]
        logger.setLevel(logging.DEBUG)


def names(text: str) -> tuple[str, ...]:
    """`a,b` -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
