"""Options that several commands share, and what they ask for."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import SettingsError
from ..recipe import Settings
from .console import complain, load_libraries

if TYPE_CHECKING:
    from ..jobs.inputs import Item
    from ..jobs.plan import Plan


class Parser(argparse.ArgumentParser):
    """Complains as all of nulie does, and takes options between and after the files."""

    def __init__(self, prog: str, usage: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog, f"{prog} {usage}", description, epilog, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        self.add_argument("--verbose", action=_Verbose, help="say on stderr what happens inside")

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; see {self.prog} --help")

    def parse(self, arguments: Sequence[str], files: str) -> argparse.Namespace:
        """`files` names the positional argument, with all after `--`. Raises: SettingsError."""
        arguments = list(arguments)
        # Not every version of argparse knows `--` when it is to take options anywhere.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        options = self.parse_intermixed_args(arguments[:end])
        setattr(options, files, [*getattr(options, files), *arguments[end + 1 :]])
        return options


class _Verbose(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, *_: Any) -> None:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("nulie: %(name)s: %(message)s"))
        logger = logging.getLogger("nulie")
        logger.handlers[:] = [handler]
        logger.setLevel(logging.DEBUG)


# fmt: off
def add_folders(add: Callable[..., argparse.Action]) -> None:
    add("-r", "--recursive", action="store_true", help="look into folders of folders")
    add("--exclude", action="append", default=[], metavar="PATTERN",
        help="leave out of folders what is called so, such as 'IMG_*' or a folder; repeatable")


def add_engine(add: Callable[..., argparse.Action]) -> None:
    add("--engine", default="processes", metavar="processes|ray",
        help="what the workers are: processes of this machine (default), or actors of Ray's, on"
        " many machines, too")
    add("--address", metavar="ADDRESS",
        help="of Ray: auto for the one that runs here, or HOST:PORT (default: one is started, for"
        " this run)")


def add_budget(add: Callable[..., argparse.Action], time: str, same: str) -> None:
    """`time` is the help of --seconds, `same` what comes out again by the same seed."""
    add("--seconds", type=float, metavar="N", help=time)
    add("--evaluations", type=int, metavar="N",
        help="candidates to score; without --seconds there is no other limit, and on one machine"
        f" the same seed gives the same {same}")
    add("--seed", type=int, metavar="N",
        help=f"another seed, another search (default {Settings.seed})")


def add_predictor(parser: Parser) -> Callable[..., argparse.Action]:
    """Returns what adds further options to the group."""
    add = parser.add_argument_group("predictor").add_argument
    add("--predictor", default="auto", metavar="NAME",
        help="auto (default): clip-sac where the machine is fast enough and its weights are or can"
        " be downloaded, else retouch, else statistics; clip-sac, clip-laion, clip-b32, clip-b16:"
        " CLIP with a head; retouch: as an expert would retouch it; statistics: embedded; A+B, such"
        " as retouch+clip-sac: A proposes, B chooses; the name of an installed package's; a file:"
        " one made by `nulie fit`, or a head for CLIP; or module:Name, a class of your own")
    add("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    add("--precision", default="auto", metavar="P",
        help="of CLIP in the search: auto (default), fp32, fp16, bf16; results are scored in fp32")
    add("--views", type=int, default=1, metavar="N",
        help="2: CLIP looks at the mirrored image, too, in the search (default 1; results: 2)")
    add("--head", type=Path, metavar="FILE", help="CLIP head of your own")
    add("--clip-weights", type=Path, metavar="FILE", help="CLIP weights, OpenAI's or open_clip's")
    return add
# fmt: on


def items(options: argparse.Namespace, named: Sequence[str], *, films: bool = False) -> list[Item]:
    """The images that are named, and with `films` the videos; says what was passed over."""
    from ..jobs import inputs

    tell = (lambda text: None) if options.quiet else complain
    how = {"recursive": options.recursive, "exclude": options.exclude, "films": films}
    return inputs.items(named, **how, tell=tell)


def plan(options: argparse.Namespace, files: int) -> Plan:
    """For so many `files`; its values' names are the options'."""
    return planned(values(options), files)


def values(options: argparse.Namespace) -> dict[str, Any]:
    """The plain values of a plan."""
    with load_libraries():
        from ..jobs.plan import KNOWN
    return {name: value for name, value in vars(options).items() if name in KNOWN}


def planned(values: Mapping[str, Any], files: int) -> Plan:
    with load_libraries():
        from ..jobs import plan
    return plan.plan(values, files=files)
