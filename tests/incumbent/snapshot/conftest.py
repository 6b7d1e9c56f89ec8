"""A small model whose features are computed from its batches and one context source."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.features.build import build, build_window
from incumbent.records import Ingest, Snapshot, digest_of
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store

ROWS = 120
SQL = b"SELECT id, ts, x, (SELECT count(*) FROM weather) AS seen FROM batch"
MODEL = Model.model_validate(
    {
        "name": "small",
        "owner": "tests",
        "task": "binary",
        "grain": "month",
        "start": "2020-01",
        "keys": ["id"],
        "time": "ts",
        "sources": {
            "events": {"role": "batch", "path": "events/{partition}.parquet"},
            "weather": {"role": "context", "path": "weather/{partition}.parquet", "lookback_days": 3},
            "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
        },
        "label": {"sql": "late"},
    }
)


@pytest.fixture
def anywhere(any_store: Store) -> ModelStore:
    """An empty store in each place that a user may choose."""
    return any_store.model("small")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """One in a folder, where the place makes no difference."""
    return Store(tmp_path / "store").model("small")


def deliver(store: ModelStore, month: str, shift: float = 0.0, weather: int = 1) -> None:
    """Accept one month of each source, with the record of it."""
    first = datetime(2020, int(month[-2:]), 1, tzinfo=UTC)
    ids = [f"{month}-{row:03d}" for row in range(ROWS)]
    events: dict[str, Any] = {
        "id": ids,
        "ts": pa.array([first + timedelta(hours=6 * row) for row in range(ROWS)], pa.timestamp("us", "UTC")),
        "x": np.arange(ROWS) + shift,
    }
    accept(store, "batch", "events", month, pa.table(events))
    accept(store, "context", "weather", month, pa.table({"hour": list(range(weather))}))
    accept(store, "outcomes", "truth", month, pa.table({"id": ids, "late": [row % 3 == 0 for row in range(ROWS)]}))


def accept(store: ModelStore, role: str, source: str, month: str, rows: pa.Table) -> None:
    part = store.source(role, source).replace(month, rows).part
    raw = digest_of(part.digest)
    record = Ingest(source, month, raw, "2" * 64, "accepted", part.rows, 0, part.digest)
    store.records.put(f"{source}/{month}/{raw[:16]}-2", record)


def built(store: ModelStore, month: str, sql: bytes = SQL) -> str:
    """Build a month's features; return the definition."""
    definition = store.objects.put(sql)
    assert build(store, MODEL, definition, month).part is not None
    return definition


def snapped(store: ModelStore, until: str, request: str, sql: bytes = SQL) -> Snapshot:
    """Take a snapshot of everything that is there, as a training does."""
    definition = store.objects.put(sql)
    build_window(store, MODEL, definition, until)
    return take(store, MODEL, definition, until, request, {})


def now() -> datetime:
    """Return this moment; what comes after it has a later one."""
    time.sleep(0.003)  # Delta counts milliseconds
    moment = datetime.now(UTC)
    time.sleep(0.003)
    return moment
