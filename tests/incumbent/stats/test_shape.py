"""The test of shape keeps the error rates that it promises."""

import numpy as np
import pytest
from scipy.stats import norm

from incumbent.stats.shape import effect, shape_test

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("alpha", [5e-3, 1e-3, 1.3e-4])
def test_the_tail_of_ordinary_wobble_is_right_far_out(alpha: float) -> None:
    # Two cells: one degree of freedom, so the null is a scaled normal and the answer is known.
    reference = [np.array([4900.0, 5100.0]), np.array([5100.0, 4900.0])] * 3
    batch = np.array([500_000.0, 500_000.0])
    tau = shape_test(reference, batch, 0.0).ordinary
    scale = 60_000 * 1e6 / (60_000 + 1e6)
    x2 = norm.isf(alpha / 2) ** 2 * (1 + tau * scale)
    half = np.sqrt(x2 / scale) / 2  # X² = scale · (2 · half)² for a pooled share of about one half
    found = shape_test(reference, batch + np.array([half, -half]) * 1e6, 0.0)
    assert found.p == pytest.approx(alpha, rel=0.2)


def test_false_alarms_stay_within_their_rate_when_batches_wobble() -> None:
    random = np.random.default_rng(5)

    def wobbling() -> np.ndarray:
        tilt = np.exp(random.normal(0, 0.15) * np.linspace(-1, 1, 10))
        return random.multinomial(2000, tilt / tilt.sum()).astype(float)

    history = [wobbling() for _ in range(40)]
    alarms = sum(shape_test(history, wobbling(), 0.0).p < 1e-3 for _ in range(1000))
    assert alarms <= 5


def test_many_sparse_cells_raise_no_false_alarms() -> None:
    random = np.random.default_rng(3)
    shares = np.array([0.45, 0.45, *[0.1 / 60] * 60])
    pairs = [(random.multinomial(1000, shares), random.multinomial(100, shares)) for _ in range(1000)]
    alarms = sum(shape_test([a.astype(float)], b.astype(float), 0.0).p < 0.01 for a, b in pairs)
    assert alarms <= 20


def test_a_pool_that_is_still_sparse_joins_a_dense_cell() -> None:
    # One row of 100 in a cell that one of 1,000 had: on its own it would be an alarm of 1e-3 or so.
    a, b = np.array([500.0, 499.0, 1.0]), np.array([50.0, 49.0, 1.0])
    joined = shape_test([np.array([500.0, 500.0])], np.array([50.0, 50.0]), 0.0)
    assert shape_test([a], b, 0.0) == joined


def test_an_empty_side_is_no_change() -> None:
    assert effect(np.zeros(3), np.array([1.0, 2.0, 3.0])) == 0.0
    assert shape_test([np.zeros(3)], np.array([1.0, 2.0, 3.0]), 0.0).p == 1.0
