"""Differences with an error that knows which rows share their luck.

Rows of one day share their weather. Treated as independent, they make errors on real flights three
to four times too small. So contributions are summed by cluster first; with G clusters the variance
is G/(G-1) times the sum of squares, and the bounds are Student's with G-1 degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """An estimate and its error.

    Attributes:
        estimate: The difference.
        error: Its standard error; 0 when both contenders say the same.
        clusters: Number of clusters, or of rows when rows are independent.
        df: Degrees of freedom of the error.
    """

    estimate: float
    error: float
    clusters: int
    df: int

    @property
    def t(self) -> float:
        """The estimate in errors; 0 for an exact tie."""
        if self.error > 0:
            return self.estimate / self.error
        return math.copysign(math.inf, self.estimate) if self.estimate else 0.0

    @property
    def p(self) -> float:
        """One-sided p value of "not larger than zero"."""
        if self.error == 0:
            return 0.0 if self.estimate > 0 else 1.0
        return float(stdtr(self.df, -self.t))

    def lower(self, alpha: float) -> float:
        """Return the bound that the true difference falls below with probability alpha at most."""
        return self.estimate - quantile(alpha, self.df) * self.error

    def upper(self, alpha: float) -> float:
        """Return the bound that the true difference exceeds with probability alpha at most."""
        return self.estimate + quantile(alpha, self.df) * self.error


def quantile(alpha: float, df: int) -> float:
    """Return Student's upper quantile.

    >>> round(quantile(0.01, 6), 3)
    3.143
    """
    return float(stdtrit(df, 1.0 - alpha))


def from_influence(estimate: float, psi: Floats, clusters: Codes | None) -> Difference:
    """Return a difference whose error comes from each row's contribution.

    Args:
        estimate: The difference.
        psi: Contribution of each row, shape (n_rows,), summing to about zero.
        clusters: Code of each row's cluster, shape (n_rows,); None for independent rows.

    Raises:
        ValueError: There are fewer than two clusters, so nothing says how large the error is.
    """
    sums = psi
    if clusters is not None:
        if clusters.shape != psi.shape:
            raise ValueError(f"clusters {clusters.shape} must be as long as the rows {psi.shape}")
        codes = np.unique(clusters, return_inverse=True)[1]
        sums = np.bincount(codes, weights=psi).astype(np.float64)
    if (count := int(sums.size)) < 2:
        raise ValueError("an error needs at least two clusters")
    variance = float(sums @ sums) * count / (count - 1)
    return Difference(float(estimate), math.sqrt(variance), count, count - 1)


def mean_difference(values: npt.ArrayLike, clusters: Codes | None = None) -> Difference:
    """Return the mean of paired differences with its clustered error.

    Args:
        values: Difference of each row (of two losses, of prediction and truth), shape (n_rows,).
        clusters: Code of each row's cluster; None for independent rows.

    >>> mean_difference([1.0, 1.0, 3.0, 3.0], np.array([0, 0, 1, 1]))
    Difference(estimate=2.0, error=1.0, clusters=2, df=1)
    """
    each = np.asarray(values, dtype=np.float64)
    mean = float(each.mean())
    return from_influence(mean, (each - mean) / each.size, clusters)


def relative_difference(first: npt.ArrayLike, second: npt.ArrayLike, clusters: Codes | None = None) -> Difference:
    """Return `mean(first) / mean(second) - 1`, a share, with its clustered error.

    Args:
        first: Loss of the first contender for each row, shape (n_rows,).
        second: Loss of the second for the same rows; its mean must not be zero.
        clusters: Code of each row's cluster; None for independent rows.

    Raises:
        ValueError: The second mean is not positive: a share of nothing says nothing.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (base := float(b.mean())) > 0:
        raise ValueError("a relative difference needs a positive second mean")
    ratio = float(a.mean()) / base
    return from_influence(ratio - 1.0, (a - ratio * b) / (base * a.size), clusters)
