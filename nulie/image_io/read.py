"""Reading: a file, or a picture a host hands over, becomes a photo."""

from __future__ import annotations

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

from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError, features

from ..errors import ImageError
from . import headers, jpeg, png, tiff
from .metadata import collect, tell_text
from .photo import Photo

# Pillow before 11.3 has no AVIF, and a Pillow built without its library cannot use it.
HAS_AVIF = find_spec("PIL.AvifImagePlugin") is not None and bool(features.check("avif"))
# Names of our own, for Pillow knows formats that start other programs (EPS) or whose depth cannot
# be told.
_KINDS = ("Jpeg", "Png", "WebP", "Tiff", "Bmp", "Gif", *(["Avif"] if HAS_AVIF else []))
_FORMATS = [kind.upper() for kind in _KINDS]
for _kind in _KINDS:
    import_module(f"PIL.{_kind}ImagePlugin")

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
        with _quiet(), Image.open(BytesIO(data), formats=[format]) as image:
            image.load()
    except Image.DecompressionBombError:
        pass  # large, and meant to be
    except Exception:
        # Pillow has a limit for profiles in PNG that it does not keep to itself.
        if len((format == "PNG" and png.profile(data)) or b"") < 1 << 20:
            raise
        with _quiet():
            _decoded(BytesIO(data), "the result", None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings to ourselves; the filters are the whole process's, hence the lock."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
    errors: list[Exception] = []
    developed = _developed(file, shown, path)
    if developed is not None:
        return developed
    for stream, notes in _versions(file):
        try:
            image, turned = _open(stream, shown)
            photo = _photo(image, shown, path, file, turned)
        except (ImageError, Image.DecompressionBombError, MemoryError) as e:
            errors = [e]  # it would not be mended
            break
        except Exception as e:
            errors.append(e)
        else:
            return replace(photo, notes=(*photo.notes, *(f"{shown}: {note}" for note in notes)))
    raise _refusal(file, shown, errors[0]) from None


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
        if jpeg.segments(data)[1] is None and _is_whole(bare_jpeg):
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
            remedy = "export it as TIFF or JPEG first, or pip install rawpy"
            raise ImageError(f"{shown}: {why}; {remedy}") from None
        rawpy = None
    if rawpy is not None:
        try:
            with rawpy.imread(BytesIO(data)) as negative:
                image = Image.fromarray(negative.postprocess(use_camera_wb=True).squeeze())
        except Exception as e:
            if raw or named:
                why = f"is a RAW file that rawpy cannot develop ({reason(e)})"
                raise ImageError(f"{shown}: {why}; export it as TIFF or JPEG first") from None
        else:
            # Upright and in sRGB; the rest of the file's directory is about the thumbnail.
            image.info["exif"] = (tiff.exif_of(data) if kind else None) or b""
            photo = _photo(image, shown, path, None)
            metadata = replace(photo.metadata, dpi=None)
            turned_notes = (f"{shown}: RAW file, developed by rawpy", *photo.notes)
            return replace(photo, format="RAW", metadata=metadata, notes=turned_notes)
    raise ImageError(f"{shown}: its first picture is a thumbnail; save the large one as TIFF first")


def _refusal(file: BinaryIO, shown: str, error: Exception) -> ImageError:
    if isinstance(error, ImageError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(shown)
    if isinstance(error, MemoryError):
        return ImageError(f"{shown}: does not fit into memory; scale it down first")
    if isinstance(error, UnidentifiedImageError):
        return ImageError(f"{shown}: {_unknown(file)}")
    state = "cut short" if _is_cut(file) else "damaged"
    return ImageError(f"{shown}: is {state} ({reason(error)}); get a whole copy of it")


def _is_cut(file: BinaryIO) -> bool:
    file.seek(0)
    return headers.cut_short(file.read())


def _unknown(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(12)
    if not head:
        return "is empty; get a whole copy of it"
    brand = head[8:] if head[4:8] == b"ftyp" else b""
    if brand in (b"avif", b"avis") and not HAS_AVIF:
        return "AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow"
    if brand[:3] in (b"hei", b"hev", b"mif"):
        return "is HEIC, which Pillow cannot read; export it as JPEG or PNG"
    if _is_cut(file):
        return "is cut short; get a whole copy of it"
    kinds = ", ".join(_FORMATS)
    return f"is no whole picture of a kind nulie reads ({kinds}); save it as PNG first"


def _too_large(shown: str) -> ImageError:
    return ImageError(f"{shown}: has more than {MAX_MEGAPIXELS} megapixels; scale it down first")


def _open(file: BinaryIO, shown: str) -> tuple[Image.Image, int]:
    """A picture with its pixels decoded, once its header has shown that they may be, and the
    orientation out of which Pillow has turned it."""
    # Before Pillow sees it: decoders without the depth in question call the file no picture.
    depth, _ = headers.avif_depth(file)
    if depth > 8:
        raise _too_deep(shown, f"{depth} bits")
    file.seek(0)
    image = Image.open(file, formats=_FORMATS)
    if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(shown)
    if image.format == "PNG":
        file.seek(24)
        depth = (file.read(1) or b"\x08")[0]  # Pillow opens 16-bit colour as 8 without a word
    elif image.format == "TIFF":
        depth = max(image.tag_v2.get(258) or (1,))  # type: ignore[attr-defined]
    if depth > 8:
        raise _too_deep(shown, f"{depth} bits")
    # Pillow turns TIFF upright by itself, as far as it understands it.
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) if image.format == "TIFF" else 1
    image.load()
    return image, turned if turned in _TURNS else 1


def _photo(
    image: Image.Image, name: str, path: Path | None, file: BinaryIO | None, turned: int = 1
) -> Photo:
    metadata, orientation, notes = collect(image, name, file)
    rgb, alpha, grey, profile, mode_notes = _planes(image, metadata.icc_profile, name)
    if image.format == "AVIF" and file is not None:
        grey = grey or headers.avif_depth(file)[1]
    turns = () if turned == orientation else (_BACK.get(turned, turned), orientation)
    for turn in turns:
        if turn in _TURNS:
            rgb = rgb.transpose(_TURNS[turn])
            alpha = alpha and alpha.transpose(_TURNS[turn])
    if rgb is image:
        rgb = image.copy()
    rgb.info = {}
    format = "JPEG" if image.format == "MPO" else image.format or "PNG"
    metadata = replace(metadata, icc_profile=profile)
    notes = (*_frames(image, name), *mode_notes, *notes)
    return Photo(rgb, alpha, grey, format, metadata, path, notes)


_Planes = tuple[Image.Image, Image.Image | None, bool, bytes | None, tuple[str, ...]]
"""RGB pixels, alpha, whether they were grey, what became of the colour profile, and notes."""


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
    return pixels, alpha, grey, icc_profile, notes


def _too_deep(name: str, depth: str) -> ImageError:
    return ImageError(
        f"{name}: {depth} per channel, of which nulie would keep 8; convert it to 8 bits first"
    )


def _from_cmyk(image: Image.Image, icc_profile: bytes | None, name: str) -> _Planes:
    """Ink amounts mean no colour without a profile; with one, lcms knows."""
    remedy = "convert it to sRGB first"
    if icc_profile is None:
        raise ImageError(f"{name}: CMYK without a colour profile; {remedy}")
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
        pixels = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        raise ImageError(f"{name}: CMYK with an unusable colour profile; {remedy}") from None
    assert pixels is not None
    note = f"{name}: CMYK, converted to sRGB by its colour profile"
    return pixels, None, False, target.tobytes(), (note,)


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
