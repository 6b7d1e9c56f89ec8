"""Noisy copies: a column that tells the label, and knows nothing of the other columns once the label is given.

An honest symptom shares its cause with the other symptoms, and an honest cause becomes dependent on the
other causes as soon as the outcome is fixed (Berkson 1946). Only what was made from the label alone, and noise,
is independent of everything else given the label (Pearl 1988: the label is its only parent). So within the
classes, or beside a smooth curve of a numeric label, each strong column is regressed on the others.

False alarms: an honest column is named only if its dependence is missed. So a column is judged only where the F
test sees, with probability 0.8, a column that shares half as much with the others as the middle one
of this table does. In a table of unrelated columns nothing is seen, and independence accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.stats import f as fisher
from scipy.stats import ncf, norm, rankdata

from incumbent.leaks.association import cross_fitted, fold_codes, halves, level_codes
from incumbent.leaks.columns import Column, Floats, filled
from incumbent.leaks.finding import Finding
from incumbent.leaks.sheet import Sheet
from incumbent.stats import auc

Matrix = npt.NDArray[np.float64]
LEAST_AUC = 0.7
LEAST_COLUMNS = 4
DEPENDENT = 0.01  # p-value below which a column is seen dependent
POWER = 0.8
SAME = 0.999
MOST_OTHERS = 150
MOST_TEXT_LEVELS = 50
KNOTS = 8


def independent(sheet: Sheet) -> Iterator[Finding]:
    """Yield strong columns that are independent of all others given the label."""
    shapes = _shapes(sheet)
    strong = [at for at, (_, area) in enumerate(shapes) if area >= LEAST_AUC]
    if not strong or len({shape.name for shape, _ in shapes}) < LEAST_COLUMNS:
        return
    left = np.column_stack([_beside_label(shape, sheet) for shape, _ in shapes])
    names = [shape.name for shape, _ in shapes]
    within = left.T @ left / left.shape[0]
    shared = [_shared(within, names, at, left.shape[0]) for at in range(len(names))]
    for at in strong:
        found = shared[at]
        usual = float(np.median([other.share for other in shared if other is not found]))
        if found.p >= DEPENDENT and found.sees(usual / 2) >= POWER:
            yield _finding(names[at], shapes[at][1], found, usual)


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


def _shapes(sheet: Sheet) -> list[tuple[Column, float]]:
    """Return each column, and whether it is filled, as numbers with the AUC of each."""
    label, out = sheet.sampled_label, []
    folds = fold_codes(label, sheet.task, sheet.seed)
    for column in sheet.columns:
        each = column.take(sheet.sample)
        if column.is_text and np.unique(each.values).size > MOST_TEXT_LEVELS:
            continue
        out.append((each, sheet.strength[column.name].auc))
        if shape := filled(each):
            share = cross_fitted(level_codes(shape), label, folds)
            out.append((shape, auc(halves(label, sheet.task), share)))
    return out


def _beside_label(column: Column, sheet: Sheet) -> Floats:
    """Return what is left of a column when the label is known: normal scores, standardised."""
    values, label = column.values, sheet.sampled_label
    if column.is_text:
        values = cross_fitted(level_codes(column), label, fold_codes(label, sheet.task, sheet.seed))
    known = np.isfinite(values)
    out = np.zeros(values.size)
    if sheet.task == "binary":
        for rows in (known & (label > 0.5), known & (label < 0.5)):
            out[rows] = _standard(_normal_scores(values[rows]))
        return out
    terms = _curve(_normal_scores(label[known]))
    scores = _normal_scores(values[known])
    out[known] = _standard(scores - terms @ np.linalg.lstsq(terms, scores, rcond=None)[0])
    return out


def _shared(within: Matrix, names: list[str], at: int, rows: int) -> Shared:
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
    knots = np.r_[[inner[0]] * 3, inner, [inner[-1]] * 3]
    basis: Matrix = BSpline.design_matrix(np.clip(label, inner[0], inner[-1]), knots, 3).toarray()
    return basis


def _finding(name: str, area: float, found: Shared, usual: float) -> Finding:
    return Finding(
        column=name,
        test="independent",
        sentence=f"{name} tells the label (AUC {area:.3f}) and shares nothing with the other columns once the label is "
        f"known, where a column here usually shares {usual:.0%}: it was made from the label, with noise",
        expected=f"some relation to the other columns beside the label; {usual / 2:.0%} would have been seen",
        found=f"{found.share:.1%}, p = {found.p:.2g}",
        next_step="find out when and from what it is computed; leave it out unless it is known before the outcome",
        evidence={"auc": area, "shared": found.share, "p": found.p, "usual": usual},
    )
