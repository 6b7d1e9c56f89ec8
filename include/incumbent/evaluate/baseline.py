"""The rule a first model must beat: the mean label, or the shares of classes, of each level of the best single feature.

A model that only copies one column (a carrier's record, the hour of the day) is not worth a
training pipeline. The feature is chosen on training rows alone, and tried on later ones, or a column
with thousands of levels would win by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.stats import auc, class_losses

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
BINS = 20
PRIOR_ROWS = 20.0
FIT_SHARE = 0.75
MOST_ROWS = 200_000


def best_single_feature(
    training: pa.Table, rows: pa.Table, features: Sequence[str], task: str, classes: int = 0
) -> tuple[str, Floats | None]:
    """Return the best single feature and its predictions for the gate rows.

    Args:
        training: Training rows with `label` and `local_date`, newest last after sorting by date.
        rows: Gate rows.
        features: Names of the features to choose from.
        task: `binary`, `multiclass` or `regression`.
        classes: How many; of a multiclass task.

    Returns:
        The feature's name and predictions, shape (n_gate_rows,) or (n_gate_rows, n_classes); an empty name and None
        when there is nothing to choose from.
    """
    training = training.sort_by("local_date")
    training = training.slice(max(training.num_rows - MOST_ROWS, 0))
    cut = int(training.num_rows * FIT_SHARE)
    early, late = training.slice(0, cut), training.slice(cut)
    there = set(training.column_names) & set(rows.column_names)
    names = [name for name in features if name in there]
    if not names or not early.num_rows or not late.num_rows:
        return "", None
    truth = late["label"].to_numpy()
    scores = {name: _worth(task, truth, _predict(early, late, name, classes)) for name in names}
    best = max(names, key=lambda name: scores[name])
    return best, _predict(training, rows, best, classes)


def _predict(fit: pa.Table, rows: pa.Table, name: str, classes: int) -> Floats:
    labels = fit["label"].to_numpy()
    known, wanted, levels = _codes(fit[name], rows[name])
    # Of several classes each is a label of its own, 0 or 1: the means of its levels are probabilities.
    each = [(labels == at).astype(np.float64) for at in range(classes)] or [labels]
    found = np.column_stack([_means(known, levels, label)[wanted] for label in each])
    return found if classes else found[:, 0]


def _means(codes: Codes, levels: int, label: Floats) -> Floats:
    counts = np.bincount(codes, minlength=levels)
    sums = np.bincount(codes, weights=label, minlength=levels)
    # A level seen twice says little: it is pulled towards the mean of all.
    means: Floats = (sums + PRIOR_ROWS * float(label.mean())) / (counts + PRIOR_ROWS)
    return means


def _codes(fit: pa.ChunkedArray[Any], rows: pa.ChunkedArray[Any]) -> tuple[Codes, Codes, int]:
    """Return level codes of both columns and their number; the last level is "null or never seen"."""
    if pa.types.is_integer(fit.type) or pa.types.is_floating(fit.type) or pa.types.is_decimal(fit.type):
        known, wanted = _numbers(fit), _numbers(rows)
        finite = known[np.isfinite(known)]
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1])) if finite.size else np.empty(0)
        last = edges.size + 1
        binned = [
            np.where(np.isfinite(values), np.searchsorted(edges, values, "right"), last) for values in (known, wanted)
        ]
        return binned[0], binned[1], last + 1
    texts = [pc.cast(column, pa.string()) for column in (fit, rows)]
    vocabulary = pc.drop_null(pc.unique(texts[0]))
    last = len(vocabulary)
    coded = [np.asarray(pc.index_in(text, value_set=vocabulary).fill_null(last), dtype=np.int64) for text in texts]
    return coded[0], coded[1], last + 1


def _numbers(column: pa.ChunkedArray[Any]) -> Floats:
    # Arrow gives nulls of a float column to numpy as NaN.
    return np.asarray(column.cast(pa.float64(), safe=False), dtype=np.float64)


def _worth(task: str, truth: Floats, predictions: Floats) -> float:
    if task == "binary":
        return auc(truth, predictions) if 0 < truth.mean() < 1 else 0.5
    if task == "multiclass":
        return -float(class_losses(truth, predictions).mean())
    return -float(((predictions - truth) ** 2).mean())
