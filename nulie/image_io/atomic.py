"""A file is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import ImageError, NulieError, PlaceError
from .read import reason, shown_path

OPEN = 0o666
"""The mode of files that need not be private; the user's umask narrows it."""

_FOR_NOW = {
    getattr(errno, name, None)
    for name in "ENOSPC EDQUOT EIO ESTALE ENODEV ENOTCONN EHOSTDOWN ETIMEDOUT".split()  # noqa: SIM905
} - {None}
"""What a disk says that is full, or a share that is gone."""
owner = ""
"""Is part of the names of files that are being written, so that what a killed process has left is
known by it. Set once by a process that somebody sweeps after."""


def sweep(folder: Path, of: str, *kinds: str) -> None:
    """Removes the unfinished files of a folder that were written by the `owner` of that name; or
    what it keeps there, by the `kinds` of suffixes."""
    with contextlib.suppress(OSError):
        for kind in kinds or (".tmp",):
            for path in folder.glob(f".nulie-{of}-*{kind}"):
                path.unlink()


def sweep_dead(folder: Path, of: str) -> None:
    """As `sweep`, but for files that a process is still at, see `writing`."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f".nulie-{of}-*.tmp"):
            with contextlib.suppress(OSError), path.open("r+b") as file:
                _hold(file)
                path.unlink()


def _hold(file: BinaryIO) -> None:
    """Until it is closed, if only by the end of the process. Raises: OSError where another one
    holds it."""
    with contextlib.suppress(ImportError):  # Windows removes no file that is open
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write(path: Path, data: bytes, *, overwrite: bool, mode: int = OPEN) -> None:
    """Write `data` to `path` so that no moment shows a part of it, nor the file to more people than
    `mode` lets. Without `overwrite` an existing file stays, even one that appears meanwhile.
    Raises: ImageError; then nothing is left behind."""
    with _refusals(path):
        _make_folder(path.parent)
        _write(path, data, overwrite, mode)


@dataclass
class Draft:
    """A file on its way to its name."""

    file: BinaryIO
    path: Path
    """What it is to be called, in its folder; may be changed as long as it is written."""


@contextlib.contextmanager
def writing(path: Path, *, overwrite: bool, mode: int = OPEN, of: str = "") -> Iterator[Draft]:
    """As `write`, for a file that is written little by little: what was written in the `with` gets
    its name at its end. Where there is no `owner`, `of` takes its place, and what killed processes
    have left of that name goes first. Raises: as `write`, on errors of the system in the `with`,
    too."""
    with _refusals(path):
        _make_folder(path.parent)
        if of and not owner:
            sweep_dead(path.parent, of)
        with _temporary(path, owner or of) as temporary:
            with _created(temporary, mode) as file:
                with contextlib.suppress(OSError):  # on a share without locks
                    _hold(file)
                draft = Draft(file, path)
                yield draft
                file.flush()
                os.fsync(file.fileno())
            _place(temporary, draft.path, overwrite)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def check(path: Path, *, overwrite: bool) -> None:
    """All that can be known beforehand to stop `write`. Raises: ImageError as it does."""
    with _refusals(path):
        try:
            path.lstat()
        except FileNotFoundError:
            pass
        else:
            if path.is_dir():
                raise ImageError(f"{shown_path(path)}: is a folder; give a file name in it")
            if path.exists() and not path.is_file():
                raise ImageError(f"{shown_path(path)}: is no regular file; choose another name")
            if not overwrite:
                raise FileExistsError
        folder = path.parent
        # Those that are missing will be made.
        while folder != folder.parent and not os.path.lexists(folder):
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    shown = shown_path(path)
    try:
        yield
    except NulieError:  # of what was to be written
        raise
    except FileExistsError:
        raise ImageError(f"{shown}: exists; choose another name or allow overwriting") from None
    except (OSError, ValueError) as e:
        number, remedy = getattr(e, "errno", None), "choose another place"
        kind = PlaceError if number in _FOR_NOW else ImageError
        if number in (errno.ENOSPC, errno.EDQUOT):
            remedy = f"free some space or {remedy}"
        elif number == errno.ENAMETOOLONG:
            remedy = "choose a shorter name"
        raise kind(f"{shown}: cannot be written ({reason(e)}); {remedy}") from None


def _write(path: Path, data: bytes, overwrite: bool, mode: int) -> None:
    with _temporary(path, owner) as temporary:
        with _created(temporary, mode) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _place(temporary, path, overwrite)


def _created(path: Path, mode: int) -> BinaryIO:
    # open() and not mkstemp(), whose files are closed to everyone else.
    return open(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))


@contextlib.contextmanager
def _temporary(path: Path, of: str) -> Iterator[Path]:
    """The name of a file beside `path`, which is gone unless all goes well."""
    # A short name: the final one may be as long as the file system allows.
    marked = f"{of}-" if of else ""
    temporary = path.parent / f".nulie-{marked}{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _place(temporary: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(path)
    else:
        _place_new(temporary, path)
    _sync_folder(path.parent)


def _place_new(temporary: Path, path: Path) -> None:
    """Give the file its name, unless the name is taken. A rename would take it from another."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here, as on FAT: claim the name with an empty file, then replace that.
        with path.open("xb"):
            pass
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system lets us."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
