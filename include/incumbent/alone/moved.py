"""By what a column has moved, in words: where its middle is, which level has become more or less common."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NULLS = 0.01  # change of the share of nulls that is said first


def moved_by(before: pa.ChunkedArray, after: pa.ChunkedArray) -> str:
    """Return what the largest change between two columns is.

    >>> moved_by(pa.chunked_array([[1.0, 2.0, 3.0]]), pa.chunked_array([[2.0, 3.0, 4.0]]))
    'median 2 to 3'
    >>> moved_by(pa.chunked_array([["a", "b"]]), pa.chunked_array([["a", "a"]]))
    'a 50.0% to 100.0%'
    """
    nulls = [_null_share(column) for column in (before, after)]
    if abs(nulls[1] - nulls[0]) >= NULLS:
        return f"nulls {nulls[0]:.1%} to {nulls[1]:.1%}"
    if not (before.length() - before.null_count and after.length() - after.null_count):
        return ""
    if pa.types.is_string(before.type) != pa.types.is_string(after.type):
        return "another kind of values"
    return _level(before, after) if pa.types.is_string(before.type) else _quantile(before, after)


def _quantile(before: pa.ChunkedArray, after: pa.ChunkedArray) -> str:
    """Return the median, or another quantile where that has moved more, in the spread of the reference."""
    was, now = (np.nanquantile(np.asarray(each.cast(pa.float64(), safe=False)), QUANTILES) for each in (before, after))
    spread = (was[3] - was[1]) or (was[4] - was[0]) or 1.0
    steps = np.abs(now - was) / spread
    at = 2 if steps[2] >= steps.max() / 2 else int(np.argmax(steps))
    return f"{'median' if at == 2 else f'{QUANTILES[at]:.0%} quantile'} {was[at]:.4g} to {now[at]:.4g}"


def _level(before: pa.ChunkedArray, after: pa.ChunkedArray) -> str:
    """Return the level whose share has changed most."""
    was, now = (_shares(each) for each in (before, after))
    name = max(sorted({*was, *now}), key=lambda level: abs(now.get(level, 0.0) - was.get(level, 0.0)))
    return f"{name} {was.get(name, 0.0):.1%} to {now.get(name, 0.0):.1%}"


def _shares(column: pa.ChunkedArray) -> dict[str, float]:
    counts = pc.value_counts(column.drop_null())
    total = len(column) - column.null_count
    return {level.as_py(): count.as_py() / total for level, count in zip(*counts.flatten(), strict=True)}


def _null_share(column: pa.ChunkedArray) -> float:
    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing += pc.sum(pc.fill_null(pc.is_nan(column), False)).as_py() or 0
    return float(missing / max(len(column), 1))
