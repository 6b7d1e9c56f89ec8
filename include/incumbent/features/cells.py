"""The cells that a column's values are counted in when the shape of two batches is compared.

Numbers are told apart where the champion's trees tell them apart, else at quantiles of the reference; texts by their
frequent levels, and the others by chance, for the most frequent of many rare levels are so by luck. What is null,
what lies outside the reference's range and what it has never seen are cells of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np

from incumbent.features.bins import Floats
from incumbent.features.profile import OTHER, ColumnProfile

QUANTILES = 10
EDGES = 16  # of a champion's thresholds, if it has as many; between them lie equal shares of their gain
LEVELS = 30
OWN_COUNT, OWN_SHARE = 50, 0.02  # a level with fewer is frequent by luck
BUCKETS = 16


@dataclass(frozen=True)
class Cells:
    """How the values of a column are told apart.

    Attributes:
        kind: `numbers`, `texts`, or `nothing` of a column without a value.
        edges: Of numbers: where a cell begins, in order.
        low, high: Of numbers: range of the reference.
        own: Of texts: levels that are cells of their own.
        known: Of texts: all levels of the reference; none if not all of them have a name: then the rest is one cell.
        singles: Of texts: how many levels of each bucket the reference has seen once. By Good and Turing the next batch
            has as many rows of levels that were never seen.
        values: Values of the reference.
    """

    kind: str
    edges: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    own: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    singles: tuple[int, ...] = ()
    values: int = 0

    @property
    def ordered(self) -> int:
        """How many of the first cells are in an order, so that neighbours may be put together."""
        return len(self.edges) + 3 if self.kind == "numbers" else 0

    def count(self, found: ColumnProfile) -> Floats:
        """Return the counts of a batch in these cells, nulls last; what is of another kind is new."""
        if self.kind == "nothing":
            counts = np.array([found.values], np.float64)
        elif self.kind == "numbers":
            counts = self._numbers(found)
        else:
            counts = self._texts(found)
        return np.append(counts, float(found.nulls))

    def count_reference(self, found: ColumnProfile) -> Floats:
        """Return the counts of a part of the reference, with what it would have had of levels never seen."""
        counts = self.count(found)
        if sum(self.singles) and self.values:
            share = found.values / self.values
            start = len(self.own)
            moved = np.minimum(np.array(self.singles) * share, counts[start : start + BUCKETS])
            counts[start : start + BUCKETS] -= moved
            counts[start + BUCKETS] += moved.sum()
        return counts

    def to_json(self) -> dict[str, Any]:
        """Return plain data for storage."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Cells:
        """Rebuild stored cells."""
        lists: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in plain.items()}
        return cls(**lists)

    def _numbers(self, found: ColumnProfile) -> Floats:
        inside = len(self.edges) + 1
        counts = np.zeros(inside + 2)
        if found.is_text:
            counts[-1] = found.values
            return counts
        at = np.searchsorted(np.array(self.edges), found.bins.middles(), side="right") + 1
        at[found.bins.highest() < self.low] = 0
        at[found.bins.lowest() > self.high] = inside + 1
        return counts + np.bincount(at, found.bins.tallies, len(counts))

    def _texts(self, found: ColumnProfile) -> Floats:
        own = [found.counts.get(level, 0) for level in self.own]
        if not self.known:
            return np.array([*own, found.values - sum(own)], np.float64)
        known, rest = set(self.known), np.zeros(BUCKETS + 1)
        for level, count in found.counts.items():
            if level not in self.own:
                rest[_bucket(level) if level in known else BUCKETS] += count
        if not found.is_text:
            rest[BUCKETS] += found.values
        return np.concatenate([own, rest])


def cells_of(reference: ColumnProfile, splits: Sequence[tuple[float, float]] = ()) -> Cells:
    """Return the cells of a column.

    Args:
        reference: Profile of all its partitions together.
        splits: Where the champion's trees split it: the smallest number of the right side, and what the split gained.
    """
    if not reference.values:
        return Cells("nothing")
    if reference.is_text:
        return _of_texts(reference)
    edges = split_edges(splits) or quantile_edges(reference)
    low, high = float(reference.low or 0.0), float(reference.high or 0.0)
    return Cells("numbers", edges, low, high, values=reference.values)


def split_edges(splits: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Return the thresholds between which equal shares of the gain lie; all of them when they are few."""
    gains: dict[float, float] = {}
    for threshold, gain in splits:
        gains[threshold] = gains.get(threshold, 0.0) + max(0.0, gain)
    ordered = sorted(gains)
    if len(ordered) <= EDGES:
        return tuple(ordered)
    total = np.cumsum([gains[threshold] for threshold in ordered])
    chosen: set[int] = set()
    for number in range(EDGES, EDGES * EDGES):  # more shares than edges where a threshold has several shares
        steps = (np.arange(number) + 0.5) / number * total[-1]
        chosen = {int(at) for at in np.searchsorted(total, steps)}
        if len(chosen) >= EDGES:
            break
    return tuple(ordered[at] for at in sorted(chosen))


def quantile_edges(reference: ColumnProfile) -> tuple[float, ...]:
    """Return the borders between bins that are nearest to the reference's quantiles."""
    seen = np.cumsum(reference.bins.tallies)
    steps = np.arange(1, QUANTILES) / QUANTILES * seen[-1]
    after = np.unique(np.searchsorted(seen, steps) + 1)
    return tuple(float(edge) for edge in reference.bins.lowest()[after[after < len(seen)]])


def _of_texts(reference: ColumnProfile) -> Cells:
    least = max(OWN_COUNT, OWN_SHARE * reference.values)
    frequent = [level for level, count in reference.counts.items() if count >= least and level != OTHER]
    own = sorted(frequent, key=lambda level: (-reference.counts[level], level))[:LEVELS]
    if OTHER in reference.counts:
        return Cells("texts", own=tuple(own), values=reference.values)
    singles = [0] * BUCKETS
    for level, count in reference.counts.items():
        singles[_bucket(level)] += count == 1
    known = tuple(sorted(reference.counts))
    return Cells("texts", own=tuple(own), known=known, singles=tuple(singles), values=reference.values)


def _bucket(level: str) -> int:
    return crc32(level.encode()) % BUCKETS
