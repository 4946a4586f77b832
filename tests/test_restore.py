"""The contract of restorers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from nulie import restore
from nulie.errors import ModelError, UnknownModelError, WeightsError
from nulie.recipe.space import Dial
from nulie.restore import Restorer, model_id
from nulie.restore.base import FACTS

CODE = """
from nulie.recipe.space import Dial

class Double:
    name = "mymodule:Double"
    digest = "ab" * 32
    scale = 2
    channels = 3
    halo = 0
    multiple = 1
    tile = 64
    dials = (Dial("light", 0, 2, 1),)

    def restore(self, image, params):
        larger = image.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return (larger * params.get("light", 1.0)).clamp(0, 1)
"""


@pytest.fixture
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mymodule_restoring.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_module")
def test_a_restorer_of_ones_own_is_found_by_the_id_in_a_recipe() -> None:
    name = "mymodule_restoring:Double"
    double: Restorer = restore.create(name)
    assert model_id(double) == f"mymodule:Double@{'ab' * 32}"
    assert restore.create(f"{name}@{'ab' * 32}").digest == double.digest
    image = torch.rand(1, double.channels, 5, 7)
    larger = double.restore(image, {"light": 0.5})
    assert larger.shape == (1, 3, 5 * double.scale, 7 * double.scale)
    assert torch.equal(larger[..., ::2, ::2], image * 0.5)
    assert double.dials[0].neutral == 1
    with pytest.raises(WeightsError, match="begins with cdcdcdcdcdcd, that of those here with aba"):
        restore.create(f"{name}@{'cd' * 32}")
    with pytest.raises(UnknownModelError):
        restore.create(name, named_only=True)


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(UnknownModelError, match="no restorer is called 'x3'; known: x2, x4"):
        restore.create("x3@abc")


@pytest.mark.parametrize("missing", FACTS)
def test_every_fact_is_asked_for(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts: Mapping[str, Any] = {
        "name": "own",
        "digest": "ab",
        "scale": 1,
        "channels": 3,
        "halo": 0,
        "multiple": 1,
        "tile": 64,
        "dials": (Dial("strength", 0, 1, 0),),
    }
    own = type("Own", (), {k: v for k, v in facts.items() if k != missing})()
    own.restore = lambda image, params: image
    monkeypatch.setattr("tests.test_restore.OWN", own, raising=False)
    with pytest.raises(
        ModelError, match=f"^tests.test_restore:OWN is no restorer, for it has no {missing}$"
    ):
        restore.create("tests.test_restore:OWN")
