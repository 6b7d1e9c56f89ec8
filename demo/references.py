"""The two references: never retrained, and retrained every month on everything so far."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from demo.quality import table_auc
from incumbent.config import Model
from incumbent.estimators import predictor
from incumbent.estimators.xgboost import parse, predict
from incumbent.features.out_of_core import snapshot_files
from incumbent.features.rows import feature_rows, label_rows
from incumbent.records import ModelVersion
from incumbent.snapshot.take import compose
from incumbent.store import ModelStore
from incumbent.train.work import Place, Work


def never(store: ModelStore, model: Model, partitions: list[str]) -> dict[str, float]:
    """Return the AUC of each partition had generation 1 kept the seat."""
    version = store.records.get(ModelVersion, store.promotion(1).version)
    predict_with = predictor(store)
    return {
        key: _auc(store, model, version.definition, key, lambda rows: predict_with(version, rows)) for key in partitions
    }


def monthly(
    store: ModelStore,
    model: Model,
    definition: str,
    partitions: list[str],
    before: Callable[[str], str],
    tell: Callable[[str, float], None],
) -> dict[str, float]:
    """Return the AUC of each partition by a model fitted on everything before it, with no gate.

    The same code fits it with the same parameters on the same training days as a candidate would
    get: everything up to the partition before, without the held-out days and the embargo. Each takes as
    long as a training, so each is told as soon as it is known.
    """
    found = {}
    for key in partitions:
        found[key] = _one_month(store, model, definition, before(key), key)
        tell(key, found[key])
    return found


def _one_month(store: ModelStore, model: Model, definition: str, until: str, key: str) -> float:
    snapshot = compose(store, model, definition, until, {})
    work, place = Work(model, snapshot), Place(threads=os.cpu_count() or 1)
    with snapshot_files(store, snapshot) as files:
        prepared = work.prepare(store, files)
        fitted = work.fit(files, prepared, place, start=None, keep=lambda state, checkpoint: None)
    encoder, booster = prepared.encoder, parse(fitted.model)
    version = ModelVersion(
        "", model.name, "xgboost", model.task, definition, "", encoder.features, encoder.categories, {}, fitted.rounds,
        prepared.rows.count, snapshot.train_until, {},
    )  # fmt: skip
    return _auc(store, model, definition, key, lambda batch: predict(booster, version, batch))


def _auc(
    store: ModelStore, model: Model, definition: str, key: str, predict_rows: Callable[[pa.Table], np.ndarray]
) -> float:
    rows = feature_rows(store, definition, [key])
    predictions = rows.select(list(model.keys)).append_column("prediction", pa.array(predict_rows(rows)))
    return table_auc(model, predictions, label_rows(store, model, [key]))
