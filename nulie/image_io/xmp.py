"""XMP packets: where nulie keeps its text in formats that have no text chunks.

XMP has namespaces: a property of our own cannot be taken for, or overwrite, anything of another
program's, as in EXIF's few comment fields. A packet that need not change stays as others wrote it;
one that does is written anew, with the same elements under the same prefixes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import count
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "urn:nulie:1/"
_SCORE, _BY, _RATED, _RATED_BY = (
    f"{{{NAMESPACE}}}{name}" for name in ("Score", "ScoredBy", "Stars", "RatedBy")
)
_RATING = "{http://ns.adobe.com/xap/1.0/}Rating"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_TEXT, _ABOUT, _DESCRIPTION = f"{{{NAMESPACE}}}text", f"{_RDF}about", f"{_RDF}Description"
# In any namespace, for many readers go by the prefix.
_ORIENTATION, _DIGIT = "}Orientation", re.compile("[1-8]")
_CREDENTIALS = "{http://purl.org/dc/terms/}provenance"
_EXTENDED = "{http://ns.adobe.com/xmp/note/}HasExtendedXMP"
_GOOGLE = "{http://ns.google.com/photos/1.0/"
_GAIN_MAPS = ("{http://ns.adobe.com/hdr-gain-map/1.0/}", "{http://ns.apple.com/HDRGainMap/1.0/}")
_VIDEOS = (f"{_GOOGLE}camera/}}MotionPhoto", f"{_GOOGLE}camera/}}MicroVideo")
_GONE = (*_GAIN_MAPS, *_VIDEOS, f"{_GOOGLE}container/", "{http://ns.adobe.com/xap/1.0/}Thumbnails",
         _EXTENDED, _TEXT, _SCORE, _CREDENTIALS)  # fmt: skip
"""Starts of the names of what is true no more, or kept apart."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%b"/></x:xmpmeta>'
_PACKET %= _RDF[1:-1].encode()
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
_TAIL = b'\n<?xpacket end="w"?>'


@dataclass
class Read:
    """A packet for upright pixels without what is true no more, None where nothing is left; and
    what it had said."""

    packet: bytes | None
    text: dict[str, str]
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
    found, changed = Read(None, {}), False
    for element in packet.root.iter():
        for name, value in element.items():
            if _matters(name):
                changed = True
                _take_in(found, name, value)
                if name.startswith(_GONE):
                    del element.attrib[name]
                else:
                    element.set(name, _DIGIT.sub("1", value))
        if not any(_matters(child.tag) for child in element):
            continue
        changed = True
        for child in element:
            if _matters(child.tag):
                _take_in(found, child.tag, "".join(child.itertext()))
                found.text |= _text(child) if child.tag == _TEXT else {}
            if child.tag.endswith(_ORIENTATION):
                for part in child.iter():
                    part.text = _DIGIT.sub("1", part.text or "")
        element[:] = [child for child in element if not child.tag.startswith(_GONE)]
    if not changed:
        body, mark, tail = packet.data.rpartition(b"<?xpacket end=")
        found.packet = body.rstrip() + b"\n" + mark + tail if mark else packet.data
        return found
    packet.rdf[:] = [
        d for d in packet.rdf if len(d) or (d.text or "").strip() or {*d.keys()} - {_ABOUT}
    ]
    found.packet = packet.written() if len(packet.rdf) else None
    return found


def merged(xmp: bytes | None, extension: bytes) -> bytes:
    """The packet with the properties of another one too. Raises: ValueError when one is no XMP."""
    packet, other = _Packet(xmp or _PACKET), _Packet(extension)
    packet.rdf.extend(other.rdf)
    for uri, prefix in other.prefixes.items():
        packet.name(uri, prefix)
    return packet.written()


def put_text(xmp: bytes | None, text: Mapping[str, str]) -> bytes:
    """The packet with `text` added under nulie's own namespace, as a list of "key: value"."""
    packet = _Packet(xmp or _PACKET)
    packet.name(NAMESPACE, "nulie")
    bag = SubElement(SubElement(packet.described(), _TEXT), f"{_RDF}Bag")
    for key, value in text.items():
        SubElement(bag, f"{_RDF}li").text = _NOT_XML.sub("\ufffd", f"{key}: {value}")
    return packet.written()


def marked(xmp: bytes | None, score: float, by: str, stars: int | None) -> bytes:
    """The packet with nulie's score, who gave it, and, where there are `stars`, these as
    `xmp:Rating`, unless somebody else has rated it: nulie knows its own rating by what it noted of
    it. The packet itself where nothing changes. Raises: ValueError when it is no XMP."""
    packet = _Packet(xmp or _PACKET)
    found = {name: (d, d.get(name)) for d in packet.rdf for name in d.keys()}  # noqa: SIM118
    found |= {c.tag: (d, c.text or "") for d in packet.rdf for c in d if not len(c)}
    wanted = {_SCORE: f"{score:.4f}", _BY: by}
    rated, own = (found.get(name, (None, None))[1] for name in (_RATING, _RATED))
    if stars is not None and (rated in (None, "", "0") or rated == own):
        wanted |= {_RATING: str(stars), _RATED: str(stars), _RATED_BY: "nulie"}
    if all(found.get(name, (None, None))[1] == value for name, value in wanted.items()):
        return xmp or packet.written()
    for name in wanted.keys() & found.keys():
        place = found[name][0]
        assert place is not None
        place.attrib.pop(name, None)
        place[:] = [child for child in place if child.tag != name]
    packet.name(NAMESPACE, "nulie")
    packet.name(_RATING[1:].partition("}")[0], "xmp")
    packet.rdf[:] = [
        d for d in packet.rdf if len(d) or (d.text or "").strip() or {*d.keys()} - {_ABOUT}
    ]
    description = packet.described()
    for name, value in wanted.items():
        description.set(name, value)
    return packet.written()


def split(xmp: bytes, room: int) -> tuple[bytes, bytes, bytes]:
    """The packet in `room` bytes, the digest of its extension, and that: what does not fit, which
    is nulie's text first, then the largest properties. Without need, the latter two are empty."""
    if len(xmp) <= room:
        return xmp, b"", b""
    packet, other = _Packet(xmp), _Packet(_PACKET)
    other.prefixes = packet.prefixes
    rest = other.described(packet)
    for description in packet.rdf:
        for name in [n for n in description.attrib if not n.startswith(_RDF)]:
            SubElement(description, name).text = description.attrib.pop(name)
    rows = [(row.tag != _TEXT, -_size(row), number, row, description)
            for description in packet.rdf for number, row in enumerate(description)]  # fmt: skip
    left = len(packet.written()) + 400
    for _, size, _, row, description in sorted(rows, key=lambda row: row[:3]):
        if left > room:
            left += size
            description.remove(row)
            rest.append(row)
    extension = other.written()[len(_HEAD) : -len(_TAIL)]
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    packet.described().set(_EXTENDED, digest)
    packet.name(_EXTENDED[1:].partition("}")[0], "xmpNote")
    return packet.written(), digest.encode(), extension


class _Packet:
    """A packet's elements and its prefixes by namespace. Raises: ValueError when it is no XMP."""

    def __init__(self, data: bytes) -> None:
        self.data = data.strip(b"\0 \r\n\t")
        self.prefixes = {"http://www.w3.org/XML/1998/namespace": "xml"}
        self._taken, self._numbers = {"xml"}, count(1)
        # No XMP has a document type; a hostile one could use it to grow without bound.
        if b"<!DOCTYPE" in self.data:
            raise ValueError("no XMP: with a document type")
        try:
            self.data.decode("utf-8")
            events: Any = ElementTree.iterparse(BytesIO(self.data), ("start-ns",))
            for _, (prefix, uri) in events:
                self.name(uri, prefix)
            self.root: Element = events.root
        except (ElementTree.ParseError, ValueError) as e:
            raise ValueError(f"no XMP: {e}") from None
        if self.root.tag != f"{_RDF}RDF" and self.root.find(f".//{_RDF}RDF") is None:
            self.root = ElementTree.fromstring(_PACKET)
        self.rdf = next(self.root.iter(f"{_RDF}RDF"))

    def name(self, uri: str, prefix: str) -> str:
        """The prefix of a namespace, which is this one where it is free."""
        if uri not in self.prefixes:
            while not prefix or prefix in self._taken:
                prefix = f"ns{next(self._numbers)}"
            self.prefixes[uri] = prefix
            self._taken.add(prefix)
        return self.prefixes[uri]

    def described(self, like: _Packet | None = None) -> Element:
        """A new description. All those of a packet must be about the same thing."""
        about = next((d.get(_ABOUT) for d in (like or self).rdf if d.get(_ABOUT)), "")
        return SubElement(self.rdf, _DESCRIPTION, {_ABOUT: about or ""})

    def written(self) -> bytes:
        used: dict[str, str] = {}

        def short(name: str) -> str:
            uri, _, local = name.rpartition("}")
            if not uri:
                return name
            prefix = self.name(uri[1:], "")
            used[uri[1:]] = prefix
            return f"{prefix}:{local}"

        out: list[str] = []
        waiting: list[Element | str] = [self.root]
        while waiting:  # no recursion, for nothing bounds how deep a packet goes
            part = waiting.pop()
            if isinstance(part, str):
                out.append(part)
                continue
            tag = short(part.tag)
            said = "".join(f" {short(name)}={quoteattr(value)}" for name, value in part.items())
            out += [f"<{tag}", f"{said}>{_escaped(part.text)}"]
            waiting += [_escaped(part.tail), f"</{tag}>", *reversed(part)]
        out[0] += "".join(f" xmlns:{p}={quoteattr(uri)}" for uri, p in used.items() if p != "xml")
        return _HEAD + "".join(out).strip().encode() + _TAIL


def _text(element: Element) -> dict[str, str]:
    items = ((item.text or "").partition(": ") for item in element.iter(f"{_RDF}li"))
    return {key: value for key, separator, value in items if separator}


def _size(element: Element) -> int:
    """At most as many bytes as it takes."""
    return sum(
        len((e.text or "").encode()) + len("".join(e.attrib.values())) for e in element.iter()
    )


def _take_in(found: Read, name: str, value: str) -> None:
    if name.endswith(_ORIENTATION):
        digits = _DIGIT.search(value)
        found.orientation = found.orientation or (int(digits[0]) if digits else None)
    elif name.startswith(_GAIN_MAPS):
        found.gain_map = True
    elif name.startswith(_VIDEOS):
        found.video |= value != "0"
    elif name == _CREDENTIALS:
        found.credentials = True
    elif name == _EXTENDED:
        found.extended = value.strip()


def _escaped(text: str | None) -> str:
    return escape(text or "", {"\r": "&#13;"})


@lru_cache(1000)
def _matters(name: str) -> bool:
    return name.startswith(_GONE) or name.endswith(_ORIENTATION)
