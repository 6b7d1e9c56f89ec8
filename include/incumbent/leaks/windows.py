"""Aggregates over the following rows: a column that is a weighted sum of its neighbours' labels.

The mean of the next thirty days, own day included, is a linear filter of the labels in time order. So each
column is regressed on the labels of the rows around it. A column of the world is not made of labels: it
leaves most of its variance. A filter of *past* labels alone is honest, and needs no label of its own row or later.

False alarms: the adjusted R² must reach 0.98 with at most an eighth as many coefficients as rows. What a column has
besides the labels around it adds nothing to it on average, whatever the number of coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from incumbent.leaks.columns import Floats
from incumbent.leaks.finding import Finding
from incumbent.leaks.sheet import Sheet

Matrix = npt.NDArray[np.float64]
LAGS = 20
ROWS_A_LAG = 16
LEAST_LAGS = 3
MOST_ROWS = 2000
MADE_OF_LABELS = 0.98
MORE_THAN_HONEST = 0.05


def windows(sheet: Sheet) -> Iterator[Finding]:
    """Yield the columns that are sums over labels of their own and of later rows."""
    orders = {"in the order of the rows": np.arange(sheet.label.size)}
    if sheet.time_order is not None:
        orders["in the order of time"] = sheet.time_order
    seen: set[str] = set()
    for how, order in orders.items():
        block = order[:MOST_ROWS]
        reach = min(LAGS, block.size // ROWS_A_LAG)
        if reach < LEAST_LAGS:
            return
        lags = np.lib.stride_tricks.sliding_window_view(sheet.label[block], 2 * reach + 1)
        everything, past, own = (_basis(part) for part in (lags, lags[:, :reach], lags[:, reach : reach + 1]))
        for column in sheet.columns:
            values = column.values[block][reach:-reach]
            if column.is_text or column.name in seen or not np.isfinite(values).all() or values.std() == 0:
                continue
            if (share := _explained(everything, values)) < MADE_OF_LABELS:
                continue
            if share - max(_explained(past, values), _explained(own, values)) < MORE_THAN_HONEST:
                continue
            seen.add(column.name)
            yield _finding(column.name, share, how)


def _basis(terms: Matrix) -> Matrix:
    """Return an orthonormal basis of centred terms; what is constant has no part in it."""
    centred = terms - terms.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    basis: Matrix = left[:, sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-12)]
    return basis


def _explained(basis: Matrix, values: Floats) -> float:
    """Return the adjusted share of variance that a linear fit explains."""
    centred = values - values.mean()
    share = float(((basis.T @ centred) ** 2).sum() / (centred @ centred))
    return 1.0 - (1.0 - share) * (values.size - 1) / max(values.size - 1 - int(basis.shape[1]), 1)


def _finding(name: str, share: float, how: str) -> Finding:
    return Finding(
        column=name,
        test="window",
        sentence=f"{name} is a sum over the labels of its own and of later rows, {how}: they explain {share:.1%} of it",
        expected="a column that labels of older rows explain as well, or that labels do not make up",
        found=f"{share:.1%}",
        next_step="end the window before the row itself, by the label's delay",
        evidence={"explained": share},
    )
