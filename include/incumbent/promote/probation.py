"""Probation: for some partitions after a promotion the champion before this one is compared with it.

A pure fold over recorded verdicts in partition order. Labels decide through an e-process: the chance that a champion
which is no worse ever loses its seat is `rollback.alpha` at most, however often somebody looks. Until the first
labels are in, a fault counts: means that have moved apart as no honest pair of models does. From then on the labels
speak: where the world has changed, who has learned it and who has not are meant to move apart. If both are worse than
they were, that is no reason to go back: it is one to train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incumbent.config import Rollback
from incumbent.records import Promotion
from incumbent.stats import Evidence, Measured, gathered
from incumbent.words import better

REGRESSION_SCALE = 5.0  # a mean's gap in standard deviations, where probabilities have points
GAP_ERRORS = 3.0
PROMOTE = "promote"


@dataclass(frozen=True)
class Probation:
    """How a champion does against the one before it.

    Attributes:
        generation: The champion's.
        previous: Generation whose version would come back; 0 if there is none to go back to.
        open: Whether the two are still compared.
        looked: Partitions that were compared with outcomes, oldest first.
        evidence: Gathered for "the previous one is better".
        needed: Evidence from which on it comes back.
        fault: What is wrong without any label, in words; empty if nothing is.
        sentence: The same for a person.
    """

    generation: int
    previous: int
    open: bool
    looked: tuple[str, ...]
    evidence: Evidence
    needed: float
    fault: str
    sentence: str

    @property
    def rolls_back(self) -> bool:
        """Whether the seat is to be given back."""
        return self.open and bool(self.fault or self.evidence.e >= self.needed)


def probation(
    ledger: Sequence[Promotion],
    verdicts: Mapping[str, Mapping[str, Any]],
    usual: Mapping[str, float],
    settings: Rollback,
    task: str,
) -> Probation | None:
    """Return how the champion does; None without one.

    Args:
        ledger: All entries in order.
        verdicts: Partition to the newest verdict of the previous champion in shadow, about this generation.
        usual: How far apart the means were on the gate rows, by class.
        settings: Error rate, length and the largest gap.
        task: `binary`, `multiclass` or `regression`.
    """
    if not ledger:
        return None
    head = ledger[-1]
    previous = head.previous if head.action == PROMOTE and head.previous else 0
    keys = sorted(key for key, verdict in verdicts.items() if verdict["judged"])[: settings.partitions]
    evidence = gathered([_measured(verdicts[key]) for key in keys])
    fault = _fault(verdicts, usual, settings, task) if previous and not keys else ""
    is_open = bool(previous) and len(keys) < settings.partitions
    needed = 1 / settings.alpha
    # The partition that ends a probation may also be the one that decides it.
    decides = bool(previous) and evidence.e >= needed
    said = _sentence(head.generation, previous, is_open, keys, evidence, needed, fault)
    return Probation(head.generation, previous, is_open or decides, tuple(keys), evidence, needed, fault, said)


def _measured(verdict: Mapping[str, Any]) -> Measured:
    return Measured(verdict["advantage"], verdict["error"], verdict["rows"], verdict["df"])


def _fault(verdicts: Mapping[str, Mapping[str, Any]], usual: Mapping[str, float], settings: Rollback, task: str) -> str:
    newest = max(verdicts, default="")
    limit = settings.max_gap * (REGRESSION_SCALE if task == "regression" else 1.0)
    for name, gap in (verdicts[newest]["gaps"] if newest else {}).items():
        moved = gap - usual.get(name, 0.0)
        if abs(moved) > limit + GAP_ERRORS * verdicts[newest]["gap_errors"][name]:
            of_class = f" of class {name}" if name else ""
            return f"the mean prediction{of_class} moved by {moved:+.3f} against the previous champion's in {newest}"
    return ""


def _sentence(
    generation: int, previous: int, is_open: bool, keys: Sequence[str], evidence: Evidence, needed: float, fault: str
) -> str:
    if not previous:
        return f"Generation {generation} has no champion before it to be compared with."
    if fault:
        return f"Generation {generation}: {fault}."
    compared = f"over {len(keys)} partitions generation {previous} is {better(evidence.estimate)}"
    state = "" if is_open else "; the probation is over"
    return f"Generation {generation}: {compared} (evidence {evidence.e:.2g} of the {needed:g} needed){state}."
