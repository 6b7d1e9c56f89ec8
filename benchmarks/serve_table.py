"""The model that `make bench ONLY=serve` asks: a million published rows, and four versions that take turns."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import score_table as table
from incumbent.config import ModelFolder, load_model
from incumbent.records import ModelVersion, Promotion, digest_of
from incumbent.store import ModelStore, Store, generation_name

NAME, KEY, GENERATIONS = "bench", table.KEY, 4
NUMBERS = [name for name in table.FEATURES if name != table.TEXT]
MODEL = """name: bench
owner: bench
task: binary
grain: month
start: 2020-01
keys: [row]
time: at
sources:
  events: {role: batch, path: "events/{partition}.parquet"}
  truth: {role: outcomes, path: "truth/{partition}.parquet"}
  levels: {role: context, path: levels.parquet, once: true}
label: {sql: late}
"""
# The first number is looked up by the text, so that a live row has something to join.
SQL = (
    f"SELECT b.row, b.at, b.{table.TEXT}, l.number AS {NUMBERS[0]}, {', '.join(f'b.{name}' for name in NUMBERS[1:])}\n"
    f"FROM batch AS b LEFT JOIN levels AS l ON b.{table.TEXT} = l.level\n"
)


def build(folder: Path, rows: int) -> None:
    """Write the model folder, deliver and score a partition, and keep the other versions for later generations."""
    from incumbent.estimators import predictor
    from incumbent.features.build import build as build_features
    from incumbent.score import score

    _write_folder(folder / "models" / NAME)
    store, model_folder = opened(folder)
    levels = pa.table({"level": list(table.LEVELS), "number": np.linspace(-1, 1, len(table.LEVELS))})
    store.context("levels").replace("once", levels)
    batches = list(table.batches(rows))
    store.batches("events").replace(KEY, pa.Table.from_batches(batches).drop_columns([NUMBERS[0]]))
    build_features(store, model_folder.model, store.objects.put(SQL.encode()), KEY)
    _fit(store, folder)
    seat(folder, 1)
    done = score(store, model_folder.model, KEY, predictor(store))
    assert done.changed, done


def opened(folder: Path) -> tuple[ModelStore, ModelFolder]:
    """Return the bench's store and model folder."""
    return Store(folder / "store").model(NAME), load_model(folder / "models" / NAME)


def seat(folder: Path, generation: int) -> None:
    """Give the seat to the version that was fitted for a generation."""
    store, _ = opened(folder)
    digest = json.loads((folder / "versions.json").read_text())[generation - 1]
    store.records.put(
        generation_name(generation), Promotion(generation, digest, generation - 1, "r", "promote", "bench", "", KEY)
    )


def live_row(number: int, first: int) -> dict[str, Any]:
    """Return a row that nobody scored."""
    rng = np.random.default_rng(number)
    values: dict[str, Any] = {name: round(float(rng.normal()), 3) for name in NUMBERS[1:]}
    at = (table.FIRST + timedelta(minutes=number % 40_000)).isoformat()
    return {"row": first + number, "at": at, table.TEXT: str(rng.choice(list(table.LEVELS))), **values}


def _fit(store: ModelStore, folder: Path) -> None:
    import xgboost as xgb

    from incumbent.estimators import xgboost
    from incumbent.estimators.encoding import Encoder

    definition = digest_of(SQL.encode())
    part = store.features(definition).part(KEY)
    assert part is not None
    rows = pa.Table.from_batches([next(store.features(definition).batches(part, table.TRAIN_ROWS))])
    encoder = Encoder(table.FEATURES, {table.TEXT: table.LEVELS})
    numbers = encoder.matrix(rows)
    labels = np.random.default_rng(1).random(len(numbers)) < 1 / (1 + np.exp(-numbers[:, 2] * numbers[:, 3]))
    names, parameters = list(table.FEATURES), {"objective": "binary:logistic", "max_depth": 6, "seed": 7}
    typed = xgb.DMatrix(numbers, labels, feature_names=names, feature_types=encoder.types, enable_categorical=True)
    digests = []
    for generation in range(1, GENERATIONS + 1):
        booster = xgb.train({**parameters, "eta": 0.3 - 0.01 * generation}, typed, table.ROUNDS)
        data = xgboost.save(bytes(booster.save_raw("ubj")), encoder, definition, "snapshot")
        digests.append(store.objects.put(data))
        version = ModelVersion(
            digests[-1], NAME, "xgboost", "binary", definition, "snapshot", table.FEATURES, {table.TEXT: table.LEVELS},
            {}, table.ROUNDS, len(numbers), "2020-01-01", dict.fromkeys(table.FEATURES, 0.05),
        )  # fmt: skip
        store.records.put(version.digest, version)
    (folder / "versions.json").write_text(json.dumps(digests))
    plain = xgb.train(parameters, xgb.DMatrix(numbers, labels, feature_names=names), table.ROUNDS)
    plain.save_model(folder / "plain.ubj")  # MLflow's flavour knows no categories


def _write_folder(path: Path) -> None:
    path.mkdir(parents=True)
    columns = {"row": "int64", "at": "timestamp", table.TEXT: "string", **dict.fromkeys(NUMBERS[1:], "float64")}
    sources: dict[str, Any] = {
        "events": {"key": ["row"], "columns": {name: {"dtype": kind} for name, kind in columns.items()}},
        "truth": {"key": ["row"], "columns": {"row": {"dtype": "int64"}, "late": {"dtype": "bool"}}},
        "levels": {"key": ["level"], "columns": {"level": {"dtype": "string"}, "number": {"dtype": "float64"}}},
    }
    (path / "contract.yaml").write_text(json.dumps({"sources": sources}))
    (path / "model.yaml").write_text(MODEL)
    (path / "features.sql").write_text(SQL)
