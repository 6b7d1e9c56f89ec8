"""How much more evidence would settle an open question."""

from __future__ import annotations

import math
from collections.abc import Callable

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
