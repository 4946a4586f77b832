"""Colour profiles for pictures that say by a few numbers (PNG chunks, nclx) what theirs mean."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_D65 = (0.3127, 0.329)
_PRIMARIES = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65),
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *_D65),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *_D65),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *_D65),
}
"""By number in ITU-T H.273: x and y of red, green, blue and white."""
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
HDR = (16, 18)
"""Transfers whose numbers no profile of this kind turns into colours: PQ and HLG."""
_SRGB = 0.0  # instead of a gamma
# White of the profile connection space, and the matrix of Bradford's adaptation to it.
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@cache
def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def in_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """What a picture is by its profile; None where that is of no use for it."""
    mode = {b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20], "RGB")
    try:
        found, target = (ImageCms.ImageCmsProfile(BytesIO(p)) for p in (profile, srgb()))
        made = ImageCms.profileToProfile(image.convert(mode), found, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if made is not None and image.mode in ("LA", "RGBA"):
        made.putalpha(image.getchannel("A"))
    return made


@cache
def is_linear(profile: bytes) -> bool:
    """Whether levels are about as light, by a profile for RGB or grey: half of the full level then
    is 188 in sRGB, and 128 where they go by sRGB's curve."""
    shown = in_srgb(Image.new("RGB", (1, 1), (128,) * 3), profile)
    return shown is not None and min(shown.tobytes()) > 175


def of_chunks(chunks: Mapping[bytes, bytes], *, grey: bool) -> bytes | None:
    """The profile that says the same as a PNG's chunks, unless that is sRGB or no meaning."""
    try:
        xy, gamma = _PRIMARIES[1], _SRGB
        if b"cICP" in chunks:
            primaries, transfer = chunks[b"cICP"][:2]
            if transfer in HDR:
                return None
            # The curve that cameras use for video (1, 6, 14, 15) is shown as that of sRGB.
            xy, gamma = _PRIMARIES.get(primaries, xy), _GAMMAS.get(transfer, _SRGB)
        elif b"sRGB" not in chunks:
            if b"cHRM" in chunks:
                white, rgb = np.split(np.array(struct.unpack(">8I", chunks[b"cHRM"])) / 1e5, [2])
                xy = (*rgb, *white)
            stored = struct.unpack(">I", chunks[b"gAMA"])[0] / 1e5 if b"gAMA" in chunks else 0.45455
            gamma = _SRGB if abs(stored - 0.45455) < 0.005 else 1 / stored
        if gamma == _SRGB and np.allclose(xy, _PRIMARIES[1], atol=0.002):
            return None
        return _profile(xy, gamma, grey=grey)
    except (struct.error, ValueError, ZeroDivisionError, np.linalg.LinAlgError):
        return None  # such numbers mean nothing


def _profile(xy: tuple[float, ...], gamma: float, *, grey: bool) -> bytes:
    x, y = np.array(xy, float).reshape(4, 2).T
    corners = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    white = corners[:, 3]
    colors = corners[:, :3] * np.linalg.solve(corners[:, :3], white)
    adapt = np.linalg.solve(_BRADFORD, np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD)
    colors = adapt @ colors
    # sRGB's curve has a straight part at the dark end.
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045) if gamma == _SRGB else (gamma,)
    curve = b"para" + bytes(4) + struct.pack(">HH", 3 if gamma == _SRGB else 0, 0)
    curve += _fixed(numbers)
    said = "nulie".encode("utf-16-be")
    text = b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(said), 28) + said
    tags = {b"desc": text, b"cprt": text, b"wtpt": _xyz(_D50)}
    if grey:
        tags[b"kTRC"] = curve
    else:
        tags |= {b"chad": b"sf32" + bytes(4) + _fixed(adapt.ravel())}
        for name, color in zip((b"r", b"g", b"b"), colors.T, strict=True):
            tags |= {name + b"XYZ": _xyz(color), name + b"TRC": curve}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, b"mntr",
                       b"GRAY" if grey else b"RGB ", b"XYZ ")  # fmt: skip
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + body


def _xyz(value: npt.NDArray[Any]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(value)


def _fixed(values: tuple[float, ...] | npt.NDArray[Any]) -> bytes:
    return b"".join(struct.pack(">i", round(float(v) * 65536)) for v in values)
