"""The champion's performance on a partition whose outcomes are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from incumbent.config import Monitor
from incumbent.monitor.verdicts import PerformanceVerdict
from incumbent.stats import auc_influence, mean_difference
from incumbent.stats.differences import from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
CALIBRATION_TOLERANCE = 0.005  # share by which the mean prediction may always miss


def baseline(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> dict[str, float]:
    """Return the metric and its clustered error on the rows that a champion was gated on."""
    value, error = _metric(task, labels, predictions, clusters)
    return {"value": value, "error": error}


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
    value, error = _metric(task, labels, predictions, clusters)
    worse = (reference["value"] - value) * (1 if task == "binary" else -1)
    z = {
        "rank": worse / float(np.hypot(error, reference["error"])),
        **_calibration(task, labels, predictions, clusters),
    }
    off = float(np.mean(predictions) - np.mean(labels))
    trivial = 0.5 if task == "binary" else float(np.std(labels))
    sentence = (
        f"{partition}: {metric} {value:.3f} ± {error:.3f} (gated at {reference['value']:.3f}); mean off by {off:+.3f}."
    )
    return verdict(True, sentence, value=value, error=error, z=z, trivial=trivial)


def _metric(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> tuple[float, float]:
    if task == "binary":
        value, psi = auc_influence(labels, predictions)
        return value, from_influence(value, psi, clusters).error
    squared = mean_difference((labels - predictions) ** 2, clusters)
    root = float(np.sqrt(squared.estimate))
    return root, squared.error / (2 * root) if root else 0.0


def _calibration(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> dict[str, float]:
    miss = mean_difference(labels - predictions, clusters)
    slack = CALIBRATION_TOLERANCE * (1.0 if task == "binary" else float(np.std(labels)))
    error = miss.error or 1.0
    return {"cal_high": (miss.estimate - slack) / error, "cal_low": (-miss.estimate - slack) / error}
