"""The cheap guess of scores, on points whose true scores are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nulie.tree.surrogate import Array, Surrogate


def peak(points: Array) -> Array:
    """Best at one point inside, so that no line tells where."""
    return np.asarray(-((points - 0.3) ** 2).sum(1))


def waves(points: Array) -> Array:
    """Up and down some three times from one end to the other."""
    return np.asarray(np.sin(9 * points).sum(1))


def points(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2))


@pytest.mark.parametrize("truth", [peak, waves])
def test_points_never_seen_are_ranked(truth: Callable[[Array], Array]) -> None:
    surrogate = Surrogate()
    known = points(100, 0)
    assert surrogate.fit(known, truth(known))
    new = points(300, 1)
    careful = surrogate.hopes(new)[:, 0]
    assert np.corrcoef(careful, truth(new))[0, 1] > 0.9


def test_the_bold_hope_for_more_where_nothing_is_known() -> None:
    surrogate = Surrogate()
    known = points(60, 0) / 4
    surrogate.fit(known, peak(known))
    careful, bold = surrogate.hopes(np.array([known[0], [3.0, -3.0]])).T
    assert 0 <= bold[0] - careful[0] < 0.3
    assert bold[1] - careful[1] == pytest.approx(1.5, abs=0.01), "standard deviations"


def test_infinite_scores_teach_nothing_and_few_are_too_few() -> None:
    surrogate, known = Surrogate(), points(20, 0)
    scores = peak(known)
    scores[8:] = -np.inf
    assert surrogate.fit(known, scores)
    hopes = surrogate.hopes(known)
    assert surrogate.fit(known[:8], scores[:8])
    np.testing.assert_allclose(surrogate.hopes(known), hopes)
    scores[7] = np.inf
    assert not surrogate.fit(known, scores)


def test_equal_scores_are_no_error() -> None:
    surrogate = Surrogate()
    assert surrogate.fit(points(20, 0), np.ones(20))
    assert np.isfinite(surrogate.hopes(points(600, 1))).all()
