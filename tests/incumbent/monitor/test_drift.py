"""Drift: quiet on batches of the same kind, loud when the scores move, honest about little evidence."""

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Monitor
from incumbent.features.profile import Profile, profile
from incumbent.monitor import drift_verdict

pytestmark = pytest.mark.unit

SETTINGS = Monitor()
IMPORTANCE = {"x": 0.7, "level": 0.3}


def batch(seed: int, rows: int = 5000, shift: float = 0.0, score_shift: float = 0.0) -> Profile:
    random = np.random.default_rng(seed)
    table = pa.table(
        {
            "x": random.normal(10 + shift, 1, rows),
            "level": random.choice(["a", "b", "c"], rows),
            "score": random.beta(2 + score_shift, 5, rows),
        }
    )
    return profile(table, table.column_names)


def tier(found: Profile, references: int = 3) -> str:
    reference = [batch(seed) for seed in range(references)]
    return drift_verdict("2013-02", 1, "v", found, reference, IMPORTANCE, SETTINGS).tier


def test_the_same_kind_of_batch_is_no_drift() -> None:
    assert [tier(batch(seed)) for seed in range(100, 130)] == ["none"] * 30


def test_moved_scores_are_drift() -> None:
    verdict = drift_verdict("2013-02", 1, "v", batch(9, score_shift=1.5), [batch(1)], IMPORTANCE, SETTINGS)
    assert verdict.tier == "drift"
    assert verdict.score["effect"] > SETTINGS.score_tolerance
    assert verdict.score["p"] < verdict.score["alpha"]


def test_a_moved_feature_alone_is_a_warning_until_there_is_enough_history() -> None:
    moved = batch(9, shift=2)
    assert tier(moved, references=3) == "warning"
    assert tier(moved, references=20) == "drift"


def test_one_rule_for_few_and_many_rows() -> None:
    small = [tier(batch(seed, rows=100)) for seed in range(200, 240)]
    assert small == ["none"] * 40
    assert tier(batch(7, rows=100_000)) == "none"


@pytest.mark.parametrize("rows", [0, 1])
def test_too_little_data_is_no_verdict(rows: int) -> None:
    found = drift_verdict("2013-02", 1, "v", batch(1, rows=rows), [batch(2)], IMPORTANCE, SETTINGS)
    assert found.tier == "none"
    assert "not enough data" in found.sentence


def with_score(values: pa.Array) -> Profile:
    table = pa.table({"s": values, "score": np.linspace(0, 1, len(values))})
    return profile(table, table.column_names)


EMPTY = pa.array([None] * 500, pa.string())


@pytest.mark.parametrize(
    ("reference", "found", "expected"),
    [
        (["JFK"] * 500, ["JFK"] * 500, "none"),
        (["#1A", "#2B"] * 250, ["#1A", "#2B"] * 250, "none"),  # levels that look like bin numbers
        ([3.0] * 500, [3.0] * 500, "none"),  # constant
        (EMPTY, EMPTY, "none"),
        (EMPTY, ["JFK"] * 500, "warning"),
        (["JFK"] * 500, EMPTY, "warning"),
        ([3.0] * 500, ["3"] * 500, "warning"),
    ],
)
def test_odd_columns_are_judged(reference: object, found: object, expected: str) -> None:
    batches = [with_score(pa.array(values)) for values in (found, reference)]
    verdict = drift_verdict("2013-02", 1, "v", batches[0], batches[1:], {"s": 1.0}, SETTINGS)
    assert verdict.tier == expected


def test_batches_that_always_differ_are_ordinary() -> None:
    wobbling = [batch(seed, score_shift=seed % 5 * 0.5) for seed in range(12)]
    found = drift_verdict("2013-02", 1, "v", batch(99, score_shift=1.6), wobbling, IMPORTANCE, SETTINGS)
    assert found.tier == "none"
    assert found.score["ordinary"] > 0
