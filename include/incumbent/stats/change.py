"""Since when has a mean changed, and how sure is that?

For each moment the batches since are compared with everything before, the reference among it; the largest
standardised difference is the statistic (a generalised likelihood ratio chart: Siegmund and Venkatraman, Annals of
Statistics 23, 1995). The reference is an estimate like any other, and gets better with each good batch. A CUSUM
that takes a reference of five batches for the truth gave an alarm on 3.1 of 1,000 batches without any change, and
one of a single batch on 5.8; this gives 0.4 at the same limit, and finds a large change as soon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri_exp, stdtr

Floats = npt.NDArray[np.float64]
NEARLY_SURE = -1e-9  # logarithm of a chance; of 1 there is no quantile
LARGEST_Z = 37.0  # beyond it a normal tail is no float64 any more


@dataclass(frozen=True)
class Measured:
    """A mean of one batch.

    Attributes:
        value: The mean.
        error: Its standard error.
        rows: What it weighs beside others.
        df: Degrees of freedom of its error; 0 if it has none.
        borrowed: The error comes from the reference: errors of several such batches are one estimate.
    """

    value: float
    error: float
    rows: float
    df: float
    borrowed: bool = False


@dataclass(frozen=True)
class Change:
    """The moment that divides a series best.

    Attributes:
        z: Standardised fall of the mean since then; normal when nothing has changed, but for the choice of the moment.
        newest: The same of the newest batch alone.
        since: Position of the first batch after it.
        before: Mean of everything before.
        after: Mean since.
        error: Standard error of the difference.
        last: Value of the newest batch.
    """

    z: float
    newest: float
    since: int
    before: float
    after: float
    error: float
    last: float

    @property
    def lasts(self) -> bool:
        """Whether the newest batch is worse too, and nearer to what it is since than to what it was before."""
        return self.newest > 0 and self.last <= (self.before + self.after) / 2


def largest_fall(batches: Sequence[Measured], reference: Measured) -> Change:
    """Return the moment since which the mean has fallen most surely.

    Args:
        batches: In order, at least one.
        reference: What came before the first of them; an error of 0 is a value that is known.

    >>> series = [Measured(value, 0.1, 100, 50) for value in (1.02, 0.98, 0.5, 0.6)]
    >>> found = largest_fall(series, Measured(1.0, 0.1, 100, 50))
    >>> found.since, round(found.before, 2), round(found.after, 2), found.z > 4
    (2, 1.0, 0.55, True)
    """
    after = _Sums(batches[::-1])
    back = slice(None, None, -1)
    # A reference that is known is not made less sure by what came after it.
    before = _Sums([reference, *batches[:-1]]) if reference.error else None
    values = np.full(len(batches), reference.value) if before is None else before.value
    error = after.error[back] if before is None else np.hypot(before.error, after.error[back])
    doubt = after.doubt[back] if before is None else after.doubt[back] + before.doubt
    fall = values - after.value[back]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, fall / error, np.where(fall == 0, 0.0, np.sign(fall) * np.inf))
        df = np.where(doubt > 0, error**4 / doubt, np.inf)
    z = [normal_z(each, freedom) for each, freedom in zip(t.tolist(), df.tolist(), strict=True)]
    since = int(np.argmax(z))
    means = float(values[since]), float(after.value[back][since])
    return Change(z[since], z[-1], since, *means, float(error[since]), batches[-1].value)


def lasting_fall(batches: Sequence[Measured], reference: Measured, limit: float) -> Change:
    """Return the largest fall that is not over: batches that were worse for a while and are no longer do not count.

    A week of wrong labels lowers every mean that has it in it for months, while nothing is wrong any more. A return is
    held to the limit of a fall: below it, nobody knows yet that it is one.

    Args:
        batches: In order, at least one.
        reference: What came before the first of them; an error of 0 is a value that is known.
        limit: Standardised fall from which on there is one; standardised rise from which on it is over.

    >>> series = [Measured(value, 0.1, 100, 50) for value in (1.0, 0.2, 0.3, 0.2, 0.9, 0.8, 0.9)]
    >>> fall, lasting = largest_fall(series, series[0]), lasting_fall(series, series[0], 3.6)
    >>> fall.since, fall.z > 3.6, lasting.since, lasting.z < 3.6
    (1, True, 4, True)
    """
    kept = list(range(len(batches)))
    while True:
        found = largest_fall([batches[at] for at in kept], reference)
        worse = [_upside_down(batches[at]) for at in kept[found.since :]]
        if found.z <= limit or len(worse) == 1 or (back := largest_fall(worse[1:], worse[0])).z <= limit:
            return replace(found, since=kept[found.since])
        del kept[found.since : found.since + 1 + back.since]


def _upside_down(batch: Measured) -> Measured:
    return replace(batch, value=-batch.value)


class _Sums:
    """Means by rows of the first batch, of the first two, and so on; errors have Satterthwaite's degrees of freedom."""

    def __init__(self, batches: Sequence[Measured]) -> None:
        rows = np.array([each.rows for each in batches], dtype=np.float64)  # its fourth power is no int64
        total = np.cumsum(rows)
        self.value = np.cumsum(rows * np.array([each.value for each in batches])) / total
        squares = np.array([(each.rows * each.error) ** 2 for each in batches])
        borrowed = np.array([each.borrowed for each in batches])
        freedom = np.array([max(each.df, 1.0) for each in batches], dtype=np.float64)
        self.error: Floats = np.sqrt(np.cumsum(squares)) / total
        shared = np.cumsum(np.where(borrowed, squares, 0.0)) ** 2 / freedom[borrowed].min(initial=np.inf)
        self.doubt: Floats = (np.cumsum(np.where(borrowed, 0.0, squares**2 / freedom)) + shared) / total**4


def pooled(batches: Sequence[Measured]) -> Measured:
    """Return the mean of several batches by rows, with the degrees of freedom of its error (Satterthwaite)."""
    sums = _Sums(batches)
    error, doubt = float(sums.error[-1]), float(sums.doubt[-1])
    rows = sum(each.rows for each in batches)
    return Measured(float(sums.value[-1]), error, rows, error**4 / doubt if doubt else math.inf)


def normal_z(t: float, df: float) -> float:
    """Return the normal quantile that is as rare as Student's t.

    Errors of few clusters are guesses, and make large t common: with five clusters one beyond 4 comes by luck a
    hundred times as often as a normal one.

    >>> round(normal_z(4.0, 4), 2), round(normal_z(-4.0, 4), 2), normal_z(1.5, math.inf), round(normal_z(2.0, 1e6), 3)
    (2.41, -2.41, 1.5, 2.0)
    """
    if not math.isfinite(t):
        return math.copysign(LARGEST_Z, t)
    if math.isinf(df):
        return max(-LARGEST_Z, min(LARGEST_Z, t))
    tail = float(stdtr(df, -abs(t)))
    size = -float(ndtri_exp(math.log(tail))) if tail > 0 else LARGEST_Z
    return math.copysign(min(size, LARGEST_Z), t)


def of_worst(losses: Sequence[float]) -> float:
    """Return the largest of some standardised losses, as small as one alone would have to be to be as rare.

    The largest of many is large by luck (Bonferroni).

    >>> of_worst([1.5]), round(of_worst([1.5, 0.2, -1.0]), 3), round(of_worst([30.0, 0.0]), 3)
    (1.5, 0.84, 29.977)
    """
    if len(losses) == 1:
        return losses[0]
    chance = min(float(log_ndtr(-max(losses))) + math.log(len(losses)), NEARLY_SURE)
    return -float(ndtri_exp(chance))
