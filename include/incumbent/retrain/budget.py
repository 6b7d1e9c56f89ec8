"""What a team is willing to spend on trainings: a cooldown, a bucket of runs, and sums of hours and money.

In partition time and not by the clock, so that the same verdicts give the same decisions whenever they are folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from incumbent.config import Budget, Model
from incumbent.partitions import end_of
from incumbent.retrain.history import AGE, FAILED, GROWTH, OPEN, PERFORMANCE, PROMOTE, PastRequest

UNDECIDED = (OPEN, FAILED, "stale")  # no gate has said no; stale is gated again
UNALARMED = (GROWTH, AGE)  # reasons for which nothing was wrong
LONGEST_DAYS = 36_500  # a century: doubled a few dozen times, a cooldown is longer than a calendar
DAY = timedelta(days=1)


def cooldown_left(
    model: Model, partition: str, requests: Sequence[PastRequest], reason: str = "", *, more: bool = False
) -> timedelta:
    """Return the time until the next request is allowed; nothing when it is.

    The days after the last request are doubled by each gate since the last promotion that said no: evidence that
    was not enough yesterday will hardly be enough today. A challenger that was refused while nothing was wrong says
    nothing about an alarm, and does not hold it up. Growth backs off by itself, for it asks again only when so many
    times more is known: its refusals double nothing, and it waits the days alone.

    Args:
        model: Its configuration.
        partition: Partition that is decided about.
        requests: Earlier ones, in order.
        reason: Why the next one is to be made.
        more: There is so much more to learn from than at the last request that an alarm's refusals double nothing.
    """
    promoted = max((at for at, each in enumerate(requests) if each.verdict == PROMOTE), default=-1)
    alarm = reason == PERFORMANCE
    since = [each for each in requests[promoted + 1 :] if not (alarm and each.reason in UNALARMED)]
    last = since[-1] if since else requests[promoted] if promoted >= 0 else None
    if last is None:
        return timedelta(0)
    refused = sum(each.verdict not in UNDECIDED and each.reason != GROWTH for each in since)
    doubled = 0 if reason == GROWTH or (alarm and more) else refused
    wanted = timedelta(days=min(model.retrain.cooldown_days * 2**doubled, LONGEST_DAYS))
    passed = end_of(partition, model.grain) - end_of(last.partition, model.grain)
    return max(timedelta(0), wanted - passed)


def tokens(model: Model, partition: str, requests: Sequence[PastRequest]) -> float:
    """Return how many trainings the bucket allows at a partition: it fills by `runs` in `days`, and holds no more."""
    budget = model.retrain.budget
    left: float = budget.runs
    last: datetime | None = None
    for request in requests:
        at = end_of(request.partition, model.grain)
        left = _filled(left, last, at, budget) - 1
        last = at
    return _filled(left, last, end_of(partition, model.grain), budget)


def overspent(model: Model, partition: str, requests: Sequence[PastRequest]) -> str:
    """Return what of the budget is used up, in words; nothing when none is."""
    budget, now = model.retrain.budget, end_of(partition, model.grain)
    recent = [each for each in requests if now - end_of(each.partition, model.grain) < timedelta(days=budget.days)]
    for limit, name in ((budget.core_hours, "core_hours"), (budget.gpu_hours, "gpu_hours"), (budget.price, "price")):
        spent = sum(getattr(each, name) for each in recent)
        if limit is not None and spent >= limit:
            return f"{spent:.2f} of {limit:g} {name} in {budget.days} days are spent"
    return ""


def in_days(span: timedelta) -> str:
    """Return a span for a sentence; an hour that is left is said as a day.

    >>> in_days(timedelta(hours=1)), in_days(timedelta(days=13, hours=5))
    ('1 more day', '14 more days')
    """
    days = ceil(span / DAY)
    return f"{days} more day{'s' * (days > 1)}"


def _filled(left: float, last: datetime | None, now: datetime, budget: Budget) -> float:
    if last is None:
        return left
    return min(float(budget.runs), left + budget.runs * max(0.0, (now - last) / timedelta(days=budget.days)))
