"""What one column tells of the label by itself, measured on rows that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from incumbent.leaks.columns import Codes, Column, Floats
from incumbent.stats import auc, class_losses

BINS = 20
FOLDS = 2
PRIOR_ROWS = 2.0
CERTAIN = 1e-6


@dataclass(frozen=True)
class Strength:
    """How well a column predicts by itself.

    Attributes:
        auc: Probability that it ranks a pair right; for a regression, of rows above and below the median label.
        skill: Share of the label's entropy (binary) or variance (regression) that it explains.
        error: Standard error of the skill.
    """

    auc: float
    skill: float
    error: float


def strength(column: Column, label: Floats, task: str, folds: Codes) -> Strength:
    """Return a column's strength, cross-fitted: the mean label of its levels or of 20 quantile bins."""
    codes = level_codes(column)
    predictions = cross_fitted(codes, label, folds)
    truth = halves(label, task)
    area = auc(truth, predictions) if 0 < truth.mean() < 1 else 0.5
    share, error = skill(label, predictions, task)
    return Strength(area, share, error)


def halves(label: Floats, task: str) -> Floats:
    """Return a binary label as it is, and of a numeric one whether it lies above the middle."""
    if task == "binary":
        return label
    above = label > np.median(label)
    # Where the middle value is also the largest, nothing lies above it.
    return (above if above.any() else label >= np.median(label)).astype(np.float64)


def level_codes(column: Column) -> Codes:
    """Return the level of each row: of a text its value, of a number its bin; null is a level of its own."""
    values = column.values
    known = np.isfinite(values)
    if column.is_text:
        return np.where(known, values + 1, 0).astype(np.int64)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1])) if known.any() else np.empty(0)
    return np.where(known, np.searchsorted(edges, values, "right") + 1, 0).astype(np.int64)


def cross_fitted(codes: Codes, label: Floats, folds: Codes) -> Floats:
    """Return for each row its level's mean label among the rows of the other folds."""
    out = np.empty(label.size)
    size = int(codes.max(initial=0)) + 1
    for fold in np.unique(folds):
        fit, held = folds != fold, folds == fold
        counts = np.bincount(codes[fit], minlength=size)
        sums = np.bincount(codes[fit], weights=label[fit], minlength=size)
        means = (sums + PRIOR_ROWS * label[fit].mean()) / (counts + PRIOR_ROWS)
        out[held] = means[codes[held]]
    return out


def skill(label: Floats, predictions: Floats, task: str) -> tuple[float, float]:
    """Return the share of the label's uncertainty that predictions take away, and its standard error."""
    saved = losses(label, np.full(label.size, label.mean()), task)
    base = float(saved.mean())
    if base <= 0:
        return 0.0, 0.0
    each = 1.0 - losses(label, predictions, task) / base
    return float(each.mean()), float(each.std() / np.sqrt(each.size))


def losses(label: Floats, predictions: Floats, task: str) -> Floats:
    """Return each row's loss: squared error for a regression, else log loss, of several classes of the true one."""
    if task == "multiclass":
        return class_losses(label, predictions)
    if task == "binary":
        p = np.clip(predictions, CERTAIN, 1.0 - CERTAIN)
        each: Floats = -(label * np.log(p) + (1.0 - label) * np.log1p(-p))
        return each
    squared: Floats = (predictions - label) ** 2
    return squared


def fold_codes(label: Floats, task: str, seed: int, folds: int = FOLDS) -> Codes:
    """Return a fold for each row; each fold has its share of every class."""
    order = np.random.default_rng(seed).permutation(label.size)
    if task != "regression":
        order = order[np.argsort(label[order], kind="stable")]
    out = np.empty(label.size, dtype=np.int64)
    out[order] = np.arange(label.size) % folds
    return out
