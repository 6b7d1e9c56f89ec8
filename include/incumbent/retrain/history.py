"""What a decision about a partition may look at, as plain objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from incumbent.error_budget import Spent

OPEN, FAILED, PROMOTE = "", "failed", "promote"
PERFORMANCE, DRIFT, GROWTH, AGE = "performance", "drift", "growth", "age"


@dataclass(frozen=True)
class PastRequest:
    """A request of before.

    Attributes:
        partition: Partition it is about.
        verdict: What answered it; "" while it is open, `failed` when it could not be met.
        reason: Why it was made.
        core_hours: What its trainings took.
        gpu_hours: The same of GPUs.
        price: What that cost; 0 where nobody has said what an hour costs.
        recalibrates: Whether it asked for the champion with another intercept alone.
        learned: Newest partition whose outcomes its training set has, or may have; empty where it trains nobody, as one
            that brings its candidate.
    """

    partition: str
    verdict: str
    reason: str = ""
    core_hours: float = 0.0
    gpu_hours: float = 0.0
    price: float = 0.0
    recalibrates: bool = False
    learned: str = ""

    @property
    def was_not_enough(self) -> bool:
        """Whether it was a recalibration that did not get the seat: what asked for it goes on to ask for a training."""
        return self.recalibrates and self.verdict not in (OPEN, PROMOTE, "stale")


@dataclass(frozen=True)
class History:
    """What a decision may look at; all about this and earlier partitions, except for a cold start's requests.

    Attributes:
        generation: Champion's generation; 0 when there is none.
        promoted_partition: Partition whose data the champion came from, also when a rollback brought it
            back; empty when there is none.
        labelled: Partition to its outcomes that have a label, where its features are in.
        rarer: Partition to those of the rarer class (of all rows, for a regression).
        drift: Partition to its newest drift verdict about the champion.
        performance: Partition to its newest performance verdict about the champion.
        diagnoses: Partition to the newest diagnosis of those.
        requests: In order. Without a champion, first the open ones of later partitions.
        rollout: The rollout that goes on: whoever is trained meanwhile could not get the seat; empty without one.
        probation: Whether the champion is still compared with the one before it.
        trained_partition: Partition whose data its trees came from, where it is a recalibration; else empty.
        spent: What challengers have spent of the year's error budget.
        since: First day of the champion's training rows (ISO date), if it was trained on those since a change alone.
    """

    generation: int
    promoted_partition: str
    labelled: Mapping[str, int] = field(default_factory=dict)
    rarer: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    performance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    diagnoses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requests: Sequence[PastRequest] = ()
    probation: bool = False
    trained_partition: str = ""
    spent: Sequence[Spent] = ()
    since: str = ""
    rollout: str = ""

    @property
    def learned_partition(self) -> str:
        """Partition up to which the champion has learned more than an intercept."""
        return self.trained_partition or self.promoted_partition
