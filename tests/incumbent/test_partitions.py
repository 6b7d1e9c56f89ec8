"""Keys of every grain, and the two days that have no 24 hours."""

from datetime import date, datetime

import pytest

from incumbent.errors import ConfigError
from incumbent.partitions import Grain, bounds_utc, check_key, days_before, end_of, key_of, start_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("grain", "key", "end"),
    [
        (Grain.MONTH, "2013-12", datetime(2014, 1, 1)),
        (Grain.WEEK, "2013-12-30", datetime(2014, 1, 6)),
        (Grain.DAY, "2013-02-28", datetime(2013, 3, 1)),
        (Grain.HOUR, "2013-02-28T23", datetime(2013, 3, 1)),
    ],
)
def test_key_of_start_is_the_key_and_end_is_the_next_start(grain: Grain, key: str, end: datetime) -> None:
    assert key_of(start_of(key, grain), grain) == key
    assert end_of(key, grain) == end


def test_keys_sort_like_time() -> None:
    days = [date(2012, 12, 31), date(2013, 1, 1), date(2013, 9, 30), date(2013, 10, 1)]
    for grain in (Grain.DAY, Grain.WEEK, Grain.MONTH):
        keys = [key_of(day, grain) for day in days]
        assert keys == sorted(keys)


@pytest.mark.parametrize(("day", "hours"), [("2013-03-10", 23), ("2013-11-03", 25), ("2013-07-04", 24)])
def test_local_days_have_their_own_length(day: str, hours: int) -> None:
    start, end = bounds_utc(day, Grain.DAY, "America/New_York")
    assert (end - start).total_seconds() == hours * 3600


@pytest.mark.parametrize(
    ("key", "grain"),
    [("2013-13", Grain.MONTH), ("2013-7", Grain.MONTH), ("2013-07-02", Grain.WEEK), ("", Grain.DAY)],
)
def test_malformed_keys_are_refused_with_an_example(key: str, grain: Grain) -> None:
    with pytest.raises(ConfigError, match="such as") as caught:
        check_key(key, grain)
    assert caught.value.found == key


def test_days_before_crosses_the_year() -> None:
    assert days_before("2013-01", Grain.MONTH, 1) == "2012-12"
    assert days_before("2013-01-07", Grain.WEEK, 1) == "2012-12-31"
