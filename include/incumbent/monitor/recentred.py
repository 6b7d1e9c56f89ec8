"""Would moving the intercept be enough? What is left of a model's misses once its mean is right.

When only the share of the classes changed (label shift), the odds of every row are off by one factor: a new intercept
repairs them, ranking stays, and nothing has to be learned again. Anything else leaves a slope behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit, stdtr

from incumbent.stats import Difference, auc_influence, class_losses, mean_difference
from incumbent.stats.differences import from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
EDGE = 1e-6  # a probability of 0 or 1 has no odds
ROUNDS = 200
EXACT = 1e-9
MIN_ROWS = 30


def label_facts(
    task: str, labels: Floats, predictions: Floats, clusters: Codes | None, reference: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the labels of a batch say of the mean, of what a new intercept leaves, and of the metric then.

    Args:
        task: `binary`, `multiclass` or `regression`.
        labels: Truth, shape (n_rows,); of several classes their positions.
        predictions: Shape (n_rows,) or (n_rows, n_classes).
        clusters: Cluster code per row; None for independent rows.
        reference: `value` and `error` of the metric on the rows that the champion was gated on.

    Returns:
        Empty if the rows say nothing (few, one class, not finite). Else rows; gap, gap_error and gap_z, of the truth
        above the mean prediction (of the class that is worst); mean_label; slope_p, the p-value of "a new intercept
        leaves no slope"; metric, corrected (its value after that) and corrected_z (its loss against the reference, in
        errors).
    """
    if len(labels) < MIN_ROWS or len(np.unique(labels)) < 2:
        return {}
    if not (np.isfinite(labels).all() and np.isfinite(predictions).all()):
        return {}
    if clusters is not None and len(np.unique(clusters)) < 2:
        clusters = None  # one day: its rows are all there is, and the performance verdict says what days differ by
    centred = recentred(task, labels, predictions)
    misses = _misses(task, labels, predictions)
    gaps = {at: mean_difference(truth - said, clusters) for at, (truth, said) in misses.items()}
    worst = max(gaps, key=lambda at: abs(gaps[at].estimate) / max(gaps[at].error, EXACT))
    slopes = [_slope_p(task, truth, said, clusters) for truth, said in _misses(task, labels, centred).values()]
    found = _metric(task, labels, centred, clusters)
    loss = (float(reference["value"]) - found.estimate) * (1 if task == "binary" else -1)
    return {
        "rows": len(labels),
        "mean_label": float(misses[worst][0].mean()),
        "gap": gaps[worst].estimate,
        "gap_error": gaps[worst].error,
        "gap_z": gaps[worst].estimate / max(gaps[worst].error, EXACT),
        "slope_p": min(1.0, min(slopes) * len(slopes)),
        "metric": {"binary": "auc", "multiclass": "logloss", "regression": "rmse"}[task],
        "corrected": found.estimate,
        "corrected_z": loss / max(math.hypot(found.error, float(reference["error"])), EXACT),
    }


def recentred(task: str, labels: Floats, predictions: Floats) -> Floats:
    """Return predictions whose mean (of each class) is that of the labels, moved by an intercept alone.

    Of classes the odds are multiplied, by factors found by repeated scaling; a number is shifted.

    >>> recentred("binary", np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.2, 0.2, 0.2, 0.2])).round(6)
    array([0.5, 0.5, 0.5, 0.5])
    """
    if task == "regression":
        shifted: Floats = predictions + (labels - predictions).mean()
        return shifted
    each = predictions if task == "multiclass" else np.column_stack([1 - predictions, predictions])
    each = np.clip(each, EDGE, None)
    wanted = np.bincount(labels.astype(np.int64), minlength=each.shape[1]) / len(labels)
    factors = np.ones(each.shape[1])
    for _ in range(ROUNDS):
        shares = each * factors
        shares /= shares.sum(axis=1, keepdims=True)
        step = wanted / shares.mean(axis=0)
        factors *= step
        if np.abs(step[wanted > 0] - 1).max() < EXACT:
            break
    shares = each * factors
    shares /= shares.sum(axis=1, keepdims=True)
    out: Floats = shares if task == "multiclass" else shares[:, 1]
    return out


def _misses(task: str, labels: Floats, predictions: Floats) -> dict[int, tuple[Floats, Floats]]:
    """Return truth and prediction, of several classes of each as one against the others."""
    if task != "multiclass":
        return {0: (labels, predictions)}
    return {at: ((labels == at).astype(np.float64), predictions[:, at]) for at in range(predictions.shape[1])}


def _slope_p(task: str, truth: Floats, said: Floats, clusters: Codes | None) -> float:
    """Return the two-sided p-value of a score test for a slope beside the intercept, with a clustered error."""
    weight = np.ones(len(said)) if task == "regression" else np.clip(said, EDGE, 1 - EDGE)
    level = said if task == "regression" else logit(weight)
    if task != "regression":
        weight = weight * (1 - weight)
    level = level - float(weight @ level) / float(weight.sum())
    psi = (truth - said) * level
    found = from_influence(float(psi.mean()), (psi - psi.mean()) / len(psi), clusters)
    return float(2 * stdtr(found.df, -abs(found.t))) if found.error > 0 else 1.0


def _metric(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> Difference:
    if task == "binary":
        value, psi = auc_influence(labels, predictions)
        return from_influence(value, psi, clusters)
    if task == "multiclass":
        return mean_difference(class_losses(labels, predictions), clusters)
    squared = mean_difference((labels - predictions) ** 2, clusters)
    root = math.sqrt(squared.estimate)
    return Difference(root, squared.error / (2 * root) if root else 0.0, squared.clusters, squared.df)
