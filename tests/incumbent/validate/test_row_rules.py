"""A user's row rule is what its SQL says, whatever it is called, and its mistakes are reported by its name."""

import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from incumbent.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["small", "unique", "x.unique", "range", "values", "required", "x.required"])
def test_the_name_of_a_rule_changes_nothing(
    deliver: Callable[..., Any], contract: Callable[..., Any], name: str
) -> None:
    found = deliver(contract(row_rules={name: "x < 15"}))
    assert (found.verdict, found.rows, found.failures) == ("accepted", 15, {name: 5})


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("CAST(x AS VARCHAR) <> ' :y'", 20),
        ("CAST(x AS VARCHAR) <> '\\:y \\: ::'", 20),
        ("x::INTEGER < 15", 15),
        ("CAST(x AS VARCHAR) NOT LIKE '%9.0'", 18),
        ("CAST(x AS VARCHAR) <> '{batch}'", 20),
        ("ts < TIMESTAMPTZ '2020-01-01 15:00:00+00'", 15),
    ],
)
def test_sql_reaches_the_database_as_it_is_written(
    deliver: Callable[..., Any], contract: Callable[..., Any], sql: str, left: int
) -> None:
    assert deliver(contract(row_rules={"own": sql})).rows == left


def test_wrong_sql_is_reported_by_the_rule(deliver: Callable[..., Any], contract: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        deliver(contract(row_rules={"typo": "xx < 2"}))
    said = str(caught.value)
    assert "where: contract.yaml, sources.events, rule typo" in said
    assert 'Referenced column "xx" not found' in str(caught.value.found)
    assert "SELECT" not in said
    assert "next: correct the SQL of row_rules.typo" in said


def test_a_bound_that_does_not_fit_its_column_is_reported_by_the_rule(
    deliver: Callable[..., Any], contract: Callable[..., Any]
) -> None:
    with pytest.raises(ConfigError, match=r"sources\.events, rule ts\.range"):
        deliver(contract({"ts": {"dtype": "timestamp", "min": 5}}))


@pytest.mark.parametrize("name", ["at", "lambda", "order", "values", "is", "join", "Select"])
def test_a_column_may_have_any_name(deliver: Callable[..., Any], contract: Callable[..., Any], name: str) -> None:
    column = {"dtype": "float64", "min": 0, "max": 15, "values": tuple(range(16)), "nullable": True}
    given = contract({name: {**column, "max_null_share": 0.1}})
    found = deliver(given, **{name: pa.array([None, *map(float, range(1, 20))])})
    assert (found.verdict, found.rows) == ("accepted", 16)
    assert found.failures == {f"{name}.range": 4, f"{name}.values": 4}


def test_the_hosts_time_zone_does_not_matter(
    deliver: Callable[..., Any], contract: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = deliver(contract(row_rules={"own": "hour(ts) NOT IN (5, 6, 7, 8)"}))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (found.rows, found.failures) == (16, {"own": 4})
