"""Two versions on the same rows: how far apart their means are, and how sure that is."""

import numpy as np
import pytest

from incumbent.monitor.shadow import gaps_of

pytestmark = pytest.mark.unit


def test_the_error_of_a_gap_is_that_of_days_where_a_day_moves_all_of_its_rows() -> None:
    days = np.repeat(np.arange(7), 300)
    by_day = np.array([0.0, 0.3, -0.1, 0.2, 0.4, -0.2, 0.1])
    champion = 0.3 + by_day[days] + np.random.default_rng(1).normal(0, 0.01, days.size)
    before = np.full(days.size, 0.2)
    gap, error = gaps_of("binary", champion, before, clusters=days)[""]
    assert gap == pytest.approx(0.2, abs=1e-3)
    assert error == pytest.approx(by_day.std(ddof=1) / np.sqrt(7), rel=0.01)
    alone = gaps_of("binary", champion, before)[""]
    assert alone == pytest.approx((gap, champion.std(ddof=1) / np.sqrt(days.size)))
    assert gaps_of("binary", champion, before, clusters=np.zeros_like(days))[""] == pytest.approx(alone)


def test_a_gap_is_said_for_each_class_and_on_the_scale_of_the_task() -> None:
    shadow = np.array([1.0, 3.0, 5.0])
    assert gaps_of("regression", shadow + 2, shadow)[""] == (pytest.approx(2 / shadow.std()), 0.0)
    by_class = gaps_of("multiclass", np.full((4, 2), [0.7, 0.3]), np.full((4, 2), [0.5, 0.5]), ("a", "b"))
    assert {name: round(gap, 6) for name, (gap, _) in by_class.items()} == {"a": 0.2, "b": -0.2}
    assert gaps_of("binary", np.array([0.4]), np.array([0.1]))[""] == (pytest.approx(0.3), 0.0)
    assert gaps_of("binary", np.zeros(0), np.zeros(0)) == {}
