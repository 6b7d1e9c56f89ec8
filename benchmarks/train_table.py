"""Rows to train on: twenty numbers and a label that depends on a few of them, in twelve months of a store.

The numbers are doubles, which is what SQL makes of a CSV file or a quotient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.records import Snapshot
from incumbent.store import ModelStore, Store
from incumbent.store.data_files import write

FEATURES = [f"f{number}" for number in range(20)]
PARTS = 12
CHUNK = 500_000
START = datetime(2020, 1, 1, tzinfo=UTC)


def model(**train: Any) -> Model:
    """Return the model that is trained."""
    return Model.model_validate(
        {
            "name": "bench",
            "owner": "bench",
            "task": "binary",
            "grain": "month",
            "start": "2020-01",
            "keys": ["row"],
            "time": "at",
            "sources": {
                "events": {"role": "batch", "path": "events/{partition}.parquet"},
                "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
            },
            "label": {"sql": "late"},
            "train": {"checkpoint_every": 25, **train},
        }
    )


def build(folder: Path, rows: int) -> None:
    """Write a store with so many rows, and the same rows joined in one file for those that read one."""
    store = Store(folder / "store").model("bench")
    definition = store.objects.put(b"SELECT * FROM batch")
    features, outcomes = store.features(definition), store.outcomes("truth")
    parts = []
    for number, count in enumerate(_counts(rows)):
        key, first = f"2020-{number + 1:02d}", sum(_counts(rows)[:number])
        parts.append(
            (
                asdict(features.replace(key, _reader(first, count, [*KEYS, *FEATURES])).part),
                asdict(outcomes.replace(key, _reader(first, count, ["row", "late"])).part),
            )
        )
    snapshot = Snapshot(
        "bench", "2020-12", definition, tuple(each for each, _ in parts), tuple(each for _, each in parts), {},
        {"sql": "late"}, "2020-01-10", "2020-01-10", "2020-02-01",
    )  # fmt: skip
    store.records.put(snapshot.id, snapshot)
    (folder / "snapshot").write_text(snapshot.id)
    write(folder / "joined.parquet", _reader(0, rows, [*FEATURES, "label"]))


def opened(folder: Path) -> tuple[ModelStore, Snapshot]:
    """Return what `build` wrote."""
    store = Store(folder / "store").model("bench")
    return store, store.records.get(Snapshot, (folder / "snapshot").read_text())


KEYS = ["row", "at"]


def _counts(rows: int) -> list[int]:
    return [rows // PARTS + (number < rows % PARTS) for number in range(PARTS)]


def _reader(first: int, count: int, columns: list[str]) -> pa.RecordBatchReader:
    schema = _chunk(0, 1).select(columns).schema
    return pa.RecordBatchReader.from_batches(schema, _batches(first, count, columns))


def _batches(first: int, count: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield rows that depend on their number alone, so that each file of them holds the same."""
    done = 0
    while done < count:
        at = first + done
        offset = at % CHUNK
        size = min(CHUNK - offset, count - done)
        chunk = _chunk(at // CHUNK, CHUNK).slice(offset, size).select(columns)
        yield from chunk.combine_chunks().to_batches()
        done += size


def _chunk(number: int, size: int) -> pa.Table:
    random = np.random.default_rng(number)
    values = random.normal(size=(size, len(FEATURES)))
    chance = 1 / (1 + np.exp(-(values[:, 0] - 0.5 * values[:, 1] + values[:, 2] * values[:, 3])))
    late = random.random(size) < chance
    rows = np.arange(number * CHUNK, number * CHUNK + size)
    at = pa.array([START + timedelta(days=1)], pa.timestamp("us", "UTC")).take(pa.array(np.zeros(size, np.int64)))
    columns = {name: values[:, position] for position, name in enumerate(FEATURES)}
    return pa.table({"row": rows, "at": at, **columns, "late": late, "label": late.astype(np.float64)})
