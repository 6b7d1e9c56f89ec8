"""The area under the ROC curve, and what each row contributes to its error.

DeLong's placement values come from two binary searches instead of all pairs, so a million rows
cost a sort. The contribution of every row (its influence) is kept, because rows of one day share
their luck: summed by day, the same contributions give an error that knows it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from incumbent.stats.differences import Difference, from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the probability that a positive scores above a negative; a tie counts half.

    Args:
        labels: 0 or 1, shape (n_rows,).
        scores: Any finite numbers, shape (n_rows,).

    Raises:
        ValueError: A class is absent, a score is not finite, or a label is neither 0 nor 1.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    return auc_influence(labels, scores)[0]


def auc_influence(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float, Floats]:
    """Return the AUC and each row's contribution to its error.

    Returns:
        The AUC and `psi`, shape (n_rows,), which sums to zero; the sum of its squares estimates
        the variance of the AUC when rows are independent, and the sum of the squares of its sums
        by cluster when they are not.
    """
    positive, values = _checked(labels, scores)
    positives, negatives = values[positive], values[~positive]
    above = _placements(positives, np.sort(negatives))
    area = float(above.mean())
    psi = np.empty(values.size)
    psi[positive] = (above - area) / positives.size
    psi[~positive] = (1.0 - _placements(negatives, np.sort(positives)) - area) / negatives.size
    return area, psi


def paired_auc_difference(
    labels: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, clusters: Codes | None = None
) -> Difference:
    """Return how much better the first scores rank the same rows than the second.

    Args:
        labels: 0 or 1, shape (n_rows,).
        first: Scores of the first contender.
        second: Scores of the second.
        clusters: Code of each row's cluster. None: rows are independent, and the error is DeLong's.
    """
    (area_a, psi_a), (area_b, psi_b) = auc_influence(labels, first), auc_influence(labels, second)
    psi, estimate = psi_a - psi_b, area_a - area_b
    if clusters is not None:
        return from_influence(estimate, psi, clusters)
    positive = np.asarray(labels) > 0.5
    # DeLong's covariance divides by (class size - 1), class by class.
    variance = sum(
        float(psi[rows] @ psi[rows]) * int(rows.sum()) / max(int(rows.sum()) - 1, 1) for rows in (positive, ~positive)
    )
    return Difference(estimate, float(np.sqrt(variance)), int(positive.size), max(int(positive.size) - 2, 1))


def _placements(values: Floats, others: Floats) -> Floats:
    """Return the share of sorted `others` that lie below each value, ties counting half."""
    below = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    shares: Floats = below / (2.0 * others.size)
    return shares


def _checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], Floats]:
    truth, values = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and scores {values.shape} must be one-dimensional and equally long")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} scores are not finite")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1")
    positive = truth > 0.5
    if positive.all() or not positive.any():
        raise ValueError("an AUC needs at least one row of each class")
    return positive, values
