"""Whole columns, and whole batches, that are not what they were: each a finding with a name of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from incumbent.features.cells import Cells, cells_of
from incumbent.features.profile import ColumnProfile, Profile
from incumbent.features.usual import Usual, share_test, usual_share
from incumbent.stats.shape import moved

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNIT_TOLERANCE = 0.15  # in log10: how exactly all quantiles must have moved by one power of ten
HALF = 0.5
LEAST_MORE = 0.03  # of one value than is usual
ENOUGH_BATCHES, MANY_VALUES = 5, 100  # of which either is needed to say that a column does not stand still
FAR, NEAR = 1.0, 0.3  # effects of a column that is another one, and of one that is itself
LEAST_DISTINCT = 100  # values that two batches hardly have in common by chance, each as often


def type_finding(found: ColumnProfile, reference: ColumnProfile) -> dict[str, Any]:
    """Return that a column's values are of another kind."""
    now, before = ("text", "numbers") if found.is_text else ("numbers", "text")
    return {"test": "type", "expected": before, "found": now, "p": 0.0, "says": f"{now} where {before} were"}


def unit_finding(found: ColumnProfile, reference: ColumnProfile) -> Iterator[dict[str, Any]]:
    """Yield that a whole column is in another unit: every quantile moved by the same power of ten."""
    if (reference.low or 0) <= 0 or (found.low or 0) <= 0:
        return
    before, now = (profile.quantiles(QUANTILES) for profile in (reference, found))
    if min(*before, *now) <= 0:
        return
    steps = [math.log10(new / old) for new, old in zip(now, before, strict=True)]
    power = round(steps[2])
    if power and all(abs(step - power) <= UNIT_TOLERANCE for step in steps):
        says = f"every quantile moved by a factor of 10^{power}: probably another unit"
        yield {"test": "unit", "expected": 1.0, "found": float(10.0**power), "p": 0.0, "says": says}


def constant_finding(found: ColumnProfile, past: Sequence[ColumnProfile]) -> Iterator[dict[str, Any]]:
    """Yield that a column stands still that has varied in every batch so far.

    Not if its value may be that of all rows, by how its share has varied: on most days it does not rain.
    """
    filled = [each for each in past if each.values and each.is_text is found.is_text]
    least = min((each.distinct for each in filled), default=1)
    if found.distinct != 1 or least == 1 or (len(filled) < ENOUGH_BATCHES and least < MANY_VALUES):
        return
    if found.values / found.rows < HALF * sum(each.values for each in filled) / sum(each.rows for each in past):
        return  # most of it is missing: that is said of it
    usual = Usual(usual_share([_share_of_value(found, each) for each in filled]), LEAST_MORE, LEAST_MORE)
    test = share_test("constant", found.values, found.values, usual, "")
    yield {**test, "says": f"the same value in all {found.values} rows, and it used to vary"}


def swaps(batch: Profile, reference: Profile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield columns that have changed places: each is far from what it was, and near to what the other was."""
    cells = {name: cells_of(reference.columns[name]) for name in batch.columns if name in reference.columns}
    far = [name for name in cells if _effect(batch, name, reference, name, cells) > FAR]
    for first, second in combinations(far, 2):
        crossed = max(_effect(batch, one, reference, other, cells) for one, other in ((first, second), (second, first)))
        if crossed < NEAR:
            for one, other in ((first, second), (second, first)):
                says = f"looks like {other} did, and {other} like {one}: probably they have changed places"
                yield one, {"test": "swap", "expected": one, "found": other, "p": 0.0, "says": says}


def duplicate_of(batch: Profile, history: Mapping[str, Profile]) -> str | None:
    """Return the past partition whose counts a batch repeats to the last one, or None.

    Where columns have few different values equal counts may be chance.
    """
    if sum(max(0, column.distinct - 1) for column in batch.columns.values()) < LEAST_DISTINCT:
        return None
    return next((key for key, past in history.items() if past.exact and past.columns == batch.columns), None)


def _share_of_value(found: ColumnProfile, past: ColumnProfile) -> float:
    """Return the share that the only value of a column had in a past batch."""
    if found.is_text:
        return past.counts.get(next(iter(found.counts)), 0) / past.values
    value = float(found.low or 0.0)
    holds = (past.bins.lowest() <= value) & (value <= past.bins.highest())
    return float(past.bins.tallies[holds].sum()) / past.values


def _effect(batch: Profile, name: str, reference: Profile, other: str, cells: Mapping[str, Cells]) -> float:
    found, before = batch.columns[name], reference.columns[other]
    if not found.values or not before.values or found.is_text is not before.is_text:
        return 2 * FAR if name == other and found.values and before.values else 0.0 if name == other else 2 * FAR
    at = cells[other]
    return moved(at.count(before), at.count(found), at.ordered).effect
