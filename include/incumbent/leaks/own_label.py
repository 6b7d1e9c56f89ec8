"""Encodings that contain the row's own label: the mean label of a category, a group or a day.

If x is the mean label of the row's group, own row included, then the rows with one value of x have exactly that
mean label. An honest column, even a perfectly calibrated score, misses it by sampling error. So the misfit
of the level means is compared with what sampling alone gives, and is named when it is far too *small*.

With a prior of a rows with mean m, x = (s + a·m)/(n + a), so x·n − s = a·m − a·x: the values lie on one line. An
exact hit needs no p-value: the values of a measured column are not the means of this table's label to the third
digit, in three of three levels, or on one such line in a third of six or more.

An encoding that was made on more rows than these hits inexactly. Its level mean is about linear in x, 1/n and x/n.
False alarms: Σ n (mean − fit)² / variance is χ² with levels − 4 degrees of freedom under honest sampling, and
larger when the fit is wrong, so P(χ² ≤ found) at the sheet's alpha errs on the safe side. A count cannot hit
its mean exactly, so half a row is added to each misfit. A matched design has equal means by plan; they say
nothing of x, so x must also explain the means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from incumbent.leaks.columns import Floats
from incumbent.leaks.finding import Finding
from incumbent.leaks.sheet import Sheet

MOST_ROWS = 60_000
TERMS = 4
LEAST_DF = 4
LEAST_SHARE = 0.5
EXACT = 1e-4  # of the label's standard deviation; a rounding to four digits passes
LEAST_EXACT = 3
LINE_EXACT = 1e-3
LEAST_LINE = 6
LEAST_PRIOR = 0.1  # rows
PAIRS = 300
PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Levels:
    """The rows of each value of a column: the value, how many, their mean label and its variance in one row."""

    x: Floats
    n: Floats
    mean: Floats
    variance: Floats


def own_labels(sheet: Sheet) -> Iterator[Finding]:
    """Yield the columns that contain the label of their own row."""
    spread = float(sheet.label.std())
    for column in sheet.columns:
        # The sample tells at little cost which columns repeat their values.
        head = sheet.sampled(column)
        if column.is_text or column.is_moment or np.unique(head[np.isfinite(head)]).size > 0.6 * head.size:
            continue
        levels = _levels(column.values, sheet.label, sheet.task)
        if exact := max(_same_numbers(levels, spread), _pulled(levels, sheet.label, sheet.seed)):
            how = f"{exact} of its values are the mean label of their own rows to the third digit"
            yield _finding(column.name, how, f"{exact} values met exactly", {"exact": float(exact)})
            continue
        p, ratio, df = _too_small(levels, sheet.task)
        if p <= sheet.alpha:
            how = f"the mean labels of its {df + TERMS} values miss it by {ratio:.2g} of what sampling gives"
            evidence = {"ratio": ratio, "p": p, "levels": float(levels.n.size)}
            yield _finding(column.name, how, f"a ratio of {ratio:.2g}, p = {p:.1e}", evidence)


def _levels(values: Floats, label: Floats, task: str) -> Levels:
    """Return the levels; of a large table a random part of them, each with all of its rows."""
    keep = np.isfinite(values)
    if keep.sum() > MOST_ROWS:
        mixed = (values + 0.0).view(np.uint64) * PRIME  # 0.0 and -0.0 are one value
        keep &= (mixed >> np.uint64(40)) < np.uint64(2**24 * MOST_ROWS / keep.sum())
    x, codes, counts = np.unique(values[keep], return_inverse=True, return_counts=True)
    n, truth = counts.astype(np.float64), label[keep]
    mean = np.bincount(codes, weights=truth, minlength=x.size) / n
    squares = np.bincount(codes, weights=(truth - mean[codes]) ** 2, minlength=x.size)
    variance = mean * (1 - mean) if task == "binary" else squares / np.maximum(n - 1, 1)
    return Levels(x, n, mean, variance)


def _same_numbers(levels: Levels, spread: float) -> int:
    """Return how many values with differing labels are their rows' mean label; 0 if one value is not."""
    if not levels.n.size or (np.abs(levels.x - levels.mean) > EXACT * spread).any():
        return 0
    mixed = int(((levels.n > 1) & (levels.variance > 0)).sum())
    return mixed if mixed >= LEAST_EXACT else 0


def _pulled(levels: Levels, label: Floats, seed: int) -> int:
    """Return how many values are (sum + a·m)/(n + a) of their own rows, for one prior of a rows with mean m.

    Then x·n − sum = a·m − a·x: the values lie on one falling line. Two values give a line; the best of many
    pairs is taken. Categories with the same sum and size share a value, and lie elsewhere: a third is enough.
    """
    use = (levels.n > 1) & (levels.variance > 0)
    x, n, mean = levels.x[use], levels.n[use], levels.mean[use]
    least = max(LEAST_LINE, int(np.ceil(x.size / 3)))
    if x.size < LEAST_LINE or levels.x.min() < label.min() or levels.x.max() > label.max():
        return 0
    pairs = np.random.default_rng(seed).integers(0, x.size, (PAIRS, 2))
    one, other = pairs[x[pairs[:, 0]] != x[pairs[:, 1]]].T
    y = n * (x - mean)
    slope = (y[one] - y[other]) / (x[one] - x[other])
    misses = np.abs(y - y[one][:, None] - slope[:, None] * (x - x[one][:, None])) / n
    hits = (misses <= LINE_EXACT * label.std()).sum(axis=1) * (slope < -LEAST_PRIOR)
    best = int(hits.max(initial=0))
    return best if best >= least else 0


def _too_small(levels: Levels, task: str) -> tuple[float, float, int]:
    """Return the p-value of so small a misfit, its ratio to sampling error, and the degrees of freedom."""
    use = levels.n >= (2 if task == "binary" else 5)
    x, n, mean = levels.x[use], levels.n[use], levels.mean[use]
    df = int(x.size) - TERMS
    # Values met once are no groups: a few of them may be, where groups are small.
    if df < LEAST_DF or n.sum() < LEAST_SHARE * levels.n.sum() or x.std() == 0:
        return 1.0, 1.0, df
    scaled, weights = (x - x.mean()) / x.std(), np.sqrt(n)
    terms = np.column_stack([np.ones(x.size), scaled, 1 / n, scaled / n])
    fit = terms @ np.linalg.lstsq(terms * weights[:, None], mean * weights, rcond=None)[0]
    if task == "binary":
        inside = np.clip(fit, 1 / (2 * n), 1 - 1 / (2 * n))
        variance, grain = inside * (1 - inside), 0.5 / n
    else:
        variance, grain = levels.variance[use], np.zeros(x.size)
    sure = variance > 0
    misfit = float((n * (np.abs(mean - fit) + grain) ** 2)[sure] @ (1 / variance[sure]))
    df = int(sure.sum()) - TERMS
    all_ = float((n * (mean - np.average(mean, weights=n)) ** 2)[sure] @ (1 / variance[sure]))
    if df < LEAST_DF or all_ < 4 * misfit:
        return 1.0, misfit / max(df, 1), df
    return float(chi2.cdf(misfit, df)), misfit / df, df


def _finding(name: str, how: str, found: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        column=name,
        test="own_label",
        sentence=f"{name} contains the label of its own row: {how}",
        expected="mean labels that scatter around the column by sampling error (ratio about 1)",
        found=found,
        next_step="compute it without the row itself, from rows that are older than the row",
        evidence=evidence,
    )
