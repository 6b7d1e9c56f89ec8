"""What a folder's own `metric` and `objective` are given, and what they have to give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Matrix
from incumbent.estimators.intercept import of_class
from incumbent.estimators.shards import Shard
from incumbent.functions import FILE, Functions

METRIC = f"{FILE}:metric"  # as records, logs and MLflow name it
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What is known of some rows.

    Attributes:
        labels: Shape (n_rows,).
        weights: Shape (n_rows,), that of the row's class among them; None where all weigh the same.
    """

    labels: Doubles
    weights: Doubles | None

    @classmethod
    def of(cls, shard: Shard, class_weight: float) -> Self:
        """Return what is known of the rows of a shard, in their order."""
        labels = shard.labels()
        weights = of_class(labels, shard.weights(), class_weight)
        return cls(labels, None if weights is None else weights.astype(np.float64))

    @property
    def weight(self) -> float:
        """What the rows weigh together."""
        return float(len(self.labels) if self.weights is None else self.weights.sum())


def truths(functions: Functions, train: Shard, validation: Shard | None, class_weight: float) -> dict[str, Truth]:
    """Return what `metric` and `objective` are told of the rows of each role; nothing where there is neither."""
    if not functions.defined & {"metric", "objective"}:
        return {}
    shards = {"train": train, "validation": validation}
    return {role: Truth.of(shard, class_weight) for role, shard in shards.items() if shard is not None}


def score_of(functions: Functions, truth: Truth, predictions: npt.NDArray[np.floating[Any]]) -> float:
    """Return the score that `metric` gives.

    Args:
        functions: Has a `metric`.
        truth: Labels and weights of the rows.
        predictions: Of the same rows; probabilities for a binary task.

    Raises:
        TrainingError: It fails, or gives no number. One that is not finite is for whoever asks.
    """
    found = functions.call("metric", truth.labels, predictions.astype(np.float64), truth.weights)
    try:
        return float(found)
    except (TypeError, ValueError) as error:
        raise TrainingError(
            "metric of model.py gives no number",
            where=f"{FILE}: metric",
            expected="one number",
            found=f"a {type(found).__name__}",
            next_step="return a float, such as the mean over the rows, weighted with `weights` unless that is None",
        ) from error


def gradients_of(functions: Functions, truth: Truth, margins: Matrix) -> tuple[Matrix, Matrix]:
    """Return the gradients and hessians that `objective` gives, each of the shape of the margins.

    Args:
        functions: Has an `objective`.
        truth: Labels and weights of the rows.
        margins: What the trees so far say of the rows; logits for a binary task.

    Raises:
        TrainingError: It fails, or nothing can be learned from what it gives.
    """
    found = functions.call("objective", truth.labels, margins.astype(np.float64), truth.weights)
    try:
        with np.errstate(over="ignore"):  # it becomes infinite, and is told below
            gradients, hessians = (np.asarray(each, dtype=np.float32, order="C") for each in found)
    except (TypeError, ValueError) as error:
        raise _unusable(f"a {type(found).__name__}", margins.shape) from error
    if not gradients.shape == hessians.shape == margins.shape:
        raise _unusable(f"shapes {gradients.shape} and {hessians.shape}", margins.shape)
    bad = int((~(np.isfinite(gradients) & np.isfinite(hessians))).sum())
    if bad:
        raise _unusable(f"{bad} of {gradients.size} NaN or infinite", margins.shape)
    return gradients, hessians


def _unusable(found: str, shape: tuple[int, ...]) -> TrainingError:
    return TrainingError(
        "objective of model.py gives no gradients that can be learned from",
        where=f"{FILE}: objective",
        expected=f"(gradients, hessians), finite numbers, each of the shape {shape} of the margins",
        found=found,
        next_step="correct the function: a log or a division near 0, exp of a large margin, a missing return, or a sum "
        "over the rows are the usual reasons",
    )
