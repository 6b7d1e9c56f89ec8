"""The cells of a column: where the champion looks, without luck among rare levels, and what is new apart."""

import json

import numpy as np
import pyarrow as pa
import pytest

from incumbent.features.cells import BUCKETS, Cells, cells_of, split_edges
from incumbent.features.profile import MAX_LEVELS, ColumnProfile, profile
from incumbent.stats.shape import moved, p_value

pytestmark = pytest.mark.unit


def column(values: object) -> ColumnProfile:
    return profile(pa.table({"x": pa.array(values)}), ["x"]).columns["x"]


def test_numbers_are_told_apart_where_the_trees_split_them() -> None:
    cells = cells_of(column([18.0, 19.0, 20.0, 21.0, 22.0, None]), [(20.5, 1.0), (19.0, 3.0)])
    assert cells.edges == (19.0, 20.5)
    assert cells.count(column([18.0, 18.99, 19.0, 20.0, 20.4, 21.0, None])).tolist() == [0, 2, 3, 1, 0, 1]
    assert cells.count(column([17.0, 23.0, 1e9])).tolist() == [1, 0, 0, 0, 2, 0], "out of range is apart"
    assert cells.ordered == 5


def test_many_thresholds_are_thinned_by_what_they_gain() -> None:
    even = split_edges([(float(at), 1.0) for at in range(160)])
    assert len(even) == 16
    assert np.diff(even) == pytest.approx(10, abs=1)
    heavy = split_edges([(float(at), 100.0 if at < 20 else 1.0) for at in range(160)])
    assert sum(edge < 20 for edge in heavy) >= 14
    one = split_edges([(float(at), 1000.0 if at == 5 else 1.0) for at in range(160)])
    assert (len(one) >= 16, 5.0 in one) == (True, True), "one threshold with most of the gain does not hide the others"
    assert split_edges([(2.0, 1.0), (1.0, 0.0), (2.0, 5.0)]) == (1.0, 2.0)


def test_without_thresholds_tenths_of_the_reference_are_equal() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    cells = cells_of(column(values))
    assert len(cells.edges) == 9
    inside = cells.count(column(values))[1:-2]
    assert inside == pytest.approx(5000, rel=0.05)
    atoms = cells_of(column([0.0] * 900 + list(np.arange(1.0, 101.0))))
    assert atoms.count(column([0.0] * 7 + [50.0] * 3))[1] == 7, "a value that is most of the column is one cell"


def test_levels_never_seen_are_apart() -> None:
    cells = cells_of(column(["a"] * 80 + ["b"] * 60 + ["c"] * 10))
    assert cells.own == ("a", "b")
    counted = cells.count(column(["a", "b", "b", "c", "???", "???", "???", None]))
    assert counted[:2].tolist() == [1, 2]
    assert (counted[2 : 2 + BUCKETS].sum(), counted[-2], counted[-1]) == (1, 3, 1)


@pytest.mark.parametrize(
    ("levels", "m", "n", "even"),
    [(200, 1000, 1000, True), (200, 1000, 1000, False), (2000, 1000, 1000, False), (5000, 1000, 50_000, False)],
)
def test_rare_levels_raise_no_alarm(levels: int, m: int, n: int, even: bool) -> None:
    """Frequent by luck, or not seen by luck: neither is drift. The most frequent ones alone would alarm each time."""
    random, alarms = np.random.default_rng(2), 0

    def drawn(rows: int) -> ColumnProfile:
        numbers = random.integers(0, levels, rows) if even else random.zipf(1.3, rows) * 7919 % levels
        return column([f"{each}" for each in numbers])

    for _ in range(40):
        reference, batch = drawn(m), drawn(n)
        cells = cells_of(reference)
        found = moved(cells.count_reference(reference), cells.count(batch))
        alarms += p_value(found, 0.02) < 1e-3
    assert alarms <= 1


def test_a_reference_of_more_levels_than_a_profile_names_has_one_cell_for_the_rest() -> None:
    random = np.random.default_rng(3)
    wide = column([f"{number}" for number in random.integers(0, 3 * MAX_LEVELS, 20_000)])
    assert cells_of(wide).known == ()
    small = column([f"{number}" for number in random.integers(0, 3 * MAX_LEVELS, 300)])
    cells = cells_of(wide)
    assert moved(cells.count(wide), cells.count(small)).x2 == 0


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (["a", "b"], [1.0, 2.0]),
        ([1.0, 2.0], ["a", "b"]),
        (pa.nulls(2, pa.float64()), [1.0, None]),
        ([1.0, 2.0], pa.nulls(2, pa.float64())),
        (["a"], pa.nulls(2, pa.string())),
    ],
)
def test_every_row_is_in_one_cell(reference: object, found: object) -> None:
    cells, counted = cells_of(column(reference)), column(found)
    assert cells.count(counted).sum() == counted.rows
    assert len(cells.count(counted)) == len(cells.count(column(reference)))
    assert Cells.from_json(json.loads(json.dumps(cells.to_json()))) == cells


def test_what_a_part_of_the_reference_would_not_have_seen_is_moved_and_not_lost() -> None:
    reference = column(["a"] * 100 + [f"once {at}" for at in range(20)])
    cells = cells_of(reference)
    assert cells.count_reference(reference).sum() == 120
    assert cells.count_reference(reference)[-2] == pytest.approx(20)
