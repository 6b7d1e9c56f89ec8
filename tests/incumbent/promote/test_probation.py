"""Probation: a pure fold that gives a seat back on evidence, and hardly ever without."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from incumbent.config import Rollback
from incumbent.promote.probation import Probation, probation
from incumbent.records import Promotion

pytestmark = pytest.mark.unit
SETTINGS = Rollback()


def entry(generation: int, version: str, previous: int = 0, action: str = "promote") -> Promotion:
    return Promotion(generation, version, previous, "report", action, "why", partition="2013-01")


LEDGER = [entry(1, "a"), entry(2, "b", 1)]


def verdict(advantage: float | None, error: float = 0.01, gap: float = 0.0, **changes: Any) -> dict[str, Any]:
    plain = {
        "judged": advantage is not None, "advantage": advantage, "error": error, "rows": 2000, "df": 400.0,
        "gaps": {"": gap}, "gap_errors": {"": 0.002},
    }  # fmt: skip
    return {**plain, **changes}


def found(verdicts: dict[str, dict[str, Any]], settings: Rollback = SETTINGS, task: str = "binary") -> Probation:
    judged = probation(LEDGER, verdicts, {"": 0.02}, settings, task)
    assert judged is not None
    return judged


def keys(count: int) -> list[str]:
    return [f"{number:03d}" for number in range(count)]


def test_a_champion_that_loses_again_and_again_gives_the_seat_back() -> None:
    series = {key: verdict(0.0176) for key in keys(6)}
    rolls = [found({key: series[key] for key in keys(end)}).rolls_back for end in range(7)]
    assert rolls == [False, False, False, False, True, True, True]
    done = found(series)
    assert (done.previous, done.needed) == (1, pytest.approx(100))
    assert "over 6 partitions generation 1 is better by 0.0176" in done.sentence


def test_one_that_is_no_worse_keeps_it() -> None:
    random = np.random.default_rng(3)
    lost = 0
    for _ in range(400):
        series = {key: verdict(float(each)) for key, each in zip(keys(20), random.normal(0, 0.01, 20), strict=True)}
        lost += any(found({key: series[key] for key in keys(end)}).rolls_back for end in range(1, 21))
    assert lost <= stats.binom.isf(1e-3, 400, SETTINGS.alpha)


@given(st.permutations(keys(8)), st.lists(st.floats(-0.05, 0.05), min_size=8, max_size=8))
def test_the_order_of_arrival_does_not_matter(order: list[str], advantages: list[float]) -> None:
    series = {key: verdict(each) for key, each in zip(keys(8), advantages, strict=True)}
    assert found(series) == found({key: series[key] for key in order})


def test_it_ends_after_so_many_partitions_with_outcomes() -> None:
    quiet = {key: verdict(0.0) for key in keys(20)}
    assert found({**quiet, "900": verdict(None)}).open is False
    assert found({key: quiet[key] for key in keys(19)} | {"900": verdict(None)}).open
    later = found({**quiet, "900": verdict(5.0)})
    assert (later.rolls_back, len(later.looked)) == (False, 20)
    assert later.sentence.endswith("the probation is over.")


def test_the_last_partition_decides_as_well() -> None:
    series = {key: verdict(0.0) for key in keys(19)} | {"019": verdict(0.2)}
    assert found(series).rolls_back


def test_means_that_moved_apart_are_a_fault_without_any_label() -> None:
    assert found({"001": verdict(None, gap=0.12)}).fault == "", "0.02 is usual, and 0.006 is three errors"
    broken = found({"001": verdict(None, gap=0.12), "002": verdict(None, gap=-0.11)})
    assert broken.rolls_back
    assert "the mean prediction moved by -0.130 against the previous champion's in 002" in broken.fault
    recovered = found({"001": verdict(None, gap=0.9), "002": verdict(None, gap=0.02)})
    assert not recovered.rolls_back, "what was is past: the newest partition counts"
    airtime = found({"001": verdict(None, gap=0.4)}, task="regression")
    assert (airtime.rolls_back, found({"001": verdict(None, gap=0.6)}, task="regression").rolls_back) == (False, True)


def test_where_outcomes_have_been_compared_they_decide_and_not_the_means() -> None:
    """In a world that has changed, who has learned it and who has not move apart: that alone is no fault."""
    apart = {"001": verdict(0.0), "002": verdict(None, gap=0.5)}
    assert (found(apart).fault, found(apart).rolls_back) == ("", False)
    assert found({"001": verdict(None), "002": verdict(None, gap=0.5)}).rolls_back


def test_there_must_be_somebody_to_go_back_to() -> None:
    assert probation([], {}, {}, SETTINGS, "binary") is None
    for ledger in ([entry(1, "a")], [*LEDGER, entry(3, "a", 2, "rollback")]):
        alone = probation(ledger, {"001": verdict(5.0, gap=0.9)}, {}, SETTINGS, "binary")
        assert alone is not None
        assert (alone.open, alone.rolls_back) == (False, False), "a rollback is not rolled back"


def test_days_are_looked_at_five_at_a_time() -> None:
    day = {"error": 0.0, "df": 0.0}
    series = {key: verdict(0.02 + 0.001 * number, **day) for number, key in enumerate(keys(5))}
    assert found({key: series[key] for key in keys(4)}).evidence.e == 1.0
    assert found(series).evidence.e > 1
    assert math.isfinite(found(series).evidence.error)
