"""The additive profile of a batch: counts that need no reference and can be summed over partitions.

Numbers are counted in fixed bins, logarithmic in the magnitude, a few per cent wide: a profile made
last year adds to one made today, and any quantile is known to within a bin.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

WIDTH = 0.05  # natural-log width of a bin: values in one bin differ by at most 5 %
TINY = 1e-9
MAX_LEVELS = 1000
OTHER = "\x00other"


@dataclass(frozen=True)
class ColumnProfile:
    """Counts of one column.

    Attributes:
        rows: Number of rows.
        nulls: Rows without a value (NaN counts).
        low, high: Smallest and largest number; None for text or when there is none.
        counts: Bin number or level to its count.
    """

    rows: int
    nulls: int
    low: float | None
    high: float | None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def is_text(self) -> bool:
        """Whether the counts are of levels: numbers that are there have a smallest one."""
        return bool(self.counts) and self.low is None

    def quantile(self, share: float) -> float:
        """Return a quantile of a number column, to within a bin; NaN when there are no values."""
        target, seen = share * self.values, 0
        for key in sorted(self.counts, key=_middle):
            seen += self.counts[key]
            if seen >= target:
                return _middle(key)
        return math.nan

    def numbers(self) -> list[tuple[float, int]]:
        """Return the middle of each bin of a number column with its count, in order."""
        return [(_middle(key), self.counts[key]) for key in sorted(self.counts, key=_middle)]

    def outside(self, low: float, high: float) -> int:
        """Return how many values surely lie outside an interval: a bin counts when all of it does."""
        return sum(count for key, count in self.counts.items() if _upper(key) < low or _lower(key) > high)


@dataclass(frozen=True)
class Profile:
    """The profile of a batch, by column."""

    columns: Mapping[str, ColumnProfile]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for storage."""
        return {
            "schema": "incumbent.profile/1",
            "columns": {name: asdict(found) for name, found in self.columns.items()},
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Profile:
        """Rebuild a stored profile."""
        return cls({name: ColumnProfile(**found) for name, found in plain["columns"].items()})


def profile(rows: pa.Table, columns: Sequence[str]) -> Profile:
    """Count a batch's columns in one pass each.

    >>> found = profile(pa.table({"x": [1.0, 2.0, None], "s": ["a", "a", "b"]}), ["x", "s"])
    >>> found.columns["x"].nulls, found.columns["x"].high, dict(found.columns["s"].counts)
    (1, 2.0, {'a': 2, 'b': 1})
    """
    return Profile({name: _column(rows[name]) for name in columns})


def add(first: Profile, second: Profile) -> Profile:
    """Return the profile of two batches together."""
    return Profile({name: _add(found, second.columns[name]) for name, found in first.columns.items()})


def _column(values: pa.ChunkedArray) -> ColumnProfile:
    if pa.types.is_string(values.type):
        pairs = pc.value_counts(values.drop_null()).to_pylist()
        top = sorted(pairs, key=lambda pair: (-pair["counts"], pair["values"]))
        counts = {pair["values"]: pair["counts"] for pair in top[:MAX_LEVELS]}
        if rest := sum(pair["counts"] for pair in top[MAX_LEVELS:]):
            counts[OTHER] = rest
        return ColumnProfile(len(values), values.null_count, None, None, counts)
    numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    found = numbers[np.isfinite(numbers)]
    if not len(found):
        return ColumnProfile(len(numbers), len(numbers), None, None, {})
    bins, tallies = np.unique(_bins(found), return_counts=True)
    return ColumnProfile(
        len(numbers),
        len(numbers) - len(found),
        float(found.min()),
        float(found.max()),
        {f"#{bin_}": int(count) for bin_, count in zip(bins, tallies, strict=True)},
    )


def _bins(values: np.ndarray) -> np.ndarray:
    """Number bins by sign and magnitude; 0 is a bin of its own, and numbers grow with values."""
    size = np.maximum(np.abs(values), TINY)
    steps = np.floor((np.log(size) - math.log(TINY)) / WIDTH).astype(np.int64) + 1
    return np.where(np.abs(values) < TINY, 0, np.sign(values).astype(np.int64) * steps)


def _middle(key: str) -> float:
    number = int(key.removeprefix("#"))
    return math.copysign(TINY * math.exp((abs(number) - 0.5) * WIDTH), number) if number else 0.0


def _lower(key: str) -> float:
    """Return the smallest number of a bin."""
    middle = _middle(key)
    return middle * math.exp(-math.copysign(WIDTH / 2, middle))


def _upper(key: str) -> float:
    """Return the largest number of a bin."""
    middle = _middle(key)
    return middle * math.exp(math.copysign(WIDTH / 2, middle))


def _add(first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    lows = [found for found in (first.low, second.low) if found is not None]
    highs = [found for found in (first.high, second.high) if found is not None]
    counts = Counter(first.counts)
    counts.update(second.counts)
    return ColumnProfile(
        first.rows + second.rows,
        first.nulls + second.nulls,
        min(lows) if lows else None,
        max(highs) if highs else None,
        dict(sorted(counts.items())),
    )
