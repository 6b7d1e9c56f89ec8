"""One run of each kind, made of records that are written here."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from small_training import small_model

from incumbent.config import Model, Publish
from incumbent.features.inputs import Inputs
from incumbent.features.profile import profile
from incumbent.lineage import data_runs, model_runs
from incumbent.lineage.data_runs import Content
from incumbent.lineage.event import Run
from incumbent.lineage.naming import Naming
from incumbent.provenance.scored import Scored
from incumbent.records import GateReport, Hold, Ingest, ModelVersion, Part, Promotion, Snapshot, Training
from incumbent.sensitive import Sensitive

AT = datetime(2020, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
KEY = "2020-01"
RULES: list[dict[str, Any]] = [
    {"rule": "kind.values", "expectation": "expect_column_values_to_be_in_set kind", "success": False,
     "severity": "quarantine", "observed": "the mail ann@example.org",
     "config": {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "kind", "value_set": ["ann"]}}},
    {"rule": "rows", "expectation": "expect_table_row_count_to_be_between", "success": True, "severity": "stop",
     "config": {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}},
]  # fmt: skip


def digest(number: int) -> str:
    return f"{number:064x}"


def naming(sensitive: Sensitive | None = None) -> Naming:
    model: Model = small_model()
    if sensitive is not None:
        model._sensitive = sensitive
    databases = {"warehouse": ("postgres://db.example:5432", "sales")}
    return Naming(model, "incumbent", "s3://lake/store/small", "/drop", databases)


def content(table: str, number: int) -> Content:
    columns = {"row": "int64", "x": "double", "kind": "string"}
    return Content(table, number, AT, Part(KEY, digest(number), 4), columns)


def inputs() -> Inputs:
    part = Part(KEY, digest(1), 4)
    return Inputs(KEY, part, {"events": (part,)}, digest(9))


def built(names: Naming) -> Run:
    rows = pa.table({"x": [1.0, 2.5, None, np.inf], "kind": ["ann", "bob", "bob", None]})
    made_of = {"x": [("events", "x")], "kind": [("events", "kind")], "row": []}
    found = profile(rows, ["x", "kind"])
    return data_runs.built(names, content("features/abc", 2), inputs(), found, "SELECT * FROM batch", made_of)


def held(names: Naming) -> Run:
    findings = ({"column": "x", "test": "nulls", "found": 0.5, "holds": True, "sentence": "x: ann is null"},)
    hold = Hold(KEY, digest(1), digest(7), findings, "Held, nothing announced: x: ann is null.")
    return data_runs.held(names, hold, "a-hold", AT, inputs())


def ingest(verdict: str = "accepted", message: str = "Accepted.") -> Ingest:
    return Ingest("events", KEY, digest(5), digest(6), verdict, 4, 1, digest(1), message=message)


def version() -> ModelVersion:
    return ModelVersion(
        digest=digest(20), model="small", estimator="xgboost", task="binary", definition=digest(7),
        snapshot=digest(21), features=("x", "kind"), categories={"kind": ("ann", "bob")}, params={"max_depth": 3},
        rounds=10, train_rows=4, train_until="2020-01-25", importance={"x": 0.75, "kind": 0.25},
        code={"incumbent": "0.1.0", "commit": "0123abc", "packages": digest(22)}, base=digest(19),
    )  # fmt: skip


def runs(names: Naming) -> list[Run]:
    """Return one run of each kind."""
    part = ({"partition": KEY, "digest": digest(2), "rows": 4},)
    snapshot = Snapshot("small", KEY, digest(7), part, part, {}, {"sql": "late"}, "2020-01-25", "2020-01-25", KEY)
    training = Training("2020-01-r1", digest(21), digest(20), "process", 1, "cpu", 10, 2, None, True)
    gates = (
        {"gate": "superiority", "passed": True},
        {"gate": "slices", "passed": None},
        {"gate": "loss", "passed": False},
    )
    report = GateReport("small", KEY, digest(20), digest(19), 1, digest(21), "2020-01-r1", "reject", gates, "No.")
    entry = Promotion(2, digest(20), 1, digest(30), "promote", "It is better.", "2020-01-r1", KEY, "ann")
    back = Promotion(3, digest(19), 2, digest(29), "rollback", "It was not.", run="r")
    made = [Scored(KEY, 4, 2, digest(20), digest(1), digest(7), digest(2))]
    table, lake = Publish(connection="warehouse", table="public.scores"), Publish(path="s3://lake/out/")
    return [
        data_runs.delivered(names, ingest(), content("batches/events", 1), RULES),
        data_runs.stopped(names, ingest("stopped", "Stopped: too few rows."), "events/2020-01/x", AT, RULES),
        data_runs.erased(names, content("batches/events", 3)),
        built(names),
        held(names),
        data_runs.scored(names, content("predictions", 4), made, {digest(20): version()}),
        data_runs.published(names, table, "work", Part(KEY, digest(4), 4), "2020-01/work/1", AT),
        data_runs.published(names, lake, "lake", Part(KEY, digest(4), 4), "2020-01/lake/1", AT),
        model_runs.took(names, snapshot, AT),
        model_runs.trained(names, training, version(), AT),
        model_runs.judged(names, report, version(), AT),
        model_runs.seated(names, entry, version(), AT),
        model_runs.seated(names, back, None, AT),
    ]
