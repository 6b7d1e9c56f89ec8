"""Evidence that may be looked at after every batch.

Under "not better" each standardised difference z is at most a standard normal one, and exp(λz − λ²/2) has a mean
of at most 1. The product over batches, averaged over some λ, is an e-process: the chance that it ever reaches 1/α is α
at most (Ville's inequality), however often somebody looks. A test at α for each batch is wrong far more often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from incumbent.stats.change import Measured, normal_z, pooled

RATES = (0.5, 1.0, 1.5, 2.0, 3.0)
MIN_CLUSTERS = 5  # with fewer, their own spread says too little


@dataclass(frozen=True)
class Evidence:
    """What has been gathered so far.

    Attributes:
        e: The e-value: evidence against "not better", to be compared with 1/α.
        z: Standardised difference of each look, in order.
        estimate: Mean difference over all batches, by rows.
        error: Its standard error.
        rows: Rows of all batches.
        waiting: Batches that are not looked at yet: they are too few clusters by themselves.
    """

    e: float
    z: tuple[float, ...]
    estimate: float
    error: float
    rows: float
    waiting: int


def e_value(z: Sequence[float]) -> float:
    """Return the evidence of independent looks, each standardised.

    >>> e_value([]), round(e_value([2.0, 2.0, 2.0]), 1), e_value([-1.0, -2.0]) < 1
    (1.0, 174.9, True)
    """
    total = math.fsum(z)
    each = [rate * total - len(z) * rate**2 / 2 for rate in RATES]
    top = max(each)
    return math.exp(min(top, 700.0)) * sum(math.exp(one - top) for one in each) / len(RATES)


def gathered(batches: Sequence[Measured]) -> Evidence:
    """Return the evidence of paired differences, batch by batch.

    A batch of few clusters (a day, where rows of one day share their weather) does not say how large its error is:
    such batches are looked at five at a time, and their own spread is the error.

    Args:
        batches: Difference of two models on the same rows, in order; `df` + 1 is the number of clusters.
    """
    looks: list[float] = []
    waiting: list[Measured] = []
    for each in batches:
        if each.df + 1 >= MIN_CLUSTERS:
            looks.append(normal_z(_t(each.value, each.error), each.df))
            continue
        waiting.append(each)
        if len(waiting) == MIN_CLUSTERS:
            found = between(waiting)
            looks.append(normal_z(_t(found.value, found.error), found.df))
            waiting = []
    if not batches:
        return Evidence(1.0, (), 0.0, 0.0, 0.0, 0)
    few = any(each.df + 1 < MIN_CLUSTERS for each in batches)
    whole = between(batches) if few and len(batches) > 1 else pooled(batches)
    return Evidence(e_value(looks), tuple(looks), whole.value, whole.error, whole.rows, len(waiting))


def between(batches: Sequence[Measured]) -> Measured:
    """Return the mean of several batches by rows, with an error from how much they differ."""
    rows = sum(each.rows for each in batches)
    value = sum(each.rows * each.value for each in batches) / rows
    count = len(batches)
    squares = sum((each.rows * (each.value - value) / rows) ** 2 for each in batches)
    return Measured(value, math.sqrt(squares * count / (count - 1)), rows, count - 1)


def _t(value: float, error: float) -> float:
    if error == 0:
        return math.copysign(math.inf, value) if value else 0.0
    return value / error
