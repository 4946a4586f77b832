"""A search as data: what a long run saves now and then, and goes on from whatever happened."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from reprlib import repr  # of a value of any size, which damage may have made
from typing import Any

from PIL import Image

from ..errors import CheckpointError, SettingsError
from ..image_io import reason
from ..recipe import Settings, Space, version1
from ..recipe.space import space_from_json, space_to_json
from ..tree.state import count, number

FORMAT, READABLE = 2, (1, 2)
"""Layouts that are written, and read. The first has no space, but that of its version."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a search stands, between two batches."""

    photo: str
    """SHA-256 of the pixels, see `digest`."""
    predictor: str
    settings: Settings
    evaluations: int
    seconds: float
    best_score: float
    space: Space
    """What is searched: ops and ranges of a mode may change with the version of nulie."""
    tree: Mapping[str, Any]
    """`Tree.state()`."""

    def to_json(self) -> str:
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        data |= {"settings": asdict(self.settings), "space": space_to_json(self.space)}
        return json.dumps({"nulie-checkpoint": FORMAT, **data}, allow_nan=True)

    @classmethod
    def from_json(cls, text: str) -> Checkpoint:
        """Raises: CheckpointError when it is none, or of another format."""
        try:
            data = json.loads(text)
            format = data.pop("nulie-checkpoint", None) if isinstance(data, dict) else None
            if format is None:
                raise CheckpointError("not a checkpoint of nulie")
            if type(format) is not int or format not in READABLE:
                known = " and ".join(map(str, READABLE))
                raise CheckpointError(
                    f"checkpoint format {repr(format)} is unknown; this version reads {known}"
                )
            settings = data.pop("settings")
            settings["ops"] = None if settings["ops"] is None else tuple(settings["ops"])
            settings["ranges"] = {k: (v[0], v[1]) for k, v in settings["ranges"].items()}
            if "space" in data:
                data["space"] = space_from_json(data["space"])
            else:
                names = "mode", "ops", "ranges"
                data["space"] = version1.space(*(settings[name] for name in names))
                settings = {"min_color": 0.0, "min_contrast": 0.0, **settings}  # knew no such guard
            found = cls(settings=Settings(**settings), **data)
            texts = isinstance(found.photo, str) and isinstance(found.predictor, str)
            spent = count(found.evaluations) >= 0 and 0 <= number(found.seconds) < math.inf
            if not texts or not spent or math.isnan(number(found.best_score)):
                raise ValueError("it says nothing that has a meaning")
            return found
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
            raise CheckpointError(f"not a whole checkpoint of nulie: {reason(e)}") from None

    def check(self, image: Image.Image, predictor: str) -> None:
        """Raises: CheckpointError when the checkpoint is of another photo or predictor."""
        if self.photo != digest(image):
            raise CheckpointError("the checkpoint is of another photo; name the one it was made of")
        if self.predictor != predictor:
            raise CheckpointError(
                f"the checkpoint was made with the predictor {self.predictor}, and this is"
                f" {predictor}; give --predictor {self.predictor}"
            )

    def budget(self, seconds: float | None, evaluations: int | None) -> Settings:
        """The settings of the run with another budget, or the same when both are None. Budgets
        count what is spent already. Raises: SettingsError when nothing of it is left."""
        settings = self.settings
        if seconds is not None or evaluations is not None:
            settings = replace(settings, seconds=seconds, evaluations=evaluations)
        for most, spent, words in (
            (settings.evaluations, self.evaluations, f"has {self.evaluations:,} evaluations"),
            (settings.seconds, self.seconds, f"has had {self.seconds:.0f} seconds"),
        ):
            if most is not None and most <= spent:
                raise SettingsError(f"the checkpoint {words} already; give more than that")
        return settings


def digest(image: Image.Image) -> str:
    """SHA-256 of an RGB image's size and pixels, as hexadecimal digits."""
    sha256 = hashlib.sha256(f"{image.width}x{image.height}".encode())
    sha256.update(image.tobytes())
    return sha256.hexdigest()
