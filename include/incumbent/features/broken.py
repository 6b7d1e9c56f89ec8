"""Whole columns, and whole batches, that are not what they were: each a finding with a name of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from incumbent.features.cells import Cells, cells_of
from incumbent.features.profile import ColumnProfile, Profile
from incumbent.stats.shape import moved

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNIT_TOLERANCE = 0.15  # in log10: how exactly all quantiles must have moved by one power of ten
HALF = 0.5
RARE = 0.5  # share of the reference above which one value may well be all of a batch: no rain
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
    before, now = ([profile.quantile(q) for q in QUANTILES] for profile in (reference, found))
    if min(*before, *now) <= 0:
        return
    steps = [math.log10(new / old) for new, old in zip(now, before, strict=True)]
    power = round(steps[2])
    if power and all(abs(step - power) <= UNIT_TOLERANCE for step in steps):
        says = f"every quantile moved by a factor of 10^{power}: probably another unit"
        yield {"test": "unit", "expected": 1.0, "found": float(10.0**power), "p": 0.0, "says": says}


def constant_finding(
    found: ColumnProfile, reference: ColumnProfile, past: Sequence[ColumnProfile]
) -> Iterator[dict[str, Any]]:
    """Yield that a column stands still that has varied in every batch so far.

    Not if its value is the usual one: it does not rain on most days.
    """
    filled = [each for each in past if each.values]
    if found.distinct != 1 or not filled or any(each.distinct == 1 for each in filled):
        return
    if (
        found.values / found.rows < HALF * reference.values / reference.rows
    ):  # most of it is missing: that is said of it
        return
    share = max(_share_of_value(found, reference), 1 / reference.values)
    p = share**found.values
    if share <= RARE:
        says = f"the same value in all {found.values} rows, and it used to vary"
        yield {"test": "constant", "expected": share, "found": 1.0, "p": p, "says": says}


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


def _share_of_value(found: ColumnProfile, reference: ColumnProfile) -> float:
    if found.is_text:
        return reference.counts.get(next(iter(found.counts)), 0) / reference.values
    value = float(found.low or 0.0)
    holds = (reference.bins.lowest() <= value) & (value <= reference.bins.highest())
    return sum(tally for tally, held in zip(reference.bins.tallies, holds, strict=True) if held) / reference.values


def _effect(batch: Profile, name: str, reference: Profile, other: str, cells: Mapping[str, Cells]) -> float:
    found, before = batch.columns[name], reference.columns[other]
    if not found.values or not before.values or found.is_text is not before.is_text:
        return 2 * FAR if name == other and found.values and before.values else 0.0 if name == other else 2 * FAR
    at = cells[other]
    return moved(at.count(before), at.count(found), at.ordered).effect
