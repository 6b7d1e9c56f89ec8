"""What share of a column is usually null, never seen or far away: as past batches have varied, and no tighter.

Two questions are asked of a share. Is it larger than what is usual, for certain? And is it larger by so much that
somebody should look? A tenth of a per cent is certain in a million rows, and matters to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy.stats import binom

SPREAD = 0.15  # of √(p(1−p)): how much shares are assumed to vary before any batch was seen
PRIOR_FREEDOM = 4.0  # as many batches weighs that assumption
FAR = 6.4  # standard deviations: shares have long tails, of which t with 8 degrees leaves 1 in 10,000


@dataclass(frozen=True)
class Usual:
    """What is usual.

    Attributes:
        share: Largest share that is.
        least: How much more there has to be for a finding.
        certain: How much more the rate may be that the batch's rows were drawn with.
    """

    share: float
    least: float
    certain: float


def usual_share(past: Sequence[float]) -> float:
    """Return the largest share that is usual in the next batch, by those of past batches.

    >>> usual_share([0.0] * 10), round(usual_share([0.10, 0.12, 0.08] * 4), 2)
    (0.0, 0.28)
    """
    if not past:
        return 0.0
    shares = np.asarray(past, np.float64)
    mean, number = float(shares.mean()), len(shares)
    assumed = PRIOR_FREEDOM * SPREAD**2 * mean * (1 - mean)
    freedom = PRIOR_FREEDOM + number - 1
    deviation = sqrt((assumed + float(((shares - mean) ** 2).sum())) / freedom)
    return min(1.0, max(float(shares.max()), mean + FAR * deviation * sqrt(1 + 1 / number)))


def share_test(test: str, count: int, rows: int, usual: Usual, what: str) -> dict[str, Any]:
    """Return the finding about a share: with p 1 when there is too little of it to be one."""
    limit = min(1.0, usual.share + usual.least)
    is_enough = count >= limit * rows and count > 0
    p = float(binom.sf(count - 1, rows, min(1.0, usual.share + usual.certain))) if is_enough else 1.0
    says = f"{count / rows:.1%} {what}, at most {limit:.1%} is ordinary"
    return {"test": test, "expected": limit, "found": count / rows, "p": p, "says": says}
