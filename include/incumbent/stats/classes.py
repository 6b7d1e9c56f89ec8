"""Losses of predictions that give several classes a probability each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CERTAIN = 1e-7  # a single certain and wrong row would cost infinity and hide everything else


def class_losses(labels: Floats, probabilities: Floats) -> Floats:
    """Return each row's log loss: of the probability that its true class was given.

    Args:
        labels: Position of the true class, shape (n_rows,).
        probabilities: Shape (n_rows, n_classes).

    >>> class_losses(np.array([1.0, 0.0]), np.array([[0.2, 0.8], [0.5, 0.5]])).round(3)
    array([0.223, 0.693])
    """
    given = probabilities[np.arange(labels.size), labels.astype(np.int64)]
    losses: Floats = -np.log(np.clip(given, CERTAIN, 1.0 - CERTAIN))
    return losses
