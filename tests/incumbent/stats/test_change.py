"""A change is found where it is, with the error of a two-sample comparison, and hardly ever where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from incumbent.stats import Measured, largest_fall, lasting_fall, normal_z, pooled

pytestmark = pytest.mark.unit


def batch(value: float, error: float = 0.1, rows: float = 100, df: float = math.inf) -> Measured:
    return Measured(value, error, rows, df)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1), st.floats(1, 1000)), min_size=1, max_size=8))
def test_it_is_the_largest_of_all_two_sample_comparisons(series: list[tuple[float, float, float]]) -> None:
    reference = batch(0.3, 0.05, 200)
    batches = [batch(*each) for each in series]
    found = largest_fall(batches, reference)
    by_hand = []
    for since in range(len(batches)):
        before, after = pooled([reference, *batches[:since]]), pooled(batches[since:])
        z = (before.value - after.value) / math.hypot(before.error, after.error)
        by_hand.append(max(-37.0, min(37.0, z)))
    assert found.z == pytest.approx(max(by_hand), abs=1e-9)
    assert found.newest == pytest.approx(by_hand[-1], abs=1e-9)
    assert found.z == pytest.approx(by_hand[found.since], abs=1e-9)


def test_a_known_reference_stays_what_it_is() -> None:
    found = largest_fall([batch(-0.1), batch(-0.1)], Measured(0.0, 0.0, 0.0, 0.0))
    assert (found.since, found.before, found.error) == (0, 0.0, pytest.approx(0.1 / math.sqrt(2)))


def test_few_clusters_make_a_large_t_ordinary() -> None:
    for t, df in ((4.0, 6), (2.5, 4), (-3.0, 10)):
        assert stats.norm.sf(normal_z(t, df)) == pytest.approx(stats.t.sf(t, df), rel=1e-9)
    assert normal_z(1e9, 3) < 37
    found = largest_fall([batch(-1.0, df=4)], Measured(0.0, 0.0, 0.0, 0.0))
    assert found.z == pytest.approx(normal_z(10.0, 4))


def test_degrees_of_freedom_add_up_unless_the_error_is_borrowed() -> None:
    own = pooled([batch(0.0, df=6) for _ in range(4)])
    assert (own.error, own.df) == (pytest.approx(0.05), pytest.approx(24))
    borrowed = pooled([Measured(0.0, 0.1, 100, 6, borrowed=True) for _ in range(4)])
    assert (borrowed.error, borrowed.df) == (pytest.approx(0.05), pytest.approx(6))


def test_rows_weigh_the_same_however_many_they_are() -> None:
    few, many = (
        pooled([Measured(0.0, 0.1, rows, 6) for rows in (2 * scale, 3 * scale, 3 * scale)]) for scale in (1, 2**16)
    )
    assert (many.error, many.df) == (pytest.approx(few.error), pytest.approx(few.df))


def test_no_error_at_all_is_no_division() -> None:
    same = largest_fall([batch(1.0, 0.0)], batch(1.0, 0.0))
    fallen = largest_fall([batch(0.5, 0.0)], batch(1.0, 0.0))
    assert (same.z, fallen.z) == (0.0, 37.0)


@pytest.mark.parametrize(("reference_rows", "clusters"), [(1.0, 2000), (5.0, 30), (20.0, 7)])
def test_nothing_changes_and_hardly_anything_alarms(reference_rows: float, clusters: int) -> None:
    """At most 1 alarm in 1,000 batches at the shipped limit, however short the reference is."""
    random = np.random.default_rng(5)
    alarms = looked = 0
    for _ in range(150):
        values = random.normal(size=41)
        spread = np.sqrt(random.chisquare(clusters - 1, 41) / (clusters - 1))
        values[0] /= math.sqrt(reference_rows)
        reference = Measured(values[0], spread[0] / math.sqrt(reference_rows), reference_rows, clusters - 1)
        batches = [
            Measured(value, error, 1.0, clusters - 1) for value, error in zip(values[1:], spread[1:], strict=True)
        ]
        for end in range(1, 41):
            looked += 1
            if largest_fall(batches[:end], reference).z > 3.6:
                alarms += 1
                break
    assert alarms <= stats.poisson.isf(1e-3, looked / 1000)


def test_a_loss_of_six_hundredths_is_found_at_the_second_batch() -> None:
    """An AUC of .80 on 1,000 rows, of which 160 are positive, has an error of .0225."""
    random = np.random.default_rng(6)
    delays = []
    for _ in range(200):
        good = [batch(value, 0.0225) for value in random.normal(0.80, 0.0225, 10)]
        bad = [batch(value, 0.0225) for value in random.normal(0.74, 0.0225, 8)]
        found = [largest_fall(good + bad[:end], batch(0.80, 0.01, 500)).z > 3.6 for end in range(1, 9)]
        delays.append(found.index(True) + 1 if any(found) else 99)
    assert np.median(delays) <= 2


def test_what_came_and_went_is_left_out() -> None:
    good, bad = [batch(0.0)] * 10, [batch(-0.5)] * 6
    later = [*good, *bad, *good]
    assert (largest_fall(later, batch(0.0)).since, largest_fall(later, batch(0.0)).z > 3.6) == (10, True)
    found, without = lasting_fall(later, batch(0.0), 3.6), largest_fall([*good, *good], batch(0.0))
    assert (found.z, found.newest, found.before, found.after) == (without.z, without.newest, 0.0, 0.0)


def test_a_change_after_one_that_is_over_is_found_where_it_is() -> None:
    twice = [*[batch(0.0)] * 10, *[batch(-0.8)] * 6, *[batch(0.0)] * 10, *[batch(-0.3)] * 8]
    found = lasting_fall(twice, batch(0.0), 3.6)
    assert (found.since, found.before, found.after, found.z > 3.6) == (26, 0.0, pytest.approx(-0.3), True)
    half = [*[batch(0.0)] * 10, *[batch(-0.8)] * 6, *[batch(-0.3)] * 10]
    found = lasting_fall(half, batch(0.0), 3.6)
    assert (found.since, found.after, found.z > 3.6) == (16, pytest.approx(-0.3), True), "it came back by a part"


def test_a_return_that_is_not_sure_is_none() -> None:
    series = [*[batch(0.0)] * 10, *[batch(-0.5)] * 6, batch(-0.3)]
    assert lasting_fall(series, batch(0.0), 3.6) == largest_fall(series, batch(0.0))
    assert lasting_fall(series[:11], batch(0.0), 3.6).since == 10, "one batch has nowhere to return to"


def test_a_loss_that_stays_is_found_as_soon_as_ever() -> None:
    random = np.random.default_rng(7)
    reference, alike = batch(0.80, 0.01, 500), 0
    for _ in range(200):
        series = [batch(value, 0.0225) for value in random.normal(np.repeat([0.80, 0.75], 15), 0.0225)]
        both = [
            (lasting_fall(series[:end], reference, 3.6).z > 3.6, largest_fall(series[:end], reference).z > 3.6)
            for end in range(16, 31)
        ]
        alike += all(lasting == largest for lasting, largest in both)
    assert alike >= 198
