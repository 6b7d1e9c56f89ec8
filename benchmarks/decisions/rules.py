"""Rules of other tools, written from their documentation or source, and what people do by hand.

They stand beside the real packages (`peers/`), which are slower: for the closed loop and the curves. How often the
one for Evidently agrees with the real package is measured in the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, chi2_contingency, kstwobign, wasserstein_distance

from benchmarks.decisions.world import Codes, Floats, Rows

EVIDENTLY_ROWS = 1000  # reference rows up to which Evidently tests, and does not measure
EVIDENTLY_SHARE = 0.5


@dataclass(frozen=True)
class Column:
    """What the rules need of one column.

    Attributes:
        ks: Largest distance of the distribution functions (numbers), or of a level's share (text).
        p: P-value of the two-sample test.
        evidently: Whether Evidently's default test calls the column drifted.
        psi: Population stability index over ten quantiles or the levels.
        divergence: Jensen-Shannon divergence over ten equal widths, or the largest distance of a share (text).
    """

    ks: float
    p: float
    evidently: bool
    psi: float
    divergence: float


def decisions(reference: Rows, batch: Rows) -> dict[str, bool]:
    """Return whether each rule calls a batch drifted."""
    found = columns(reference, batch)
    drifted = sum(column.evidently for column in found.values())
    return {
        "Evidently any column*": drifted > 0,
        "Evidently dataset*": drifted >= EVIDENTLY_SHARE * len(found),
        "p < .05 any column": any(column.p < 0.05 for column in found.values()),
        "Alibi Bonferroni*": any(column.p < 0.05 / len(found) for column in found.values()),
        "SageMaker (emulated)": any(column.ks > 0.1 for column in found.values()),
        "Vertex (emulated)": any(column.divergence > 0.3 for column in found.values()),
        "PSI > .2 any column": any(column.psi > 0.2 for column in found.values()),
    }


def columns(reference: Rows, batch: Rows) -> Mapping[str, Column]:
    """Return what the rules need of every column that both have in the same type."""
    found = {
        name: _numbers(values[np.isfinite(values)], batch.numbers[name][np.isfinite(batch.numbers[name])])
        for name, values in reference.numbers.items()
        if name not in batch.as_text and np.isfinite(batch.numbers[name]).any()
    }
    texts = {name: _levels(codes, batch.levels[name]) for name, codes in reference.levels.items()}
    return {**found, **texts}


def _numbers(a: Floats, b: Floats) -> Column:
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    distance = float(
        np.abs(np.searchsorted(a, both, "right") / a.size - np.searchsorted(b, both, "right") / b.size).max()
    )
    p = float(kstwobign.sf(distance * np.sqrt(a.size * b.size / (a.size + b.size))))
    drifted = p <= 0.05 if a.size <= EVIDENTLY_ROWS else _moved(a, b) >= 0.1
    edges = np.unique(np.quantile(a, np.linspace(0.1, 0.9, 9)))
    psi = _psi(*(np.bincount(np.searchsorted(edges, values), minlength=10).astype(np.float64) for values in (a, b)))
    grid = np.linspace(min(a[0], b[0]), max(a[-1], b[-1]), 11)
    widths = [np.histogram(values, grid)[0] / values.size for values in (a, b)]
    return Column(distance, p, bool(drifted), psi, _divergence(*widths))


def _levels(a: Codes, b: Codes) -> Column:
    a, b = a[a >= 0], b[b >= 0]
    count = int(max(a.max(), b.max())) + 1
    x, y = (np.bincount(codes, minlength=count).astype(np.float64) for codes in (a, b))
    seen = (x + y) > 0
    x, y = x[seen], y[seen]
    p = float(chi2_contingency(np.array([x, y]), correction=False).pvalue) if x.size > 1 else 1.0
    shares = x / x.sum(), y / y.sum()
    far = np.sqrt(_divergence(*shares)) >= 0.1
    drifted = _one_sample_p(x, y) < 0.05 if a.size <= EVIDENTLY_ROWS else far
    largest = float(np.abs(shares[0] - shares[1]).max())
    return Column(largest, p, bool(drifted), _psi(x, y), largest)


def _moved(a: Floats, b: Floats) -> float:
    """Return Evidently's distance, with its floor under the standard deviation."""
    return float(wasserstein_distance(a, b)) / max(float(a.std()), 0.001)


def _one_sample_p(x: Floats, y: Floats) -> float:
    """Return the p-value as if the reference were exact, which it is not: what Evidently does."""
    expected = x / x.sum() * y.sum()
    if (expected == 0).any():
        return 0.0
    return float(chi2.sf(float(((y - expected) ** 2 / expected).sum()), x.size - 1))


def _psi(x: Floats, y: Floats) -> float:
    p, q = np.maximum(x / x.sum(), 1e-4), np.maximum(y / y.sum(), 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


def _divergence(p: Floats, q: Floats) -> float:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(each > 0, each * np.log(each / middle), 0.0).sum() / 2 for each in (p, q)]
    return float(max(0.0, sum(parts)))
