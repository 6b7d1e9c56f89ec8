"""The partition that `make bench ONLY=score` scores, and the version that scores it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.config import Model
from incumbent.features.build import built_name
from incumbent.features.inputs import PROFILES, pinned_inputs
from incumbent.records import ModelVersion, Part, Promotion
from incumbent.store import ModelStore, Store, generation_name

BATCH = 131_072
KEY = "2020-01"
SQL = b"SELECT * FROM batch"
DEFINITION = hashlib.sha256(SQL).hexdigest()
FEATURES = tuple(f"f{number:02d}" for number in range(20))
LEVELS = tuple(f"level-{number:02d}" for number in range(30))
TEXT, ROUNDS, TRAIN_ROWS = FEATURES[0], 100, 200_000
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
MODEL = Model.model_validate(
    {
        "name": "bench",
        "owner": "bench",
        "task": "binary",
        "grain": "month",
        "start": KEY,
        "keys": ["row"],
        "time": "at",
        "sources": {
            "events": {"role": "batch", "path": "events/{partition}.parquet"},
            "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
        },
        "label": {"sql": "late"},
    }
)


def store_in(folder: Path) -> ModelStore:
    """Return the bench's store."""
    return Store(folder / "store").model(MODEL.name)


def build(folder: Path, rows: int) -> None:
    """Write the features of a partition, fit a version on some of them, and give it the seat."""
    import xgboost as xgb

    from incumbent.estimators import xgboost
    from incumbent.estimators.encoding import Encoder

    store = store_in(folder)
    coming = batches(rows)
    first = next(coming)
    encoder = Encoder(FEATURES, {TEXT: LEVELS})
    numbers = encoder.matrix(pa.Table.from_batches([first.slice(0, TRAIN_ROWS)]))
    margin = numbers[:, 1] + numbers[:, 2] * numbers[:, 3] + 0.1 * numbers[:, 0]
    labels = np.random.default_rng(1).random(len(numbers)) < 1 / (1 + np.exp(-margin))
    data = xgb.DMatrix(
        numbers, label=labels, feature_names=list(FEATURES), feature_types=encoder.types, enable_categorical=True
    )
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 6, "seed": 7}, data, ROUNDS)
    model = xgboost.save(bytes(booster.save_raw("ubj")), encoder, DEFINITION, "snapshot")
    booster.save_model(folder / "model.ubj")
    digest = store.objects.put(model)
    store.objects.put(SQL)
    store.batches("events").replace(KEY, pa.table({"row": pa.array([0], pa.int64())}))
    inputs = pinned_inputs(store, MODEL, KEY)

    def all_rows() -> Iterator[pa.RecordBatch]:
        yield first
        yield from coming

    with store.features(DEFINITION).staged(KEY, pa.RecordBatchReader.from_batches(first.schema, all_rows())) as staged:
        store.features(DEFINITION).publish(staged)
        store.features(DEFINITION).commit(staged.part)
    profile = {"inputs": inputs.digest, "batch": inputs.batch.digest, "features": staged.part.digest, "profile": ""}
    store.records.claim(PROFILES, built_name(DEFINITION, inputs), profile)
    version = ModelVersion(
        digest, MODEL.name, "xgboost", "binary", DEFINITION, "snapshot", FEATURES, {TEXT: LEVELS}, {}, ROUNDS,
        len(numbers), "2020-01-01", dict.fromkeys(FEATURES, 0.05),
    )  # fmt: skip
    store.records.put(digest, version)
    store.records.put(generation_name(1), Promotion(1, digest, 0, "r", "promote", "bench", "", KEY))


def version(store: ModelStore) -> ModelVersion:
    """Return the version that has the seat."""
    return store.records.get(ModelVersion, store.promotion(1).version)


def part(store: ModelStore) -> Part:
    """Return the partition's features."""
    found = store.features(DEFINITION).part(KEY)
    assert found is not None
    return found


def plain_file(folder: Path) -> Path:
    """Return the features as the Parquet file that they are."""
    return next((folder / "store").rglob(f"{part(store_in(folder)).digest}.parquet"))


def booster(folder: Path) -> Any:
    """Return a bare booster."""
    import xgboost as xgb

    found = xgb.Booster()
    found.load_model(folder / "model.ubj")
    return found


def mlflow_model(folder: Path) -> Path:
    """Return the same model as MLflow keeps one; of a bare booster its flavour would know no categories."""
    import mlflow.xgboost
    import xgboost as xgb

    if not (path := folder / "mlflow").exists():
        model = xgb.XGBRegressor(enable_categorical=True)
        model.load_model(folder / "model.ubj")
        mlflow.xgboost.save_model(model, str(path), model_format="ubj")
    return path


def matrix(folder: Path) -> npt.NDArray[np.float32]:
    """Return all rows as the numbers that trees see."""
    read = pq.ParquetFile(plain_file(folder)).iter_batches(BATCH)
    return np.concatenate([encoded(pa.Table.from_batches([batch])) for batch in read])


def encoded(rows: pa.Table) -> npt.NDArray[np.float32]:
    """Return rows as the numbers that trees see."""
    from incumbent.estimators.encoding import Encoder

    return Encoder(FEATURES, {TEXT: LEVELS}).matrix(rows)


def with_levels(frame: Any) -> Any:
    """Return a frame of features in which the text is of a known set of levels."""
    import pandas as pd

    features = frame[list(FEATURES)].copy()
    features[TEXT] = pd.Categorical(features[TEXT], categories=list(LEVELS))
    return features


def predictions(rows: pa.Table, values: npt.NDArray[np.float64]) -> pa.Table:
    """Return the columns of a predictions partition."""
    made = {"generation": 1, "version": "v" * 64, "batch_digest": "b" * 64, "definition": "d" * 64}
    out = rows.select(["row", "at"]).append_column("prediction", pa.array(values))
    for name, value in {**made, "features_digest": "f" * 64, "variant": "champion"}.items():
        out = out.append_column(name, pa.repeat(pa.scalar(value), rows.num_rows))
    return out


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the partition."""
    rng = np.random.default_rng(0)
    levels = pa.array(LEVELS)
    for first in range(0, rows, BATCH):
        count = min(BATCH, rows - first)
        numbers = np.arange(first, first + count)
        at = pa.array(int(FIRST.timestamp() * 1e6) + numbers, pa.timestamp("us", "UTC"))
        columns: dict[str, Any] = {"row": pa.array(numbers, pa.int64()), "at": at}
        columns[TEXT] = levels.take(pa.array(rng.integers(0, len(LEVELS), count)))
        for name in FEATURES[1:]:
            columns[name] = pa.array(rng.normal(size=count).round(3))
        yield pa.record_batch(columns)
