"""XMP packets: where nulie keeps its text in formats that have no text chunks.

XMP has namespaces: a property of our own cannot be taken for, or overwrite, anything of another
program's, as in EXIF's few comment fields. A parser says where things stand; what changes is cut
out or put in there, and the rest of the packet stays as others wrote it."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from xml.parsers import expat
from xml.sax.saxutils import escape

NAMESPACE = "urn:nulie:1/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TEXT, _ITEM, _ABOUT = f"{NAMESPACE} text", f"{_RDF} li", f"{_RDF} about"
_NOTE = "http://ns.adobe.com/xmp/note/"
_ORIENTATIONS = tuple(f"http://ns.adobe.com/{uri}/1.0/ Orientation" for uri in ("tiff", "exif"))
_CREDENTIALS = "http://purl.org/dc/terms/ provenance"
_EXTENDED = f"{_NOTE} HasExtendedXMP"
_GOOGLE = "http://ns.google.com/photos/1.0/"
_GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_VIDEOS = (f"{_GOOGLE}camera/ MotionPhoto", f"{_GOOGLE}camera/ MicroVideo")
_LISTS = (f"{_GOOGLE}container/", f"{_GOOGLE}container/item/")
_THUMBNAILS = "http://ns.adobe.com/xap/1.0/ Thumbnails"
_GONE = (*_GAIN_MAPS, *_VIDEOS, *_LISTS, _THUMBNAILS, _EXTENDED, _TEXT, _CREDENTIALS)
"""Starts of the names (namespace, space, local name) of what is true no more, or kept apart."""
_GONE_SPACES = {uri.encode() for uri in (NAMESPACE, *_GAIN_MAPS, *_LISTS, _NOTE)}
_START = re.compile(rb"<(?:[^\"'>]+|\"[^\"]*\"|'[^']*')*>")
_TAG = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE = re.compile(rb"\s*([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_END = b"</rdf:RDF>"
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{_RDF}">\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
).encode()
_Cut = tuple[int, int, bytes]
"""Where bytes start and end, and what comes in their place."""


@dataclass
class Read:
    """A packet for upright pixels without what is true no more, None where nothing is left; and
    what it had said."""

    packet: bytes | None
    text: Mapping[str, str]
    """nulie's."""
    orientation: int | None = None
    """1..8."""
    extended: str = ""
    """Digest of the extension that holds the rest of it."""
    gain_map: bool = False
    video: bool = False
    credentials: bool = False


def read(xmp: bytes) -> Read:
    """Takes in what a packet says. Thumbnails go, for they show the picture as it was, and so do
    nulie's text and what speaks of other data in the file, for that is not kept.

    Raises: ValueError when it is no XMP."""
    packet = _Packet(xmp)
    found = Read(None, packet.text)
    cuts: list[_Cut] = []
    for part in packet.parts:
        if part.name in _ORIENTATIONS:
            found.orientation = found.orientation or _orientation(packet, part.body, part.close)
            cuts.append((part.body, part.close, b"1"))
        elif part.name.startswith(_GONE):
            _take_in(found, part.name, packet.data[part.body : part.close].decode())
            cuts.append((part.start, part.end, b""))
        for name, at, value in packet.attributes(part):
            said = packet.data[value]
            if name in _ORIENTATIONS:
                found.orientation = found.orientation or _orientation(
                    packet, value.start, value.stop
                )
                cuts.append((value.start, value.stop, b"1"))
            elif name.startswith(_GONE) or (name == "xmlns" and said in _GONE_SPACES):
                _take_in(found, name, said.decode())
                cuts.append((at.start, at.stop, b""))
    found.packet = packet.changed(cuts)
    return found


def merged(xmp: bytes | None, extension: bytes) -> bytes:
    """The packet with the properties of another one too. Raises: ValueError when one is no XMP."""
    other = _Packet(extension)
    spaces = [
        other.data[at]
        for outer in other.parts[: other.parts.index(other.rdf) + 1 if other.rdf else 0]
        for name, at, _ in other.attributes(outer)
        if name == "xmlns"
    ]
    blocks = []
    for part in other.descriptions:
        own = {other.data[at].partition(b"=")[0].strip()
               for name, at, _ in other.attributes(part) if name == "xmlns"}  # fmt: skip
        inherited = {name: s for s in spaces if (name := s.partition(b"=")[0].strip()) not in own}
        head = part.start + len(other._tag(part)) + 1
        blocks += [other.data[part.start : head], *inherited.values(), other.data[head : part.end]]
    return _added(_Packet(xmp or _PACKET), b"".join([*blocks, b"\n"]))


def put_text(xmp: bytes | None, text: Mapping[str, str]) -> bytes:
    """The packet with `text` added under nulie's own namespace, as a list of "key: value"."""
    packet = _Packet(xmp or _PACKET)
    items = "\n".join(f"<rdf:li>{_escaped(f'{k}: {v}')}</rdf:li>" for k, v in text.items())
    bag = f"<nulie:text><rdf:Bag>\n{items}\n</rdf:Bag></nulie:text>".encode()
    return _added(packet, _description(packet, f'xmlns:nulie="{NAMESPACE}"', bag))


def split(xmp: bytes, room: int) -> tuple[bytes, bytes, bytes]:
    """The packet in `room` bytes, the digest of its extension, and that: what does not fit, which
    is nulie's text first, then the largest properties. Without need, the latter two are empty."""
    if len(xmp) <= room:
        return xmp, b"", b""
    packet = _Packet(xmp, properties=True)
    rows = [(part, *row) for part in packet.descriptions for row in packet.properties(part)]
    # Nulie's own text is the first to go where few programs look.
    rows.sort(key=lambda row: (not row[1], row[2] - row[3]))
    moved: dict[_Part, list[bytes]] = {}
    cuts: list[_Cut] = []
    left = len(xmp) + 400
    for part, _, start, end, block in rows:
        if left > room:
            moved.setdefault(part, []).append(block)
            cuts.append((start, end, b""))
            left -= end - start
    assert packet.rdf is not None
    blocks = (packet.around(part, b"".join(rows)) for part, rows in moved.items())
    head, tail = packet.data[: packet.rdf.body], packet.data[packet.rdf.close :]
    extension = head + b"".join(blocks) + tail
    extension = extension[extension.index(b"<", 0) :]
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    rest = _Packet(packet.changed(cuts) or _PACKET)
    said = f'xmlns:xmpNote="{_NOTE}" xmpNote:HasExtendedXMP="{digest}"'
    return _added(rest, _description(packet, said, b"")), digest.encode(), extension


def _description(packet: _Packet, attributes: str, properties: bytes) -> bytes:
    # All those of a packet must be about the same thing.
    about, own = packet.about(), attributes.encode()
    row = b'<rdf:Description xmlns:rdf="%b" rdf:about=%b %b>%b</rdf:Description>\n'
    return row % (_RDF.encode(), about, own, properties)


def _orientation(packet: _Packet, start: int, end: int) -> int | None:
    digits = re.search(rb"[1-8]", packet.data[start:end])
    return int(digits[0]) if digits else None


def _take_in(found: Read, name: str, value: str) -> None:
    if name.startswith(_GAIN_MAPS):
        found.gain_map = True
    elif name.startswith(_VIDEOS):
        found.video |= value != "0"
    elif name == _CREDENTIALS:
        found.credentials = True
    elif name == _EXTENDED:
        found.extended = value.strip()


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _added(packet: _Packet, block: bytes) -> bytes:
    rdf = packet.rdf
    if rdf is None or rdf.body == rdf.end:  # none, or one without contents: <rdf:RDF/>
        return _PACKET.replace(_END, block + _END)
    return packet.data[: rdf.close] + block + packet.data[rdf.close :]


class _Part:
    """An element: its name as the parser has it, the names of its attributes, and where it lies:
    from `start` to `end`, its contents from `body` to `close`."""

    __slots__ = ("body", "close", "depth", "end", "inner", "name", "names", "start")

    def __init__(self, name: str, depth: int, names: list[str], start: int, body: int) -> None:
        self.name, self.depth, self.names = name, depth, names
        self.start, self.body, self.close, self.end = start, body, body, body
        self.inner: list[_Part] = []


class _Packet:
    """The parts of a packet that matter, in their order, found in one pass: down to descriptions,
    or the `properties` in them, and deeper those whose names do. Raises: ValueError."""

    def __init__(self, data: bytes, *, properties: bool = False) -> None:
        self.data = data.strip(b"\0 \r\n\t")
        self.parts: list[_Part] = []
        self.rdf: _Part | None = None
        self.text: dict[str, str] = {}
        self._open: list[_Part] = []
        self._depth, self._deepest, self._below = 0, 2, 2 if properties else 1
        self._item: list[str] = []
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._opened
        parser.EndElementHandler = self._closed
        # No XMP has a document type; a hostile one could use it to grow without bound.
        parser.StartDoctypeDeclHandler = _refused
        try:
            self.data.decode("utf-8")
            parser.Parse(self.data, True)
        except (expat.ExpatError, ValueError) as e:
            raise ValueError(f"no XMP: {e}") from None

    @property
    def descriptions(self) -> list[_Part]:
        return self.rdf.inner if self.rdf else []

    def attributes(self, part: _Part) -> Iterator[tuple[str, slice, slice]]:
        """The name of each, where it lies, and where its value does; "xmlns" is the name of one
        that declares a namespace."""
        names = iter(part.names)
        at = part.start + len(self._tag(part)) + 1
        while match := _ATTRIBUTE.match(self.data, at, part.body):
            at = match.end()
            space = match[1] == b"xmlns" or match[1].startswith(b"xmlns:")
            value = slice(*match.span(2 if match[2] is not None else 3))
            yield "xmlns" if space else next(names), slice(*match.span()), value

    def about(self) -> bytes:
        for part in self.descriptions:
            for name, _, value in self.attributes(part):
                if name == _ABOUT:
                    return self.data[value.start - 1 : value.stop + 1]
        return b'""'

    def around(self, part: _Part, properties: bytes) -> bytes:
        """A description of the same thing as another one, with the same names for namespaces."""
        kept = [self.data[at] for n, at, _ in self.attributes(part) if n in ("xmlns", _ABOUT)]
        tag = self._tag(part)
        return b"".join((b"<", tag, *kept, b">", properties, b"</", tag, b">\n"))

    def properties(self, part: _Part) -> Iterator[tuple[bool, int, int, bytes]]:
        """Of each property of a description: whether it is nulie's, where it starts and ends, and
        what says the same as an element."""
        for name, at, value in self.attributes(part):
            if name != "xmlns" and not name.startswith(f"{_RDF} "):
                tag = self.data[at].partition(b"=")[0].strip()
                block = b"<%b>%b</%b>" % (tag, self.data[value].replace(b"<", b"&lt;"), tag)
                yield False, at.start, at.stop, block
        for inner in part.inner:
            yield inner.name == _TEXT, inner.start, inner.end, self.data[inner.start : inner.end]

    def changed(self, cuts: list[_Cut]) -> bytes | None:
        """The packet with `cuts` made, without descriptions that these have emptied and without
        padding; None when they have emptied all."""
        cuts = sorted(cuts, key=lambda cut: (cut[0], -cut[1]))
        starts = [cut[0] for cut in cuts]
        emptied = []
        for part in self.descriptions:
            inside = cuts[bisect_left(starts, part.start) : bisect_left(starts, part.end)]
            if inside and not self._holds(part, inside):
                emptied.append((part.start, part.end, b""))
        if emptied and len(emptied) == len(self.descriptions):
            return None
        packet = _cut(self.data, 0, len(self.data), sorted([*emptied, *cuts], key=_first_widest))
        body, mark, tail = packet.rpartition(b"<?xpacket end=")
        return body.rstrip() + b"\n" + mark + tail if mark else packet

    def _holds(self, part: _Part, cuts: list[_Cut]) -> bool:
        gone = {cut[0] for cut in cuts if not cut[2]}
        named = (n for n, at, _ in self.attributes(part) if at.start not in gone)
        if any(name not in ("xmlns", _ABOUT) for name in named):
            return True
        inside = [cut for cut in cuts if cut[0] >= part.body]
        return bool(_cut(self.data, part.body, part.close, inside).strip())

    def _tag(self, part: _Part) -> bytes:
        match = _TAG.match(self.data, part.start)
        assert match is not None
        return match[1]

    def _opened(self, name: str, attributes: list[str]) -> None:
        # A few kB may hold tens of thousands of elements, so those that do not matter cost little.
        self._depth += 1
        matters = self._depth <= self._deepest or _matters(name)
        if not matters and not (attributes and any(map(_matters, attributes[::2]))):
            return
        start = self._parser.CurrentByteIndex
        match = _START.match(self.data, start)
        assert match is not None
        part = _Part(name, self._depth, attributes[::2], start, match.end())
        self.parts.append(part)
        if self._open:
            self._open[-1].inner.append(part)
        if name == f"{_RDF} RDF" and self.rdf is None:
            self.rdf, self._deepest = part, self._depth + self._below
        self._open.append(part)
        if name == _TEXT:
            self._parser.CharacterDataHandler = self._item.append
            self._deepest += 3
        self._item.clear()

    def _closed(self, name: str) -> None:
        depth, self._depth = self._depth, self._depth - 1
        if not (self._open and self._open[-1].depth == depth):
            return
        part = self._open.pop()
        if not self.data.startswith(b"/>", part.body - 2):
            part.close = self._parser.CurrentByteIndex
            part.end = self.data.index(b">", part.close) + 1
        if name == _ITEM and self._parser.CharacterDataHandler:
            key, separator, value = "".join(self._item).partition(": ")
            if separator:
                self.text[key] = value
        elif name == _TEXT:
            self._parser.CharacterDataHandler = None
            self._deepest -= 3


@lru_cache(1000)
def _matters(name: str) -> bool:
    return name in _ORIENTATIONS or name.startswith(_GONE)


def _refused(*_: object) -> None:
    raise ValueError("with a document type")


def _first_widest(cut: _Cut) -> tuple[int, int]:
    return cut[0], -cut[1]


def _cut(data: bytes, start: int, end: int, cuts: list[_Cut]) -> bytes:
    """The bytes from `start` to `end` with `cuts`, in order, made; those inside others are not."""
    out = []
    for first, last, new in cuts:
        if first >= start:
            out += [data[start:first], new]
            start = last
    return b"".join([*out, data[start:end]])
