"""The test of shape keeps the error rates that it promises."""

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency, ncx2, norm, t

from incumbent.stats.shape import Moved, Wobble, dense_cells, moved, p_value

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("freedom", [2.0, 9.0, 43.0, 5000.0])
@pytest.mark.parametrize("alpha", [5e-3, 1.3e-4, 6e-6])
def test_the_tail_of_ordinary_wobble_is_students_far_out(alpha: float, freedom: float) -> None:
    """With one degree of freedom and much wobble the null is a scaled square of t, and the answer is known."""
    x2 = t.isf(alpha / 2, freedom) ** 2 * 1e9
    assert p_value(Moved(x2, 1, 1e9), 0.0, Wobble(1.0, freedom)) == pytest.approx(alpha, rel=0.03)


def test_a_wobble_that_is_known_exactly_is_normal() -> None:
    x2 = norm.isf(5e-5) ** 2 * (1 + 0.02 * 3000)
    assert p_value(Moved(x2, 1, 3000), 0.0, Wobble(0.02, 1e6)) == pytest.approx(1e-4, rel=0.03)


def test_the_tail_agrees_with_draws() -> None:
    random, draws = np.random.default_rng(5), 2_000_000
    widths = 1 + 0.01 * 900 * 12 / random.chisquare(12, draws)
    x2 = np.sort(widths * random.normal(size=draws) ** 2 + random.chisquare(8, draws))
    for share in (0.01, 0.001):
        found = p_value(Moved(float(x2[int(draws * (1 - share))]), 9, 900), 0.0, Wobble(0.01, 12))
        assert found == pytest.approx(share, rel=0.1)


def test_without_wobble_it_is_a_non_central_chi_square() -> None:
    assert p_value(Moved(30.0, 9, 500), 0.02) == pytest.approx(ncx2.sf(30.0, 9, 10.0))
    assert p_value(Moved(30.0, 9, 500), 0.0) == pytest.approx(chi2.sf(30.0, 9))


def test_the_statistic_is_pearsons() -> None:
    random = np.random.default_rng(1)
    a, b = (random.multinomial(rows, np.full(7, 1 / 7)).astype(float) for rows in (5000, 900))
    found, known = moved(a, b), chi2_contingency([a, b], correction=False)
    assert (found.x2, found.df) == (pytest.approx(known.statistic), known.dof)
    assert found.effect == pytest.approx(max(0.0, (known.statistic - 6) * 5900 / (5000 * 900)))


def test_many_sparse_cells_raise_no_false_alarms() -> None:
    random = np.random.default_rng(3)
    shares = np.array([0.45, 0.45, *[0.1 / 60] * 60])
    pairs = [(random.multinomial(1000, shares), random.multinomial(100, shares)) for _ in range(1000)]
    for ordered in (0, 30, 62):
        found = [p_value(moved(a.astype(float), b.astype(float), ordered), 0.0) for a, b in pairs]
        assert sum(p < 0.01 for p in found) <= 20, ordered
        assert sum(p < 0.2 for p in found) >= 120, "and it is a test"


def test_a_pool_that_is_still_sparse_joins_a_dense_cell() -> None:
    # One row of 100 in a cell that one of 1,000 had: on its own it would be an alarm of 1e-3 or so.
    joined = moved(np.array([500.0, 500.0]), np.array([50.0, 50.0]))
    assert moved(np.array([500.0, 499.0, 1.0]), np.array([50.0, 49.0, 1.0])) == joined


def test_a_sparse_cell_joins_its_neighbour_where_cells_have_an_order() -> None:
    a = np.array([1.0, 400.0, 2.0, 3.0, 500.0, 1.0, 0.0])
    assert dense_cells(a, a / 10, 6).tolist() == [0, 0, 1, 1, 1, 1, 0]
    assert dense_cells(a, a / 10).tolist() == [0, 0, 0, 0, 1, 0, 0]
    spread = np.array([80.0, 80.0, 80.0, 80.0, 400.0])
    assert dense_cells(spread, spread / 10, 4).tolist() == [0, 0, 1, 1, 2]


def test_an_empty_side_is_no_change() -> None:
    nothing = moved(np.zeros(3), np.array([1.0, 2.0, 3.0]))
    assert (nothing.effect, nothing.df, p_value(nothing, 0.0, Wobble(0.01, 4.0))) == (0.0, 0, 1.0)
