"""Intervals of what was counted: a rate without one says nothing about how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z95 = 1.959964


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval.

    Attributes:
        share: What was found.
        low, high: The interval.
        count: Trials.
    """

    share: float
    low: float
    high: float
    count: int

    def text(self, per: int = 1, digits: int = 2) -> str:
        """Return it for a table.

        >>> Rate(0.002, 0.001, 0.005, 3000).text(1000, 1)
        '2.0 (1.0–5.0)'
        """
        return f"{per * self.share:.{digits}f} ({per * self.low:.{digits}f}–{per * self.high:.{digits}f})"


def rate(groups: Sequence[Sequence[bool]]) -> Rate:
    """Return the share of true trials with Wilson's interval.

    Trials of a group share their luck (one reference, one stream). Where groups differ by more than single
    trials would, the interval is as wide as of so many fewer trials.

    Args:
        groups: Trials by group.

    >>> rate([[False] * 3000]).high < 0.0013
    True
    """
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    hits = np.array([sum(group) for group in groups], dtype=np.float64)
    count = sizes.sum()
    if not count:
        return Rate(float("nan"), 0.0, 1.0, 0)
    share = hits.sum() / count
    effect = 1.0
    if len(groups) > 2 and 0 < share < 1:
        residual = hits - share * sizes
        between = float(residual @ residual) * len(groups) / (len(groups) - 1)
        effect = max(1.0, between / (count * share * (1 - share)))
    low, high = wilson(share, count / effect)
    return Rate(float(share), low, high, int(count))


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval.

    >>> tuple(round(bound, 3) for bound in wilson(0.5, 100))
    (0.404, 0.596)
    """
    middle = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 / (1 + Z95**2 / count) * np.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def bootstrap(values: Sequence[float], statistic: str = "mean", draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % interval of a mean or median by resampling.

    >>> low, high = bootstrap([1.0, 2.0, 3.0] * 30)
    >>> 1.7 < low < 2.0 < high < 2.3
    True
    """
    found = np.asarray(values, dtype=np.float64)
    if not found.size:
        return float("nan"), float("nan")
    chosen = found[np.random.default_rng(0).integers(0, found.size, (draws, found.size))]
    each = chosen.mean(axis=1) if statistic == "mean" else np.median(chosen, axis=1)
    low, high = np.quantile(each, [0.025, 0.975])
    return float(low), float(high)
