"""Quality of predictions from the predictions table, joined to the outcomes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.features.compute import open_duckdb, quoted
from incumbent.features.rows import label_rows
from incumbent.stats import auc
from incumbent.store import ModelStore


def partition_auc(store: ModelStore, model: Model, partition: str) -> float | None:
    """Return the AUC of what was predicted for a partition; None when nothing was."""
    if store.predictions.part(partition) is None:
        return None
    predictions = store.predictions.read([partition], [*model.keys, "prediction"])
    return table_auc(model, predictions, label_rows(store, model, [partition]))


def table_auc(model: Model, predictions: pa.Table, labels: pa.Table) -> float:
    """Return the AUC of a table with keys and `prediction` against a table with keys and `label`."""
    connection = open_duckdb()
    try:
        connection.register("predictions", predictions)
        connection.register("labels", labels)
        query = f"SELECT label, prediction FROM predictions JOIN labels USING ({quoted(model.keys)})"
        joined = connection.sql(query).to_arrow_table()
    finally:
        connection.close()
    truth = np.asarray(joined["label"], dtype=np.float64)
    return float(auc(truth, np.asarray(joined["prediction"], dtype=np.float64)))
