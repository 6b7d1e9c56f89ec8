"""How much a column shares with the others beside the label: within the classes, or beside a curve of a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.stats import f as fisher
from scipy.stats import ncf, norm, rankdata

from incumbent.leaks.association import cross_fitted, fold_codes, level_codes
from incumbent.leaks.columns import Column, Floats
from incumbent.leaks.sheet import Sheet

Matrix = npt.NDArray[np.float64]
DEPENDENT = 0.01  # p-value below which a column is seen dependent
SAME = 0.999
MOST_OTHERS = 150
LEAST_KNOWN = 20
KNOTS = 8


@dataclass(frozen=True)
class Shared:
    """What a column shares with the others when the label is known.

    Attributes:
        share: Share of its variance, adjusted for the number of the others.
        p: p-value of "nothing".
        width: Columns that were fitted together.
        rows: Rows.
        tried: Columns of which the closest was taken.
    """

    share: float
    p: float
    width: int
    rows: int
    tried: int = 1

    def sees(self, share: float) -> float:
        """Return the chance that a column sharing so much would have been seen dependent."""
        if not self.width or share <= 0:
            return 0.0
        free = self.rows - self.width - 2
        limit = fisher.isf(DEPENDENT / 2 / self.tried, self.width, free)
        return float(ncf.sf(limit, self.width, free, share / (1 - share) * self.rows))


def shared_with(within: Matrix, names: list[str], at: int, rows: int) -> Shared:
    """Return how much of a column the others explain beside the label: all together, or the closest one alone."""
    correlations = within[:, at]
    others = [i for i, name in enumerate(names) if name != names[at] and abs(correlations[i]) < SAME]
    if not others or within[at, at] == 0:
        return Shared(0.0, 0.0, 0, rows)
    width = len(others)
    largest = float((correlations[others] ** 2).max())
    single = min(1.0, width * float(fisher.sf(largest / (1 - largest) * (rows - 3), 1, rows - 3)))
    if width > min(MOST_OTHERS, rows // 5):
        return Shared(largest, single, 1, rows, width)
    partial = np.linalg.pinv(within[np.ix_(others, others)], hermitian=True)
    share = min(max(float(correlations[others] @ partial @ correlations[others]), 0.0), 1 - 1e-9)
    free = rows - width - 2
    together = float(fisher.sf(share / width / ((1 - share) / free), width, free))
    adjusted = max(0.0, 1.0 - (1.0 - share) * (rows - 2) / free)
    return Shared(adjusted, min(1.0, 2 * min(single, together)), width, rows)


def beside_label(column: Column, sheet: Sheet) -> Floats:
    """Return what is left of a column when the label is known: normal scores, standardised."""
    values, label = column.values, sheet.sampled_label
    if column.is_text:
        values = cross_fitted(level_codes(column), label, fold_codes(label, sheet.task, sheet.seed))
    known = np.isfinite(values)
    out = np.zeros(values.size)
    if sheet.task == "binary":
        classes = sheet.sampled_classes
        for one in np.unique(classes):
            rows = known & (classes == one)
            out[rows] = _standard(_normal_scores(values[rows]))
        return out
    if known.sum() < LEAST_KNOWN:
        return out
    terms = _curve(_normal_scores(label[known]))
    scores = _normal_scores(values[known])
    out[known] = _standard(scores - terms @ np.linalg.lstsq(terms, scores, rcond=None)[0])
    return out


def _normal_scores(values: Floats) -> Floats:
    scores: Floats = norm.ppf((rankdata(values) - 0.5) / values.size)
    return scores


def _standard(values: Floats) -> Floats:
    spread = float(values.std()) if values.size > 1 else 0.0
    out: Floats = (values - values.mean()) / spread if spread > 1e-9 else np.zeros(values.size)
    return out


def _curve(label: Floats) -> Matrix:
    """Return a cubic B-spline basis over the label's normal scores, shape (n_rows, n_terms)."""
    inner = np.unique(np.quantile(label, np.linspace(0, 1, KNOTS)))
    if inner.size < 2:
        return np.ones((label.size, 1))
    knots = np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]
    basis: Matrix = BSpline.design_matrix(np.clip(label, inner[0], inner[-1]), knots, 3).toarray()
    return basis
