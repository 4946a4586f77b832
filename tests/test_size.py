"""Sizes as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nulie.errors import ImageError, SettingsError
from nulie.restore import size


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("2", (1200, 800)),
        ("4", (2400, 1600)),
        ("1.5", (900, 600)),
        ("2x", (1200, 800)),
        ("50%", (300, 200)),
        ("150 %", None),
        ("4000x", (4000, 2667)),
        ("x3000", (4500, 3000)),
        ("4000x3000", (4000, 2667)),
        ("3000X4000", (3000, 2000)),
        (" 2 ", (1200, 800)),
        ("", None),
        ("0", None),
        ("x", None),
        ("0x", None),
        ("100", None),
        ("-2", None),
        ("nan", None),
        ("1e3", None),
        ("two", None),
        ("2%%", None),
    ],
)
def test_what_is_written_and_meant(text: str, made: tuple[int, int] | None) -> None:
    if made is None:
        with pytest.raises(SettingsError, match=r"^--upscale .*write a factor such as 2"):
            size.parse(text)
    else:
        assert size.parse(text).of(600, 400) == made


def test_too_large_is_refused_with_the_figure() -> None:
    with pytest.raises(ImageError, match=r"would make 96000 x 64000 pixels \(6,144 megap"):
        size.parse("16").of(6000, 4000)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        size.parse(text)
    except SettingsError:
        return


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 2000), st.integers(1, 2000))
def test_a_box_is_filled_and_not_left(width: int, height: int, w: int, h: int) -> None:
    made = size.parse(f"{w}x{h}").of(width, height)
    assert made[0] <= max(1, w)
    assert made[1] <= max(1, h)
    assert made[0] == w or made[1] == h
