"""Embeddings in files that other programs read, too.

Beside a library `photos.nulie` lies the folder `photos.nulie-vectors` with `000001.safetensors` and
so on. Each holds `vectors`, `[N, D]` float16, and `digests`, `[N, 16]` uint8, the BLAKE2b of the
pictures' files, row by row; its metadata say of what `kind` they are. The files alone say what
there is: one that is gone, or was brought along, needs nothing mended."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, LibraryError
from ..image_io import atomic, reason, shown_path

ROWS = 4096
"""Of a whole file."""
_NUMBER = re.compile(r"(\d{6,})\.")
_LONGEST_HEADER = 100_000

Vectors = npt.NDArray[np.float16]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Segment:
    """One of the files."""

    path: Path
    kind: str
    checks: tuple[int, int]
    """CRC-32 of the digests and of the vectors."""
    shape: tuple[int, int]
    """Of the vectors."""
    width: int
    """Bytes of a digest."""
    places: tuple[int, int]
    """Where digests and vectors begin in the file."""

    def digests(self) -> list[bytes]:
        """Raises: OSError, ValueError where they are damaged."""
        data = self._mapped(0, (self.shape[0], self.width), np.uint8).tobytes()
        return [data[at : at + self.width] for at in range(0, len(data), self.width)]

    def rows(self) -> tuple[list[bytes], Vectors]:
        """Digests, and vectors as they lie in the file. Raises: OSError, ValueError where they are
        damaged."""
        return self.digests(), self._mapped(1, self.shape, "<f2")

    def _mapped(self, which: int, shape: tuple[int, int], kind: npt.DTypeLike) -> Any:
        found: Any = np.memmap(self.path, kind, "r", self.places[which], shape)
        if zlib.crc32(found) != self.checks[which]:
            raise ValueError("its contents have changed")
        return found


def look(path: Path) -> Segment:
    """What a file says of itself. Raises: OSError; ValueError, KeyError or TypeError where it is
    damaged or another program's."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= _LONGEST_HEADER:
            raise ValueError("it has no header")
        header = json.loads(file.read(length))
        size = file.seek(0, 2)
    about, digests, vectors = header["__metadata__"], header["digests"], header["vectors"]
    if (digests["dtype"], vectors["dtype"]) != ("U8", "F16") or size != 8 + length + max(
        digests["data_offsets"][1], vectors["data_offsets"][1]
    ):
        raise ValueError("it is cut short")
    rows, width = vectors["shape"]
    first, second = (int(number, 16) for number in about["crc32"].split())
    places = (8 + length + one["data_offsets"][0] for one in (digests, vectors))
    return Segment(
        path, about["kind"], (first, second), (rows, width), digests["shape"][1], (*places,)
    )


class Segments:
    """Those of a library."""

    def __init__(self, library: Path) -> None:
        self.folder = library.with_name(f"{library.name}-vectors")
        self.notes: list[str] = []
        """Lines for the user, the oldest first; whoever shows them removes them."""
        self._known: dict[str, Segment] = {}
        self._rows: dict[bytes, list[tuple[str, Vectors, int]]] | None = None
        """By digest: kind, and the row of what is mapped of a file."""

    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        found: dict[str, int] = {}
        for segment in self._all():
            found[segment.kind] = found.get(segment.kind, 0) + segment.shape[0]
        return found

    def digests(self, kind: str) -> set[bytes]:
        return self._digests(self._all(kind))

    def _digests(self, segments: Sequence[Segment]) -> set[bytes]:
        found: set[bytes] = set()
        for segment in segments:
            found.update(self._whole(segment, segment.digests) or ())
        return found

    def blocks(self, kind: str) -> Iterator[tuple[list[bytes], Vectors]]:
        """Digests and `[N, D]` of each file, the newest first."""
        for segment in self._all(kind):
            if block := self._whole(segment, segment.rows):
                yield block

    def of(self, digest: bytes) -> list[tuple[str, Vectors]]:
        """The vectors, `[D]`, of a picture, by kind."""
        if self._rows is None:
            self._rows = {}
            for kind in self.counts():
                for digests, block in self.blocks(kind):
                    for row, one in enumerate(digests):
                        self._rows.setdefault(one, []).append((kind, block, row))
        return [(kind, block[row]) for kind, block, row in self._rows.get(digest, ())]

    def add(self, kind: str, digests: Sequence[bytes], vectors: Vectors) -> None:
        """Puts further rows into new files, together with those of files that are not whole yet,
        which go then. To be called by one at a time. Raises: LibraryError."""
        self._rows = None
        every = self._all(kind)
        partial = [one for one in every if one.shape[0] < ROWS]
        # What a run that was killed had brought there, but not taken from the database.
        there = self._digests([one for one in every if one.shape[0] >= ROWS])
        names, parts = list(digests), [vectors]
        for segment in partial:
            if block := self._whole(segment, segment.rows):
                names, parts = [*block[0], *names], [np.array(block[1]), *parts]
        place = {name: row for row, name in enumerate(names) if name not in there}
        rows = sorted(place.values())
        matrix = np.concatenate(parts)
        try:
            for path in self.folder.glob(".nulie-*.tmp"):
                path.unlink()  # of one who was killed
            for at in range(0, len(rows), ROWS):
                part = rows[at : at + ROWS]
                self._write(kind, b"".join(names[row] for row in part), matrix[part])
        except (ImageError, OSError) as e:
            raise LibraryError(f"embeddings cannot be kept: {e}") from None
        for segment in partial:
            with suppress(OSError):
                segment.path.unlink()

    def _write(self, kind: str, digests: bytes, vectors: Vectors) -> None:
        from safetensors.numpy import save

        names = np.frombuffer(digests, np.uint8).reshape(len(vectors), -1)
        checks = f"{zlib.crc32(digests):08x} {zlib.crc32(vectors.tobytes()):08x}"
        tensors = {"vectors": np.ascontiguousarray(vectors, "<f2"), "digests": names}
        data = save(tensors, {"kind": kind, "crc32": checks})
        # No number is given twice, so that nobody takes one file for another.
        taken = [int(found[1]) for p in self.folder.glob("*.*") if (found := _NUMBER.match(p.name))]
        path = self.folder / f"{max(taken, default=0) + 1:06}.safetensors"
        atomic.write(path, data, overwrite=False)

    def _all(self, kind: str | None = None) -> list[Segment]:
        """The newest first."""
        known = {}
        for path in self.folder.glob("*.safetensors"):
            if not _NUMBER.match(path.name):
                continue
            try:
                known[path.name] = self._known.get(path.name) or look(path)
            except FileNotFoundError:  # another run has just merged it
                continue
            except OSError as e:
                raise _unreadable(path, e) from None
            except (ValueError, KeyError, TypeError, AttributeError):
                self._set_aside(path)
        self._known = known
        newest = sorted(known.values(), key=lambda one: -int(one.path.stem))
        return [one for one in newest if kind in (None, one.kind)]

    def _whole(self, segment: Segment, read: Callable[[], Found]) -> Found | None:
        """What was read; None where it is damaged, which is told, or gone."""
        try:
            return read()
        except FileNotFoundError:
            return None
        except OSError as e:
            raise _unreadable(segment.path, e) from None
        except ValueError:
            self._set_aside(segment.path)
            return None

    def _set_aside(self, path: Path) -> None:
        """Under another name, so that it is said once."""
        said = "is damaged and set aside; nulie score reads its pictures again"
        with suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
            self.notes.append(f"{shown_path(path)}: {said}")


def _unreadable(path: Path, error: OSError) -> LibraryError:
    return LibraryError(f"{shown_path(path)}: cannot be read ({reason(error)})")
