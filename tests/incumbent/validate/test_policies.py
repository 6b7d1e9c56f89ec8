"""A rule quarantines, stops or warns as told, columns may change as the contract allows, and the past sets bounds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.incumbent.validate.conftest import ROWS, Contract, Deliver, Write, build_contract

from incumbent.admit.order import Reason
from incumbent.config import Model
from incumbent.store import ModelStore
from incumbent.validate import ingest
from incumbent.validate.contract import SourceContract

pytestmark = pytest.mark.unit
ONE_LARGE = pa.array([999.0, *map(float, range(1, ROWS))])
RANGED = {"x": {"dtype": "float64", "min": 0, "max": 100}}


@pytest.mark.parametrize(
    ("severity", "verdict", "rows", "failures"),
    [
        ("quarantine", "accepted", ROWS - 1, {"x.range": 1}),
        ("warn", "accepted", ROWS, {"x.range": "warn: 1"}),
        ("stop", "stopped", 0, {"x.range": "stop: 1"}),
    ],
)
def test_a_row_rule_does_what_its_severity_says(
    store: ModelStore, deliver: Deliver, severity: str, verdict: str, rows: int, failures: dict[str, Any]
) -> None:
    found = deliver(build_contract(RANGED, severity={"x.range": severity}), x=ONE_LARGE)
    assert (found.verdict, found.rows, found.failures) == (verdict, rows, failures)
    assert found.reason == (Reason.RULE if severity == "stop" else "")
    aside = store.quarantine("events").parts().get("2020-01")
    assert (aside.rows if aside else 0) == (1 if severity == "quarantine" else 0)


def test_keys_that_come_twice_may_stay(store: ModelStore, deliver: Deliver) -> None:
    twice = pa.array([0, *range(ROWS - 1)], pa.int64())
    found = deliver(build_contract(severity={"key.unique": "warn"}), row=twice)
    assert (found.rows, found.failures) == (ROWS, {"key.unique": "warn: 2"})
    assert deliver(build_contract(), row=twice).rows == ROWS - 2


@pytest.mark.parametrize(("severity", "verdict"), [("stop", "stopped"), ("warn", "accepted")])
def test_a_rule_about_the_whole_stops_or_warns(deliver: Deliver, severity: str, verdict: str) -> None:
    columns = {"n": {"dtype": "int64", "nullable": True, "max_null_share": 0.1}}
    given = build_contract(columns, severity={"n.nulls": severity})
    found = deliver(given, n=pa.array([None] * 5 + [1] * (ROWS - 5), pa.int64()))
    assert (found.verdict, found.reason) == (verdict, Reason.NULL_SHARE if severity == "stop" else "")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"severity": {"x.rnge": "stop"}}, "x.rnge"),
        ({"severity": {"rows": "quarantine"}}, "about the whole"),
        ({"evolution": {"renamed": {"old": "nothing"}}}, "nothing"),
        ({"evolution": {"renamed": {"x": "row"}}}, "'x'"),
        ({"freshness": {"column": "at", "max_age_hours": 1}}, "'at'"),
        ({"learned": {"means": {"y": 3}}}, "'y'"),
    ],
)
def test_a_name_that_nothing_has_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build_contract(**given)


def test_a_new_column_is_dropped_told_or_stopped(store: ModelStore, deliver: Deliver) -> None:
    more = {"more": pa.array(range(ROWS))}
    for policy, failures in (("drop", {}), ("warn", {"columns.added": "warn: more"})):
        found = deliver(build_contract(evolution={"added": policy}), **more)
        assert (found.rows, found.failures) == (ROWS, failures)
    stopped = deliver(build_contract(evolution={"added": "stop"}), **more)
    assert (stopped.verdict, stopped.reason) == ("stopped", Reason.COLUMN_ADDED)


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("policy", ["stop", "nulls"])
def test_a_column_that_is_gone_stops_or_is_null(
    store: ModelStore, deliver: Deliver, policy: str, nullable: bool
) -> None:
    given = build_contract({"n": {"dtype": "int64", "nullable": nullable}}, evolution={"dropped": policy})
    found = deliver(given)
    if policy == "nulls" and nullable:
        assert (found.rows, found.failures) == (ROWS, {"columns.dropped": "warn: n"})
        assert store.batches("events").read(["2020-01"], ["n"])["n"].null_count == ROWS
    else:
        assert (found.verdict, found.reason) == ("stopped", Reason.COLUMN_MISSING)


def test_a_renamed_column_is_taken_under_either_name(store: ModelStore, small: Model, write: Write) -> None:
    given = build_contract({"amount": {"dtype": "float64"}}, evolution={"renamed": {"price": "amount"}})
    for name in ("price", "amount"):
        path = write(**{name: pa.array([2.5] * ROWS)})
        assert ingest(store, small, given, "events", "2020-01", path).rows == ROWS
        assert store.batches("events").read(["2020-01"], ["amount"])["amount"].to_pylist() == [2.5] * ROWS
    both = write(price=pa.array([2.5] * ROWS), amount=pa.array([2.5] * ROWS))
    assert ingest(store, small, given, "events", "2020-01", both).reason == Reason.COLUMN_TWICE


def test_a_retyped_column_is_cast_or_stopped(deliver: Deliver) -> None:
    whole = pa.array(range(ROWS), pa.int32())
    assert deliver(build_contract(), x=whole).rows == ROWS
    stopped = deliver(build_contract(evolution={"retyped": "stop"}), x=whole)
    assert (stopped.verdict, stopped.reason) == ("stopped", Reason.COLUMN_TYPE)


def test_another_layout_of_text_is_no_other_type(deliver: Deliver) -> None:
    text = pa.array(["a"] * ROWS, pa.large_string())
    kept = build_contract({"s": {"dtype": "string"}}, evolution={"retyped": "stop"})
    assert deliver(kept, s=text).rows == ROWS


@pytest.mark.parametrize(("hours", "verdict"), [(24, "stopped"), (24 * 31, "accepted")])
def test_a_delivery_whose_newest_row_is_old_is_stale(deliver: Deliver, hours: int, verdict: str) -> None:
    found = deliver(build_contract(freshness={"column": "ts", "max_age_hours": hours}))  # January's first twenty hours
    assert (found.verdict, found.reason) == (verdict, Reason.STALE if verdict == "stopped" else "")


def test_the_end_of_the_partition_is_that_of_the_models_zone(store: ModelStore, small: Model, write: Write) -> None:
    newest = datetime(2020, 1, 31, 23, 30, tzinfo=UTC)
    ts = pa.array([newest - timedelta(hours=row) for row in range(ROWS)], pa.timestamp("us", "UTC"))
    given = build_contract(freshness={"column": "ts", "max_age_hours": 2})
    east = small.model_copy(update={"timezone": "America/New_York"})  # its January ends five hours later
    assert ingest(store, small, given, "events", "2020-01", write(ts=ts)).verdict == "accepted"
    assert ingest(store, east, given, "events", "2020-01", write(ts=ts, x=ONE_LARGE)).reason == Reason.STALE


def test_the_past_sets_bounds_that_warn_or_stop(store: ModelStore, deliver: Deliver) -> None:
    learned = {"rows": 1.5, "means": {"x": 6.0}, "history": 3}

    def given(**severity: str) -> SourceContract:
        return build_contract(learned=learned, severity=severity)

    for month in ("2020-01", "2020-02", "2020-03"):
        assert deliver(given(), month).failures == {}, "nothing is usual yet"
    far = pa.array([1000.0 + row for row in range(ROWS)])
    warned = deliver(given(), "2020-04", x=far)
    assert (warned.verdict, warned.failures) == ("accepted", {"usual.x": "warn: 1009.5"})
    stopped = deliver(given(**{"usual.x": "stop"}), "2020-05", x=far)
    assert (stopped.verdict, stopped.reason) == ("stopped", Reason.UNUSUAL)
    assert deliver(given(), "2020-06").failures == {}


def test_what_was_replaced_is_no_past(store: ModelStore, small: Model, write: Write, contract: Contract) -> None:
    given = build_contract(learned={"means": {"x": 3.0}, "history": 3})
    first: Callable[[str, float], Any] = lambda month, x: ingest(  # noqa: E731
        store, small, given, "events", month, write(month, x=pa.array([x] * ROWS))
    )
    for month in ("2020-01", "2020-02", "2020-03"):
        first(month, 500.0)
    for month in ("2020-01", "2020-02", "2020-03"):
        first(month, 5.0)
    assert first("2020-04", 5.0).failures == {}
    assert first("2020-05", 500.0).failures != {}
