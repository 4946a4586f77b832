"""From any of Pillow's modes to RGB and alpha, or a refusal that says what to do."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageCms

from ..errors import ImageError


class Planes(NamedTuple):
    """Pixels as nulie works on them, and what became of the colour profile."""

    pixels: Image.Image
    alpha: Image.Image | None
    grey: bool
    icc_profile: bytes | None
    notes: tuple[str, ...] = ()


def planes(image: Image.Image, icc_profile: bytes | None, name: str) -> Planes:
    """Split `image` into RGB and alpha. Raises: ImageError for modes that would be damaged."""
    mode = image.mode
    if mode in ("F", "I") or mode.startswith("I;16"):
        raise too_deep(name, "floating point" if mode == "F" else "16 or more bits")
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
    return Planes(pixels, alpha, grey, icc_profile, notes)


def too_deep(name: str, depth: str) -> ImageError:
    return ImageError(
        f"{name}: {depth} per channel, of which nulie would keep 8; convert it to 8 bits first"
    )


def _from_cmyk(image: Image.Image, icc_profile: bytes | None, name: str) -> Planes:
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
    return Planes(pixels, None, False, target.tobytes(), (note,))
