"""Groups of rows by the values of a column: the slices of a contest, and the groups that it must be fair to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.evaluate.contest import Groups

MOST_LEVELS = 20
PARTS = 4  # of a number with more values than that
NO_VALUE, OTHERS = "no value", "other values"


def groups_of(column: str, values: pa.ChunkedArray[Any], masked: bool, named: bool = False) -> Groups:
    """Return the groups of some rows.

    Each value is one; of a number with too many of them each quarter, of a text what is not among the commonest is one
    together.

    Args:
        column: Its name.
        values: Of the rows.
        masked: The values are not shown: groups are numbers then, the largest first.
        named: A person asked for it.
    """
    if pa.types.is_decimal(values.type) or pa.types.is_floating(values.type):
        values = pc.replace_with_mask(
            numbers := values.cast(pa.float64()).combine_chunks(),
            pc.fill_null(pc.is_nan(numbers), False),
            pa.scalar(None, pa.float64()),
        )
    else:
        values = values.combine_chunks()
    encoded = values.dictionary_encode()
    levels, codes = encoded.dictionary.to_pylist(), np.asarray(encoded.indices.fill_null(-1), dtype=np.int64)
    if len(levels) > MOST_LEVELS:
        is_number = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
        names, codes = _quarters(values) if is_number else _commonest(levels, codes)
    else:
        order = sorted(range(len(levels)), key=lambda at: (str(type(levels[at])), levels[at]))
        names = [_shown(levels[at]) for at in order]
        codes = np.where(codes < 0, -1, np.argsort(order)[codes] if order else -1)
    if (codes < 0).any():
        codes = np.where(codes < 0, len(names), codes)
        names = [*names, NO_VALUE]
    return _masked(column, codes, names, named) if masked else Groups(column, codes, tuple(names), named)


def _quarters(values: pa.Array[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
    numbers = np.asarray(values.cast(pa.float64()), dtype=np.float64)
    there = np.isfinite(numbers)
    edges = np.unique(np.quantile(numbers[there], np.arange(1, PARTS) / PARTS))
    codes = np.where(there, np.searchsorted(edges, numbers, "left"), -1)
    bounds = [f"{edge:g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(bounds)]
    return [f"up to {bounds[0]}", *between, f"above {bounds[-1]}"], codes.astype(np.int64)


def _commonest(levels: Sequence[Any], codes: npt.NDArray[np.int64]) -> tuple[list[str], npt.NDArray[np.int64]]:
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    kept = sorted(range(len(levels)), key=lambda at: (-counts[at], str(levels[at])))[: MOST_LEVELS - 1]
    kept.sort(key=lambda at: str(levels[at]))
    place = np.full(len(levels), len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    return [*(_shown(levels[at]) for at in kept), OTHERS], np.where(codes < 0, -1, place[codes])


def _masked(column: str, codes: npt.NDArray[np.int64], names: Sequence[str], named: bool) -> Groups:
    """Number the groups by how many rows they have: the order of their values would say what they are."""
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    places = np.argsort(order)
    return Groups(column, places[codes], tuple(f"group {at + 1}" for at in range(len(names))), named)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
