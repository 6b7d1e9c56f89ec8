"""Units are dealt by a hash: evenly, for good, and anew for each rollout."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from incumbent.rollout.assignment import assigned, units

pytestmark = pytest.mark.unit
MANY = pa.array([f"customer-{number}" for number in range(20_000)])


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_share_is_the_one_that_was_asked_for(share: float) -> None:
    found = assigned(MANY, "2013-02-r1", share).mean()
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / len(MANY))


def test_a_unit_stays_with_the_challenger_at_every_larger_share() -> None:
    small, large = (assigned(MANY, "2013-02-r1", share) for share in (0.1, 0.5))
    assert (large | ~small).all() and large.sum() > small.sum()
    np.testing.assert_array_equal(small, assigned(MANY, "2013-02-r1", 0.1))
    np.testing.assert_array_equal(small[::-1], assigned(MANY[::-1], "2013-02-r1", 0.1))


def test_another_rollout_deals_anew() -> None:
    both = assigned(MANY, "2013-02-r1", 0.5) & assigned(MANY, "2013-03-r1", 0.5)
    assert abs(both.mean() - 0.25) < 0.02


def test_nobody_is_dealt_at_zero_and_who_is_excluded_never() -> None:
    assert not assigned(MANY, "2013-02-r1", 0.0).any()
    mine = MANY.filter(pa.array(assigned(MANY, "2013-02-r1", 0.5)))
    left = assigned(MANY, "2013-02-r1", 0.5, mine[:10].to_pylist())
    assert left.sum() == len(mine) - 10


def test_the_same_units_are_dealt_in_every_release() -> None:
    first = MANY.slice(0, 64)
    assert np.flatnonzero(assigned(first, "2013-02-r1", 0.1)).tolist() == [4, 13, 20, 32, 35, 40, 48, 54, 62]


def test_a_unit_of_several_columns_is_their_values_joined() -> None:
    rows = pa.table({"carrier": ["AA", None], "day": [date(2013, 1, 1)] * 2, "number": [7, 8]})
    assert units(rows, ["carrier", "day", "number"]).to_pylist() == ["AA/2013-01-01/7", "/2013-01-01/8"]
    assert len(units(rows.slice(0, 0), ["carrier"])) == 0
    assert assigned(units(rows.slice(0, 0), ["carrier"]), "x", 0.5).shape == (0,)
