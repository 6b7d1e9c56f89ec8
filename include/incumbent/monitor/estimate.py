"""What a champion's metric probably is before outcomes are in: valid under covariate shift, blind to concept drift.

Predictions are recalibrated on the rows that the champion was gated on, and the metric is then what labels drawn from
these probabilities would give on average (CBPE). Where the features moved, gate rows count by how much they look like
the batch. The estimate may raise a warning; it clears no alarm, promotes nothing and rolls nothing back.

Long because the record, its formulas and the verdicts on odd input are read together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import softmax

from incumbent.diagnosis import cost_of
from incumbent.monitor.metrics import SCHEMA
from incumbent.records import Record
from incumbent.stats import quantile
from incumbent.stats.classes import CERTAIN

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
NOTE = "valid under covariate shift only, blind to concept drift"
MIN_ROWS = 100  # of the batch, and of the gate rows
MIN_SHARE = 0.10  # least effective share of the gate rows
EDGE = 1e-6
STEPS = 50
EXACT = 1e-9
PRIOR = 1.0  # as much as a row says: the recalibration stays finite where rows say nothing


@dataclass(frozen=True)
class Known:
    """Labelled rows that the champion has not been trained on.

    Attributes:
        labels: Truth, shape (n_rows,); of several classes their positions.
        predictions: Shape (n_rows,) or (n_rows, n_classes).
        clusters: Cluster code per row; None for independent rows.
        weights: How much each row looks like the batch, with mean 1; None where the features did not move.
    """

    labels: Floats
    predictions: Floats
    clusters: Codes | None = None
    weights: Floats | None = None


@dataclass(frozen=True)
class Recalibration:
    """How a champion's probabilities are corrected: logits are slope · log(p) + intercept of the class.

    Attributes:
        state: `fitted`; else why there is none: `regression`, `insufficient data`, `too unlike`.
        theta: Slope, then the intercepts of all classes but the first, shape (n_classes,).
        covariance: Of theta, clustered, shape (n_classes, n_classes).
        shared: Part of its luck that a row shares with one of its cluster.
        effective: Effective share of the gate rows.
        rows: Gate rows.
        reweighted: Whether they counted by how much they look like the batch.
        df: Degrees of freedom of the covariance: those of the clusters, or of the rows.
        why: A clause that says why there is none.
    """

    state: str
    theta: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    shared: float = 0.0
    effective: float = 1.0
    rows: int = 0
    reweighted: bool = False
    df: int = 1
    why: str = ""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Recalibration:
        """Rebuild a stored one."""
        rows = tuple(tuple(each) for each in plain["covariance"])
        return cls(**{**plain, "theta": tuple(plain["theta"]), "covariance": rows})


@dataclass(frozen=True)
class Estimate(Record):
    """What the champion's metric on a partition probably is, without its labels.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        state: `estimated`; else why there is none: `regression`, `quarantined`, `insufficient data`, `too unlike`.
        metric: `auc` or `logloss`; empty if there is none.
        value: The estimate; null if there is none.
        error: Its standard error: luck of the labels and of the recalibration.
        low, high: Bounds that hold the realised metric 95 times of 100 where the note applies.
        change: The estimate less the metric on the gate rows.
        cost: `harmless`, `costly`, `unsure`; `unknown` if there is none.
        reweighted: Whether gate rows counted by how much they look like the batch.
        effective: Effective share of the gate rows.
        rows: Rows of the batch, and of the gate, that it was made from.
        calibration: Slope and intercepts of the recalibration.
        note: What it is worth.
        sentence: The estimate for a person.
    """

    kind: ClassVar[str] = "estimates"

    partition: str
    generation: int
    version: str
    state: str
    metric: str = ""
    value: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None
    change: float | None = None
    cost: str = "unknown"
    reweighted: bool = False
    effective: float = 1.0
    rows: tuple[int, ...] = ()
    calibration: tuple[float, ...] = field(default_factory=tuple)
    note: str = NOTE
    sentence: str = ""


def recalibrate(task: str, known: Known) -> Recalibration:
    """Fit how the champion's probabilities are corrected, on rows with labels.

    Args:
        task: `binary`, `multiclass` or `regression`.
        known: The champion's gate rows.
    """
    if task == "regression":
        return Recalibration("regression", why="without labels nothing says how far a number is off")
    rows = len(known.labels)
    if rows < MIN_ROWS or len(np.unique(known.labels)) < 2:
        return Recalibration("insufficient data", rows=rows, why=f"{rows} gate rows, or one class only")
    if not np.isfinite(known.predictions).all():
        return Recalibration("insufficient data", rows=rows, why="a score of the gate rows is not finite")
    weights = np.ones(rows) if known.weights is None else known.weights
    effective = float(weights.sum() ** 2 / (weights @ weights) / rows)
    if effective < MIN_SHARE:
        why = f"the batch is like {effective:.1%} of the gate rows, {MIN_SHARE:.0%} are needed"
        return Recalibration("too unlike", effective=effective, rows=rows, reweighted=True, why=why)
    theta, covariance = _fit(_classes(known.predictions), known.labels.astype(np.int64), weights, known.clusters)
    covered = tuple(tuple(each) for each in covariance.tolist())
    shared = _shared(task, known, theta)
    df = (rows if known.clusters is None else len(np.unique(known.clusters))) - 1
    return Recalibration(
        "fitted", tuple(theta.tolist()), covered, shared, effective, rows, known.weights is not None, df
    )


def estimate(
    partition: str,
    generation: int,
    version: str,
    task: str,
    predictions: Floats,
    fitted: Recalibration,
    gated: Mapping[str, Any],
    clusters: Codes | None = None,
    quarantined: bool = False,
) -> Estimate:
    """Estimate a champion's metric on a batch from its predictions alone.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        task: `binary`, `multiclass` or `regression`.
        predictions: Of the batch, shape (n_rows,) or (n_rows, n_classes).
        fitted: What `recalibrate` has returned for the champion's gate rows.
        gated: `value` and `error` of the metric on them.
        clusters: Cluster code of each row of the batch; None for independent rows.
        quarantined: Whether the batch is broken: then nothing is estimated from it.
    """

    def none(state: str, why: str) -> Estimate:
        said = f"{partition}: no estimate: {why}."
        return Estimate(partition, generation, version, state, effective=fitted.effective, sentence=said)

    if quarantined:
        return none("quarantined", "the batch is quarantined")
    if fitted.state != "fitted":
        return none(fitted.state, fitted.why)
    if len(predictions) < MIN_ROWS:
        return none("insufficient data", f"{len(predictions)} rows of the {MIN_ROWS} needed")
    if not np.isfinite(predictions).all():
        return none("insufficient data", "a score is not finite")
    found, error = _metric(task, _classes(predictions), fitted, clusters)
    name = "auc" if task == "binary" else "logloss"
    change = found - float(gated["value"])
    cost = cost_of(name, change, math.hypot(error, float(gated["error"])), float(gated["value"]))
    margin = quantile(0.025, max(fitted.df, 1)) * error
    low, high = found - margin, found + margin
    return Estimate(
        partition, generation, version, "estimated", name, found, error, low, high, change, cost,
        fitted.reweighted, fitted.effective, (len(predictions), fitted.rows), fitted.theta,
        sentence=f"{partition}: {name} is probably {found:.3f} ({low:.3f} to {high:.3f}), {change:+.3f} against the "
        f"gate rows: {cost}. {NOTE[0].upper()}{NOTE[1:]}.",
    )  # fmt: skip


def estimate_rows(found: Estimate) -> pa.Table:
    """Return an estimate as rows of the `metrics` table; none if there is no number."""
    if found.value is None:
        return SCHEMA.empty_table()
    row = {
        "generation": found.generation, "version": found.version, "metric": f"estimated_{found.metric}",
        "value": found.value, "error": found.error, "coverage": 0.0,
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=SCHEMA)


def _classes(predictions: Floats) -> Floats:
    return predictions if predictions.ndim == 2 else np.column_stack([1 - predictions, predictions])


def _logs(predictions: Floats) -> Floats:
    out: Floats = np.log(np.clip(predictions, EDGE, 1.0))
    return out


def _corrected(theta: Floats, logs: Floats) -> Floats:
    """Return corrected probabilities; the first class has no intercept."""
    out: Floats = softmax(theta[0] * logs + np.append(0.0, theta[1:]), axis=1)
    return out


def _fit(predictions: Floats, labels: Codes, weights: Floats, clusters: Codes | None) -> tuple[Floats, Floats]:
    """Return slope and intercepts by Newton's method, and their sandwich covariance, summed by cluster."""
    logs, truth = _logs(predictions), _one_hot(labels, predictions.shape[1])
    start = np.append(1.0, np.zeros(predictions.shape[1] - 1))
    theta = start.copy()
    for _ in range(STEPS):
        given = _corrected(theta, logs)
        gradient = weights @ _scores(truth - given, logs) - PRIOR * (theta - start)
        step = np.linalg.solve(_curvature(given, logs, weights), gradient)
        theta = theta + step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < EXACT:
            break
    given = _corrected(theta, logs)
    each = _scores(truth - given, logs) * weights[:, None]
    if clusters is not None and len(np.unique(clusters)) > 1:
        codes = np.unique(clusters, return_inverse=True)[1]
        sums = np.zeros((int(codes.max()) + 1, each.shape[1]))
        np.add.at(sums, codes, each)
        each = sums
    inverse = np.linalg.inv(_curvature(given, logs, weights))
    return theta, inverse @ (each.T @ each * len(each) / (len(each) - 1)) @ inverse


def _one_hot(labels: Codes, classes: int) -> Floats:
    out = np.zeros((len(labels), classes))
    out[np.arange(len(labels)), labels] = 1.0
    return out


def _scores(missed: Floats, logs: Floats) -> Floats:
    """Return each row's derivative of its log likelihood."""
    return np.column_stack([(missed * logs).sum(axis=1), missed[:, 1:]])


def _curvature(given: Floats, logs: Floats, weights: Floats) -> Floats:
    mean = (given * logs).sum(axis=1)
    size = given.shape[1]
    out = np.empty((size, size))
    out[0, 0] = weights @ ((given * logs**2).sum(axis=1) - mean**2)
    out[0, 1:] = out[1:, 0] = weights @ (given * (logs - mean[:, None]))[:, 1:]
    rest = given[:, 1:]
    out[1:, 1:] = np.diag(weights @ rest) - (rest * weights[:, None]).T @ rest
    return out + PRIOR * np.eye(size)


def _metric(task: str, predictions: Floats, fitted: Recalibration, clusters: Codes | None) -> tuple[float, float]:
    """Return the expected metric and its standard error; by the delta method for the recalibration's part."""
    logs = _logs(predictions)
    given = _corrected(np.array(fitted.theta), logs)
    value, luck, pull = _expected(task, given, predictions)
    mean = (given * logs).sum(axis=1, keepdims=True)
    slope = float((pull * given * (logs - mean)).sum())
    level = (given * (pull - (pull * given).sum(axis=1, keepdims=True)))[:, 1:].sum(axis=0)
    along = np.append(slope, level)
    if clusters is not None:  # the luck of rows that share it varies more than that of independent ones
        luck *= 1.0 + (_size(clusters) - 1) * fitted.shared
    return value, math.sqrt(luck + float(along @ np.array(fitted.covariance) @ along))


def _expected(task: str, given: Floats, predictions: Floats) -> tuple[float, float, Floats]:
    """Return the expected metric, its variance by the labels' luck, and how each probability pulls at it."""
    return _auc(given[:, 1], predictions[:, 1]) if task == "binary" else _logloss(given, predictions)


def _logloss(given: Floats, predictions: Floats) -> tuple[float, float, Floats]:
    """Return the same of the log loss."""
    losses = -np.log(np.clip(predictions, CERTAIN, 1 - CERTAIN))
    expected = (given * losses).sum(axis=1)
    count = len(losses)
    luck = float(((given * losses**2).sum(axis=1) - expected**2).sum()) / count**2
    return float(expected.mean()), luck, losses / count


def _auc(given: Floats, scores: Floats) -> tuple[float, float, Floats]:
    """Return the same of the AUC of labels that are drawn with the given chances."""
    _, at = np.unique(scores, return_inverse=True)
    positives, negatives = (np.bincount(at, weights=each) for each in (given, 1 - given))
    many, few = float(positives.sum()), float(negatives.sum())
    below = (np.cumsum(negatives) - negatives / 2)[at]
    above = (many - np.cumsum(positives) + positives / 2)[at]
    itself = float((given * (1 - given)).sum())  # no row is a pair with itself
    area = (float(given @ below) - itself / 2) / max(many * few - itself, EDGE)
    pull = (below / few - area) / many - (above / many - area) / few
    luck = float((given * (1 - given) * pull**2).sum())
    return area, luck, np.column_stack([np.zeros(len(pull)), pull])


def _shared(task: str, known: Known, theta: Floats) -> float:
    """Return which part of its luck with the metric a row shares with one of its cluster."""
    if known.clusters is None or (size := _size(known.clusters)) <= 1:
        return 0.0
    predictions = _classes(known.predictions)
    given = _corrected(theta, _logs(predictions))
    truth = _one_hot(known.labels.astype(np.int64), given.shape[1])
    luck = (_expected(task, given, predictions)[2] * (truth - given)).sum(axis=1)
    luck = luck - luck.mean()
    sums = np.bincount(np.unique(known.clusters, return_inverse=True)[1], weights=luck)
    if len(sums) < 2 or not luck.any():
        return 0.0
    inflation = float(sums @ sums) * len(sums) / (len(sums) - 1) / float(luck @ luck)
    return min(1.0, max(0.0, (inflation - 1) / (size - 1)))


def _size(clusters: Codes) -> float:
    """Return how many rows share a row's cluster, itself among them, on the mean over rows."""
    counts = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return float(counts @ counts / counts.sum())
