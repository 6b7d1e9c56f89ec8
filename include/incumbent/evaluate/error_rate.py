"""What difference a contest can find, and how much of its error rate is spent on the rows that are there.

The rate is one for all looks at a candidate. A fixed test on the gate rows spends a part of it; the rest is for these
and later batches together, on which a candidate that was neither shown to be better nor excluded may still prove
itself. The parts add up to the whole, and neither depends on the estimate: only on its error, which says nothing about
who is better.
"""

from __future__ import annotations

from incumbent.stats import quantile

MISSED = 0.10  # the detectable difference is found in nine of ten cases
TELLING = 5.0  # improvements worth having that the detectable difference may be, for the fixed test to have the rate


def detectable(error: float, df: int, alpha: float) -> float:
    """Return the true difference that a one-sided test finds in nine of ten cases (MDE90).

    Args:
        error: Standard error of the estimated difference.
        df: Its degrees of freedom.
        alpha: Error rate of the test.

    >>> round(detectable(0.0036, 100_000, 0.01), 4)
    0.013
    """
    return (quantile(alpha, df) + quantile(MISSED, df)) * error


def alpha_split(alpha: float, mde90: float, min_improvement: float, degraded: bool = False) -> tuple[float, float]:
    """Return how much of an error rate is for the fixed test, and how much for later batches.

    Where the gate rows can find what is worth finding, the fixed test has nearly all of it; where they cannot, later
    batches have most of it. To wait costs most while the champion is known to be wrong: then the fixed test has it in
    any case.

    Args:
        alpha: The whole.
        mde90: What the gate rows can find; see `detectable`.
        min_improvement: Smallest improvement worth a change.
        degraded: A labelled alarm holds against the champion.

    >>> alpha_split(0.01, mde90=0.008, min_improvement=0.002)
    (0.009, 0.001)
    >>> alpha_split(0.01, mde90=0.03, min_improvement=0.002)
    (0.003, 0.007)
    """
    tells = degraded or mde90 <= TELLING * min_improvement
    tenth, of_fixed = alpha / 10, 9 if tells else 3  # rounded, so that the parts read as what they are
    return round(of_fixed * tenth, 12), round((10 - of_fixed) * tenth, 12)
