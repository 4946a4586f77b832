"""Models that guess colours, each told a grey picture and saying a* and b*."""

from __future__ import annotations

from ..models.weights import WebFile, Weights

MOBILENET = Weights(
    "mobilenet-v2",
    WebFile(
        "https://download.pytorch.org", "models/mobilenet_v2-b0353104.pth", "restorers",
        "NULIE_TORCHVISION_ENDPOINT",
    ),
    14_212_972,
    "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    "BSD-3-Clause",
    ("own-color",),
    "copy it to the folder that 'nulie weights list' names",
)  # fmt: skip
"""torchvision's MobileNetV2, trained on ImageNet: what nulie's own network sees with."""
