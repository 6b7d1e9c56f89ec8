"""A small model that has lived: deliveries, a restatement, features, predictions of a champion, a stopped file."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.config import Model
from incumbent.features.build import build
from incumbent.records import GateReport, Ingest, ModelVersion, Part, Promotion, RetrainRequest, Snapshot
from incumbent.score import score
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store
from incumbent.validate import ingest
from incumbent.validate.contract import Contract, source_contract
from incumbent.verdict_names import VERDICTS, drift_name, performance_name

ROWS = 24
PERSON = "zoe-4711"
SQL = b"SELECT customer, ts, x, (SELECT count(*) FROM prices) AS seen FROM batch"
MODEL = Model.model_validate(
    {
        "name": "small",
        "owner": "tests",
        "task": "binary",
        "grain": "month",
        "start": "2020-01",
        "keys": ["customer"],
        "time": "ts",
        "sources": {
            "events": {"role": "batch", "path": "events/{partition}.parquet"},
            "prices": {"role": "context", "path": "prices.parquet", "once": True},
            "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
        },
        "label": {"sql": "late"},
    }
)
PLAIN = {
    "sources": {
        "events": {
            "key": ["customer", "device"],
            "columns": {
                "customer": {"dtype": "string"},
                "device": {"dtype": "string"},
                "ts": {"dtype": "timestamp"},
                "x": {"dtype": "float64", "max": 900},
            },
            "policy": {"max_quarantine_share": 0.2},
        },
        "prices": {"key": ["price"], "columns": {"price": {"dtype": "int64"}}},
        "truth": {"key": ["customer"], "columns": {"customer": {"dtype": "string"}, "late": {"dtype": "bool"}}},
    }
}
CONTRACT = Contract.model_validate(PLAIN)
REQUEST = "2020-01-r1"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store that has lived, made once; nobody changes it."""
    folder = tmp_path_factory.mktemp("lived")
    return lived(Store(folder / "store").model("small"), folder)


@pytest.fixture
def store(template: ModelStore, tmp_path: Path) -> ModelStore:
    """A copy of it."""
    return copied(template, Store(tmp_path / "store"))


@pytest.fixture
def anywhere(template: ModelStore, any_store: Store) -> ModelStore:
    """A copy of it in each place that a user may choose."""
    return copied(template, any_store)


def copied(template: ModelStore, place: Store) -> ModelStore:
    copy = place.model("small")
    for name in template.blobs.names():
        copy.blobs.create(name, template.blobs.read(name))
    return copy


@pytest.fixture
def contract_path(tmp_path: Path) -> Path:
    return contract_at(tmp_path)


def contract_at(folder: Path) -> Path:
    path = folder / "contract.yaml"
    path.write_text(json.dumps(PLAIN))
    return path


def lived(store: ModelStore, folder: Path) -> ModelStore:
    """Fill a store: the person is in every table, in a replaced version, in quarantine and in a stopped file."""
    deliver(store, folder, "prices", "", price=[1, 2, 3])
    deliver(store, folder, "events", "2020-01", **events())
    deliver(store, folder, "truth", "2020-01", customer=customers(), late=[row % 2 == 0 for row in range(ROWS)])
    definition = store.objects.put(SQL)
    seat(store, definition)
    everyday(store, "2020-01")
    # A restatement; in it the person's row is set aside, and so is another one.
    x = np.arange(ROWS) + 0.5
    x[[3, 5]] = 1000.0
    deliver(store, folder, "events", "2020-02", **events("2020-02"))
    everyday(store, "2020-02")
    deliver(store, folder, "events", "2020-02", **{**events("2020-02"), "x": x})
    everyday(store, "2020-02")
    said = {"partition": "2020-01", "generation": 1, "version": store.records.all(ModelVersion)[0].digest}
    for name in verdict_names(store):
        store.records.put_plain(VERDICTS, name, said)
    stopped = deliver(store, folder, "events", "2020-03", **{**events("2020-03"), "x": np.full(ROWS, 1000.0)})
    assert stopped.verdict == "stopped"
    # What is made anew from here on is made of another list, and scored by another generation.
    deliver(store, folder, "prices", "", price=[1, 2, 3, 4])
    (first,) = store.ledger()
    store.records.put("000002", replace(first, generation=2, previous=1, action="rollback", request="", partition=""))
    return store


def customers() -> list[str]:
    return [PERSON if row == 3 else f"other-{row}" for row in range(ROWS)]


def events(month: str = "2020-01") -> dict[str, Any]:
    first = datetime(2020, int(month[-2:]), 1, tzinfo=UTC)
    at = [first + timedelta(hours=row) for row in range(ROWS)]
    devices = [f"device-{row:02d}" for row in range(ROWS)]
    return {
        "customer": customers(),
        "device": devices,
        "ts": pa.array(at, pa.timestamp("us", "UTC")),
        "x": np.arange(ROWS) * 1.0,
    }


def deliver(store: ModelStore, folder: Path, source: str, partition: str, **columns: Any) -> Ingest:
    """Write a file and ingest it."""
    file = folder / f"{source}-{partition}.parquet"
    pq.write_table(pa.table(columns), file)
    return ingest(store, MODEL, source_contract(CONTRACT, MODEL, source), source, partition, file)


def everyday(store: ModelStore, partition: str) -> bool:
    """Build and score a partition as its DAGs do; return whether anything was committed."""
    definition = store.objects.put(SQL)
    made = build(store, MODEL, definition, partition)
    return made.changed | score(store, MODEL, partition, predict).changed


def predict(version: ModelVersion, rows: pa.Table) -> np.ndarray:
    return np.asarray(rows["x"], dtype=np.float64) / 1000


def seat(store: ModelStore, definition: str) -> Snapshot:
    """Give the seat to a version that was trained on January."""
    records = store.records
    records.put(f"{REQUEST}/open", RetrainRequest(REQUEST, "2020-01", "cold_start", {}, False, "first"))
    build(store, MODEL, definition, "2020-01")
    snapshot = take(store, MODEL, definition, "2020-01", REQUEST, {})
    digest = store.objects.put(b"a model file")
    version = ModelVersion(
        digest, "small", "xgboost", "binary", definition, snapshot.id, ("x",), {}, {}, 1, 1, "2020-01-24", {"x": 1.0}
    )
    records.put(digest, version)
    report = GateReport("small", "2020-01", digest, "", 0, snapshot.id, REQUEST, "promote", (), "Promoted.")
    records.put(report.id, report)
    records.put("000001", Promotion(1, digest, 0, report.id, "promote", "first", REQUEST, "2020-01"))
    records.put_plain("requests", f"{REQUEST}/done", {"verdict": "promote", "generation": 1, "version": digest})
    return snapshot


def verdict_names(store: ModelStore) -> list[str]:
    """Return the names of January's verdicts about what the tables hold now."""
    predictions, outcomes = (table.parts()["2020-01"] for table in (store.predictions, store.outcomes("truth")))
    (version,) = store.records.names(ModelVersion.kind)
    return [drift_name("2020-01", predictions, version), performance_name("2020-01", predictions, outcomes)]


Parts = dict[str, dict[str, Part]]


def parts(store: ModelStore) -> Parts:
    return {name: table.parts() for name, table in store.tables().items()}


def blobs_with(store: ModelStore, text: str) -> list[str]:
    """Return the blobs in which a text stands, Parquet unpacked."""
    found = []
    for name in store.blobs.names():
        data = store.blobs.read(name)
        said = data.decode("utf-8", "replace")
        if name.endswith(".parquet") or data[:4] == b"PAR1":
            said += str(pq.read_table(pa.BufferReader(data)).to_pylist())
        if text in said:
            found.append(name)
    return found
