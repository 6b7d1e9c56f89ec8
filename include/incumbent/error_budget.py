"""A year's error budget: each challenger that is judged spends its error rate of it, promoted or not.

The sum over a year bounds the chance that any of them was promoted by luck. It is computed from gate reports by the
dates of their partitions: in which order they were written, and when, does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from incumbent.config import Gates
from incumbent.partitions import Grain, end_of
from incumbent.records import GateReport

YEAR = timedelta(days=365)
ROUNDING = 1e-9  # of sums of shares


@dataclass(frozen=True)
class Spent:
    """What one request's candidates have spent together.

    Attributes:
        request: Its id.
        day: First local day after its partition (ISO date).
        alpha: Error rate of the fixed test and of what is kept for later batches.
    """

    request: str
    day: str
    alpha: float


@dataclass(frozen=True)
class Budget:
    """Where a challenger stands.

    Attributes:
        number: Which challenger of the year it is, from 1.
        spent: Error rate that the others of the year have spent.
        next_day: Day from which one like it may be judged (ISO date); its own if it may.
    """

    number: int
    spent: float
    next_day: str


def alpha_of(limits: Gates, *, degraded: bool, recalibrates: bool) -> float:
    """Return the one-sided error rate of all looks at a request's candidates together.

    A degraded champion is worth a larger one, but not for a recalibration: refused, it is followed at once by a
    training, which then has the larger one.

    Args:
        limits: Thresholds of the model's configuration.
        degraded: A labelled alarm holds against the champion.
        recalibrates: The candidate is the champion with another intercept.
    """
    return limits.alpha_degraded if degraded and not recalibrates else limits.alpha


def judged_day(partition: str, grain: Grain) -> str:
    """Return the day that a challenger is counted by: the first after its partition.

    >>> judged_day("2013-02", Grain.MONTH)
    '2013-03-01'
    """
    return end_of(partition, grain).date().isoformat()


def spent_before(reports: Iterable[GateReport], grain: Grain, partition: str, request: str) -> tuple[Spent, ...]:
    """Return what the challengers of other requests have spent, up to a partition; a first model spends nothing.

    Args:
        reports: Gate reports of the model, in any order.
        grain: Of its partitions.
        partition: Newest that counts.
        request: Whose own reports do not count.
    """
    found: dict[str, Spent] = {}
    for report in reports:
        if report.request == request or report.partition > partition:
            continue
        for gate in report.gates:
            if "alpha_later" not in gate and (gate["gate"] != "superiority" or "alpha" not in gate):
                continue  # what was not judged, nobody could promote
            before = found.get(report.request, Spent(report.request, judged_day(report.partition, grain), 0.0))
            alpha = before.alpha + float(gate.get("alpha", 0.0)) + float(gate.get("alpha_later", 0.0))
            found[report.request] = Spent(before.request, before.day, alpha)
    return tuple(sorted(found.values(), key=lambda each: (each.day, each.request)))


def tried_before(reports: Iterable[GateReport], grain: Grain, partition: str, request: str) -> int:
    """Return how many other requests of the last 365 days, up to a partition, had a first model judged.

    Args:
        reports: Gate reports of the model, in any order.
        grain: Of its partitions.
        partition: Newest that counts.
        request: Whose own reports do not count.
    """
    own = date.fromisoformat(judged_day(partition, grain))
    tried = {
        report.request
        for report in reports
        if report.request != request
        and report.partition <= partition
        and not report.champion
        and own - YEAR < date.fromisoformat(judged_day(report.partition, grain))
        and any(gate["gate"] == "chance" and "alpha" in gate for gate in report.gates)
    }
    return len(tried)


def budget(spent: Sequence[Spent], day: str, alpha: float, a_year: float) -> Budget:
    """Return where a challenger stands that would spend `alpha` on a day.

    Args:
        spent: By the others.
        day: Its own (ISO date).
        alpha: What it would spend.
        a_year: What may be spent within 365 days.

    >>> one, two = Spent("a", "2013-03-01", 0.01), Spent("b", "2013-06-01", 0.01)
    >>> budget([one, two], "2013-07-01", 0.01, 0.03)
    Budget(number=3, spent=0.02, next_day='2013-07-01')
    >>> budget([one, two], "2013-07-01", 0.01, 0.02)
    Budget(number=3, spent=0.02, next_day='2014-03-01')
    """
    own = date.fromisoformat(day)
    within = sorted((each for each in spent if own - YEAR < date.fromisoformat(each.day) <= own), key=lambda s: s.day)
    left, next_day = sum(each.alpha for each in within), own
    for each in within:
        if left + alpha <= a_year + ROUNDING:
            break
        left, next_day = left - each.alpha, date.fromisoformat(each.day) + YEAR
    return Budget(len(within) + 1, sum(each.alpha for each in within), next_day.isoformat())
