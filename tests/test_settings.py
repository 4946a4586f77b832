"""Settings are checked when they are made, and a space is what is left of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from nulie import transforms
from nulie.errors import SettingsError
from nulie.recipe import space
from nulie.recipe.space import Dial
from nulie.settings import Settings

from .conftest import ROOT


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mode": "mild"}, "'mild' is unknown; known: soft, hard"),
        ({"mode": None}, "None is unknown"),
        ({"mode": ["soft"]}, "is unknown"),
        ({"seconds": None}, "never ends"),
        ({"seconds": 0}, "above 0"),
        ({"seconds": float("nan")}, "above 0"),
        ({"seconds": float("inf")}, "above 0"),
        ({"seconds": "5"}, "seconds must be a number, not '5'"),
        ({"seconds": True}, "seconds must be a number"),
        ({"evaluations": 0}, "1 or more"),
        ({"evaluations": 9.0}, "evaluations must be a whole number, not 9.0"),
        ({"evaluations": "9"}, "evaluations must be a whole number"),
        ({"seed": "0"}, "seed must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"min_light": 1.1}, "within 0..1"),
        ({"min_light": -0.1}, "within 0..1"),
        ({"min_light": float("nan")}, "within 0..1"),
        ({"min_light": "0.9"}, "min-light must be a number"),
        ({"keep_content": -1}, "0 or more"),
        ({"keep_content": float("inf")}, "0 or more"),
        ({"keep_content": [1]}, "keep-content must be a number"),
        ({"protect_skin": 1}, "protect-skin must be true or false"),
        ({"protect_skin": "no"}, "protect-skin must be true or false"),
        ({"top": 0}, "within 1..100"),
        ({"top": 101}, "within 1..100"),
        ({"top": 2.0}, "top must be a whole number"),
        ({"patience": -0.5}, "patience must be 0 or more, not -0.5"),
        ({"patience": float("inf")}, "patience must be 0 or more"),
        ({"patience": float("nan")}, "patience must be 0 or more"),
        ({"patience": "1"}, "patience must be a number, not '1'"),
        ({"ops": ("nonsense",)}, "unknown op 'nonsense'; known: brightness"),
        ({"ops": ("contrats",)}, "did you mean 'contrast'"),
        ({"ops": ()}, "no op is left"),
        ({"ops": "contrast"}, "list of names"),
        ({"ops": 7}, "list of names"),
        ({"ops": ("contrast", 7)}, "7 is none"),
        ({"ranges": [("contrast", (1, 2))]}, "by name"),
        ({"ranges": {7: (1, 2)}}, "7 is no name"),
        ({"ranges": {"nonsense": (1, 2)}}, "unknown op 'nonsense'"),
        ({"ranges": {"gamma.x": (1, 2)}}, "gamma has no dial 'x'; it has: gamma, gain"),
        ({"ranges": {"contrast": (0.5, 9.0)}}, "contrast: factor=0.5:9 is no range inside 0:4"),
        ({"ranges": {"contrast": (1.2, 1.1)}}, "no range inside"),
        ({"ranges": {"contrast": (float("nan"), 1.1)}}, "no range inside"),
        ({"ranges": {"contrast": (1.0, "1.1")}}, "range contrast must be a number, not '1.1'"),
        ({"ranges": {"contrast": (True, 2)}}, "range contrast must be a number"),
        ({"ranges": {"contrast": (1.0,)}}, "range contrast must be two numbers"),
        ({"ranges": {"contrast": 1.0}}, "range contrast must be two numbers"),
        ({"ranges": {"contrast": "12"}}, "range contrast must be two numbers"),
    ],
)
def test_what_has_no_meaning_is_refused_at_once(values: Mapping[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings(**values)


def test_what_has_one_is_kept() -> None:
    names, ranges = ["contrast", "hue"], {"gamma.gain": [1, 1.1]}
    settings = Settings(mode="hard", seconds=None, evaluations=5, ops=names, ranges=ranges)  # type: ignore[arg-type]
    assert settings.ops == ("contrast", "hue")
    assert settings.ranges == {"gamma.gain": (1, 1.1)}
    ranges.clear()  # theirs, not ours
    assert settings.ranges
    assert Settings(seconds=1, min_light=0, keep_content=0, top=100, seed=-3, patience=0).seed == -3


def test_a_mode_turns_an_ops_own_dials_by_default() -> None:
    """An op of the hard mode that is asked for by name in soft mode has its hard range."""
    dial = Dial("d", 0.0, 4.0, neutral=1.0)
    assert dial.bounds("soft") == (1.0, 1.0)
    dial = Dial("d", 0.0, 4.0, neutral=1.0, hard=(0.5, 2.0))
    assert dial.bounds("soft") == dial.bounds("hard") == (0.5, 2.0)
    dial = Dial("d", 0.0, 4.0, neutral=1.0, soft=(0.9, 1.1), hard=(0.5, 2.0))
    assert (dial.bounds("soft"), dial.bounds("hard")) == ((0.9, 1.1), (0.5, 2.0))


def test_every_op_is_declared_as_it_is_registered() -> None:
    whole = transforms.space("hard", list(transforms.ops()))
    assert [move.op for move in whole] == list(transforms.ops())
    for move in whole:
        op = transforms.get(move.op)
        assert [d.name for d in move.dials] == [d.name for d in op.dials]


@pytest.mark.parametrize(
    ("op", "dials"),
    [
        ("contrast", (Dial("d", 0.0, 1.0, neutral=0.0),)),
        ("new", ()),
        ("new", (Dial("d", 0.0, 1.0, neutral=2.0),)),
        ("new", (Dial("d", 0.0, 1.0, neutral=0.0, soft=(0.0, 2.0)),)),
        ("new", (Dial("d", 0.0, 1.0, neutral=0.0, hard=(1.0, 0.0)),)),
    ],
)
def test_declarations_are_checked_and_leave_the_table_alone(
    op: str, dials: tuple[Dial, ...]
) -> None:
    with pytest.raises(ValueError, match=op):
        space.declare(op, dials)
    with pytest.raises(SettingsError, match="unknown op 'new'"):
        Settings(ops=("new",))
    assert Settings(ranges={"contrast": (1.0, 4.0)})


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_before_the_ops_are_registered_none_is_known() -> None:
    """Rather than that a name goes unchecked."""
    said = python(
        "import sys\n"
        "from nulie.recipe.settings import Settings\n"
        "assert 'nulie.transforms' not in sys.modules\n"
        "Settings(mode='hard')\n"
        "for values in ({'ops': ('contrast',)}, {'ranges': {'contrast': (1, 2)}}):\n"
        "    try:\n"
        "        Settings(**values)\n"
        "    except ValueError as e:\n"
        "        print(e)\n"
    )
    assert (
        said.splitlines()
        == ["unknown op 'contrast'; none is known before nulie.transforms is imported"] * 2
    )


def test_the_usual_import_registers_them() -> None:
    said = python("from nulie.settings import Settings; print(Settings(ops=('contrast',)).ops)")
    assert said == "('contrast',)"
