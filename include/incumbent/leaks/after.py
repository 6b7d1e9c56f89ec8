"""Known only after the outcome: a column that is empty where there is no outcome yet, and filled where there is.

A flight that never left has no departure time. It often has no tail number either, which is honest: 30 % of
the cancelled flights of 2013 lack one, where 88 % lack a departure time. So the line is drawn at a majority: a
column is named when surely more than half of the rows without a label lack it, and hardly any labelled row does.

False alarms: the bound is Clopper and Pearson's (1934), exact for any number of rows, at the sheet's alpha. A
table whose rows without a label lack most columns has empty rows, not leaks; then nothing is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from incumbent.leaks.columns import Column
from incumbent.leaks.finding import Finding

MAJORITY = 0.5
LABELLED_SHARE = 0.1  # of the share that the others lack
LEAST_ROWS = 10


def after(columns: Sequence[Column], labelled: npt.NDArray[np.bool_], alpha: float) -> Iterator[Finding]:
    """Yield the columns that are filled only where the label is.

    Args:
        columns: All rows of each column, with those that have no label.
        labelled: Whether each row has a label.
        alpha: Error rate of one column's bound.
    """
    without = int((~labelled).sum())
    if without < LEAST_ROWS or not labelled.any():
        return
    found = []
    for column in columns:
        empty = ~np.isfinite(column.values)
        lacking = int(empty[~labelled].sum())
        surely = float(beta.ppf(alpha, lacking, without - lacking + 1)) if lacking else 0.0
        share = float(empty[labelled].mean())
        if surely > MAJORITY and share < LABELLED_SHARE * lacking / without:
            found.append(_finding(column.name, lacking, without, share))
    if 2 * len(found) <= len(columns):
        yield from found


def _finding(name: str, lacking: int, without: int, share: float) -> Finding:
    return Finding(
        column=name,
        test="after",
        sentence=f"{name} is empty in {lacking / without:.0%} of the rows that have no outcome, and in {share:.1%} of "
        "those that have one: it is known only after the outcome",
        expected=f"empty in at most half of the {without} rows without an outcome, or as often elsewhere",
        found=f"empty in {lacking} of {without}",
        next_step="leave it out, or take its value as it was when the prediction is made",
        evidence={"empty_unlabelled": lacking / without, "empty_labelled": share, "unlabelled_rows": without},
    )
