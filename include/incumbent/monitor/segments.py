"""The slice finder: of which level of a category, or which range of a number, did some value of the rows move most?

The value may be a loss (where did the model get worse?) or what a domain classifier says of a row (where do the rows
look unlike the reference?). A level that is merely more frequent than before does not move: its rows are compared with
its own rows of before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import stdtr

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
ALPHA = 0.01  # family-wise, over all levels of all columns (Holm)
BINS = 10
LEVELS = 30
MIN_ROWS = 20  # of a level, on both sides
SHOWN = 10
NULL = "(none)"
OTHER = "(other levels)"


@dataclass(frozen=True)
class Side:
    """Some rows with a value each.

    Attributes:
        rows: Their columns.
        values: Shape (n_rows,).
        clusters: Cluster code per row; None for independent rows.
    """

    rows: pa.Table
    values: Floats
    clusters: Codes | None = None


def moved_segments(before: Side, after: Side, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the levels in which the value's mean moved surely, and by more than their part of the rows.

    Args:
        before: Reference rows.
        after: Rows of the batch.
        names: Columns to cut the rows by.

    Returns:
        At most ten mappings, those first that have most beyond their part of the rows: column, level, text (whether
        it is a category), share (of the batch's rows), before and after (means), p (of Holm), and part: this level's
        share of the whole change within levels.
    """
    found = [each for name in names for each in _levels(before, after, name)]
    found.sort(key=lambda each: float(each["p"]))
    kept, largest = [], 0.0
    for at, each in enumerate(found):
        largest = max(largest, min(1.0, float(each["p"]) * (len(found) - at)))
        if largest >= ALPHA:
            break
        kept.append({**each, "p": largest})
    # A level with nine tenths of the rows and of the change says nothing.
    kept = [each for each in kept if float(each["part"]) > float(each["share"])]
    return sorted(kept, key=lambda each: (float(each["share"]) - float(each["part"]), float(each["p"])))[:SHOWN]


def _levels(before: Side, after: Side, name: str) -> list[dict[str, Any]]:
    first, second, labels = _coded(before.rows[name], after.rows[name])
    out: list[dict[str, Any]] = []
    if not labels or not len(second):
        return out
    for code, label in enumerate(labels):
        old, new = _mean(before, first == code), _mean(after, second == code)
        if min(old[2], new[2]) < MIN_ROWS:
            continue
        share, change = new[2] / len(second), new[0] - old[0]
        error, df = math.hypot(old[1], new[1]), min(old[3], new[3]) - 1
        if df < 1:
            continue
        t = abs(change) / error if error > 0 else (math.inf if change else 0.0)
        is_text = pa.types.is_string(before.rows[name].type)
        out.append(
            {"column": name, "level": label, "text": is_text, "share": share, "before": old[0], "after": new[0],
             "p": float(2 * stdtr(df, -t)), "part": share * change}
        )  # fmt: skip
    whole = sum(float(each["part"]) for each in out)
    for each in out:
        each["part"] = float(each["part"]) / whole if whole else 0.0
    return out


def _mean(side: Side, chosen: npt.NDArray[np.bool_]) -> tuple[float, float, int, int]:
    """Return the mean of the chosen rows, its clustered error, the number of rows and that of clusters."""
    values = side.values[chosen]
    if len(values) < 2:
        return 0.0, 0.0, len(values), 0
    mean = float(values.mean())
    sums: Floats = values - mean
    if side.clusters is not None:
        codes = np.unique(side.clusters[chosen], return_inverse=True)[1]
        sums = np.bincount(codes, weights=sums).astype(np.float64)
    groups = len(sums)
    if groups < 2:
        return mean, 0.0, len(values), groups
    return mean, math.sqrt(float(sums @ sums) * groups / (groups - 1)) / len(values), len(values), groups


def _coded(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[Codes, Codes, list[str]]:
    """Return the number of each row's level on both sides, and what the levels are called."""
    if pa.types.is_string(before.type) and pa.types.is_string(after.type):
        return _coded_text(before, after)
    if pa.types.is_string(before.type) or pa.types.is_string(after.type):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), []  # another type: integrity says so
    first, second = (_numbers(each) for each in (before, after))
    known = first[np.isfinite(first)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
    bounds = [-math.inf, *edges.tolist(), math.inf]
    labels = [_range(low, high) for low, high in pairwise(bounds)]

    def codes(values: Floats) -> Codes:
        found: Codes = np.searchsorted(edges, values, side="left").astype(np.int64)
        found[~np.isfinite(values)] = len(labels)
        return found

    return codes(first), codes(second), [*labels, NULL]


def _coded_text(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[Codes, Codes, list[str]]:
    counted = pc.value_counts(pa.chunked_array([*before.chunks, *after.chunks], pa.string()).drop_null())
    counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    top = sorted(counts, key=lambda level: (-counts[level], level))[:LEVELS]

    def codes(values: pa.ChunkedArray) -> Codes:
        at = pc.fill_null(pc.index_in(values, pa.array(top, pa.string())), len(top))
        found: Codes = at.to_numpy().astype(np.int64)
        found[pc.is_null(values).to_numpy()] = len(top) + 1
        return found

    return codes(before), codes(after), [*top, OTHER, NULL]


def _numbers(values: pa.ChunkedArray) -> Floats:
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _range(low: float, high: float) -> str:
    if math.isinf(low):
        return f"up to {high:g}" if math.isfinite(high) else "any value"
    return f"above {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
