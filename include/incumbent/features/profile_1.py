"""Bins of profiles that releases before `incumbent.profile/2` have stored: logarithmic, 5 % wide."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from incumbent.features.bins import BinCounting, Bins, codes_of

WIDTH = 0.05  # natural-log width of a bin
TINY = 1e-9
FINE = 45  # bits that are left out: a tenth of an old bin


def bins_of(counts: Mapping[str, int], low: float, high: float) -> Bins:
    """Return stored counts in today's bins; each is spread evenly over what lay in it.

    Args:
        counts: `#` and a bin's number to its count.
        low: Smallest number of the column.
        high: Its largest.
    """
    counting = BinCounting()
    for key, count in counts.items():
        ends = np.clip(_ends(int(key.removeprefix("#"))), low, high)
        first, last = (int(code) for code in codes_of(ends) >> FINE)
        tallies = np.diff(np.round(np.linspace(0, count, last - first + 2))).astype(np.int64)
        counting.put(np.arange(first, last + 1), tallies, FINE)
    return counting.bins()


def _ends(number: int) -> list[float]:
    if not number:
        return [0.0, 0.0]
    ends = [TINY * math.exp(min(edge * WIDTH, 730.0)) for edge in (abs(number) - 1, abs(number))]
    return ends if number > 0 else [-end for end in reversed(ends)]
