"""The intercept of a model whose classes did not weigh what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating]


def of_class(labels: Numbers, weights: Numbers | None, class_weight: float) -> Numbers | None:
    """Return what rows weigh once class 1 weighs so much more; None where all weigh the same."""
    if class_weight == 1:
        return weights
    found = np.where(labels == 1, class_weight, 1.0).astype(np.float32)
    return found if weights is None else weights * found


def logit_to_mean(
    margins: Numbers, labels: Numbers, weights: Numbers, summed: Callable[[float], float] = float
) -> float:
    """Return the logit that brings the mean prediction to the share of class 1.

    The logarithm of the class weight would do for a model that has learned all there is; a shrunken one has
    taken back a part of it.

    Args:
        margins: Logits of the rows, shape (n_rows,).
        labels: 0 or 1, shape (n_rows,).
        weights: What the rows weigh by themselves, shape (n_rows,).
        summed: Sums a number over all workers.
    """
    wanted, low, high = summed(float(weights @ labels)), -50.0, 50.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        found = summed(float(weights @ (1 / (1 + np.exp(-(margins + middle))))))
        low, high = (low, middle) if found > wanted else (middle, high)
    return (low + high) / 2
