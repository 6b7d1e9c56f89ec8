"""Whatever a batch or its outcomes are, MONITOR has a name for it: never an error, and never a training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from months import FEBRUARY, JANUARY, WITHOUT_RECORDS, first_champion, month, random_of, runtime_of
from small_training import small_model

from incumbent.config import Model
from incumbent.estimators import predictor
from incumbent.retrain.stage import decide_partition
from incumbent.score import score
from incumbent.store.check import check_model
from incumbent_airflow import stages
from incumbent_airflow.diagnosing import diagnosis
from incumbent_airflow.judging import judge
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROWS = 3000
Change = Callable[[pa.Table], pa.Table]


def tables(key: str) -> tuple[pa.Table, pa.Table]:
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS))
    kind = rng.choice(["a", "b", "c"], ROWS)
    events = month(key, x=x, y=y, kind=kind.tolist())
    late = rng.random(ROWS) < 1 / (1 + np.exp(-(1.5 * x - y + (kind == "c"))))
    return events, pa.table({"row": events["row"], "late": late})


def commit(runtime: Runtime, key: str, batch: pa.Table, outcomes: pa.Table | None) -> bool:
    """Commit a month; return whether its features were built, and not held."""
    runtime.store.batches("events").replace(key, batch)
    if outcomes is not None:
        runtime.store.outcomes("truth").replace(key, outcomes)
    return stages.build_features(runtime, key).part is not None


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    plain = small_model(rounds=20, params={"max_depth": 3}).model_dump(mode="json")
    runtime = runtime_of(tmp_path, Model.model_validate({**plain, "retrain": {"growth": None}}))
    assert commit(runtime, JANUARY, *tables(JANUARY))
    first_champion(runtime)
    return runtime


def put(name: str, values: Callable[[pa.Table], Any]) -> Change:
    def changed(table: pa.Table) -> pa.Table:
        at = table.column_names.index(name)
        return table.set_column(at, name, pa.array(values(table), table.schema.field(name).type))

    return changed


def after(*changes: Change) -> Change:
    def changed(table: pa.Table) -> pa.Table:
        for change in changes:
            table = change(table)
        return table

    return changed


ALL_NULL = after(put("x", lambda table: [None] * len(table)), put("y", lambda table: [None] * len(table)))
NEW_LEVELS = put("kind", lambda table: ["z"] * len(table))
CONSTANT = after(put("x", lambda table: [0.5] * len(table)), put("kind", lambda table: ["a"] * len(table)))
OTHER_KEYS = put("row", lambda table: np.asarray(table["row"]) + 5_000_000)
ONE_CLASS = put("late", lambda table: [False] * len(table))
NO_LABEL = put("late", lambda table: [None] * len(table))


def same(table: pa.Table) -> pa.Table:
    return table


@pytest.mark.parametrize(
    ("batch", "outcomes", "expected"),
    [
        (lambda table: table.slice(0, 1), lambda table: table.slice(0, 1), ("insufficient data", False)),
        (ALL_NULL, same, "bad_data"),
        (NEW_LEVELS, same, "bad_data"),
        (CONSTANT, same, "bad_data"),
        (same, ONE_CLASS, ("uncalibrated", False)),
        (same, NO_LABEL, ("uncalibrated", False)),
        (same, OTHER_KEYS, ("uncalibrated", False)),
        (same, lambda table: table.slice(0, 0), ("uncalibrated", False)),
        (same, lambda table: table.slice(0, 40), ("uncalibrated", False)),
        (same, same, ("uncalibrated", True)),
    ],
    ids=[
        "one row", "all null", "all new levels", "constant", "one class", "no label", "outcomes of other keys",
        "no outcomes", "few outcomes", "fine",
    ],
)  # fmt: skip
def test_each_has_a_verdict_and_asks_for_nothing(
    runtime: Runtime, batch: Change, outcomes: Change | None, expected: str | tuple[str, bool]
) -> None:
    events, truth = tables(FEBRUARY)
    built = commit(runtime, FEBRUARY, batch(events), None if outcomes is None else outcomes(truth))
    if isinstance(expected, str):
        assert not built
        (name,) = runtime.store.records.names("diagnoses", f"{FEBRUARY}/")
        assert runtime.store.records.get_plain("diagnoses", name)["cause"] == expected
        return
    assert built
    assert score(runtime.store, runtime.model, FEBRUARY, predictor(runtime.store)).changed
    judge(runtime, FEBRUARY)
    champion = runtime.store.champion()
    assert champion is not None
    found = diagnosis(runtime, FEBRUARY, champion.version)
    assert found is not None
    basis, judged = expected
    assert (found["evidence"]["drift"]["basis"], bool(found["evidence"]["performance"].get("judged"))) == (
        basis,
        judged,
    )
    decision = decide_partition(runtime.store, runtime.model, FEBRUARY)
    assert (decision["request"], decision["reason"]) == (None, ""), decision["message"]
    assert {each.promise for each in check_model(runtime.store)} <= {WITHOUT_RECORDS}


def test_a_month_without_a_row_is_no_month_that_is_waited_for(runtime: Runtime) -> None:
    events, truth = tables(FEBRUARY)
    assert judge(runtime, FEBRUARY)["drift"] == "not scored yet"
    assert commit(runtime, FEBRUARY, events.slice(0, 0), truth.slice(0, 0))
    assert score(runtime.store, runtime.model, FEBRUARY, predictor(runtime.store)).changed
    assert judge(runtime, FEBRUARY)["drift"] == "insufficient data: there is no scored row"
    assert decide_partition(runtime.store, runtime.model, FEBRUARY)["reason"] == ""


def test_a_month_that_comes_twice_is_held(runtime: Runtime) -> None:
    """The same rows under the next month's key: whoever sends yesterday's file again."""
    assert not commit(runtime, FEBRUARY, tables(JANUARY)[0], None)
    (name,) = runtime.store.records.names("diagnoses", f"{FEBRUARY}/")
    assert "duplicate" in str(runtime.store.records.get_plain("diagnoses", name)["evidence"]["integrity"])


def test_outcomes_that_come_again_with_other_values_are_judged_anew(runtime: Runtime) -> None:
    events, truth = tables(FEBRUARY)
    assert commit(runtime, FEBRUARY, events, truth)
    assert score(runtime.store, runtime.model, FEBRUARY, predictor(runtime.store)).changed
    first = judge(runtime, FEBRUARY)
    assert "no alarm" in decide_partition(runtime.store, runtime.model, FEBRUARY, "run-1")["message"]
    turned = put("late", lambda table: [not each for each in table["late"].to_pylist()])(truth)
    runtime.store.outcomes("truth").replace(FEBRUARY, turned)
    second = judge(runtime, FEBRUARY)
    assert first["performance"] != second["performance"]
    assert len(runtime.store.records.names("verdicts", f"{FEBRUARY}/performance-")) == 2, "both are on record"
    assert decide_partition(runtime.store, runtime.model, FEBRUARY, "run-2")["reason"] == "performance"
