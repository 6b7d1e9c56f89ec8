"""A small store that can be trained on, and a process that dies right after a checkpoint.

Run as a script it trains the store in `argv[1]` with the parameters in `argv[2]` and is killed with
SIGKILL when the checkpoint of round `argv[3]` is written; 0 lets it finish.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.records import Ingest, RetrainRequest, Snapshot
from incumbent.store import ModelStore, Store
from incumbent.store.blobs import Blobs
from incumbent.train import stage
from incumbent.train.checkpoints import FOLDER, SUFFIX, Checkpoints, State

REQUEST = "2020-01-r1"
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
CLASSES = ("early", "late", "lost")


def small_model(**train: Any) -> Model:
    return Model.model_validate(
        {
            "name": "small",
            "owner": "tests",
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
            "train": {"launcher": "process", "rounds": 40, "checkpoint_every": 10, **train},
        }
    )


def class_model(**train: Any) -> Model:
    """Return the model whose outcomes are one of three classes."""
    plain = small_model(**train).model_dump(mode="json")
    label = {"sql": "state", "classes": CLASSES}
    return Model.model_validate({**plain, "task": "multiclass", "label": label, "gates": {"min_positives": 20}})


def small_store(
    root: Path, rows: int = 3000, blobs: Blobs | None = None, states: bool = False
) -> tuple[ModelStore, Snapshot]:
    """Write features and outcomes of January 2020 and a request, and return the store and a snapshot of them.

    The store lies in the folder, unless another place is given. With states the outcomes also have one of the classes,
    of which the last is rare, and the snapshot is of it.
    """
    return store_of(root, *small_tables(rows, states), blobs)


def small_tables(rows: int = 3000, states: bool = False) -> tuple[pa.Table, pa.Table]:
    """Return features and outcomes of January 2020; see `small_store`."""
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=rows), rng.normal(size=rows)
    kind = rng.choice(["a", "b", "c"], rows)
    at = [FIRST + timedelta(minutes=int(m)) for m in np.linspace(0, 31 * 24 * 60 - 1, rows)]
    features = pa.table(
        {
            "row": pa.array(range(rows), pa.int64()),
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "x": x,
            "y": y,
            "kind": pa.array(kind.tolist(), pa.string()),
        }
    )
    chance = 1 / (1 + np.exp(-(x - 0.5 * y + (kind == "c"))))
    outcomes = pa.table({"row": pa.array(range(rows), pa.int64()), "late": pa.array(rng.random(rows) < chance)})
    if states:
        told = np.digitize(x - 0.5 * y + (kind == "c") + rng.logistic(size=rows), [0.0, 4.0])
        outcomes = outcomes.append_column("state", pa.array(np.array(CLASSES)[told].tolist()))
    return features, outcomes


def store_of(
    root: Path, features: pa.Table, outcomes: pa.Table, blobs: Blobs | None = None
) -> tuple[ModelStore, Snapshot]:
    """Write the tables and a request, and return the store and a snapshot of them."""
    states = "state" in outcomes.column_names
    label: dict[str, Any] = {"sql": "state", "classes": list(CLASSES)} if states else {"sql": "late"}
    store = Store(blobs or root, root).model("small")
    definition = store.objects.put(b"SELECT * FROM batch")
    parts = [
        asdict(table.replace("2020-01", data).part)
        for table, data in ((store.features(definition), features), (store.outcomes("truth"), outcomes))
    ]
    snapshot = Snapshot(
        "small", "2020-01", definition, (parts[0],), (parts[1],), {}, label, "2020-01-24", "2020-01-25",
        "2020-02-01",
    )  # fmt: skip
    store.records.put(snapshot.id, snapshot)
    delivery = Ingest("truth", "2020-01", "1" * 64, "2" * 64, "accepted", outcomes.num_rows, 0, parts[1]["digest"])
    store.records.put("truth/2020-01/1-2", delivery)
    store.records.put(f"{REQUEST}/open", RetrainRequest(REQUEST, "2020-01", "cold_start", {}, False, "first"))
    return store, snapshot


def small_settings(home: Path, **env: str) -> Settings:
    return Settings.from_env({"INCUMBENT_HOME": str(home), **env}, root=home)


def checkpointed(store: ModelStore) -> int:
    """Return the rounds of the newest checkpoint of any fit."""
    names = [name.rpartition("/")[2] for name in store.blobs.names(FOLDER) if name.endswith(SUFFIX)]
    return max((int(name.partition("-")[0]) for name in names), default=0)


class DyingCheckpoints(Checkpoints):
    """Checkpoints whose process is killed as soon as a certain one is written."""

    die_at = 0

    def write(self, state: State, model: bytes) -> None:
        super().write(state, model)
        if state.rounds == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(root: str, params: str, die_at: str) -> None:
    from incumbent.train import work

    DyingCheckpoints.die_at = int(die_at)
    work.Checkpoints = DyingCheckpoints  # type: ignore[misc]
    store, snapshot = small_store(Path(root))
    model = small_model(params=json.loads(params))
    stage.train_candidate(store, model, snapshot, REQUEST, small_settings(Path(root)))


if __name__ == "__main__":
    main(*sys.argv[1:])
