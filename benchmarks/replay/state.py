"""What is known at a moment of a replay, and what was done until then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from benchmarks.replay.trainings import Version
from incumbent.config import Model
from incumbent.records import GateReport


@dataclass(frozen=True)
class Days:
    """How a training divides its newest days; see `incumbent.snapshot.take.compose`."""

    train_until: date
    gate_from: date
    gate_until: date


@dataclass(frozen=True)
class Seat:
    """Who has the seat.

    Attributes:
        generation: From 1 on.
        version: The champion.
        partition: Partition whose request brought it, also when a rollback brought it back.
        window: Partitions that it was trained and gated on.
        days: Of its training.
        previous: Generation that it took the seat from; 0 for the first.
        reference: What it did on its gate rows; see `incumbent.monitor.baseline`.
        is_back: A rollback brought it.
    """

    generation: int
    version: Version
    partition: str
    window: tuple[str, ...]
    days: Days
    previous: int = 0
    reference: Mapping[str, Any] = field(default_factory=dict)
    is_back: bool = False


@dataclass(frozen=True)
class Ask:
    """A wish for a training.

    Attributes:
        reason: Why.
        degraded: A labelled alarm holds.
        message: The same in a sentence.
        since: First local day of a second candidate's rows; empty for none.
        partition: Partition that asks.
        recalibrate: First local day of the rows for the champion's intercept, if that is all that is asked for.
    """

    reason: str
    degraded: bool
    message: str
    since: str = ""
    partition: str = ""
    recalibrate: str = ""


@dataclass(frozen=True)
class Training:
    """What became of a wish.

    Attributes:
        partition: Partition that asked.
        reason: Why.
        message: The same in a sentence.
        verdict: `promote`, or why not.
        sentence: What the gates said.
        estimate: How much better the challenger was on the gate rows; None if nobody said.
        error: Its error.
        versions: The challengers that were fitted; none where one from shadow is judged again.
        stopped_by: Gates that did not pass.
        learned: Newest partition that the challengers have learned from, or were gated on; empty if there are none.
    """

    partition: str
    reason: str
    message: str
    verdict: str
    sentence: str
    estimate: float | None
    error: float | None
    versions: tuple[Version, ...]
    stopped_by: tuple[str, ...] = ()
    learned: str = ""

    @property
    def recalibrates(self) -> bool:
        """Whether the champion's intercept was all that was asked for."""
        return any(version.manifest.recalibrated for version in self.versions)


@dataclass
class State:
    """What is known at a moment.

    Attributes:
        model: The configuration.
        seat: Who has the seat.
        seats: By generation.
        scored: Partition to the generation that scored it.
        labelled, rarer: Partition to its labelled rows, and those of the rarer class, once its outcomes are in.
        drift, performance: Newest verdicts by partition.
        diagnoses: Why a partition alarms, by partition.
        counts: Partition to the version that scored it, and its counts in that version's cells.
        shadow: Verdicts about the champion before this one, on the rows that this one has scored.
        challengers: The same of each challenger in shadow, by its version.
        fitted, windows: Versions by digest, and the partitions that each was trained and gated on.
        reports: Gate reports, the answer of each request last.
        trainings: So far.
        alarms: Partition and what was alarmed about, above `info`.
        held: Partition and what would have held it.
        values: Partition to the metric of its predictions; None while there was no champion.
    """

    model: Model
    seat: Seat | None = None
    seats: dict[int, Seat] = field(default_factory=dict)
    scored: dict[str, int] = field(default_factory=dict)
    labelled: dict[str, int] = field(default_factory=dict)
    rarer: dict[str, int] = field(default_factory=dict)
    drift: dict[str, dict[str, Any]] = field(default_factory=dict)
    performance: dict[str, dict[str, Any]] = field(default_factory=dict)
    diagnoses: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, tuple[str, Mapping[str, Sequence[float]]]] = field(default_factory=dict)
    shadow: dict[str, dict[str, Any]] = field(default_factory=dict)
    challengers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    fitted: dict[str, Version] = field(default_factory=dict)
    windows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reports: list[GateReport] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, float | None] = field(default_factory=dict)

    @property
    def rollbacks(self) -> int:
        """How often a champion has lost its seat to the one before it."""
        return sum(seat.is_back for seat in self.seats.values())

    def take(self, seat: Seat) -> None:
        """Give somebody the seat."""
        self.seat = self.seats[seat.generation] = seat
