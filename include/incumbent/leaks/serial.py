"""Ids and row order: numbers that only count, and yet tell the label.

A serial number differs in every row and is evenly spread; it knows nothing of the world but the order in
which somebody wrote it. If that order tells the label, it was written after the outcome, or sorted by it.

False alarms: the rank test's p-value (Mann and Whitney 1947) at the sheet's alpha, and besides it an AUC of
0.6: rates that drift over the years move an honest serial number by less.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm, rankdata

from incumbent.leaks.association import cross_fitted, fold_codes, halves, level_codes
from incumbent.leaks.columns import Column, Floats
from incumbent.leaks.finding import ROW_ORDER, Finding
from incumbent.leaks.sheet import Sheet
from incumbent.stats import auc

DISTINCT = 0.99
EVEN = 0.99
LEAST_AUC = 0.6
ORDER_AUC = 0.9


def serials(sheet: Sheet) -> Iterator[Finding]:
    """Yield serial numbers that tell the label."""
    for column in sheet.columns:
        values = _serial(column)
        if values is None:
            continue
        known = np.isfinite(values)
        area, p = _order_auc(values[known], sheet.label[known], sheet.task, sheet.seed)
        if p <= sheet.alpha and area >= LEAST_AUC:
            yield Finding(
                column=column.name,
                test="serial",
                sentence=f"{column.name} is a serial number (each row has its own, evenly spread) whose order tells "
                f"the label with AUC {area:.3f}: it was given after the outcome, or in its order",
                expected=f"an AUC of 0.5, and below {LEAST_AUC} where rates drift",
                found=f"{area:.3f}",
                next_step="leave it out: a new row's number says nothing of its outcome",
                evidence={"auc": area, "p": p},
            )


def row_order(sheet: Sheet) -> Iterator[Finding]:
    """Yield a finding if the rows lie in the order of their labels."""
    area, p = _order_auc(np.arange(sheet.label.size, dtype=np.float64), sheet.label, sheet.task, sheet.seed)
    if p > sheet.alpha or area < ORDER_AUC:
        return
    yield Finding(
        column=ROW_ORDER,
        test="row_order",
        sentence=f"the rows lie in the order of their labels (AUC {area:.3f}): a split by position, or a row number "
        "among the features, tells the label",
        expected=f"an AUC below {ORDER_AUC}",
        found=f"{area:.3f}",
        next_step="shuffle or sort the rows by something else before they are split or numbered",
        evidence={"auc": area, "p": p},
    )


def _serial(column: Column) -> Floats | None:
    """Return the numbers of a column that only counts."""
    values = column.serial if column.is_text else column.values
    if values is None or column.is_moment:
        return None
    known = np.sort(values[np.isfinite(values)])
    if known.size < DISTINCT * values.size or (known != np.floor(known)).any():
        return None
    if (np.diff(known) > 0).sum() < DISTINCT * (known.size - 1):
        return None
    even = np.corrcoef(known, np.arange(known.size))[0, 1]
    return values if even >= EVEN else None


def _order_auc(values: Floats, label: Floats, task: str, seed: int) -> tuple[float, float]:
    """Return how well an order tells the label, by itself or in twenty stretches, and the p-value of that."""
    positive = halves(label, task)
    share = float(positive.mean())
    if not 0 < share < 1:
        return 0.5, 1.0
    plain = auc(positive, rankdata(values))
    codes = level_codes(Column("", values))
    stretches = auc(positive, cross_fitted(codes, positive, fold_codes(positive, "binary", seed)))
    area = max(plain, 1.0 - plain, stretches)
    # Twice for two sides, twice for two looks.
    error = np.sqrt((positive.size + 1) / (12.0 * positive.size**2 * share * (1.0 - share)))
    return area, min(1.0, 4.0 * float(norm.sf((area - 0.5) / error)))
