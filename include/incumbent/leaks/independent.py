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

import numpy as np

from incumbent.leaks.association import cross_fitted, fold_codes, halves, level_codes
from incumbent.leaks.columns import Column, filled
from incumbent.leaks.finding import Finding
from incumbent.leaks.sharing import DEPENDENT, Shared, beside_label, shared_with
from incumbent.leaks.sheet import Sheet
from incumbent.stats import auc

LEAST_AUC = 0.7
LEAST_COLUMNS = 4
POWER = 0.8
MOST_TEXT_LEVELS = 50


def independent(sheet: Sheet) -> Iterator[Finding]:
    """Yield strong columns that are independent of all others given the label."""
    shapes = _shapes(sheet)
    strong = [at for at, (_, area) in enumerate(shapes) if area >= LEAST_AUC]
    if not strong or len({shape.name for shape, _ in shapes}) < LEAST_COLUMNS:
        return
    left = np.column_stack([beside_label(shape, sheet) for shape, _ in shapes])
    names = [shape.name for shape, _ in shapes]
    within = left.T @ left / left.shape[0]
    shared = [shared_with(within, names, at, left.shape[0]) for at in range(len(names))]
    for at in strong:
        found = shared[at]
        usual = float(np.median([other.share for other in shared if other is not found]))
        if found.p >= DEPENDENT and found.sees(usual / 2) >= POWER:
            yield _finding(names[at], shapes[at][1], found, usual)


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
