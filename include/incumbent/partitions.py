"""Partition keys: the text names of the intervals that data arrives in.

A key is the interval's first local day (`2013-07` for a month, `2013-07-01` for a week or a day,
`2013-07-01T05` for an hour). Keys of one grain sort as text in time order, which the whole project
relies on: "up to this partition" is `key <= partition`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from incumbent.errors import ConfigError


class Grain(StrEnum):
    """How long the interval of one batch is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


KEY_FORMATS = {
    Grain.HOUR: "%Y-%m-%dT%H",
    Grain.DAY: "%Y-%m-%d",
    Grain.WEEK: "%Y-%m-%d",
    Grain.MONTH: "%Y-%m",
}
KEY_PATTERNS = {
    Grain.HOUR: r"\d{4}-\d{2}-\d{2}T\d{2}",
    Grain.DAY: r"\d{4}-\d{2}-\d{2}",
    Grain.WEEK: r"\d{4}-\d{2}-\d{2}",
    Grain.MONTH: r"\d{4}-\d{2}",
}


def key_of(moment: datetime | date, grain: Grain) -> str:
    """Return the key of the interval that holds a local moment.

    >>> key_of(date(2013, 7, 4), Grain.WEEK)
    '2013-07-01'
    """
    if grain is Grain.WEEK:
        moment = moment - timedelta(days=moment.weekday())
    return moment.strftime(KEY_FORMATS[grain])


def start_of(key: str, grain: Grain) -> datetime:
    """Return the first local moment of a partition, without a time zone.

    Raises:
        ConfigError: The key is not written as this grain writes it.

    >>> start_of("2013-07", Grain.MONTH)
    datetime.datetime(2013, 7, 1, 0, 0)
    """
    check_key(key, grain)
    return datetime.strptime(key, KEY_FORMATS[grain])


def end_of(key: str, grain: Grain) -> datetime:
    """Return the first local moment after a partition.

    >>> end_of("2013-12", Grain.MONTH)
    datetime.datetime(2014, 1, 1, 0, 0)
    """
    start = start_of(key, grain)
    if grain is Grain.MONTH:
        return (start + timedelta(days=32)).replace(day=1)
    return (
        start
        + {
            Grain.HOUR: timedelta(hours=1),
            Grain.DAY: timedelta(days=1),
            Grain.WEEK: timedelta(days=7),
        }[grain]
    )


def bounds_utc(key: str, grain: Grain, timezone: str) -> tuple[datetime, datetime]:
    """Return the partition's half-open interval in UTC.

    A local day may have 23 or 25 hours: the bounds are local midnights, converted.

    >>> [str(bound) for bound in bounds_utc("2013-03-10", Grain.DAY, "America/New_York")]
    ['2013-03-10 05:00:00+00:00', '2013-03-11 04:00:00+00:00']
    """
    zone, utc = ZoneInfo(timezone), ZoneInfo("UTC")
    start, end = (bound.replace(tzinfo=zone) for bound in (start_of(key, grain), end_of(key, grain)))
    return start.astimezone(utc), end.astimezone(utc)


def check_key(key: str, grain: Grain) -> str:
    """Return the key if it is well formed, else say what a key looks like."""
    good = re.fullmatch(KEY_PATTERNS[grain], key) is not None
    if good:
        try:
            moment = datetime.strptime(key, KEY_FORMATS[grain])
            good = key_of(moment, grain) == key
        except ValueError:
            good = False
    if not good:
        raise ConfigError(
            "not a partition key of this grain",
            where=f"partition {key!r}",
            expected=f"a {grain} key such as {example_key(grain)}",
            found=key,
            next_step=f"write it like {example_key(grain)}" + (", a Monday" if grain is Grain.WEEK else ""),
        )
    return key


def example_key(grain: Grain) -> str:
    """Return a well-formed key, for messages and forms."""
    return key_of(datetime(2013, 7, 1, 5), grain)


def days_before(key: str, grain: Grain, days: int) -> str:
    """Return the key of the partition that holds the moment `days` before this one starts."""
    return key_of(start_of(key, grain) - timedelta(days=days), grain)


def day_of(text: str) -> str:
    """Return a local day that a person wrote, as it is written down.

    Raises:
        ConfigError: It is no day.

    >>> day_of(" 2013-07-01 ")
    '2013-07-01'
    """
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError as error:
        raise ConfigError(
            "not a day",
            where=f"since {text!r}",
            expected="a day such as 2013-07-01",
            found=text or "nothing",
            next_step="write it like 2013-07-01",
        ) from error


def moment_of(text: str) -> datetime:
    """Return a moment that a person wrote, in UTC.

    Raises:
        ConfigError: It is no moment, or has no zone: at another place it would be another one.

    >>> moment_of("2013-07-01T02:00+02:00").isoformat()
    '2013-07-01T00:00:00+00:00'
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(
            "not a moment",
            where=f"known at {text!r}",
            expected="date, time and zone, such as 2013-07-01T00:00Z",
            found=text or "nothing",
            next_step="write it like 2013-07-01T00:00Z",
        )
    return found.astimezone(UTC)


def moment_or_day(text: str, timezone: str) -> datetime:
    """Return a moment that a person wrote, or the end of a local day, in UTC.

    Raises:
        ConfigError: It is neither.

    >>> moment_or_day("2013-07-01", "America/New_York").isoformat()
    '2013-07-02T04:00:00+00:00'
    """
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return moment_of(text)
    next_day = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)) + timedelta(days=1)
    return next_day.astimezone(UTC)
