"""The promise on public tables, with three seeds; `make bench ONLY=leaks` has twenty."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.leak_plants import PLANTS
from benchmarks.leak_tables import tables, whole_flights
from benchmarks.leaks import AFTER, Try, honest_named, missed, study
from demo.raw_data import BEFORE_DEPARTURE

from incumbent.leaks import LeakReport, find_leaks

pytestmark = pytest.mark.unit
SMALL = ("iris", "diabetes")
SEEDS = 3


@cache
def tries() -> tuple[Try, ...]:
    return tuple(study(tables(*SMALL), range(SEEDS)))


def test_of_each_kind_of_leak_at_least_nine_of_ten_are_named() -> None:
    short = {kind: missed(tries(), kind, "incumbent") for kind in PLANTS}
    assert {kind: share for kind, share in short.items() if share > 0.17} == {}  # one of six
    assert np.mean(list(short.values())) <= 0.05


def test_hardly_an_honest_column_is_named_and_fewer_than_by_its_auc() -> None:
    assert honest_named(tries(), "incumbent") <= 0.02
    assert honest_named(tries(), "AUC 0.95") > honest_named(tries(), "incumbent")
    hard = "noisy copy, sd 0.5"
    assert missed(tries(), hard, "AUC 0.95") > 0.5 > missed(tries(), hard, "incumbent")


def flights(landed_only: bool, *more: str) -> LeakReport:
    rows = whole_flights()
    rows = rows[rows.label.notna()] if landed_only else rows
    offered = pa.Table.from_pandas(rows[[*BEFORE_DEPARTURE, *more, "label"]], preserve_index=False)
    return find_leaks(offered, "label", "binary", time="time_hour")


def test_flights_give_away_what_was_known_after_departure_and_nothing_honest() -> None:
    assert set(flights(False, *AFTER).named) == set(AFTER)
    assert flights(False).named == ()


def test_times_of_landed_flights_are_named_beside_their_plans() -> None:
    """Without the cancelled flights nothing is empty, and only the differences tell."""
    report = flights(True, *AFTER)
    assert {finding.column: finding.test for finding in report.findings} == {
        "dep_time": "twin",
        "arr_time": "twin",
        "dep_delay": "given",
    }
