"""Reading: a file, or a picture a host hands over, becomes a photo."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError, features

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

MAX_MEGAPIXELS = 178
"""Larger pictures are refused: the most that Pillow opens by default, half a gigabyte of pixels."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_BACK = {6: 8, 8: 6}
"""The turns that another one than themselves undoes."""
_RAW_STARTS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")
_RAW_SUFFIXES = frozenset(
    ".dng .nef .nrw .cr2 .arw .sr2 .srf .pef .erf .kdc .dcr .3fr .mef .mos .iiq .orf .rw2".split()  # noqa: SIM905
)
_quiet_lock = threading.Lock()


def load(source: Path | str | BinaryIO, *, name: str | None = None) -> Photo:
    """Read a picture from a path or a seekable binary file; `name` stands for it in messages.

    Raises: ImageError, in one line that names the file and the remedy."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        shown = name or shown_path(path)
        with _opened(path, shown) as file, _quiet():
            return _decoded(file, shown, path)
    with _quiet():
        return _decoded(source, name or "the picture", None)


def from_image(image: Image.Image, *, name: str = "the picture") -> Photo:
    """The photo of a picture that is in memory, with what its `info` says. Raises: ImageError."""
    with _quiet():
        try:
            return _photo(image, name, None, None)
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
    return "".join(c if c.isprintable() else "?" for c in str(path))


def reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def check_opens(data: bytes, format: str) -> None:
    """Raises: whatever Pillow does over a file that it cannot open."""
    try:
        with _quiet(), _without_stderr(), Image.open(BytesIO(data), formats=[format]) as image:
            image.load()
    except Image.DecompressionBombError:
        pass  # large, and meant to be


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings to ourselves; the filters are the whole process's, hence the lock."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Around what speaks to the process's standard error past Python, as libtiff does."""
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


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[BinaryIO]:
    try:
        if path.is_dir():
            raise ImageError(f"{shown}: is a folder; name a picture in it")
        if path.exists() and not path.is_file():
            raise ImageError(f"{shown}: is no regular file; copy the picture into one")
        file = path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"{shown}: there is no such file; check its name") from None
    except PermissionError:
        raise ImageError(f"{shown}: may not be read; check its permissions") from None
    except (OSError, ValueError) as e:
        raise ImageError(f"{shown}: cannot be opened ({reason(e)}); check its name") from None
    with file:
        yield file


def _decoded(file: BinaryIO, shown: str, path: Path | None) -> Photo:
    file.seek(0)
    kind = headers.kind(file.read(12))
    if kind != "TIFF":
        return _of_kind(kind, file, shown, path)
    with _without_stderr():
        return _developed(file, shown, path) or _of_kind(kind, file, shown, path)


def _of_kind(kind: str, file: BinaryIO, shown: str, path: Path | None) -> Photo:
    errors: list[Exception] = []
    if not kind and (developed := _developed(file, shown, path)):
        return developed
    formats = _formats(kind, shown)
    for stream, notes in _versions(file):
        try:
            image, turned, deep, lost = _open(stream, shown, formats)
            photo = _photo(image, shown, path, file, turned, deep)
        except (ImageError, Image.DecompressionBombError, MemoryError) as e:
            errors = [e]  # it would not be mended
            break
        except Exception as e:
            errors.append(e)
        else:
            said = (f"{shown}: {note}" for note in (*lost, *notes))
            return replace(photo, notes=(*photo.notes, *said))
    raise _refusal(kind, file, shown, errors[0]) from None


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


def _versions(file: BinaryIO) -> Iterator[tuple[BinaryIO, list[str]]]:
    """The file, then copies without what Pillow alone may give up over, and notes on that."""
    yield file, []
    file.seek(0)
    data = file.read()
    if data.startswith(png.SIGNATURE):
        for bare in (False, True):
            other, large, damaged = png.repaired(data, bare=bare)
            notes = [f"large text in it was left out: {', '.join(large)}"] if large else []
            damage = f"damaged metadata in it was left out: {', '.join(damaged)}"
            yield BytesIO(other), [*notes, *([damage] if damaged else [])]
    elif data.startswith(b"\xff\xd8"):
        bare_jpeg = jpeg.bare(data)
        yield BytesIO(bare_jpeg), []  # its metadata is read from the file itself
        found, end = jpeg.segments(data)
        if end is None and not jpeg.lacks_scans(found) and _is_whole(bare_jpeg):
            yield BytesIO(bare_jpeg + jpeg.END), ["the end marker is missing, the picture is whole"]


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


def _developed(file: BinaryIO, shown: str, path: Path | None) -> Photo | None:
    """The photo of a camera's raw data, by rawpy where that is installed; None of other files.
    Raises: ImageError where it is not, or where a thumbnail is all that Pillow would see."""
    file.seek(0)
    data = file.read()
    kind = tiff.raw_kind(data) if data[:4] in (b"II*\0", b"MM\0*") else ""
    raw = kind == "raw" or data.startswith(_RAW_STARTS) or data[4:12] == b"ftypcrx "
    named = Path(shown).suffix.lower() in _RAW_SUFFIXES and data[:2] in (b"II", b"MM")
    if not (kind or raw or named):
        return None
    try:
        rawpy = import_module("rawpy")
    except ImportError:
        if raw or named:
            why = "is a camera's RAW file, which Pillow shows as its thumbnail at most"
            remedy = "export it as TIFF or JPEG first, or pip install rawpy, or nulie[formats]"
            raise ImageError(f"{shown}: {why}; {remedy}") from None
    else:
        try:
            with _without_stderr(), rawpy.imread(BytesIO(data)) as negative:
                deep = np.array(negative.postprocess(use_camera_wb=True, output_bps=16), np.uint16)
        except Exception as e:
            if raw or named:
                why = f"is a RAW file that rawpy cannot develop ({reason(e)})"
                raise ImageError(f"{shown}: {why}; export it as TIFF or JPEG first") from None
        else:
            # Upright and in sRGB; the rest of the file's directory is about the thumbnail.
            image = Image.new("RGB", (deep.shape[1], deep.shape[0]))
            image.info["exif"] = (tiff.exif_of(data) if kind else None) or b""
            photo = _photo(image, shown, path, None, deep=deep)
            metadata = replace(photo.metadata, dpi=None)
            notes = (f"{shown}: RAW file, developed by rawpy", *photo.notes)
            return replace(photo, format="RAW", metadata=metadata, notes=notes)
    raise ImageError(f"{shown}: its first picture is a thumbnail; save the large one as TIFF first")


def _refusal(kind: str, file: BinaryIO, shown: str, error: Exception) -> ImageError:
    if isinstance(error, ImageError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(shown)
    if isinstance(error, MemoryError):
        return ImageError(f"{shown}: does not fit into memory; scale it down first")
    file.seek(0)
    data = file.read()
    if not data:
        return ImageError(f"{shown}: is empty; get a whole copy of it")
    if not kind:
        why = f"is no whole picture of a kind nulie reads ({', '.join(_FORMATS)})"
        return ImageError(f"{shown}: {why}; save it as PNG first")
    if isinstance(error, UnidentifiedImageError):
        error = _cause(kind, BytesIO(data)) or error
    state = "cut short" if headers.cut_short(data) else f"damaged {kind}"
    if any(word in str(error).lower() for word in ("unknown pixel mode", "unsupported")):
        return ImageError(f"{shown}: is {kind} of a kind that Pillow cannot read"
                          f" ({reason(error)}); save it as PNG first")  # fmt: skip
    said = "" if isinstance(error, UnidentifiedImageError) else f" ({reason(error)})"
    return ImageError(f"{shown}: is {state}{said}; get a whole copy of it")


def _cause(kind: str, file: BinaryIO) -> Exception | None:
    """Why Pillow calls a file no picture, which it keeps to itself."""
    try:
        Image.OPEN[kind][0](file, "")
    except Exception as e:
        return e
    return None


def _too_large(shown: str) -> ImageError:
    return ImageError(f"{shown}: has more than {MAX_MEGAPIXELS} megapixels; scale it down first")


def _open(
    file: BinaryIO, shown: str, formats: list[str]
) -> tuple[Image.Image, int, Deep | None, list[str]]:
    """A picture with its pixels decoded, once its header has shown that they may be, the
    orientation out of which Pillow has turned it, its 16 bits where it has so many, and notes."""
    # Before Pillow sees it: decoders without the depth in question call the file no picture.
    depth, _ = headers.avif_depth(file) if formats is _FORMATS else (8, False)
    if depth > 8:
        raise _too_deep(shown, f"{depth} bits")
    file.seek(0)
    image = Image.open(file, formats=formats)
    if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(shown)
    if image.format == "PNG":
        file.seek(24)
        depth = (file.read(1) or b"\x08")[0]  # Pillow opens 16-bit colour as 8 without a word
    elif image.format == "TIFF":
        depth = max(image.tag_v2.get(258) or (1,))  # type: ignore[attr-defined]
    if depth > 8 and depth != 16:
        raise _too_deep(shown, f"{depth} bits")
    # Pillow turns TIFF upright by itself, as far as it understands it.
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) if image.format == "TIFF" else 1
    deep = _sixteen_bits(image, file) if depth == 16 else None
    image.load()
    if image.format == "HEIF" and image.info.get("bit_depth", 8) > 8:
        file.seek(0)
        whole = import_module("pillow_heif").open_heif(file, convert_hdr_to_8bit=False)
        deep = np.asarray(whole) if np.asarray(whole).dtype == np.uint16 else None
    lost = ["16 bits per channel, of which 8 are kept"] if depth == 16 and deep is None else []
    return image, turned if turned in _TURNS else 1, deep, lost


def _sixteen_bits(image: Image.Image, file: BinaryIO) -> Deep | None:
    """`[H, W, C]` uint16 of a PNG or TIFF; None where Pillow can give but 8 of them.

    Pillow has no mode for colours of 16 bits, but decodes them into the higher or the lower byte
    of each, according to the name of the raw mode, so both are had by decoding twice."""
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)[..., None]
    bytes_: list[np.ndarray] = []
    raw = str(image.tile[0][3][0] if isinstance(image.tile[0][3], tuple) else image.tile[0][3])
    if raw == "LA;16B":  # which an RGBA picture of 8 bits holds as they are
        modes = ["RGBA"]
    elif raw[:-1] in ("RGB;16", "RGBA;16", "RGBX;16"):
        native = "L" if np.little_endian else "B"
        high = native if raw[-1] == "N" else raw[-1]
        modes = [raw, raw[:-1] + ("B" if high == "L" else "L")]
    else:
        return None
    for mode in modes:
        file.seek(0)
        again = Image.open(file, formats=[image.format or ""])
        tiles = [
            (*t[:3], (mode, *t[3][1:]) if isinstance(t[3], tuple) else mode) for t in again.tile
        ]
        again.tile = tiles  # type: ignore[assignment]
        again.load()
        bytes_.append(np.asarray(again).astype(np.uint16))
    if len(modes) == 1:
        return bytes_[0][..., ::2] << 8 | bytes_[0][..., 1::2]
    # The decoder of planes that are compressed apart knows no raw modes.
    high, low = bytes_
    return None if (high == low).all() and high.any() else high << 8 | low


def _photo(
    image: Image.Image, name: str, path: Path | None, file: BinaryIO | None, turned: int = 1,
    deep: Deep | None = None,
) -> Photo:  # fmt: skip
    metadata, orientation, notes = collect(image, name, file)
    turns = () if turned == orientation else (_BACK.get(turned, turned), orientation)
    if deep is not None:
        planes = _of_deep(image, deep, turns, metadata.icc_profile)
    else:
        planes = _planes(image, metadata.icc_profile, name)
    rgb, alpha, grey, profile, mode_notes, deep = planes
    if image.format == "AVIF" and file is not None:
        grey = grey or headers.avif_depth(file)[1]
    for turn in turns:
        if turn in _TURNS and deep is None:
            rgb = rgb.transpose(_TURNS[turn])
            alpha = alpha and alpha.transpose(_TURNS[turn])
    if rgb is image:
        rgb = image.copy()
    rgb.info = {}
    format = "JPEG" if image.format == "MPO" else image.format or "PNG"
    metadata = replace(metadata, icc_profile=profile)
    notes = (*_frames(image, name), *mode_notes, *notes)
    return Photo(rgb, alpha, grey, format, metadata, path, notes, deep)


_Planes = tuple[Image.Image, Image.Image | None, bool, bytes | None, tuple[str, ...], Deep | None]
"""RGB pixels, alpha, whether they were grey, what became of the colour profile, notes, and what
there is at 16 bits."""


def _of_deep(
    image: Image.Image, deep: Deep, turns: tuple[int, ...], icc_profile: bytes | None
) -> _Planes:
    for turn in turns:
        deep = deep.swapaxes(0, 1) if turn in (5, 6, 7, 8) else deep
        deep = deep[:, ::-1] if turn in (2, 3, 6, 7) else deep
        deep = deep[::-1] if turn in (3, 4, 7, 8) else deep
    grey = deep.shape[2] < 3
    colors = np.repeat(deep[..., :1], 3, -1) if grey else deep[..., :3]
    alpha = deep[..., -1:] if deep.shape[2] in (2, 4) else None
    seen_through = image.info.get("transparency")
    if alpha is None and isinstance(seen_through, (int, tuple)):
        apart = colors != np.array(seen_through).reshape(1, 1, -1)
        alpha = apart.any(-1, keepdims=True) * np.uint16(65535)
    whole = colors if alpha is None else np.concatenate([colors, alpha], -1)
    seen = Image.fromarray(to_8_bits(whole))
    alpha_seen = None if alpha is None else seen.getchannel("A")
    return seen.convert("RGB"), alpha_seen, grey, icc_profile, (), whole


def _planes(image: Image.Image, icc_profile: bytes | None, name: str) -> _Planes:
    """Split `image` into RGB and alpha. Raises: ImageError for modes that would be damaged."""
    mode = image.mode
    if mode in ("F", "I") or mode.startswith("I;16"):
        raise _too_deep(name, "floating point" if mode == "F" else "16 or more bits")
    if mode == "CMYK":
        return _from_cmyk(image, icc_profile, name)
    if mode in ("LAB", "HSV"):
        raise ImageError(f"{name}: {mode} colours are not supported; convert it to RGB first")
    notes: tuple[str, ...] = ()
    if mode == "1":
        notes = (f"{name}: black and white, worked on as greyscale",)
    elif mode in ("P", "PA"):
        notes = (f"{name}: palette picture, worked on in full colour",)
    grey = mode in ("1", "L", "LA", "La")
    if "transparency" in image.info or mode in ("PA", "La", "RGBa"):
        image = image.convert("LA" if mode == "La" else "RGBA")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    # The caller copies or turns what is RGB already: a large photo is not copied twice.
    pixels = image if image.mode == "RGB" else image.convert("RGB")
    return pixels, alpha, grey, icc_profile, notes, None


def _too_deep(name: str, depth: str) -> ImageError:
    return ImageError(
        f"{name}: {depth} per channel, of which nulie would keep 8; convert it to 8 bits first"
    )


def _from_cmyk(image: Image.Image, icc_profile: bytes | None, name: str) -> _Planes:
    """Ink amounts mean no colour without a profile; with one, lcms knows."""
    inks = icc_profile if icc_profile and icc_profile[16:20] == b"CMYK" else None
    pixels = icc.in_srgb(image, inks) if inks else None
    if pixels is not None:
        note = f"{name}: CMYK, converted to sRGB by its colour profile"
        return pixels, None, False, icc.srgb(), (note,), None
    without = "an unusable colour profile" if icc_profile else "no colour profile"
    note = f"{name}: CMYK with {without}, so its colours are guessed"
    return image.convert("RGB"), None, False, None, (note,), None


def _frames(image: Image.Image, name: str) -> tuple[str, ...]:
    try:
        count = getattr(image, "n_frames", 1)
    except Exception:  # counting walks the whole file, and later frames may be damaged
        return (f"{name}: only its first frame",)
    if count == 1:
        return ()
    if image.format == "MPO":
        return (f"{name}: only its main picture, without the {count - 1} embedded beside it",)
    return (f"{name}: first of {count} {'pages' if image.format == 'TIFF' else 'frames'}",)
