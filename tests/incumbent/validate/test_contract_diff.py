"""A changed contract says what has changed, and what it would have done to deliveries that are here already."""

import json
from typing import Any

import pyarrow as pa
import pytest
from tests.incumbent.validate.conftest import ROWS, Command, Deliver, build_contract

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.store import ModelStore
from incumbent.validate.contract_diff import Effect, changes, contract_in_force, effects

pytestmark = pytest.mark.unit

X = pa.array([float(row) for row in range(ROWS)])
RANGED = {"x": {"dtype": "float64", "min": 0, "max": 100}}
TWICE = pa.array([0, 0, *range(2, ROWS)], pa.int64())


def ranged(high: float, **given: Any) -> Any:
    return build_contract({"x": {"dtype": "float64", "min": 0, "max": high}}, **given)


def test_the_contract_in_force_is_the_newest_partitions(store: ModelStore, small: Model, deliver: Deliver) -> None:
    assert contract_in_force(store, small, "events") is None
    deliver(ranged(50), "2020-02")
    deliver(ranged(60), "2020-01")
    assert contract_in_force(store, small, "events") == ranged(50)
    deliver(ranged(70), "2020-02", x=pa.array([1.0] * ROWS))
    assert contract_in_force(store, small, "events") == ranged(70)


def test_changes_are_told_key_by_key() -> None:
    before, after = ranged(50), ranged(60, severity={"x.range": "stop"}, row_rules={"even": "row % 2 = 0"})
    assert [(change.key, change.before, change.after) for change in changes(before, after)] == [
        ("columns.x.max", 50.0, 60.0),
        ("row_rules.even", None, "row % 2 = 0"),
        ("severity.x.range", None, "stop"),
    ]
    assert changes(before, before) == []


def test_a_narrower_contract_would_have_rejected(store: ModelStore, small: Model, deliver: Deliver) -> None:
    for month in ("2020-01", "2020-02"):
        deliver(ranged(100), month)
    assert list(effects(store, small, "events", ranged(14), 5)) == [
        Effect(month, ROWS, 5, 0, {"x.range": 5}, "") for month in ("2020-02", "2020-01")
    ]
    assert len(list(effects(store, small, "events", ranged(14), 1))) == 1


def test_a_wider_contract_would_have_accepted(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(14), row=TWICE)  # five rows too large, and two with one key
    (found,) = effects(store, small, "events", ranged(16), 5)
    assert found == Effect("2020-01", ROWS, 0, 2, {"x.range": 3, "key.unique": 2}, "")
    (found,) = effects(store, small, "events", ranged(100, severity={"key.unique": "warn"}), 5)
    assert (found.rejected, found.accepted) == (0, 7)


def test_what_would_have_stopped_a_delivery_is_named(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(100))
    (found,) = effects(store, small, "events", ranged(14, severity={"x.range": "stop"}), 5)
    assert (found.rejected, found.stops) == (0, "x.range")
    (found,) = effects(store, small, "events", ranged(14, policy={"max_quarantine_share": 0.2}), 5)
    assert found.stops == "25.0% of the rows set aside, at most 20.0%"


def test_a_key_that_past_rows_lack_cannot_be_tried(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(100))
    other = build_contract({"id": {"dtype": "int64"}}, key=["id"])
    with pytest.raises(ConfigError, match="cannot be judged by this key"):
        list(effects(store, small, "events", other, 5))


def test_the_command_prints_both_and_says_no(
    store: ModelStore, deliver: Deliver, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(ranged(100))
    assert command(ranged(14), "contract", "diff", store.name) == 1
    printed = capsys.readouterr().out
    assert "  columns.x.max: 100.0 -> 14.0" in printed
    assert printed.splitlines()[3].split() == ["2020-01", "20", "5", "0", "x.range", "5"]
    assert "truth: nothing has changed" in printed and "Next: look at the rules above" in printed
    assert command(ranged(14), "contract", "diff", store.name, "--source", "truth", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"truth": {"changes": [], "effects": []}}
