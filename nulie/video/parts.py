"""What is done of a film, kept beside its result: recipes of shots, and parts that are encoded. A
run that was ended is gone on with behind them."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import RecipeError
from ..image_io import atomic
from ..jobs import video
from ..jobs.journal import version_of
from ..jobs.video import Shot
from .paint import Stretch, colors
from .result import Pictures
from .source import Facts

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LEAST, MOST = 250, 1500
"""Frames of a part: with so many it ends where a shot does, or anyway."""
_PACKET = struct.Struct("<qq?I")
"""When it is shown, for how long, whether it is a key frame, its bytes, which follow."""
_KEY = 32
"""Bytes at the start of a part, which say what it was made of and how."""


@dataclass
class Memory:
    """Of one film of a job."""

    path: Path
    shots: tuple[Shot, ...] = ()
    whole: bool = False
    """Whether these are all shots."""
    predictor: str = ""
    parts: int = 0
    """How many there are; 0 as long as these are not all."""
    damage: list[str] = field(default_factory=list)
    """What of the film could not be read."""
    result: tuple[int, int] | None = None
    """Inode and bytes of the result, once it is about to get its name."""

    @classmethod
    def of(cls, source: Path, target: Path, job: str) -> Memory:
        """What earlier runs of a job, by its digest, have left of the film as it is now."""
        said = repr((str(source.absolute()), version_of(source), str(target.absolute())))
        key = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        path = target.with_name(f".nulie-{job[:12]}-{key}.film")
        memory = cls(path)
        with suppress(OSError, ValueError, RecipeError, KeyError, TypeError):
            data = json.loads(path.read_text(encoding="utf-8"))
            shots = video.shots(data) if data["shots"] else ()
            result = data["result"] and (int(data["result"][0]), int(data["result"][1]))
            told = (bool(data["whole"]), str(data["predictor"]), int(data["parts"]), data["damage"])
            memory = cls(path, shots, *told, result)
        return memory

    def keep(self) -> None:
        """Raises: ImageError."""
        data = {
            video.KEY: video.FORMAT, "shots": [shot.data() for shot in self.shots],
            "whole": self.whole, "predictor": self.predictor, "parts": self.parts,
            "damage": self.damage, "result": self.result,
        }  # fmt: skip
        atomic.write(self.path, json.dumps(data).encode(), overwrite=True)

    def expect(self, draft: BinaryIO) -> None:
        """The file that is about to be the result."""
        draft.flush()
        found = os.fstat(draft.fileno())
        self.result = (found.st_ino, found.st_size)
        self.keep()

    def is_of(self, path: Path) -> bool:
        """Whether a file is the whole result."""
        with suppress(OSError):
            found = path.stat()
            return (found.st_ino, found.st_size) == self.result
        return False

    def part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-{number}.part")

    def forget_parts(self) -> None:
        for path in self.path.parent.glob(f"{self.path.stem}-*.part"):
            with suppress(OSError):
                path.unlink()


class Borders:
    """Says in which part a frame lies; is asked for each in their order."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        # Colours are carried along up to a cut, and so no part begins elsewhere.
        self._carried = any(colors(stretch.recipe) for stretch in stretches)
        self._begins = {s.begin for s in stretches if s.cut or not self._carried}
        self._begin = self._part = 0

    def part_of(self, number: int) -> int:
        length = number - self._begin
        if (length >= MOST and not self._carried) or (length >= LEAST and number in self._begins):
            self._begin = number
            self._part += 1
        return self._part


@dataclass
class Parts:
    """Of a film whose recipes are known."""

    memory: Memory
    muxer: str
    main: VideoStream
    facts: Facts
    coding: dict[str, Any]
    """See `Pictures`."""
    stretches: Sequence[Stretch]
    _key: bytes = field(init=False)

    def __post_init__(self) -> None:
        context = self._encoder()[1].stream.codec_context
        recipes = [(s.begin, s.recipe.to_json(), s.cut) for s in self.stretches]
        said = (context.extradata, str(context.time_base), sorted(self.coding.items()), recipes)
        self._key = hashlib.sha256(repr(said).encode()).digest()

    def _encoder(self) -> tuple[Any, Pictures]:
        """One that is set as that of the result, whose container takes it."""
        import av

        out = av.open(BytesIO(), "w", format=self.muxer)
        pictures = Pictures(out, self.main, self.facts, **self.coding)
        out.start_encoding()
        return out, pictures

    def is_there(self, number: int) -> bool:
        with suppress(OSError), self.memory.part(number).open("rb") as file:
            return file.read(_KEY) == self._key
        return False

    @contextmanager
    def writing(self, number: int) -> Iterator[Part]:
        """A part that is there, whole, at the end of the `with`."""
        with atomic.writing(self.memory.part(number), overwrite=True) as draft:
            draft.file.write(self._key)
            part = Part(draft.file, *self._encoder())
            yield part
            part.close()

    def packets(self) -> Iterator[Packet[Any]]:
        """Of all parts, with times at which they are to be decoded."""
        from av.packet import Packet

        paths = [self.memory.part(number) for number in range(self.memory.parts)]
        shown = [pts for path in paths for pts, *_ in _read(path, data=False)]
        dues = iter(due(shown))
        for path in paths:
            for pts, duration, key, data in _read(path):
                packet: Packet[Any] = Packet(data)
                packet.pts, packet.dts, packet.duration = pts, next(dues), duration
                packet.is_keyframe = key
                yield packet


class Part:
    def __init__(self, file: BinaryIO, out: Any, pictures: Pictures) -> None:
        self._file, self._out, self._pictures = file, out, pictures

    def write(self, frame: VideoFrame | None) -> None:
        for packet in self._pictures.encode(frame):
            data = bytes(packet)
            head = (packet.pts, packet.duration or 0, packet.is_keyframe, len(data))
            self._file.write(_PACKET.pack(*head))
            self._file.write(data)

    def close(self) -> None:
        self.write(None)


def _read(path: Path, *, data: bool = True) -> Iterator[tuple[int, int, bool, bytes]]:
    with path.open("rb") as file:
        file.seek(_KEY)
        while head := file.read(_PACKET.size):
            pts, duration, key, size = _PACKET.unpack(head)
            content = file.read(size) if data else b""
            if not data:
                file.seek(size, os.SEEK_CUR)
            yield pts, duration, key, content


def due(shown: Sequence[int]) -> list[int]:
    """When packets are to be decoded, from the times at which they are shown, all different, in the
    order in which they are stored: those times in their order, as many frames earlier as it
    takes that none is shown before."""
    times = sorted(shown)
    late = max((i - bisect_left(times, pts) for i, pts in enumerate(shown)), default=0)
    if not late:
        return times
    ahead = times[min(late, len(times) - 1)] - times[0]
    return [pts - ahead for pts in times[:late]] + times[: len(times) - late]
