"""The champion's performance on a partition whose outcomes are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from incumbent.config import Monitor
from incumbent.monitor.verdicts import PerformanceVerdict
from incumbent.stats import Difference, auc_influence, mean_difference
from incumbent.stats.differences import from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
CALIBRATION_TOLERANCE = 0.005  # share by which the mean prediction may always miss
MIN_CLUSTERS = 5  # with fewer, their own spread says too little
NO_ERROR = 1e-9  # an error of 0 (all rows alike) must not divide


def baseline(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> dict[str, float]:
    """Return what a champion did on the rows that it was gated on.

    Returns:
        `value` and `error` of the metric, `miss_error` of the mean prediction, and `clusters`, their number:
        together they say how much one cluster differs from the next.
    """
    found = _metric(task, labels, predictions, clusters)
    miss = mean_difference(labels - predictions, clusters)
    return {
        "value": found.estimate,
        "error": found.error,
        "miss_error": miss.error,
        "clusters": float(found.clusters),
    }


def performance_verdict(
    partition: str,
    generation: int,
    version: str,
    task: str,
    labels: Floats,
    predictions: Floats,
    clusters: Codes | None,
    coverage: float,
    reference: Mapping[str, float],
    settings: Monitor,
) -> PerformanceVerdict:
    """Judge matured predictions against what the champion did when it was gated.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        task: `binary` or `regression`.
        labels: Truth of the labelled rows, shape (n_rows,).
        predictions: What was predicted for them, same shape.
        clusters: Cluster code per row; None for independent rows.
        coverage: Share of all predictions whose outcome status is known.
        reference: The champion's `baseline`.
        settings: Needed coverage.
    """
    metric = "auc" if task == "binary" else "rmse"

    def verdict(judged: bool, sentence: str, **numbers: Any) -> PerformanceVerdict:
        empty: dict[str, Any] = {"value": None, "error": None, "z": {}, "trivial": None}
        fields = {**empty, **numbers}
        return PerformanceVerdict(
            partition, generation, version, judged, round(coverage, 6), metric, sentence=sentence, **fields
        )

    if coverage < settings.coverage:
        return verdict(False, f"{partition}: outcomes of {coverage:.1%} are in, {settings.coverage:.0%} are needed.")
    if len(labels) < 2 or (task == "binary" and len(np.unique(labels)) < 2):
        return verdict(False, f"{partition}: the outcomes have one class only; nothing can be ranked.")
    count = len(labels) if clusters is None else len(np.unique(clusters))
    if count < MIN_CLUSTERS and "clusters" not in reference:
        return verdict(False, f"{partition}: {count} cluster(s) of rows are too few to say how large the error is.")
    found, miss = _errors(task, labels, predictions, clusters, count, reference)
    value, error = found.estimate, found.error
    worse = (reference["value"] - value) * (1 if task == "binary" else -1)
    slack = CALIBRATION_TOLERANCE * (1.0 if task == "binary" else float(np.std(labels)))
    z = {
        "rank": worse / max(float(np.hypot(error, reference["error"])), NO_ERROR),
        "cal_high": (miss.estimate - slack) / max(miss.error, NO_ERROR),
        "cal_low": (-miss.estimate - slack) / max(miss.error, NO_ERROR),
    }
    off = float(np.mean(predictions) - np.mean(labels))
    trivial = 0.5 if task == "binary" else float(np.std(labels))
    sentence = (
        f"{partition}: {metric} {value:.3f} ± {error:.3f} (gated at {reference['value']:.3f}); mean off by {off:+.3f}."
    )
    return verdict(True, sentence, value=value, error=error, z=z, trivial=trivial)


def _errors(
    task: str, labels: Floats, predictions: Floats, clusters: Codes | None, count: int, reference: Mapping[str, float]
) -> tuple[Difference, Difference]:
    """Return the metric and the mean miss, each with an error that holds for so many clusters.

    A partition of one day is one cluster: how much days differ is then known from the gate rows.
    """
    few = count < MIN_CLUSTERS
    found = _metric(task, labels, predictions, None if few else clusters)
    miss = mean_difference(labels - predictions, None if few else clusters)
    if not few:
        return found, miss
    return (
        replace(found, error=_at_least(found.error, reference, "error", count)),
        replace(miss, error=_at_least(miss.error, reference, "miss_error", count)),
    )


def _metric(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> Difference:
    if task == "binary":
        value, psi = auc_influence(labels, predictions)
        return from_influence(value, psi, clusters)
    squared = mean_difference((labels - predictions) ** 2, clusters)
    root = float(np.sqrt(squared.estimate))
    return replace(squared, estimate=root, error=squared.error / (2 * root) if root else 0.0)


def _at_least(error: float, reference: Mapping[str, float], name: str, clusters: int) -> float:
    """Return the larger of the rows' own error and what the reference says about so few clusters."""
    return max(error, reference[name] * float(np.sqrt(reference["clusters"] / clusters)))
