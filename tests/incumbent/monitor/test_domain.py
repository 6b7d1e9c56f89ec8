"""The domain classifier: what moved, what moved only together, and nothing when nothing did."""

import numpy as np
import pyarrow as pa
import pytest

from incumbent.monitor.domain import tell_apart

pytestmark = pytest.mark.unit


def rows(seed: int, count: int = 3000, together: float = 0.0, shift: float = 0.0) -> pa.Table:
    random = np.random.default_rng(seed)
    x, other, z = random.normal(size=(3, count))
    y = together * x + np.sqrt(1 - together**2) * other
    shop = random.choice(["a", "b", "c"], count)
    return pa.table({"x": x, "y": y, "z": z + shift, "shop": shop, "flag": random.random(count) < 0.5})


NAMES = rows(0).column_names


def test_equal_batches_are_not_told_apart() -> None:
    found = [tell_apart(rows(seed), rows(100 + seed), NAMES, threads=1).finding for seed in range(12)]
    assert [each["state"] for each in found].count("alike") >= 11
    assert sum(each["low"] <= 0.5 <= each["high"] for each in found) >= 9, "the interval is of the size it says"
    assert found[0]["columns"] == []


def test_a_column_that_moved_is_named_and_moved_by_itself() -> None:
    found = tell_apart(rows(1), rows(2, shift=0.5), NAMES, threads=1).finding
    assert found["state"] == "told apart"
    assert found["columns"][0]["column"] == "z"
    assert found["together"] == []
    assert found["low"] < found["auc"] < found["high"]


def test_a_correlation_that_changed_is_found_though_no_column_moved() -> None:
    found = tell_apart(rows(1), rows(2, together=0.7), NAMES, threads=1).finding
    assert found["state"] == "told apart"
    assert set(found["together"]) == {"x", "y"}
    assert found["auc"] > found["auc_apart"] + 0.05
    assert found["auc_apart"] < 0.54, "by themselves they tell nothing"
    assert "moved together" in found["sentence"]


def test_rows_that_share_their_luck_are_in_one_fold() -> None:
    """Flights of one hour have the same weather: by that alone any two months are told apart."""
    random = np.random.default_rng(3)
    days = [np.repeat(np.arange(20), 100)] * 2
    sides = [pa.table({"temp": random.normal(size=20)[each], "x": random.normal(size=2000)}) for each in days]
    by_rows = tell_apart(*sides, ["temp", "x"], threads=1).finding
    assert by_rows["auc"] > 0.95
    by_days = tell_apart(*sides, ["temp", "x"], threads=1, clusters=(days[0], days[1])).finding
    assert by_days["state"] == "alike"
    moved = sides[1].set_column(0, "temp", pa.array(np.asarray(sides[1]["temp"]) + 3))
    found = tell_apart(sides[0], moved, ["temp", "x"], threads=1, clusters=(days[0], days[1])).finding
    assert (found["state"], found["columns"][0]["column"]) == ("told apart", "temp")
    one = np.zeros(2000, dtype=np.int64)
    said = tell_apart(*sides, ["temp", "x"], threads=1, clusters=(days[0], one)).finding
    assert said["state"] == "insufficient data"
    assert "share their luck" in said["sentence"]


def test_the_same_rows_give_the_same_finding() -> None:
    first, second = (tell_apart(rows(1), rows(2, shift=0.2), NAMES, max_rows=2000, threads=1) for _ in range(2))
    assert first.finding == second.finding
    np.testing.assert_array_equal(first.batch_scores, second.batch_scores)
    assert first.finding["rows"] == [1000, 1000]


def test_weights_make_the_reference_look_like_the_batch() -> None:
    reference, batch = rows(1, 8000), rows(2, 2000, shift=0.7)
    found = tell_apart(reference, batch, NAMES, threads=1)
    z = np.asarray(reference["z"])[found.reference_rows]
    assert np.average(z, weights=found.weights) == pytest.approx(0.7, abs=0.15)
    assert found.weights.mean() == pytest.approx(1)
    still = tell_apart(reference, rows(3, 2000), NAMES, threads=1).weights
    assert still.sum() ** 2 / (still @ still) / len(still) > 0.5


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.0] * 300),
        pa.array([None] * 300, pa.float64()),
        pa.array([None] * 300, pa.string()),
        pa.array([float("inf"), float("nan"), -1e300] * 100),
        pa.array(["a"] * 300),
    ],
)
def test_odd_columns_are_taken(values: pa.Array) -> None:
    table = pa.table({"c": values})
    assert tell_apart(table, table, ["c"], threads=1).finding["state"] == "alike"


def test_what_cannot_be_compared_is_left_out_and_named() -> None:
    first, second = rows(1), rows(2).drop_columns(["y"]).set_column(0, "x", pa.array(["1"] * 3000))
    assert tell_apart(first, second, [*NAMES, "gone"], threads=1).finding["left_out"] == ["x", "y", "gone"]
    assert tell_apart(first, second, ["y"], threads=1).finding["state"] == "insufficient data"


@pytest.mark.parametrize("count", [0, 1, 99])
def test_few_rows_are_a_named_verdict(count: int) -> None:
    found = tell_apart(rows(1), rows(2, count), NAMES, threads=1)
    assert found.finding["state"] == "insufficient data"
    assert len(found.batch_scores) == count
    assert found.weights.mean() == pytest.approx(1)
