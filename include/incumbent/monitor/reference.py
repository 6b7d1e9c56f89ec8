"""What a batch is compared with: the champion's training partitions, and the good ones that it has judged since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from incumbent.features.cells import Cells, cells_of
from incumbent.features.profile import Profile, added
from incumbent.partitions import Grain, start_of
from incumbent.stats.shape import Counts
from incumbent.stats.wobble import Seasons

QUIET = ("none", "info")  # tiers of a partition that counts as a good one
NEWEST = 500  # past partitions that are looked at: two cycles of hours of the week, and some
CYCLE = {Grain.HOUR: 168, Grain.DAY: 7, Grain.WEEK: 52, Grain.MONTH: 12}
LEAST_OF_SEASON = 2
LEARNED = 40  # oldest of them that say how much good ones differ: what creeps in later is not to become ordinary


@dataclass(frozen=True)
class Reference:
    """The champion's training partitions, counted.

    Attributes:
        cells: Column to its cells.
        partitions: Keys of the training partitions, in order; empty names where nobody knows them.
        counts: Column to its counts of each partition, each as long as the column has cells.
    """

    cells: Mapping[str, Cells]
    partitions: tuple[str, ...]
    counts: Mapping[str, tuple[tuple[float, ...], ...]]

    def count(self, batch: Profile) -> dict[str, tuple[float, ...]]:
        """Return a batch's counts in the reference's cells; a column that either lacks is left out."""
        there = [name for name in self.cells if name in batch.columns]
        return {name: tuple(self.cells[name].count(batch.columns[name]).tolist()) for name in there}

    def to_json(self) -> dict[str, Any]:
        """Return plain data for storage."""
        cells = {name: found.to_json() for name, found in self.cells.items()}
        return {"cells": cells, "partitions": list(self.partitions), "counts": dict(self.counts)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Reference:
        """Rebuild a stored reference."""
        cells = {name: Cells.from_json(found) for name, found in plain["cells"].items()}
        counts = {name: tuple(tuple(row) for row in rows) for name, rows in plain["counts"].items()}
        return cls(cells, tuple(plain["partitions"]), counts)


@dataclass(frozen=True)
class Judged:
    """A partition that the same champion has scored and that was judged.

    Attributes:
        partition: Partition key.
        tier: Tier of its drift verdict.
        counts: Its counts in the reference's cells, by column.
    """

    partition: str
    tier: str
    counts: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Window:
    """A window of partitions that ends with the judged one, and what it is compared with.

    Attributes:
        partitions: Its judged partitions but the last, in order; the last is the batch.
        trained: Positions of the reference's partitions that it is compared with.
        later: Good partitions that were judged before the window, in order.
        seasons: Season of each past partition, the trained ones first; all 0 where seasons do not matter.
        own_seasons: Season of each partition of the window.
    """

    partitions: tuple[Judged, ...]
    trained: tuple[int, ...]
    later: tuple[Judged, ...]
    seasons: tuple[int, ...]
    own_seasons: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many partitions it has."""
        return len(self.partitions) + 1

    @property
    def past(self) -> int:
        """How many past partitions it is compared with."""
        return len(self.seasons)

    def learned(self, grain: Grain | None) -> int:
        """Return how many of the oldest past partitions say how much good ones differ."""
        return max(LEARNED, 2 * CYCLE[grain]) if grain is not None and self.is_seasonal else LEARNED

    @property
    def is_seasonal(self) -> bool:
        """Whether it is compared with the partitions of its seasons."""
        return any(self.seasons)

    def past_counts(self, reference: Reference, column: str) -> tuple[Counts, Seasons]:
        """Return the counts of the past partitions, shape (n_past, n_cells), and their seasons."""
        rows = [reference.counts[column][at] for at in self.trained]
        kept = [(at, each.counts[column]) for at, each in enumerate(self.later, len(rows)) if column in each.counts]
        seasons = [*self.seasons[: len(rows)], *(self.seasons[at] for at, _ in kept)]
        width = len(reference.counts[column][0])
        return np.array([*rows, *(row for _, row in kept)], np.float64).reshape(-1, width), np.array(seasons, np.int64)


def reference_of(
    profiles: Sequence[Profile],
    partitions: Sequence[str] = (),
    splits: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Reference:
    """Count the champion's training partitions.

    Args:
        profiles: Features and scores of each.
        partitions: Their keys; without them there are no seasons.
        splits: Feature to where the champion's trees split it; see `incumbent.estimators.Estimator.splits`.
    """
    if not profiles:
        return Reference({}, (), {})
    whole = added(profiles)
    cells = {name: cells_of(found, (splits or {}).get(name, ())) for name, found in whole.columns.items()}
    counts = {
        name: tuple(tuple(each.count_reference(part.columns[name]).tolist()) for part in profiles)
        for name, each in cells.items()
    }
    return Reference(cells, tuple(partitions) or ("",) * len(profiles), counts)


def season_of(partition: str, grain: Grain) -> int:
    """Return the season of a partition: hour of the week, weekday, week of the year or month; from 1.

    >>> season_of("2013-07", Grain.MONTH), season_of("2013-07-02T05", Grain.HOUR)
    (7, 30)
    """
    start: datetime = start_of(partition, grain)
    return {
        Grain.HOUR: start.weekday() * 24 + start.hour + 1,
        Grain.DAY: start.isoweekday(),
        Grain.WEEK: start.isocalendar().week,
        Grain.MONTH: start.month,
    }[grain]


def window_of(
    reference: Reference, partition: str, later: Sequence[Judged], length: int, grain: Grain | None = None
) -> Window | None:
    """Return the window of some length that ends with a partition; None while there are too few judged ones.

    Args:
        reference: The champion's training partitions.
        partition: Partition that is judged.
        later: Those that were judged, in any order; what is not before the partition is left out.
        length: How many partitions.
        grain: Of the partitions; None where seasons are not known.
    """
    before = sorted((each for each in later if each.partition < partition), key=lambda each: each.partition)
    if len(before) < length - 1:
        return None
    inside = tuple(before[len(before) - length + 1 :])
    good = [each for each in before[: len(before) - length + 1] if each.tier in QUIET][-NEWEST:]
    first = max(0, len(reference.partitions) - (NEWEST - len(good)))
    trained = tuple(range(first, len(reference.partitions)))
    keys = [*(reference.partitions[at] for at in trained), *(each.partition for each in good)]
    own = [*(each.partition for each in inside), partition]
    seasons, own_seasons = _seasons(keys, own, grain)
    return Window(inside, trained, tuple(good), seasons, own_seasons)


def _seasons(keys: Sequence[str], own: Sequence[str], grain: Grain | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the seasons of past partitions and of a window; one season for all until there were two cycles."""
    none = (0,) * len(keys), (0,) * len(own)
    if grain is None or len(keys) < 2 * CYCLE[grain] or not all(keys):
        return none
    seasons = tuple(season_of(key, grain) for key in keys)
    of_window = tuple(season_of(key, grain) for key in own)
    is_known = all(seasons.count(season) >= LEAST_OF_SEASON for season in of_window)
    return (seasons, of_window) if is_known else none
