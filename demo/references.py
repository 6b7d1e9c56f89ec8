"""The two references: never retrained, and retrained every month on everything so far."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from demo.quality import table_auc
from incumbent.config import Model
from incumbent.estimators import predictor
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost import parameters, parse, predict
from incumbent.features.build import feature_columns
from incumbent.features.rows import feature_rows, label_rows, labelled_rows
from incumbent.records import ModelVersion
from incumbent.snapshot.take import compose
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Checkpoints
from incumbent.train.fit import fit


def never(store: ModelStore, model: Model, partitions: list[str]) -> dict[str, float]:
    """Return the AUC of each partition had generation 1 kept the seat."""
    version = store.records.get(ModelVersion, store.promotion(1).version)
    predict_with = predictor(store)
    return {
        key: _auc(store, model, version.definition, key, lambda rows: predict_with(version, rows)) for key in partitions
    }


def monthly(
    store: ModelStore, model: Model, definition: str, partitions: list[str], before: Callable[[str], str]
) -> dict[str, float]:
    """Return the AUC of each partition by a model fitted on everything before it, with no gate.

    The same code fits it with the same parameters on the same training days as a candidate would
    get: everything up to the partition before, without the held-out days and the embargo.
    """
    return {key: _one_month(store, model, definition, before(key), key) for key in partitions}


def _one_month(store: ModelStore, model: Model, definition: str, until: str, key: str) -> float:
    from datetime import date

    snapshot = compose(store, model, definition, until, {})
    rows = labelled_rows(store, model, snapshot, None, date.fromisoformat(snapshot.train_until))
    encoder = Encoder.learn(rows, feature_columns(model, rows))
    params = parameters(model.task, model.train.params, "cpu", os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            encoder, encoder.matrix(rows), np.asarray(rows["label"], dtype=np.float64), params, model.train.rounds,
            model.train.checkpoint_every, model.train.seed, Checkpoints(Path(folder)),
        )  # fmt: skip
    booster = parse(fitted.model)
    version = ModelVersion(
        "", model.name, "xgboost", model.task, definition, "", encoder.features, encoder.categories, {}, fitted.rounds,
        rows.num_rows, snapshot.train_until, {},
    )  # fmt: skip
    return _auc(store, model, definition, key, lambda batch: predict(booster, version, batch))


def _auc(
    store: ModelStore, model: Model, definition: str, key: str, predict_rows: Callable[[pa.Table], np.ndarray]
) -> float:
    rows = feature_rows(store, definition, [key])
    predictions = rows.select(list(model.keys)).append_column("prediction", pa.array(predict_rows(rows)))
    return table_auc(model, predictions, label_rows(store, model, [key]))
