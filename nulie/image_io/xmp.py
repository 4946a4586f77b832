"""XMP packets: where nulie keeps its text in formats that have no text chunks.

XMP has namespaces: a property of our own cannot be taken for, or overwrite, anything of another
program's, as in EXIF's few comment fields. Edited as text, the packet keeps what others wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACE = "urn:nulie:1/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ORIENTATION = re.compile(r"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([0-9]+)")
_THUMBNAILS = re.compile(r"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL)
_PADDING = re.compile(r"\s+(<\?xpacket end=)")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{_RDF}">\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)


def upright(xmp: bytes) -> tuple[bytes, int]:
    """The packet for upright pixels, and the orientation (1..8) that it had.

    Thumbnails go, for they show the picture as it was. Raises: ValueError when it is no XMP."""
    packet = xmp.strip(b"\0 \r\n\t").decode("utf-8")
    _parse(packet)
    found = _ORIENTATION.search(packet)
    orientation = int(found[2]) if found and 1 <= int(found[2]) <= 8 else 1
    packet = _ORIENTATION.sub(r"\g<1>1", packet)
    packet = _PADDING.sub(r"\n\1", _THUMBNAILS.sub("", packet))
    return packet.encode("utf-8"), orientation


def take_text(xmp: bytes) -> tuple[bytes | None, dict[str, str]]:
    """Split a packet into what others wrote (None if nothing) and nulie's text."""
    packet = xmp.decode("utf-8")
    text = {}
    for bag in _parse(packet).iter(f"{{{NAMESPACE}}}text"):
        for item in bag.iter(f"{{{_RDF}}}li"):
            key, separator, value = (item.text or "").partition(": ")
            if separator:
                text[key] = value
    for prefix in re.findall(rf"xmlns:([\w.-]+)=[\"']{NAMESPACE}[\"']", packet):
        packet = re.sub(rf"\s*<{prefix}:text\b.*?</{prefix}:text\s*>", "", packet, flags=re.DOTALL)
        empty = rf"\s*<(\w+:Description)(?:\s+(?:\w+:about|xmlns:{prefix})=\"[^\"]*\")*\s*>\s*</\1>"
        packet = re.sub(empty, "", packet)
    rest = None if text and "Description" not in packet else packet.encode("utf-8")
    return rest, text


def put_text(xmp: bytes | None, text: Mapping[str, str]) -> bytes:
    """The packet with `text` added under nulie's own namespace, as a list of "key: value"."""
    packet = xmp.decode("utf-8") if xmp else _PACKET
    end = re.search(r"</([\w.-]+):RDF\s*>", packet)
    if end is None:
        packet, end = _PACKET, re.search(r"</([\w.-]+):RDF\s*>", _PACKET)
    assert end is not None
    rdf = end[1]
    # All descriptions of a packet must be about the same thing.
    about = re.search(rf"\b{rdf}:about=(\"[^\"]*\"|'[^']*')", packet)
    items = "\n".join(
        f"<{rdf}:li>{_escaped(f'{key}: {value}')}</{rdf}:li>" for key, value in text.items()
    )
    block = (
        f"<{rdf}:Description {rdf}:about={about[1] if about else chr(34) * 2} "
        f'xmlns:nulie="{NAMESPACE}">\n'
        f"<nulie:text><{rdf}:Bag>\n{items}\n</{rdf}:Bag></nulie:text></{rdf}:Description>\n"
    )
    return (packet[: end.start()] + block + packet[end.start() :]).encode("utf-8")


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _parse(packet: str) -> ElementTree.Element:
    # No XMP has a document type; a hostile one could use it to grow without bound.
    if "<!DOCTYPE" in packet or "<!ENTITY" in packet:
        raise ValueError("XMP with a document type")
    try:
        return ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError) as e:
        raise ValueError(f"no XMP: {e}") from None
