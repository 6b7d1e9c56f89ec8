"""How much better one model's predictions of some rows are than another's, whatever the task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from incumbent.stats.auc import paired_auc_difference
from incumbent.stats.change import Measured
from incumbent.stats.classes import class_losses
from incumbent.stats.differences import Difference, relative_difference

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
CERTAIN = 1e-7  # a single certain and wrong score would cost infinity and hide everything else


def advantage(task: str, labels: Floats, first: Floats, second: Floats, clusters: Codes | None) -> Difference:
    """Return how much better the first predictions are: AUC points, or the share of the second's loss that they save.

    Args:
        task: `binary`, `multiclass` or `regression`.
        labels: The truth, shape (n_rows,); of a multiclass task the positions of its classes.
        first: Predictions of the rows, shape (n_rows,), or (n_rows, n_classes).
        second: Those of the other model.
        clusters: Code of each row's cluster; None for independent rows.

    Raises:
        ValueError: One class alone, fewer than two clusters, or a second model without any loss: nothing to compare.
    """
    if task == "binary":
        return paired_auc_difference(labels, first, second, clusters)
    return loss_saved(task, labels, first, second, clusters)


def loss_saved(task: str, labels: Floats, first: Floats, second: Floats, clusters: Codes | None) -> Difference:
    """Return the share of the second predictions' loss that the first save, of whichever task; see `advantage`."""
    more = relative_difference(row_losses(task, labels, first), row_losses(task, labels, second), clusters)
    return Difference(-more.estimate, more.error, more.clusters, more.df)


def row_losses(task: str, labels: Floats, predictions: Floats) -> Floats:
    """Return each row's loss: squared error for a regression, else log loss, of several classes of the true one."""
    if task == "binary":
        p = np.clip(predictions, CERTAIN, 1.0 - CERTAIN)
        losses: Floats = -(labels * np.log(p) + (1.0 - labels) * np.log1p(-p))
        return losses
    if task == "multiclass":
        return class_losses(labels, predictions)
    squared: Floats = (predictions - labels) ** 2
    return squared


def measured_advantage(
    task: str, labels: Floats, first: Floats, second: Floats, clusters: Codes | None, *, by_loss: bool = False
) -> Measured:
    """Return the advantage as one batch of several; one cluster alone has no error, and no degrees of freedom.

    By loss also of a binary task, where the two rank alike.
    """
    alone = clusters is not None and np.unique(clusters).size < 2
    found = (loss_saved if by_loss else advantage)(task, labels, first, second, None if alone else clusters)
    if alone:
        return Measured(found.estimate, 0.0, float(labels.size), 0)
    if clusters is None and task == "binary":
        # The rarer class says how well the error is known, and how normal the difference is.
        rarer = int(min(labels.sum(), labels.size - labels.sum()))
        return Measured(found.estimate, found.error, float(labels.size), rarer - 1)
    return Measured(found.estimate, found.error, float(labels.size), found.df)
