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
LAST_BIN = 14_700  # beyond the bin of the largest float64
CHUNK_ROWS = 65_536
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
    counting = Counting(rows.schema, columns)
    for batch in rows.to_batches(max_chunksize=CHUNK_ROWS):
        counting.add(batch)
    return counting.profile()


class Counting:
    """Counts rows as they pass by, so that they need not be held.

    Args:
        schema: The rows' columns.
        columns: Names of those that are counted.
    """

    def __init__(self, schema: pa.Schema, columns: Sequence[str]) -> None:
        kinds = {name: schema.field(name).type for name in columns}
        self._columns = {name: _Levels() if pa.types.is_string(kind) else _Bins() for name, kind in kinds.items()}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count some more rows."""
        for name, column in self._columns.items():
            column.add(batch.column(name))

    def profile(self) -> Profile:
        """Return the profile of all rows so far."""
        return Profile({name: column.profile() for name, column in self._columns.items()})


class _Levels:
    """The levels of a text column; put together now and then, so that only those that differ are held."""

    def __init__(self) -> None:
        self.rows = self.nulls = 0
        self.waiting: list[pa.Table] = []
        self.waiting_rows = self.merged_rows = 0

    def add(self, values: pa.Array) -> None:
        self.rows += len(values)
        self.nulls += values.null_count
        found = pc.value_counts(values.drop_null())
        self.waiting.append(pa.table({"level": found.field("values"), "count": found.field("counts")}))
        self.waiting_rows += len(found)
        if self.waiting_rows > 2 * self.merged_rows + CHUNK_ROWS:
            self._merge()

    def profile(self) -> ColumnProfile:
        if not self.waiting:
            return ColumnProfile(self.rows, self.nulls, None, None, {})
        order = [("count", "descending"), ("level", "ascending")]
        levels = self._merge().sort_by(order)
        top = levels.slice(0, MAX_LEVELS).to_pydict()
        counts = dict(zip(top["level"], top["count"], strict=True))
        if rest := pc.sum(levels["count"].slice(MAX_LEVELS)).as_py():
            counts[OTHER] = rest
        return ColumnProfile(self.rows, self.nulls, None, None, counts)

    def _merge(self) -> pa.Table:
        merged = pa.concat_tables(self.waiting).group_by("level").aggregate([("count", "sum")])
        self.waiting = [merged.rename_columns(["level", "count"])]
        self.waiting_rows = self.merged_rows = merged.num_rows
        return self.waiting[0]


class _Bins:
    """The bins of a number column."""

    def __init__(self) -> None:
        self.rows = 0
        self.low, self.high = math.inf, -math.inf
        self.tallies = np.zeros(2 * LAST_BIN + 1, dtype=np.int64)

    def add(self, values: pa.Array) -> None:
        self.rows += len(values)
        numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
        found = numbers[np.isfinite(numbers)]
        if len(found):
            self.low = min(self.low, float(found.min()))
            self.high = max(self.high, float(found.max()))
            self.tallies += np.bincount(_bins(found) + LAST_BIN, minlength=len(self.tallies))

    def profile(self) -> ColumnProfile:
        count = int(self.tallies.sum())
        if not count:
            return ColumnProfile(self.rows, self.rows, None, None, {})
        counts = {f"#{at - LAST_BIN}": int(self.tallies[at]) for at in np.flatnonzero(self.tallies)}
        return ColumnProfile(self.rows, self.rows - count, self.low, self.high, counts)


def add(first: Profile, second: Profile) -> Profile:
    """Return the profile of two batches together."""
    return Profile({name: _add(found, second.columns[name]) for name, found in first.columns.items()})


def _bins(values: np.ndarray) -> np.ndarray:
    """Number bins by sign and magnitude; 0 is a bin of its own, and numbers grow with values."""
    size = np.abs(values)
    is_zero = size < TINY
    np.maximum(size, TINY, out=size)
    np.log(size, out=size)  # in place, here and below: a column is counted several times faster than it is copied
    size -= math.log(TINY)
    size /= WIDTH
    np.floor(size, out=size)
    size += 1
    steps: np.ndarray = np.copysign(size, values, out=size).astype(np.int64)
    steps[is_zero] = 0
    return steps


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
