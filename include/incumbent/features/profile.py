"""The additive profile of a batch: counts that need no reference and can be summed over partitions.

Numbers are counted in bins as fine as there is room for (`incumbent.features.bins`), texts by level: a profile made
last year adds to one made today, and any quantile is known to within a bin.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.features.bins import BinCounting, Bins, together
from incumbent.features.profile_1 import bins_of

CHUNK_ROWS = 65_536
MAX_LEVELS = 1000
OTHER = "\x00other"
SCHEMA = "incumbent.profile/2"
NO_BINS = Bins()


@dataclass(frozen=True)
class ColumnProfile:
    """Counts of one column.

    Attributes:
        rows: Number of rows.
        nulls: Rows without a value (NaN counts).
        low, high: Smallest and largest number; None for text or when there is none.
        counts: Level of a text column to its count.
        bins: Counts of a number column.
    """

    rows: int
    nulls: int
    low: float | None
    high: float | None
    counts: Mapping[str, int] = field(default_factory=dict)
    bins: Bins = NO_BINS

    @property
    def values(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def is_text(self) -> bool:
        """Whether the counts are of levels."""
        return bool(self.counts)

    @property
    def distinct(self) -> int:
        """How many levels or bins have a value: of a column with few different values, how many these are."""
        return len(self.counts) or self.bins.codes.size

    def quantile(self, share: float) -> float:
        """Return a quantile of a number column, to within a bin; NaN when there are no values."""
        return self.quantiles([share])[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return several; see `quantile`."""
        if not self.bins.codes.size:
            return [math.nan] * len(shares)
        seen = np.cumsum(self.bins.tallies)
        at = np.searchsorted(seen, np.asarray(shares) * self.values)
        found: list[float] = self.bins.middles()[np.minimum(at, len(seen) - 1)].tolist()
        return found

    def numbers(self) -> list[tuple[float, int]]:
        """Return the middle of each bin of a number column with its count, in order."""
        return list(zip(self.bins.middles().tolist(), self.bins.tallies.tolist(), strict=True))

    def outside(self, low: float, high: float) -> int:
        """Return how many values surely lie outside an interval: a bin counts when all of it does."""
        if self.low is None or self.high is None or (low <= self.low and self.high <= high):
            return 0
        out = (self.bins.highest() < low) | (self.bins.lowest() > high)
        return int(self.bins.tallies[out].sum())

    def to_json(self) -> dict[str, Any]:
        """Return plain data for storage."""
        plain = {"rows": self.rows, "nulls": self.nulls, "low": self.low, "high": self.high}
        return {**plain, "counts": dict(self.counts)} if self.is_text else {**plain, **self.bins.to_json()}


@dataclass(frozen=True)
class Profile:
    """The profile of a batch, by column.

    Attributes:
        columns: The profile of each column.
        exact: Whether all was counted as it is counted today. What an earlier release has stored is right to within
            5 %: enough to tell what is broken, and too little to say how the shape of a column has moved.
    """

    columns: Mapping[str, ColumnProfile]
    exact: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain data for storage."""
        inexact = {} if self.exact else {"exact": False}
        return {"schema": SCHEMA, **inexact, "columns": {name: each.to_json() for name, each in self.columns.items()}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Profile:
        """Rebuild a stored profile, also one of an earlier release."""
        exact = plain["schema"] == SCHEMA and plain.get("exact", True)
        return cls({name: _column(found) for name, found in plain["columns"].items()}, exact)


def _column(plain: Mapping[str, Any]) -> ColumnProfile:
    whole = (plain["rows"], plain["nulls"], plain["low"], plain["high"])
    if "codes" in plain:
        return ColumnProfile(*whole, {}, Bins.from_json(plain["shift"], plain["codes"], plain["tallies"]))
    if plain["low"] is None:
        return ColumnProfile(*whole, plain["counts"])
    return ColumnProfile(*whole, {}, bins_of(plain["counts"], plain["low"], plain["high"]))


def profile(rows: pa.Table, columns: Sequence[str]) -> Profile:
    """Count a batch's columns in one pass each.

    >>> found = profile(pa.table({"x": [1.0, 2.0, None], "s": ["a", "a", "b"]}), ["x", "s"])
    >>> found.columns["x"].nulls, found.columns["x"].numbers(), dict(found.columns["s"].counts)
    (1, [(1.0, 1), (2.0, 1)], {'a': 2, 'b': 1})
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
        self._columns = {name: _Levels() if pa.types.is_string(kind) else _Numbers() for name, kind in kinds.items()}

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


class _Numbers:
    """The numbers of a column."""

    def __init__(self) -> None:
        self.rows = self.values = 0
        self.low, self.high = math.inf, -math.inf
        self.counting = BinCounting()

    def add(self, values: pa.Array) -> None:
        self.rows += len(values)
        numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
        found = numbers[np.isfinite(numbers)]
        if len(found):
            self.values += len(found)
            self.low = min(self.low, float(found.min()))
            self.high = max(self.high, float(found.max()))
            self.counting.add(found)

    def profile(self) -> ColumnProfile:
        if not self.values:
            return ColumnProfile(self.rows, self.rows, None, None)
        return ColumnProfile(self.rows, self.rows - self.values, self.low, self.high, {}, self.counting.bins())


def add(first: Profile, second: Profile) -> Profile:
    """Return the profile of two batches together."""
    return added([first, second])


def added(profiles: Sequence[Profile]) -> Profile:
    """Return the profile of several batches together.

    A column that one of them lacks is left out.
    """
    names = [name for name in profiles[0].columns if all(name in each.columns for each in profiles)]
    columns = {name: _added([each.columns[name] for each in profiles]) for name in names}
    return Profile(columns, all(each.exact for each in profiles))


def _added(parts: Sequence[ColumnProfile]) -> ColumnProfile:
    lows = [part.low for part in parts if part.low is not None]
    highs = [part.high for part in parts if part.high is not None]
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    return ColumnProfile(
        sum(part.rows for part in parts),
        sum(part.nulls for part in parts),
        min(lows) if lows else None,
        max(highs) if highs else None,
        dict(sorted(counts.items())),
        together([part.bins for part in parts]),
    )
