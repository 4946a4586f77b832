"""Reading: a file, or a picture a host hands over, becomes a photo."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError, features

from ..errors import ImageError
from . import headers, icc, jpeg, png, tiff
from .metadata import collect, tell_text
from .photo import Deep, Photo, to_8_bits

# Pillow before 11.3 has no AVIF, and a Pillow built without its library cannot use it.
HAS_AVIF = find_spec("PIL.AvifImagePlugin") is not None and bool(features.check("avif"))
# Names of our own, for Pillow knows formats that start other programs (EPS) or whose depth cannot
# be told.
_KINDS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", *(["Avif"] if HAS_AVIF else []))
_FORMATS = [kind.upper() for kind in _KINDS]
for _kind in _KINDS:
    import_module(f"PIL.{_kind}ImagePlugin")

_PLUGINS = {"HEIF": ("HEIC", "pillow_heif", "pillow-heif"),
            "JXL": ("JPEG XL", "pillow_jxl", "pillow-jxl-plugin")}  # fmt: skip
"""Of what Pillow reads with help: its name, the module and the package that help."""

_HELPERS = {**{name: module for name, module, _ in _PLUGINS.values()}, "RAW": "rawpy"}


def reads(kind: str) -> bool:
    """Whether what reads `HEIC`, `JPEG XL` or `RAW` is installed; False for any other word."""
    return kind in _HELPERS and find_spec(_HELPERS[kind]) is not None


MAX_MEGAPIXELS = 178
"""Larger pictures are refused: the most that Pillow opens by default, half a gigabyte of pixels."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_BACK = {6: 8, 8: 6}
"""The turns that another one than themselves undoes."""
_MODES = {"1": ("black and white, worked on as greyscale",),
          **dict.fromkeys(("P", "PA"), ("palette picture, worked on in full colour",))}  # fmt: skip
_RAW_STARTS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")
_RAW_SUFFIXES = frozenset(
    ".dng .nef .nrw .cr2 .arw .sr2 .srf .pef .erf .kdc .dcr .3fr .mef .mos .iiq .orf .rw2".split()  # noqa: SIM905
)
_LOUD = ("TIFF", "")  # where RAW files are, too


def load(source: Path | str | BinaryIO, *, name: str | None = None, least: int = 0) -> Photo:
    """Read a picture from a path or a seekable binary file; `name` stands for it in messages. With
    `least` a JPEG may come at a half, a quarter or an eighth of its size, its short side not below
    so many pixels: for a preview, in a fraction of the time.

    Raises: ImageError, in one line that names the file and the remedy."""
    if isinstance(source, (str, Path)):
        path: Path | None = Path(source)
        shown = name or shown_path(Path(source))
        data = _bytes(Path(source), shown)
    else:
        path, shown = None, name or "the picture"
        source.seek(0)
        data = source.read()
    with _quiet():
        return _decoded(data, shown, path, least)


def from_image(image: Image.Image, *, name: str = "the picture") -> Photo:
    """The photo of a picture that is in memory, with what its `info` says. Raises: ImageError."""
    with _quiet():
        try:
            return _photo(image, name, b"")
        except ImageError:
            raise
        except Exception as e:
            why = f"cannot be used ({reason(e)}); save it as PNG first"
            raise ImageError(f"{name}: {why}") from None


def read_text(source: Path | str | BinaryIO) -> dict[str, str]:
    """All text of a picture by key: recipe, parameters, PNG text. Raises: ImageError."""
    return tell_text(load(source).metadata)


def shown_path(path: Path) -> str:
    """A path for a message, which is one line whatever the file is called."""
    text = str(path)
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def check_opens(data: bytes, format: str) -> None:
    """Raises: whatever Pillow does over a file that it cannot open."""
    try:
        with _quiet(), _without_stderr(format):
            Image.open(BytesIO(data), formats=[format]).load()
    except Image.DecompressionBombError:
        pass  # large, and meant to be


class _Together:
    """A state of the whole process that threads share: the first to enter brings it about, the last
    to leave ends it, and meanwhile they work side by side."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._state = make()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._state = self._make()
                self._state.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._state.__exit__(None, None, None)


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_unwarned = _Together(_no_warnings)


def _quiet() -> AbstractContextManager[None]:
    """Keeps Pillow's warnings to ourselves; the filters are the whole process's."""
    return _unwarned


def _without_stderr(kind: str) -> AbstractContextManager[None]:
    """Around libraries that speak to the process's standard error past Python, as libtiff does."""
    return _mute if kind in _LOUD else nullcontext()


@contextmanager
def _no_stderr() -> Iterator[None]:
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is none
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_mute = _Together(_no_stderr)


def _bytes(path: Path, shown: str) -> bytes:
    try:
        if path.is_dir():
            raise ImageError(f"{shown}: is a folder; name a picture in it")
        if path.exists() and not path.is_file():
            raise ImageError(f"{shown}: is no regular file; copy the picture into one")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{shown}: there is no such file; check its name") from None
    except PermissionError:
        raise ImageError(f"{shown}: may not be read; check its permissions") from None
    except (OSError, ValueError) as e:
        raise ImageError(f"{shown}: cannot be opened ({reason(e)}); check its name") from None


def _decoded(data: bytes, shown: str, path: Path | None, least: int) -> Photo:
    kind = headers.kind(data)
    with _without_stderr(kind):
        developed = _developed(data, shown, path) if kind in _LOUD else None
        return developed or _of_kind(kind, data, shown, path, least)


def _of_kind(kind: str, data: bytes, shown: str, path: Path | None, least: int) -> Photo:
    errors: list[Exception] = []
    formats = _formats(kind, shown)
    for version, notes in _versions(data):
        try:
            image, turned, deep, lost = _open(version, shown, formats, least)
            photo = _photo(image, shown, data, path, turned, deep)
        except (ImageError, Image.DecompressionBombError, MemoryError) as e:
            errors = [e]  # it would not be mended
            break
        except Exception as e:
            errors.append(e)
        else:
            said = (f"{shown}: {note}" for note in (*lost, *notes))
            return replace(photo, notes=(*photo.notes, *said))
    raise _refusal(kind, data, shown, errors[0]) from None


def _formats(kind: str, shown: str) -> list[str]:
    """What Pillow may take the file for. Raises: ImageError when it needs a plug-in."""
    if kind == "AVIF" and not HAS_AVIF:
        raise ImageError(f"{shown}: AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow")
    if kind not in _PLUGINS:
        return _FORMATS
    name, module, package = _PLUGINS[kind]
    try:
        plugin = import_module(module)
    except ImportError:
        remedy = f"pip install {package}, or nulie with its extra [formats]"
        why = f"is {name}, which needs {package}; {remedy}, or export it as JPEG or PNG"
        raise ImageError(f"{shown}: {why}") from None
    if kind == "HEIF":
        plugin.register_heif_opener(thumbnails=False)
    return [kind]


def _versions(data: bytes) -> Iterator[tuple[bytes, list[str]]]:
    """The file, then copies without what Pillow alone may give up over, and notes on that."""
    yield data, []
    if data.startswith(png.SIGNATURE):
        for bare in (False, True):
            other, large, damaged = png.repaired(data, bare=bare)
            notes = [f"large text in it was left out: {', '.join(large)}"] if large else []
            damage = f"damaged metadata in it was left out: {', '.join(damaged)}"
            yield other, [*notes, *([damage] if damaged else [])]
    elif data.startswith(b"\xff\xd8"):
        bare_jpeg = jpeg.bare(data)
        yield bare_jpeg, []  # its metadata is read from the file itself
        found, end = jpeg.segments(data)
        if end is None and not jpeg.lacks_scans(found) and _is_whole(bare_jpeg):
            yield bare_jpeg + jpeg.END, ["the end marker is missing, the picture is whole"]


def _is_whole(data: bytes) -> bool:
    """Whether a JPEG without an end marker holds all of its pixels: what is put behind it then
    changes none."""
    found = []
    for filling in (b"", b"\x5a" * 64, b"\xa5" * 64, b"\x7f" * 64):
        try:
            with Image.open(BytesIO(data + filling + jpeg.END), formats=["JPEG"]) as image:
                found.append(image.convert("RGB").tobytes())
        except Exception:
            return False
    return all(pixels == found[0] for pixels in found)


def _developed(data: bytes, shown: str, path: Path | None) -> Photo | None:
    """The photo of a camera's raw data, by rawpy where that is installed; None of other files.
    Raises: ImageError where it is not, or where a thumbnail is all that Pillow would see."""
    kind = tiff.raw_kind(data)
    raw = kind == "raw" or data.startswith(_RAW_STARTS) or data[4:12] == b"ftypcrx "
    named = Path(shown).suffix.lower() in _RAW_SUFFIXES and data[:2] in (b"II", b"MM")
    if not (kind or raw or named):
        return None
    why = "its first picture is a thumbnail; save the large one as TIFF first"
    try:
        with import_module("rawpy").imread(BytesIO(data)) as negative:
            deep = np.array(negative.postprocess(use_camera_wb=True, output_bps=16), np.uint16)
    except ImportError:
        if raw or named:
            why = (
                "is a camera's RAW file, which Pillow shows as its thumbnail at most; export it as"
            )
            why += " TIFF or JPEG first, or pip install rawpy, or nulie with its extra [formats]"
        raise ImageError(f"{shown}: {why}") from None
    except Exception as e:
        if raw or named:
            said = reason(e).removeprefix("b'").removesuffix("'")  # it hands out bytes
            why = f"is a RAW file that rawpy cannot develop ({said}); export it as TIFF first"
        raise ImageError(f"{shown}: {why}") from None
    # Upright and in sRGB; the rest of the file's directory is about the thumbnail.
    image = Image.new("RGB", (deep.shape[1], deep.shape[0]))
    image.info["exif"] = (tiff.exif_of(data) if kind else None) or b""
    photo = _photo(image, shown, b"", path, deep=deep)
    notes = (f"{shown}: RAW file, developed by rawpy", *photo.notes)
    return replace(photo, format="RAW", metadata=replace(photo.metadata, dpi=None), notes=notes)


def _refusal(kind: str, data: bytes, shown: str, error: Exception) -> ImageError:
    if isinstance(error, ImageError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        most = f"more than {MAX_MEGAPIXELS} megapixels"
        return ImageError(f"{shown}: has {most}; scale it down first")
    if isinstance(error, MemoryError):
        return ImageError(f"{shown}: does not fit into memory; scale it down first")
    if not data:
        return ImageError(f"{shown}: is empty; get a whole copy of it")
    if not kind:
        why = f"is no whole picture of a kind nulie reads ({', '.join(_FORMATS)})"
        return ImageError(f"{shown}: {why}; save it as PNG first")
    if isinstance(error, UnidentifiedImageError):
        try:  # what it is that Pillow keeps to itself
            Image.OPEN[kind][0](BytesIO(data), "")
        except Exception as e:
            error = e
    kind = _PLUGINS.get(kind, (kind,))[0]
    if any(word in str(error).lower() for word in ("unknown pixel mode", "unsupported")):
        why = f"is {kind} of a kind that Pillow cannot read ({reason(error)})"
        return ImageError(f"{shown}: {why}; save it as PNG first")
    state = "cut short" if headers.cut_short(data) else f"{kind}, but damaged"
    said = "" if isinstance(error, UnidentifiedImageError) else f" ({reason(error)})"
    return ImageError(f"{shown}: is {state}{said}; get a whole copy of it")


def _open(
    data: bytes, shown: str, formats: list[str], least: int
) -> tuple[Image.Image, int, Deep | None, list[str]]:
    """A picture with its pixels decoded, once its header has shown that they may be, the
    orientation out of which Pillow has turned it, its 16 bits where it has so many, and notes."""
    # Before Pillow sees it: decoders without the depth in question call the file no picture.
    depth = headers.avif_depth(data)[0] if headers.kind(data) == "AVIF" else 8
    if depth > 8:
        raise _too_deep(shown, f"{depth} bits")
    image = Image.open(BytesIO(data), formats=formats)
    if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
        raise Image.DecompressionBombError
    if image.format == "PNG":
        depth = data[24]  # Pillow opens 16-bit colour as 8 without a word
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        depth = max(image.tag_v2.get(258) or (1,))
    if depth > 8 and depth != 16:
        raise _too_deep(shown, f"{depth} bits")
    # Pillow turns TIFF upright by itself, as far as it understands it.
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) if image.format == "TIFF" else 1
    deep = _sixteen_bits(image, data) if depth == 16 else None
    if least and image.format == "JPEG":
        image.draft(None, (least, least))
    image.load()
    if image.format == "HEIF" and image.info.get("bit_depth", 8) > 8:
        whole = import_module("pillow_heif").open_heif(BytesIO(data), convert_hdr_to_8bit=False)
        deep = np.asarray(whole) if np.asarray(whole).dtype == np.uint16 else None
    lost = ["16 bits per channel, of which 8 are kept"] if depth == 16 and deep is None else []
    return image, turned if turned in _TURNS else 1, deep, lost


def _sixteen_bits(image: Image.Image, data: bytes) -> Deep | None:
    """`[H, W, C]` of a PNG or TIFF; None where Pillow can give but 8 of them.

    Pillow has no mode for colours of 16 bits, but decodes them into the higher or the lower byte
    of each, according to the name of the raw mode, so both are had by decoding twice."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if image.mode.startswith("I"):
        grey = np.asarray(image, np.uint16).reshape(image.height, image.width, 1)
        return 65535 - grey if tags.get(262) == 0 else grey  # 0 is white
    if tags.get(284) == 2:
        return None  # planes apart, whose decoder knows no raw modes
    given = image.tile[0][3]  # type: ignore[attr-defined]
    raw = given[0] if isinstance(given, tuple) else given
    if raw == "LA;16B":  # which an RGBA picture of 8 bits holds as they are
        both = _bytes_as(image, data, "RGBA")
        high, low = both[..., ::2], both[..., 1::2]
    elif raw[:-1] in ("RGB;16", "RGBA;16", "RGBX;16"):
        little = raw[-1] == "L" or (raw[-1] == "N" and np.little_endian)
        high = _bytes_as(image, data, raw)
        low = _bytes_as(image, data, raw[:-1] + ("B" if little else "L"))
    else:
        return None
    return np.asarray(high << np.uint16(8) | low, np.uint16)


def _bytes_as(image: Image.Image, data: bytes, raw_mode: str) -> Deep:
    again: Any = Image.open(BytesIO(data), formats=[image.format or ""])
    again.tile = [(*tile[:3], (raw_mode, *tile[3][1:]) if isinstance(tile[3], tuple) else raw_mode)
                  for tile in again.tile]  # fmt: skip
    return np.asarray(again, np.uint16)


def _photo(
    image: Image.Image, name: str, data: bytes, path: Path | None = None, turned: int = 1,
    deep: Deep | None = None,
) -> Photo:  # fmt: skip
    metadata, orientation, said = collect(image, data)
    notes = [*_frames(image), *_MODES.get(image.mode, ())]
    format = "JPEG" if image.format == "MPO" else image.format or "PNG"
    if image.mode == "CMYK":
        image, profile, note = _of_inks(image, metadata.icc_profile)
        metadata = replace(metadata, icc_profile=profile)
        notes.append(note)
    turns = () if turned == orientation else (_BACK.get(turned, turned), orientation)
    if deep is not None:
        pixels, alpha, grey, deep = _planes_of_16_bits(image, deep, turns)
    else:
        pixels, alpha, grey = _planes(image, name)
        for turn in turns:
            if turn in _TURNS:
                pixels = pixels.transpose(_TURNS[turn])
                alpha = alpha and alpha.transpose(_TURNS[turn])
    grey = grey or (format == "AVIF" and headers.avif_depth(data)[1])
    if pixels is image:
        pixels = image.copy()
    pixels.info = {}
    told = tuple(f"{name}: {note}" for note in (*notes, *said))
    return Photo(pixels, alpha, grey, format, metadata, path, told, deep)


def _planes_of_16_bits(
    image: Image.Image, deep: Deep, turns: tuple[int, ...]
) -> tuple[Image.Image, Image.Image | None, bool, Deep]:
    """Upright: RGB pixels of 8 bits, alpha, whether they are grey, and all 16."""
    for turn in turns:
        deep = deep.swapaxes(0, 1) if turn in (5, 6, 7, 8) else deep
        deep = deep[:, ::-1] if turn in (2, 3, 6, 7) else deep
        deep = deep[::-1] if turn in (3, 4, 7, 8) else deep
    channels = deep.shape[2]
    colors = np.repeat(deep[..., :1], 3, -1) if channels < 3 else deep[..., :3]
    alpha = [deep[..., -1:]] if channels in (2, 4) else []
    seen_through = image.info.get("transparency")
    if not alpha and isinstance(seen_through, (int, tuple)):
        apart = (colors != np.array(seen_through).reshape(1, 1, -1)).any(-1, keepdims=True)
        alpha = [apart * np.uint16(65535)]
    deep = np.concatenate([colors, *alpha], -1)
    seen = Image.fromarray(to_8_bits(deep))
    return seen.convert("RGB"), seen.getchannel("A") if alpha else None, channels < 3, deep


def _planes(image: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None, bool]:
    """RGB pixels, alpha, and whether they are grey. Raises: ImageError for modes that would be
    damaged."""
    mode = image.mode
    if mode in ("F", "I") or mode.startswith("I;16"):
        raise _too_deep(name, "floating point" if mode == "F" else "16 or more bits")
    if mode in ("LAB", "HSV"):
        raise ImageError(f"{name}: {mode} colours are not supported; convert it to RGB first")
    if "transparency" in image.info or mode in ("PA", "La", "RGBa"):
        image = image.convert("LA" if mode == "La" else "RGBA")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    # The caller copies or turns what is RGB already: a large photo is not copied twice.
    pixels = image if image.mode == "RGB" else image.convert("RGB")
    return pixels, alpha, mode in ("1", "L", "LA", "La")


def _too_deep(name: str, depth: str) -> ImageError:
    return ImageError(
        f"{name}: {depth} per channel, of which nulie would keep 8; convert it to 8 bits first"
    )


def _of_inks(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None, str]:
    """CMYK as RGB, its new profile, and a note."""
    pixels = icc.in_srgb(image, profile) if profile and profile[16:20] == b"CMYK" else None
    if pixels is not None:
        return pixels, icc.srgb(), "CMYK, converted to sRGB by its colour profile"
    without = "an unusable colour profile" if profile else "no colour profile"
    return image.convert("RGB"), None, f"CMYK with {without}, so its colours are guessed"


def _frames(image: Image.Image) -> list[str]:
    try:
        count = getattr(image, "n_frames", 1)
    except Exception:  # counting walks the whole file, and later frames may be damaged
        return ["only its first frame"]
    if count == 1:
        return []
    if image.format == "MPO":
        return [f"only its main picture, without the {count - 1} embedded beside it"]
    return [f"first of {count} {'pages' if image.format == 'TIFF' else 'frames'}"]
