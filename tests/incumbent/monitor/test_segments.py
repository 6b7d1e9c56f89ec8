"""The slice finder: names the level that moved, no level that is only more frequent, and nothing of nothing."""

import numpy as np
import pyarrow as pa
import pytest

from incumbent.monitor.segments import Side, moved_segments

pytestmark = pytest.mark.unit
SHOPS = ["north", "south", "east", "west", "web"]


def side(seed: int, shares: list[float] | None = None, harmed: str = "", above: float = np.inf, days: int = 0) -> Side:
    random = np.random.default_rng(seed)
    count = 6000
    shop = random.choice(SHOPS, count, p=shares)
    x = random.normal(size=count)
    values = random.exponential(size=count) + (shop == "web")  # the web was always worse
    values += 0.5 * (shop == harmed) + 0.5 * (x > above)
    codes = np.arange(count) % days if days else None
    if codes is not None:
        values += 0.6 * random.normal(size=days)[codes]
    return Side(pa.table({"shop": shop, "x": x}), values, codes)


def test_the_level_that_moved_is_named_with_its_part() -> None:
    (found,) = moved_segments(side(1), side(2, harmed="east"), ["shop"])
    assert (found["column"], found["level"], found["text"]) == ("shop", "east", True)
    assert found["part"] == pytest.approx(1, abs=0.2)
    assert found["after"] - found["before"] == pytest.approx(0.5, abs=0.1)


def test_a_level_with_more_rows_has_a_larger_part_of_the_same_change() -> None:
    shares = [0.6, 0.1, 0.1, 0.1, 0.1]
    before, after = side(1, shares), side(2, shares)
    shop = np.asarray(after.rows["shop"])
    values = after.values + 0.5 * np.isin(shop, ["north", "south"])
    found = {each["level"]: each["part"] for each in moved_segments(before, Side(after.rows, values), ["shop"])}
    assert found["north"] == pytest.approx(6 / 7, abs=0.1)
    assert found.get("south", 0.0) < 0.3


def test_the_range_that_moved_is_named() -> None:
    found = moved_segments(side(1), side(2, above=1.28), ["shop", "x"])
    assert (found[0]["column"], found[0]["text"]) == ("x", False)
    assert found[0]["level"].startswith("above 1.2")


def test_a_level_that_is_only_more_frequent_has_not_moved() -> None:
    assert moved_segments(side(1), side(2, shares=[0.05, 0.05, 0.05, 0.05, 0.8]), ["shop"]) == []


def test_a_level_that_is_nearly_everything_says_nothing() -> None:
    before, after = side(1), side(2)
    shifted = Side(after.rows, after.values + 1)
    found = moved_segments(before, shifted, ["shop"])
    assert all(each["part"] > each["share"] for each in found)
    alike = [Side(pa.table({"c": ["a"] * 500}), np.full(500, value)) for value in (0.0, 1.0)]
    assert moved_segments(*alike, ["c"]) == []


def test_the_error_rate_holds_over_all_levels() -> None:
    false = sum(bool(moved_segments(side(seed), side(1000 + seed), ["shop", "x"])) for seed in range(200))
    assert false <= 7  # 2 are expected; 8 of 200 have a chance of 0.1 % at one in a hundred


def test_days_with_their_own_luck_are_no_segments() -> None:
    independent = clustered = 0
    for seed in range(40):
        before, after = side(seed, days=10), side(1000 + seed, days=10)
        clustered += bool(moved_segments(before, after, ["shop"]))
        bare = (Side(before.rows, before.values), Side(after.rows, after.values))
        independent += bool(moved_segments(*bare, ["shop"]))
    assert clustered <= 2
    assert independent > 20, "the rows would have said so"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.array([None] * 100, pa.string()), pa.array([None] * 100, pa.string())),
        (pa.array([None] * 100, pa.float64()), pa.array([1.0] * 100)),
        (pa.array([1.0] * 100), pa.array(["1"] * 100)),
        (pa.array([], pa.string()), pa.array(["a"] * 100)),
        (pa.array(["a"] * 100), pa.array([], pa.string())),
        (pa.array(["a"]), pa.array(["a"])),
        (pa.array([float("nan"), float("inf")] * 50), pa.array([1.0, None] * 50)),
        (pa.array([True, None] * 50), pa.array([False, True] * 50)),
    ],
)
def test_odd_columns_are_judged(before: pa.Array, after: pa.Array) -> None:
    sides = [Side(pa.table({"c": each}), np.zeros(len(each))) for each in (before, after)]
    assert moved_segments(*sides, ["c"]) == []
