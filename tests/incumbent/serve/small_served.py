"""A small model with a contract, a context source, scored partitions and as many generations as a test wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from booster_of import booster_of

from incumbent.config import ModelFolder, load_model
from incumbent.estimators import predictor, xgboost
from incumbent.estimators.encoding import Encoder
from incumbent.features.build import build
from incumbent.records import ModelVersion, Promotion, digest_of
from incumbent.score import score
from incumbent.serve import proof
from incumbent.serve.online import Online
from incumbent.store import ModelStore, Store, generation_name
from incumbent.store.salt import pseudonyms, salt
from incumbent.validate.contract import load_contract

proof.ROWS = 10  # a hundred take most of a test's time
KEY, NEXT = "2020-01", "2020-02"
FEATURES = ("x", "kind", "price", "beside")
FIRST = datetime(2020, 1, 5, tzinfo=UTC)
MODEL = """
name: {name}
owner: tests
task: binary
grain: month
start: 2020-01
keys: [shop, row]
time: at
sources:
  events: {{role: batch, path: "events/{{partition}}.parquet"}}
  truth: {{role: outcomes, path: "truth/{{partition}}.parquet"}}
  prices: {{role: context, path: "prices/{{partition}}.parquet"}}
label: {{sql: late}}
train: {{launcher: process}}
"""
CONTRACT = """
sources:
  events:
    key: [shop, row]
    columns:
      shop: {dtype: string}
      row: {dtype: int64, min: 0}
      at: {dtype: timestamp}
      x: {dtype: float64, nullable: true, min: -10, max: 10}
      kind: {dtype: string, values: [a, b]}
      name: {dtype: string, sensitive: true}
    row_rules:
      not_both: kind <> 'b' OR x <= 5
  truth:
    key: [shop, row]
    columns: {shop: {dtype: string}, row: {dtype: int64}, late: {dtype: bool}}
  prices:
    key: [kind]
    columns: {kind: {dtype: string}, price: {dtype: float64}}
"""
SQL = """-- beside: how many rows the batch has
SELECT b.shop, b.row, b.at, b.x, b.kind, p.price, count(*) OVER () AS beside
FROM batch AS b LEFT JOIN prices AS p ON b.kind = p.kind"""


def folder_in(root: Path, name: str = "small", sql: str = SQL, contract: str = CONTRACT) -> ModelFolder:
    path = root / "models" / name
    path.mkdir(parents=True)
    for file, text in (("model.yaml", MODEL.format(name=name)), ("contract.yaml", contract), ("features.sql", sql)):
        (path / file).write_text(text)
    return load_model(path)


def batch(rows: int = 200, key: str = KEY) -> pa.Table:
    rng = np.random.default_rng(3 if key == KEY else 4)
    first = FIRST if key == KEY else FIRST + timedelta(days=31)
    return pa.table(
        {
            "shop": ["s/1" if at % 2 else "s" for at in range(rows)],
            "row": pa.array(range(rows), pa.int64()),
            "at": pa.array([first + timedelta(minutes=at) for at in range(rows)], pa.timestamp("us", "UTC")),
            "x": rng.uniform(-5, 5, rows),
            "kind": rng.choice(["a", "b"], rows),
            "name": [f"person {at}" for at in range(rows)],
        }
    )


def deliver(store: ModelStore, folder: ModelFolder, key: str = KEY, rows: int = 200) -> None:
    prices = pa.table({"kind": ["a", "b"], "price": [1.0, 2.0 + rows]})
    store.context("prices").replace(key, prices)
    table = batch(rows, key)
    if folder.model.sensitive.hashed.get("events"):  # as a delivery of it would be stored
        table = table.set_column(0, "shop", pa.array(pseudonyms(salt(store.blobs), table["shop"].to_pylist())))
    store.batches("events").replace(key, table)
    build(store, folder.model, store.objects.put(folder.features_sql.encode()), key)


def seat(store: ModelStore, folder: ModelFolder, generation: int) -> ModelVersion:
    """Fit a version, another one for each generation, and give it the seat."""
    definition = folder.definition
    rows = store.features(definition).read([KEY])
    encoder = Encoder.learn(rows, FEATURES)
    labels = (np.asarray(rows["x"]) > 0).astype(float)
    booster = booster_of(encoder, rows, labels, 3 + generation, max_depth=2)
    data = xgboost.save(xgboost.as_ubj(booster), encoder, definition, "s")
    version = ModelVersion(
        digest_of(data), folder.model.name, "xgboost", "binary", definition, "s", FEATURES, encoder.categories, {}, 3,
        200, "2020-02-01", {"x": 1.0},
    )  # fmt: skip
    store.objects.put(data)
    store.records.put(version.digest, version)
    entry = Promotion(generation, version.digest, generation - 1, "r", "promote", "why", "", KEY)
    store.records.put(generation_name(generation), entry)
    return version


def small(root: Path, name: str = "small", sql: str = SQL, contract: str = CONTRACT) -> tuple[ModelStore, ModelFolder]:
    """Return a store with one scored partition of 200 rows, by generation 1, and its folder."""
    folder, store = folder_in(root, name, sql, contract), Store(root / "store").model(name)
    deliver(store, folder)
    seat(store, folder, 1)
    score(store, folder.model, KEY, predictor(store))
    return store, folder


def online(store: ModelStore, folder: ModelFolder, is_only: bool = True) -> Online:
    found = Online(folder, load_contract(folder.contract_path), store, is_only)
    found.refresh()
    return found
