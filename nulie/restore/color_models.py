"""What a model is that guesses colours, and the choice among them: nulie's own, those that are
trained here, and those of others by their published digests."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import ModelError, WeightsError, needed_for
from ..models import store
from ..models.registry import Entry, FileKind, Registry, instance
from ..models.weights import HubFile, WebFile, Weights
from .base import files

if TYPE_CHECKING:
    import torch
    from PIL import Image

KIND = "nulie colors"
"""The entry of a `.safetensors` file's metadata that says that it is a decoder of nulie's, as JSON:
its gain, how it was made."""
OWN = "own-color"
AREA = 320**2
"""Pixels of the small picture of which nulie's own model guesses colours; others have `SQUARE`."""
SQUARE = 256**2
PLAIN = 0.38
"""Temperature of the annealed mean that Zhang et al. chose."""
FACTS = ("name", "digest", "guess")


class Spot(NamedTuple):
    """A point, in shares of width and height, whose a* and b* are known."""

    x: float
    y: float
    a: float
    b: float


@dataclass(frozen=True)
class Guess:
    colors: torch.Tensor
    """`[1, 2, h, w]`: a* and b*."""
    likeness: torch.Tensor | None = None
    """`[1, C, h, w]`: unit vectors; the larger the product of two, the more alike is what the model
    thinks of those places. None where it does not say."""
    told: bool = False
    """Whether the spots are in it already."""


class Colorist(Protocol):
    """A model that guesses colours. It keeps no state between pictures."""

    @property
    def name(self) -> str:
        """What a recipe calls it, such as `own-color`."""

    @property
    def digest(self) -> str:
        """SHA-256 of its weights, in lower-case hex."""

    def guess(self, picture: Image.Image, temperature: float, spots: Sequence[Spot]) -> Guess:
        """The colours of an RGB picture of any size, by its lightness alone."""


def model_id(colorist: Colorist) -> str:
    """`NAME@sha256`, as recipes have it."""
    return f"{colorist.name}@{colorist.digest}"


def create(model: str, device: str = "auto", *, named_only: bool = False) -> Colorist:
    """As `base.create`, which see, for models that colour."""
    name, _, digest = model.partition("@")
    colorist = REGISTRY.find(name, named_only=named_only, files=files())(device)
    if digest and colorist.digest != digest:
        raise WeightsError(
            f"the recipe was made with other weights of {name}: their SHA-256 begins with"
            f" {digest[:12]}, that of those here with {colorist.digest[:12]}"
        )
    return colorist


def lightness(picture: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """L* `[1, 1, h, w]` of the picture at that `(w, h)`."""
    import numpy as np
    import torch
    from PIL import Image

    from .. import color

    smaller = size[0] * size[1] < picture.width * picture.height
    how = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    small = torch.from_numpy(np.array(picture.resize(size, how)))
    return color.lab(small.permute(2, 0, 1)[None])[:, :1]


def fitting(picture: Image.Image, multiple: int, area: int) -> tuple[int, int]:
    """The `(width, height)` of about that area and the picture's shape, in multiples."""
    scale = math.sqrt(area / (picture.width * picture.height))
    width, height = (
        max(1, min(area // multiple**2, round(side * scale / multiple))) * multiple
        for side in picture.size
    )
    return width, height


class Own:
    """torchvision's MobileNetV2 and a decoder of nulie's. Raises: WeightsError when the file is
    damaged, or MobileNetV2's is not here and cannot be had."""

    def __init__(self, name: str, path: Path, device: str = "auto") -> None:
        import torch
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load

        from ..models import device as devices
        from ..models.contents import unpickle
        from .color_net import Features, decoder

        try:
            raw = path.read_bytes()
            with safe_open(str(path), "pt") as file:
                self.metadata: Mapping[str, Any] = json.loads((file.metadata() or {})[KIND])
            self.net = decoder(load(raw))
            self.gain = float(self.metadata["gain"])
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as e:
            reason = (str(e).strip() or type(e).__name__).splitlines()[0]
            raise WeightsError(f"{path} is no model that colours, or damaged: {reason}") from e
        self.name, self.digest = name, hashlib.sha256(raw).hexdigest()
        self.device = devices.resolve(device)
        self.features = Features(unpickle(store.obtain(MOBILENET)))
        for part in (self.features, self.net):
            part.to(self.device)
            part.to(memory_format=torch.channels_last)

    def guess(self, picture: Image.Image, temperature: float, spots: Sequence[Spot]) -> Guess:
        import torch

        from .color_net import DEEPEST, annealed, palette, probabilities

        seen = lightness(picture, fitting(picture, DEEPEST, AREA)).to(self.device)
        with torch.inference_mode():
            probable = probabilities(self.features, self.net, seen).clamp_(min=1e-12)
            mean = annealed(probable.log(), temperature, palette().to(self.device))
            return Guess((self.gain * mean).cpu(), probable.sqrt().cpu())


class Zhang:
    """One of the two networks in `color_zhang`. Raises: WeightsError on another's file."""

    def __init__(self, name: str, path: Path, device: str = "auto") -> None:
        from ..models import device as devices
        from ..models.contents import trouble, unpickle
        from .color_zhang import Zhang2016, Zhang2017

        try:
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
            weights = dict(unpickle(path))
            kind = Zhang2017 if "model10up.0.weight" in weights else Zhang2016
            last = weights["model_class.0.weight" if kind is Zhang2017 else "model_out.weight"]
            width = weights["model1.0.weight"].shape[0]
            self.net = kind(width, last.shape[0 if kind is Zhang2017 else 1])
            self.net.load_state_dict(weights)
        except WeightsError:
            raise
        except Exception as e:
            # Pickle, zip and torch have no common class of errors.
            raise WeightsError(f"{path} is no network of Zhang's: {trouble(path)}") from e
        self.name = name
        self.device = devices.resolve(device)
        self.net.to(self.device).eval()

    def guess(self, picture: Image.Image, temperature: float, spots: Sequence[Spot]) -> Guess:
        import torch

        from .color_net import annealed
        from .color_zhang import Zhang2016

        seen = lightness(picture, fitting(picture, 8, SQUARE)).to(self.device)
        with torch.inference_mode():
            if isinstance(self.net, Zhang2016):
                logits = self.net(seen).float()
                # Their file gives what they show at 1; theirs is our usual temperature.
                colors = annealed(logits, temperature / PLAIN, self.net.palette)
                return Guess(colors.cpu(), logits.softmax(1).sqrt().cpu())
            given, known = torch.zeros_like(seen).repeat(1, 2, 1, 1), torch.zeros_like(seen)
            height, width = seen.shape[-2:]
            for spot in spots:
                # A square of nine, as their network was trained with squares.
                y, x = (int(min(n - 1, s * n)) for s, n in ((spot.y, height), (spot.x, width)))
                place = (slice(max(0, y - 1), y + 2), slice(max(0, x - 1), x + 2))
                given[:, :, place[0], place[1]] = given.new_tensor(spot[2:]).view(2, 1, 1)
                known[:, :, place[0], place[1]] = 1
            return Guess(self.net(seen, given, known).float().cpu(), told=bool(spots))


class DDColor:
    """Kang et al. 2023, "DDColor"; its network by spandrel's further architectures.

    Raises: ExtraError without them, WeightsError on a file that they do not know."""

    def __init__(self, name: str, path: Path, device: str = "auto") -> None:
        from ..models import device as devices

        require()
        import spandrel_extra_arches
        from spandrel import MAIN_REGISTRY, ModelLoader

        spandrel_extra_arches.install(ignore_duplicates=True)
        self.device = devices.resolve(device)
        try:
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
            model = ModelLoader(self.device, MAIN_REGISTRY).load_from_file(path)
        except Exception as e:
            # Pickle, zip and spandrel have no common class of errors.
            reason = (str(e).strip() or type(e).__name__).splitlines()[0]
            raise WeightsError(f"{path} is no model that colours: {reason}") from e
        if model.architecture.id != "DDColor":
            what = f"it is of the architecture {model.architecture.name}"
            raise WeightsError(f"{path} is no model that colours: {what}")
        self.name, self.net = name, model.model.eval()

    side = 512
    """Of the square that it was trained with."""

    def guess(self, picture: Image.Image, temperature: float, spots: Sequence[Spot]) -> Guess:
        import torch

        from .color_net import grey

        seen = grey(lightness(picture, (self.side, self.side))).to(self.device)
        with torch.inference_mode():
            # Called directly: by spandrel its colours would be clipped together with our lightness.
            return Guess(self.net(seen.expand(-1, 3, -1, -1)).float().cpu())


def require() -> None:
    """Before DDColor's file is downloaded. Raises: ExtraError."""
    with needed_for("DDColor", "spandrel_extra_arches", extra="color"):
        import spandrel_extra_arches  # noqa: F401


_OTHERWISE = "give a file of your own with --colorize FILE"
_ZHANG = "https://colorizers.s3.us-east-2.amazonaws.com"


def _zhang(name: str, file: str, size: int, sha256: str) -> Weights:
    source = WebFile(_ZHANG, file, "restorers", "NULIE_COLORIZERS_ENDPOINT")
    return Weights(name, source, size, sha256, "BSD-2-Clause", (name,), _OTHERWISE)


MOBILENET = Weights(
    "mobilenet-v2",
    WebFile(
        "https://download.pytorch.org", "models/mobilenet_v2-b0353104.pth", "restorers",
        "NULIE_TORCHVISION_ENDPOINT",
    ),
    14_212_972, "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    "BSD-3-Clause", (OWN,), "copy it into the folder restorers of NULIE_HOME",
)  # fmt: skip
"""torchvision's MobileNetV2, trained on ImageNet: what nulie's own network sees with."""
PUBLISHED = {
    w.name: w
    for w in (
        _zhang("eccv16", "colorization_release_v2-9b330a0b.pth", 128_976_165,
            "9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9"),
        _zhang("siggraph17", "siggraph17-df00044c.pth", 136_787_426,
            "df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66"),
        Weights("ddcolor",
            HubFile("piddnad/DDColor-models", "e9e7b527709c8aeb2f5e1bf701e72fd468a13baa",
                "ddcolor_modelscope.pth"),
            911_950_059, "17c460d7e55b32a598370621d77173be59e03c24b0823f06821db23a50c263ce",
            "Apache-2.0", ("ddcolor",), _OTHERWISE),
    )
}  # fmt: skip
"""Files of other people by name, with the sizes and digests on record for them."""
WEIGHTS = {MOBILENET.name: MOBILENET, **PUBLISHED}


def needed(model: str) -> Weights | None:
    """The file that must be downloaded before the model is created, where it is not here."""
    name = model.partition("@")[0]
    if name in PUBLISHED:
        return PUBLISHED[name]
    return MOBILENET if name == OWN or name in files() else None


_KINDS: Mapping[str, Callable[[str, Path, str], Colorist]] = {
    "eccv16": Zhang, "siggraph17": Zhang, "ddcolor": DDColor,
}  # fmt: skip


def _loader(
    kind: Callable[[str, Path, str], Colorist], name: str, path: Callable[[], Path]
) -> Callable[[str], Colorist]:
    return lambda device: kind(name, path(), device)


def _own_code(thing: Any, name: str, device: str) -> Colorist:
    colorist: Colorist = instance(thing, device)
    missing = [fact for fact in FACTS if not hasattr(colorist, fact)]
    if missing:
        raise ModelError(f"{name} is no model that colours, for it has no {', '.join(missing)}")
    return colorist


REGISTRY: Registry[str, Colorist] = Registry("model that colours", "nulie.colorists", _own_code)
"""Every one, loaded with a device's name. A package adds its own by an entry point."""
_FILE = Path(__file__).parent / "weights" / f"{OWN}.safetensors"
REGISTRY.add(Entry(OWN, "nulie's own", _loader(Own, OWN, lambda: _FILE)))
REGISTRY.add(
    *(
        Entry(
            name,
            f"of other people ({weights.license}), {weights.size / 1e6:.0f} MB",
            _loader(_KINDS[name], name, partial(store.obtain, weights)),
        )
        for name, weights in PUBLISHED.items()
    )
)
REGISTRY.add(
    FileKind(
        "one of nulie train color",
        lambda contents: KIND in contents.metadata,
        lambda contents, device: Own(contents.path.stem, contents.path, device),
    ),
    FileKind(
        "one of Zhang's",
        lambda contents: {"model8.0.weight", "model8up.0.weight"} & contents.shapes.keys() != set(),
        lambda contents, device: Zhang(contents.path.stem, contents.path, device),
    ),
    FileKind(
        "a DDColor",
        lambda contents: "refine_net.0.0.weight_orig" in contents.shapes,
        lambda contents, device: DDColor(contents.path.stem, contents.path, device),
    ),
)
