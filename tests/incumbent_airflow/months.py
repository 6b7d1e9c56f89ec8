"""A model of made-up months, for tests of the tasks: its folder, its rows, and the answer to a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from small_training import small_settings

from incumbent.config import Model, ModelFolder
from incumbent.partitions import Grain, end_of, start_of
from incumbent.records import GateReport
from incumbent.retrain.requests import open_request
from incumbent_airflow import stages, training
from incumbent_airflow.runtime import Runtime

SQL = 'SELECT "row", "at", x, y, kind FROM batch'
CONTRACT = """
sources:
  events: {key: [row], columns: {row: {dtype: int64}, kind: {dtype: string}}}
  truth: {key: [row], columns: {row: {dtype: int64}, late: {dtype: bool}}}
"""
MONTHS = tuple(f"2020-{month:02d}" for month in range(1, 6))
JANUARY, FEBRUARY, MARCH, APRIL, MAY = MONTHS
WITHOUT_RECORDS = "accepted rows are named by the record of their delivery"  # these rows were never delivered


def runtime_of(home: Path, model: Model, contract: str = CONTRACT) -> Runtime:
    """Write the folder of a model, and return the runtime of its empty store."""
    folder = home / "small"
    folder.mkdir()
    (folder / "features.sql").write_text(SQL)
    (folder / "contract.yaml").write_text(contract)
    return Runtime(ModelFolder(path=folder, model=model), small_settings(home))


def random_of(key: str) -> np.random.Generator:
    """Return the random numbers of a month."""
    return np.random.default_rng(int(key[-2:]))


def month(key: str, **columns: Any) -> pa.Table:
    """Return the rows of a month, evenly spread over it and with keys of their own, with some columns."""
    count = len(next(iter(columns.values())))
    start, end = start_of(key, Grain.MONTH), end_of(key, Grain.MONTH)
    first, length = np.datetime64(start.replace(tzinfo=None), "us"), np.timedelta64(end - start)
    times = pa.array(first + np.arange(count) * (length // count)).cast(pa.timestamp("us", "UTC"))
    row = np.arange(count) + 10_000 * int(key[-2:])
    return pa.table({"row": row, "at": times, **columns})


def commit(runtime: Runtime, key: str, events: pa.Table, **outcomes: Any) -> None:
    """Commit a month and its outcomes, if there are any."""
    runtime.store.batches("events").replace(key, events)
    if outcomes:
        runtime.store.outcomes("truth").replace(key, pa.table({"row": events["row"], **outcomes}))


def answered(runtime: Runtime, request: str) -> GateReport:
    """Go through the tasks of a request, and return the gates' answer."""
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    report = runtime.store.records.get(GateReport, stages.evaluate_candidate(runtime, request)["report"])
    stages.promote_candidate(runtime, request, None)
    return report


def first_champion(runtime: Runtime) -> None:
    """Let January, which is there, bring the first champion."""
    assert stages.build_features(runtime, JANUARY).part is not None
    request = open_request(runtime.store, JANUARY, "cold_start", {}, degraded=False, message="the first")[0].id
    assert answered(runtime, request).verdict == "promote"
