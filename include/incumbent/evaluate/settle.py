"""How much more evidence would settle an open question."""

from __future__ import annotations

import math
from collections.abc import Callable

from incumbent.evaluate.words import about
from incumbent.stats import Difference, quantile

MOST = 100  # times what there is: nobody waits for more


def more_clusters(difference: Difference, alpha: float | Callable[[float, int], float], worth: float) -> int | None:
    """Return about how many more clusters would decide, if the estimate stayed what it is.

    The error shrinks with the root of the number of clusters. Above the improvement worth having,
    the question is settled when the lower bound leaves zero; below it, when the upper bound falls
    below that improvement.

    Args:
        difference: The estimate so far.
        alpha: One-sided error rate of the bounds, or what says it of an error and its degrees of freedom.
        worth: Smallest improvement worth a change.

    Returns:
        A number of clusters, or None when no realistic number would do.
    """
    distance = difference.estimate if difference.estimate >= worth else worth - difference.estimate
    if distance <= 0 or difference.error == 0:
        return None
    rate = alpha if callable(alpha) else lambda error, df: alpha

    def settled(total: int) -> bool:
        error = difference.error * math.sqrt(difference.clusters / total)
        df = difference.df + total - difference.clusters
        return quantile(rate(error, df), df) * error < distance

    low, high = difference.clusters, difference.clusters + 1
    while not settled(high):
        low, high = high, high * 2
        if low > MOST * difference.clusters:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    more = high - difference.clusters
    return more if more <= MOST * difference.clusters else None


def forecast(gain: str, more_rows: int, beside: str = "") -> str:
    """Return how many more rows would settle a question, and on what that rests.

    The estimate is a guess at the true difference: of a number of rows without it a person would take for a promise
    what only holds if the guess is right.

    Args:
        gain: The estimate, as the sentence has it.
        more_rows: How many more labelled rows.
        beside: The same in another unit, in brackets.

    >>> forecast("gain is +0.013", 6401, " (7 days)")
    'if the true gain is +0.013, about 6,400 more labelled rows (7 days) would show it'
    """
    return (
        f"if the true {gain}, about {about(more_rows)} more labelled row{'s' * (more_rows != 1)}{beside} would show it"
    )


def far_off(width: str) -> str:
    """Return what more rows do for an interval that no realistic number of them settles.

    >>> far_off("0.066")
    'the interval is 0.066 wide and has differences that matter: four times as many rows would halve it'
    """
    return f"the interval is {width} wide and has differences that matter: four times as many rows would halve it"
