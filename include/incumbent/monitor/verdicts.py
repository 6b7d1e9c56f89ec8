"""What the monitor records: one verdict per partition and kind, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from incumbent.records import Record


@dataclass(frozen=True)
class DriftVerdict(Record):
    """Whether a batch, as the champion sees it, is another kind of batch.

    Attributes:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        tier: `none`, `warning` (features moved) or `drift` (the scores moved).
        batches: Reference partitions; fewer than 20 cap the tier of feature alarms at `warning`.
        score: Effect, p-value and threshold of the score's test; of several classes also the `column` that it is of.
        features: The features that alarm, most important first, with effect and importance.
        sentence: The verdict for a person.
        diversity: Whether the outputs have collapsed to few values, see `incumbent.monitor.diversity`; empty if nobody
            asked.
        basis: What the verdict rests on, or why on nothing.
        engine: Who has decided: `incumbent` or `evidently`.
        left_out: Columns that were not judged: they have no value, or are of another type now.
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
    diversity: Mapping[str, Any] = field(default_factory=dict)
    basis: str = ""
    engine: str = "incumbent"
    left_out: tuple[str, ...] = ()
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
