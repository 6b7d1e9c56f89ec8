"""What the monitor records: one verdict per partition and kind, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from incumbent.records import Record

NONE, INFO, WARNING, CANDIDATE = "none", "info", "warning", "retrain candidate"
NOTIFY = {NONE: "nobody", INFO: "nobody", WARNING: "channel", CANDIDATE: "model owner"}


@dataclass(frozen=True)
class DriftVerdict(Record):
    """Whether a batch, as the champion sees it, is another kind of batch.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        tier: `none`, `info` (features moved that the champion hardly uses), `warning` (the scores or features moved) or
            `retrain candidate` (by more than the larger tolerance). `drift` of earlier releases: the scores moved.
        batches: Past partitions that it was compared with; below 20 no tier is above `warning`.
        score: The test of the score: effect, p-value and threshold, and what they are computed from: `x2`, `df`,
            `scale`, `tolerance`, `ordinary` effect and the `freedom` that it is known with, `window` that it is about,
            `large` (it alarms at the larger tolerance too); of several classes also the `column` that it is of.
        features: The features that alarm, most important first, each with the same numbers and its importance.
        sentence: The verdict for a person.
        diversity: Whether the outputs have collapsed to few values, see `incumbent.monitor.diversity`; empty if nobody
            asked.
        basis: What the verdict rests on: `calibrated`, `provisionally calibrated` (fewer than 20 past partitions),
            `uncalibrated` (fewer than 2), `insufficient data`, `no reference`, or `scores missing`; or what Evidently
            could look at.
        engine: Who has decided: `incumbent` or `evidently`.
        left_out: Columns that were not judged: they have no value, or are of another type now.
        notify: Who is told: `nobody`, `channel`, `model owner` or `data owner`.
        window: Smallest window that alarmed, in partitions; 0 without an alarm.
        past: Partitions judged since the training that count as good ones, of the window of one.
        seasonal: Whether it was compared with the partitions of its season.
        settings: What it was judged by.
    """

    kind: ClassVar[str] = "verdicts"

    partition: str
    generation: int
    version: str
    tier: str
    batches: int
    score: Mapping[str, Any]
    features: tuple[Mapping[str, Any], ...]
    sentence: str
    basis: str = ""
    diversity: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "incumbent"
    left_out: tuple[str, ...] = ()
    notify: str = "nobody"
    window: int = 0
    past: tuple[str, ...] = ()
    seasonal: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PerformanceVerdict(Record):
    """How the champion did on a partition whose outcomes are in.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        judged: Whether enough outcomes were in.
        coverage: Share of predictions whose outcome status is known.
        metric: `auc`, `logloss` (of several classes) or `rmse`.
        value: The metric on the partition; null if not judged.
        error: Its clustered standard error.
        z: Standardised losses by channel: `rank`, `cal_high`, `cal_low`.
        trivial: The metric of a constant prediction.
        sentence: The verdict for a person.
        accuracy: Share of rows whose likeliest class was the true one; null for other tasks.
        rows: Labelled rows.
        df: Degrees of freedom of the errors.
        borrowed: The partition is too few clusters to say how large its errors are: they are those of the gate rows.
        misses: By class (of one prediction a row under no name), how far the truth lies above the predictions on the
            mean, and its error.
        slack: By how much a mean may always miss.
        reference: What the champion did on its gate rows: value, error, clusters and rows.
    """

    kind: ClassVar[str] = "verdicts"

    partition: str
    generation: int
    version: str
    judged: bool
    coverage: float
    metric: str
    value: float | None
    error: float | None
    z: Mapping[str, float]
    trivial: float | None
    sentence: str
    accuracy: float | None = None
    rows: int = 0
    df: float = 0.0
    borrowed: bool = False
    misses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    slack: float = 0.0
    reference: Mapping[str, float] = field(default_factory=dict)
