"""The restorers that have names: nulie's own, and those of others by their published digests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..models import store
from ..models.registry import Entry, FileKind
from ..models.weights import WebFile, Weights
from .base import KIND, REGISTRY, Restorer, name_of

FOLDER = Path(__file__).parent / "weights"
"""nulie's own networks."""
OWN = {
    "x2": "twice as large",
    "x4": "four times as large",
    "vivid-x2": "twice as large, sharper and less true",
    "repair": "traces of JPEG, by a dial of its quality",
    "denoise": "noise, by a dial of its strength",
    "scan": "halftone, grain and dust of scanned pages",
}
_GITHUB = "https://github.com"


def _published(name: str, path: str, size: int, sha256: str, license: str) -> Weights:
    source = WebFile(_GITHUB, path, "restorers", "NULIE_RESTORERS_ENDPOINT")
    otherwise = "give a file of your own with --model FILE"
    return Weights(name, source, size, sha256, license, (name,), otherwise)


_ESRGAN = "xinntao/Real-ESRGAN/releases/download"
_KAIR = "cszn/KAIR/releases/download/v1.0"
_SWINIR = "JingyunLiang/SwinIR/releases/download/v0.0"
# fmt: off
PUBLISHED = {
    w.name: w
    for w in (
        _published("realesrgan-x4plus", f"{_ESRGAN}/v0.1.0/RealESRGAN_x4plus.pth", 67_040_989,
            "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1", "BSD-3-Clause"),
        _published("realesrgan-x2plus", f"{_ESRGAN}/v0.2.1/RealESRGAN_x2plus.pth", 67_061_725,
            "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb", "BSD-3-Clause"),
        _published("realesr-general-x4v3", f"{_ESRGAN}/v0.2.5.0/realesr-general-x4v3.pth",
            4_885_111, "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            "BSD-3-Clause"),
        _published("realesr-general-wdn-x4v3", f"{_ESRGAN}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
            4_885_111, "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            "BSD-3-Clause"),
        _published("realesrgan-anime-x4", f"{_ESRGAN}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
            17_938_799, "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
            "BSD-3-Clause"),
        _published("bsrgan-x4", f"{_KAIR}/BSRGAN.pth", 67_046_751,
            "5d505a0766160921e0388d76e1ddf08cb114303990f9080432bf2b1c988b1c54", "Apache-2.0"),
        _published("swinir-x4", f"{_SWINIR}/003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
            67_129_861, "b9afb61e65e04eb7f8aba5095d070bbe9af28df76acd0c9405aeb33b814bcfc6",
            "Apache-2.0"),
        _published("scunet-psnr", f"{_KAIR}/scunet_color_real_psnr.pth", 71_982_841,
            "fa78899ba2caec9d235a900e91d96c689da71c42029230c2028b00f09f809c2e", "Apache-2.0"),
        _published("scunet-gan", f"{_KAIR}/scunet_color_real_gan.pth", 71_982_835,
            "892c83f812c59173273b74f4f34a14ecaf57a2fdb68df056664589beb55c966e", "Apache-2.0"),
        _published("fbcnn-color", "jiaxi-jiang/FBCNN/releases/download/v1.0/fbcnn_color.pth",
            287_755_111, "8b0e4ef23d59cf7ac934a342cb31a17619e4fa4a0b3374a9d78c5174312387e8",
            "Apache-2.0"),
    )
}
"""Files of other people by name, with the sizes and digests on record for them; a download that
differs is refused."""
# fmt: on


def _own(name: str, path: Path) -> Callable[[str], Restorer]:
    def load(device: str) -> Restorer:
        from .own import Own

        return Own(name, path, device)

    return load


def _community(name: str, path: Callable[[], Path]) -> Callable[[str], Restorer]:
    def load(device: str) -> Restorer:
        from .community import Community

        return Community(name, path(), device)

    return load


REGISTRY.add(*(Entry(n, help, _own(n, FOLDER / f"{n}.safetensors")) for n, help in OWN.items()))
REGISTRY.add(
    *(
        Entry(
            name,
            f"of other people ({weights.license}), {weights.size / 1e6:.0f} MB",
            _community(name, partial(store.obtain, weights)),
        )
        for name, weights in PUBLISHED.items()
    )
)
REGISTRY.add(
    FileKind(
        "a restorer of nulie train",
        lambda contents: KIND in contents.metadata,
        lambda contents, device: _own(name_of(contents.path), contents.path)(device),
    ),
    FileKind(
        "a model that spandrel knows, such as ESRGAN's",
        lambda contents: bool(contents.shapes),
        lambda contents, device: _community(name_of(contents.path), lambda: contents.path)(device),
    ),
)
