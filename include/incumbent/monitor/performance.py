"""The champion's performance on a partition whose outcomes are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from incumbent.config import Monitor
from incumbent.monitor.verdicts import PerformanceVerdict
from incumbent.stats import Difference, auc_influence, class_losses, mean_difference, normal_z, of_worst
from incumbent.stats.differences import from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
CALIBRATION_TOLERANCE = 0.005  # share by which the mean prediction may always miss
MIN_CLUSTERS = 5  # with fewer, their own spread says too little
NO_ERROR = 1e-9  # an error of 0 (all rows alike) must not divide
METRICS = {"binary": "auc", "multiclass": "logloss", "regression": "rmse"}


def baseline(
    task: str, labels: Floats, predictions: Floats, clusters: Codes | None, classes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what a champion did on the rows that it was gated on.

    Returns:
        `value` and `error` of the metric, `miss_error` of the mean prediction (`miss_errors`, by class, of a
        multiclass task), and `clusters`, their number: together they say how much one cluster differs from the next.
        `rows` is what the reference weighs beside later partitions.
    """
    found = _metric(task, labels, predictions, clusters)
    errors = {name: miss.error for name, miss in _misses(labels, predictions, clusters, classes).items()}
    return {
        "value": found.estimate,
        "error": found.error,
        **({"miss_errors": errors} if classes else {"miss_error": errors[""]}),
        "clusters": float(found.clusters),
        "rows": float(len(labels)),
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
    reference: Mapping[str, Any],
    settings: Monitor,
    classes: Sequence[str] = (),
) -> PerformanceVerdict:
    """Judge matured predictions against what the champion did when it was gated.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        task: `binary`, `multiclass` or `regression`.
        labels: Truth of the labelled rows, shape (n_rows,); of a multiclass task the positions of the classes.
        predictions: What was predicted for them, shape (n_rows,) or (n_rows, n_classes).
        clusters: Cluster code per row; None for independent rows.
        coverage: Share of all predictions whose outcome status is known.
        reference: The champion's `baseline`.
        settings: Needed coverage.
        classes: Of a multiclass task, in the order of the probabilities.
    """

    def verdict(judged: bool, sentence: str, **numbers: Any) -> PerformanceVerdict:
        empty: dict[str, Any] = {"value": None, "error": None, "z": {}, "trivial": None}
        fields = {**empty, **numbers}
        return PerformanceVerdict(
            partition, generation, version, judged, round(coverage, 6), METRICS[task], sentence=sentence, **fields
        )

    count = len(labels) if clusters is None else len(np.unique(clusters))
    if lacks := _lacks(task, labels, count, coverage, reference, settings):
        return verdict(False, f"{partition}: {lacks}.")
    few = count < MIN_CLUSTERS
    found = _metric(task, labels, predictions, None if few else clusters)
    misses = _misses(labels, predictions, None if few else clusters, classes)
    if few:
        found, misses = _with_usual_errors(found, misses, reference, count)
    numbers: dict[str, Any] = {
        "value": found.estimate,
        "error": found.error,
        "trivial": _trivial(task, labels),
        "rows": len(labels),
        "df": float(reference["clusters"] - 1 if few else found.df),
        "borrowed": few,
        "misses": {name: {"estimate": miss.estimate, "error": miss.error} for name, miss in misses.items()},
        "slack": _slack(task, labels),
        "reference": {
            name: float(reference[name]) for name in ("value", "error", "clusters", "rows") if name in reference
        },
    }
    if classes:
        numbers["accuracy"] = float((predictions.argmax(axis=1) == labels).mean())
    said = (
        f"{partition}: {METRICS[task]} {found.estimate:.3f} ± {found.error:.3f} (gated at {reference['value']:.3f}); "
        + _said_of_mean(misses, numbers.get("accuracy"))
    )
    return verdict(True, said, z=_losses(task, found, misses, reference, numbers), **numbers)


def _lacks(
    task: str, labels: Floats, clusters: int, coverage: float, reference: Mapping[str, Any], settings: Monitor
) -> str:
    """Return what stands against judging a partition, in words; nothing if it can be judged."""
    if coverage < settings.coverage:
        return f"outcomes of {coverage:.1%} are in, {settings.coverage:.0%} are needed"
    if len(labels) < 2 or (task == "binary" and len(np.unique(labels)) < 2):
        return "the outcomes have one class only; nothing can be ranked"
    if clusters < MIN_CLUSTERS and "clusters" not in reference:
        return f"{clusters} cluster(s) of rows are too few to say how large the error is"
    return ""


def _with_usual_errors(
    found: Difference, misses: Mapping[str, Difference], reference: Mapping[str, Any], clusters: int
) -> tuple[Difference, dict[str, Difference]]:
    """Return the metric and the mean misses, each with an error that holds for so many clusters.

    A partition of one day is one cluster: how much days differ is then known from the gate rows.
    """
    usual = reference.get("miss_errors") or {"": reference.get("miss_error", 0.0)}

    def at_least(each: Difference, error: float) -> Difference:
        return replace(each, error=max(each.error, error * float(np.sqrt(reference["clusters"] / clusters))))

    wider = {name: at_least(miss, usual.get(name, 0.0)) for name, miss in misses.items()}
    return at_least(found, reference["error"]), wider


def _losses(
    task: str,
    found: Difference,
    misses: Mapping[str, Difference],
    reference: Mapping[str, Any],
    numbers: Mapping[str, Any],
) -> dict[str, float]:
    """Return the standardised losses by channel: against the gate rows, and of a mean that is too low or too high."""
    worse = (reference["value"] - found.estimate) * (1 if task == "binary" else -1)
    slack, df = numbers["slack"], numbers["df"]
    above, below = (
        [normal_z((side * miss.estimate - slack) / max(miss.error, NO_ERROR), df) for miss in misses.values()]
        for side in (1, -1)
    )
    return {
        "rank": normal_z(worse / max(float(np.hypot(found.error, reference["error"])), NO_ERROR), df),
        "cal_high": of_worst(above),
        "cal_low": of_worst(below),
    }


def _slack(task: str, labels: Floats) -> float:
    return CALIBRATION_TOLERANCE * (float(np.std(labels)) if task == "regression" else 1.0)


def _said_of_mean(misses: Mapping[str, Difference], accuracy: float | None) -> str:
    if accuracy is None:
        return f"mean off by {-misses[''].estimate:+.3f}."
    worst = max(misses, key=lambda name: abs(misses[name].estimate) / max(misses[name].error, NO_ERROR))
    return f"accuracy {accuracy:.1%}, mean of class {worst} off by {-misses[worst].estimate:+.3f}."


def _misses(
    labels: Floats, predictions: Floats, clusters: Codes | None, classes: Sequence[str]
) -> dict[str, Difference]:
    """Return how far the truth lies above the predictions on the mean, by class; without classes under no name."""
    if not classes:
        return {"": mean_difference(labels - predictions, clusters)}
    return {name: mean_difference((labels == at) - predictions[:, at], clusters) for at, name in enumerate(classes)}


def _metric(task: str, labels: Floats, predictions: Floats, clusters: Codes | None) -> Difference:
    if task == "binary":
        value, psi = auc_influence(labels, predictions)
        return from_influence(value, psi, clusters)
    if task == "multiclass":
        return mean_difference(class_losses(labels, predictions), clusters)
    squared = mean_difference((labels - predictions) ** 2, clusters)
    root = float(np.sqrt(squared.estimate))
    return replace(squared, estimate=root, error=squared.error / (2 * root) if root else 0.0)


def _trivial(task: str, labels: Floats) -> float:
    """Return the metric of a constant prediction."""
    if task == "binary":
        return 0.5
    if task == "regression":
        return float(np.std(labels))
    shares = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(shares * np.log(shares)).sum())
