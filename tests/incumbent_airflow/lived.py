"""A model that has lived with real files: trained, scored, restated, replayed, rolled back and scored again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from months import APRIL, FEBRUARY, JANUARY, MARCH, answered, month, random_of, runtime_of
from small_training import small_model

from incumbent.config import load_model
from incumbent.features.build import build
from incumbent.records import GateReport, digest_of
from incumbent.retrain.requests import open_request
from incumbent.validate import ingest_or_raise, load_contract
from incumbent.validate.contract import source_contract
from incumbent.validate.replay import replay, replay_of
from incumbent.validate.revisits import order
from incumbent_airflow import seats, stages
from incumbent_airflow.runtime import Runtime

ROWS = 4000
ASIDE, LARGE, CORRECTED = 5, 7, 9  # places in a month: breaks a rule, cannot be scored, was corrected by a person
CONTRACT = """
sources:
  events:
    key: [row]
    policy: {max_quarantine_share: 0.2}
    columns:
      row: {dtype: int64}
      kind: {dtype: string, values: [a, b, c]}
      at: {dtype: timestamp}
      x: {dtype: float64}
      y: {dtype: float64}
  truth:
    key: [row]
    columns: {row: {dtype: int64}, late: {dtype: bool}}
"""


def lived(home: Path) -> Runtime:
    """Return a runtime whose store, drop folder and model folder are below a folder, after four months."""
    model = small_model(rounds=15, checkpoint_every=15, params={"max_depth": 3})
    runtime_of(home, model, CONTRACT)
    (home / "small" / "model.yaml").write_text(json.dumps(model.model_dump(mode="json", exclude_defaults=True)))
    runtime = opened(home)
    deliver(runtime, JANUARY)
    assert trained(runtime, JANUARY).verdict == "promote"
    scored(runtime, JANUARY)
    deliver(runtime, FEBRUARY, knows=-3.0)
    scored(runtime, FEBRUARY)
    assert trained(runtime, FEBRUARY).verdict == "promote"
    deliver(runtime, MARCH)
    scored(runtime, MARCH)
    deliver(runtime, MARCH, shift=0.25)  # a restatement, scored by the champion of its day
    scored(runtime, MARCH)
    deliver(runtime, APRIL)
    scored(runtime, APRIL)
    seats.roll_back(runtime, 1, "It predicts another world.", "a rollback")
    assert seats.score_again(runtime, [MARCH], 3, "a rollback") == [MARCH]
    corrected(runtime, APRIL)
    scored(runtime, APRIL)
    return runtime


def opened(home: Path) -> Runtime:
    """Return the runtime of a home that is there."""
    from small_training import small_settings

    settings = replace(small_settings(home), models=home, drop=str(home / "raw"))
    return Runtime(load_model(home / "small"), settings)


def rows_of(key: str, knows: float = 1.0, shift: float = 0.0) -> tuple[pa.Table, np.ndarray]:
    """Return the rows of a month and their labels: one row breaks a rule, one of April is too large to be scored."""
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS)) + shift
    kind = rng.choice(["a", "b", "c"], ROWS)
    late = rng.random(ROWS) < 1 / (1 + np.exp(-knows * (x - 0.5 * y + (kind == "c"))))
    kind[[ASIDE, CORRECTED]] = "wrong"
    if key == APRIL:  # no training is on this month
        x[LARGE] = 1e300
    return month(key, kind=pa.array(kind.tolist()), x=x, y=y), late


def deliver(runtime: Runtime, key: str, **world: Any) -> None:
    """Drop the files of a month, have them judged, and its features computed."""
    events, late = rows_of(key, **world)
    for source, rows in (("events", events), ("truth", pa.table({"row": events["row"], "late": late}))):
        file = Path(str(runtime.raw_path(source, key)))
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, file)
        found = ingest_or_raise(runtime.store, runtime.model, runtime.folder.contract_path, source, key, file)
        assert found.verdict == "accepted"
    assert stages.build_features(runtime, key).part is not None


def corrected(runtime: Runtime, key: str) -> None:
    """Have one of the rows that are set aside corrected by a person and replayed."""
    store, model = runtime.store, runtime.model
    contract = source_contract(load_contract(runtime.folder.contract_path), model, "events")
    aside = store.quarantine("events").read([key]).to_pylist()
    (entry,) = (each for each in aside if each["line"] == CORRECTED + 1)
    row = {"line": entry["line"], "row": {**json.loads(entry["row"]), "kind": "c"}}
    given = replay_of(
        store, model, contract, "events", key, corrections=json.dumps(row).encode(), reason="a typo", by="tests"
    )
    revisit, _ = order(store, given)
    assert replay(store, model, revisit) is not None
    assert build(store, model, digest_of(runtime.folder.definition_text.encode()), key).part is not None


def trained(runtime: Runtime, key: str) -> GateReport:
    request = open_request(runtime.store, key, "manual", {}, degraded=False, message="asked by a test")[0].id
    return answered(runtime, request)


def scored(runtime: Runtime, key: str) -> int:
    return seats.score_batch(runtime, key, None, f"run-{key}").generation
