"""Performance: judged when outcomes are in, against what the champion did when it was gated."""

import numpy as np
import pytest

from incumbent.config import Monitor
from incumbent.monitor import PerformanceVerdict, baseline, performance_verdict

pytestmark = pytest.mark.unit


def world(seed: int, slope: float = 1.0, offset: float = 0.0, rows: int = 6000) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    predictions = 1 / (1 + np.exp(-(x - 1)))
    truth = 1 / (1 + np.exp(-(slope * x - 1 + offset)))
    return (random.random(rows) < truth).astype(float), predictions, np.arange(rows) % 30


def verdict(seed: int, coverage: float = 1.0, **changes: float) -> PerformanceVerdict:
    reference = baseline("binary", *world(1))
    return performance_verdict("2013-02", 1, "v", "binary", *world(seed, **changes), coverage, reference, Monitor())


def test_an_unchanged_world_has_small_losses() -> None:
    found = [max(verdict(seed).z.values()) for seed in range(10, 40)]
    assert max(found) < Monitor().alarm_z
    assert verdict(10).trivial == 0.5


def test_a_base_rate_that_rose_shows_in_one_channel() -> None:
    z = verdict(5, offset=0.7).z
    assert z["cal_high"] > Monitor().alarm_z
    assert z["cal_low"] < 0


def test_lost_ranking_shows_in_its_channel() -> None:
    assert verdict(5, slope=0.3).z["rank"] > Monitor().alarm_z


def test_outcomes_that_are_not_in_are_waited_for() -> None:
    found = verdict(5, coverage=0.9)
    assert (found.judged, found.value, dict(found.z)) == (False, None, {})
    assert "90.0%" in found.sentence


def test_one_class_is_not_judged() -> None:
    _, predictions, clusters = world(3)
    reference = baseline("binary", *world(1))
    found = performance_verdict(
        "2013-02", 1, "v", "binary", np.zeros(6000), predictions, clusters, 1.0, reference, Monitor()
    )
    assert not found.judged
    assert "one class only" in found.sentence


def test_a_partition_of_one_day_borrows_the_error_of_days_from_the_gate_rows() -> None:
    reference = baseline("binary", *world(1))
    assert reference["clusters"] == 30
    labels, predictions, _ = world(5, rows=500)
    one_day = np.zeros(500, dtype=np.int64)
    args = ("2013-02-01", 1, "v", "binary", labels, predictions, one_day, 1.0)
    found = performance_verdict(*args, reference, Monitor())
    assert found.judged
    assert found.error is not None
    assert found.error >= reference["error"] * np.sqrt(30)
    lean = performance_verdict(*args, {"value": 0.7, "error": 0.01}, Monitor())
    assert (lean.judged, "too few" in lean.sentence) == (False, True)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_predictions_without_any_error_are_judged_in_finite_numbers(task: str) -> None:
    labels = np.arange(100) % 2.0
    reference = baseline(task, labels, labels, None)
    found = performance_verdict("2013-02", 1, "v", task, labels, labels, None, 1.0, reference, Monitor())
    assert found.z["rank"] == 0.0
    assert np.isfinite(list(found.z.values())).all()
    assert found.to_json()["judged"] is True


def test_regression_is_judged_by_its_error() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(100, 20, 4000)
    clusters = np.arange(4000) % 20
    reference = baseline("regression", truth, truth + random.normal(0, 5, 4000), clusters)
    assert reference["value"] == pytest.approx(5, rel=0.05)
    worse = performance_verdict(
        "2013-02", 1, "v", "regression", truth, truth + random.normal(0, 8, 4000), clusters, 1.0, reference, Monitor()
    )
    assert worse.z["rank"] > Monitor().alarm_z
