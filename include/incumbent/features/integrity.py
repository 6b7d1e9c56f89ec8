"""Exact tests of a batch before anything is announced: broken data, as against changed data.

Each test asks whether a share is larger than the reference's share plus a tolerance, by an exact
binomial tail; the error rate is divided over all tests of the batch. A season must pass and a wrong
unit must not, so "far out of range" means outside the reference range widened by its own width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from scipy.stats import binom

from incumbent.config import Integrity
from incumbent.features.profile import OTHER, ColumnProfile, Profile, add

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNIT_TOLERANCE = 0.15  # in log10: how exactly all quantiles must have moved by one power of ten
TESTS = 4


def findings(
    batch: Profile, history: Sequence[Profile], importance: Mapping[str, float] | None, settings: Integrity
) -> list[dict[str, Any]]:
    """Return what is broken in a batch; an empty list for the first batch, which has no reference.

    Args:
        batch: Profile of the batch.
        history: Profiles of earlier accepted partitions.
        importance: The champion's share of gain by feature; a column that it does not name counts
            in full, as every column does before there is a champion (None).
        settings: Tolerances and the error rate of one batch.

    Returns:
        Mappings with column, test, expected, found, p, importance, holds, sentence.
    """
    if not history:
        return []
    reference = reduce(add, history)
    alpha = settings.alpha / (TESTS * len(batch.columns))
    out = []
    for name, found in batch.columns.items():
        share = 1.0 if importance is None else importance.get(name, 1.0)
        usual_nulls = max(_share(past.columns[name].nulls, past.columns[name].rows) for past in history)
        for test in _tests(found, reference.columns[name], usual_nulls, settings):
            if test["p"] < alpha:
                holds = share >= settings.importance or _is_whole(test, settings)
                out.append({"column": name, **test, "importance": share, "holds": holds})
    for finding in out:
        finding["sentence"] = f"{finding['column']}: {finding['says']}"
        del finding["says"]
    return out


def _tests(
    found: ColumnProfile, reference: ColumnProfile, usual_nulls: float, settings: Integrity
) -> Iterator[dict[str, Any]]:
    if found.rows == 0:
        return
    # The largest share of any accepted batch: some columns (gusts) are empty more often in summer.
    yield _share_test("nulls", found.nulls, found.rows, usual_nulls, settings.null_increase, "nulls")
    if not found.values or not reference.values:
        return
    if found.is_text is not reference.is_text:
        now, before = ("text", "numbers") if found.is_text else ("numbers", "text")
        yield {"test": "type", "expected": before, "found": now, "p": 0.0, "says": f"{now} where {before} were"}
    elif reference.is_text:
        yield _unseen(found, reference, settings)
    else:
        yield _far_out(found, reference, settings)
        yield from _unit(found, reference)


def _is_whole(test: Mapping[str, Any], settings: Integrity) -> bool:
    broken = 1.0 if test["test"] in ("type", "unit") else float(test["found"])
    return broken > settings.whole


def _share(count: int, rows: int) -> float:
    """Return a share that is never 0: what was not seen yet may still come."""
    return (count + 1) / (rows + 2)


def _far_out(found: ColumnProfile, reference: ColumnProfile, settings: Integrity) -> dict[str, Any]:
    low, high = float(reference.low or 0.0), float(reference.high or 0.0)
    width = (high - low) or max(abs(high), 1.0)
    outside = found.outside(low - width, high + width)
    usual = _share(0, reference.rows)
    what = f"far outside {low:g} to {high:g}"
    return _share_test("out_of_range", outside, found.rows, usual, settings.out_of_range, what)


def _unseen(found: ColumnProfile, reference: ColumnProfile, settings: Integrity) -> dict[str, Any]:
    unseen = sum(count for level, count in found.counts.items() if level not in reference.counts)
    # Good-Turing: levels seen once say how likely a level is that was never seen.
    singletons = sum(count == 1 for count in reference.counts.values())
    usual = (singletons + 2 * math.sqrt(singletons) + 1) / (reference.rows + 2)
    # A profile names its most frequent levels only: the rest may be new or not, so it counts as ordinary.
    usual = min(1.0, usual + reference.counts.get(OTHER, 0) / max(1, reference.rows))
    return _share_test("unseen", unseen, found.rows, usual, settings.unseen, "levels never seen before")


def _unit(found: ColumnProfile, reference: ColumnProfile) -> Iterator[dict[str, Any]]:
    """Find a whole column in another unit: every quantile moved by the same power of ten."""
    if (reference.low or 0) <= 0 or (found.low or 0) <= 0:
        return
    before, now = ([profile.quantile(q) for q in QUANTILES] for profile in (reference, found))
    if min(*before, *now) <= 0:  # what is smaller than any bin counts as 0
        return
    moved = [math.log10(new / old) for new, old in zip(now, before, strict=True)]
    power = round(moved[2])
    if power and all(abs(step - power) <= UNIT_TOLERANCE for step in moved):
        says = f"every quantile moved by a factor of 10^{power}: probably another unit"
        yield {"test": "unit", "expected": 1.0, "found": float(10.0**power), "p": 0.0, "says": says}


def _share_test(test: str, count: int, rows: int, usual: float, tolerance: float, what: str) -> dict[str, Any]:
    limit = min(1.0, usual + tolerance)
    p = float(binom.sf(count - 1, rows, limit)) if count else 1.0
    says = f"{count / rows:.1%} {what}, at most {limit:.1%} is ordinary"
    return {"test": test, "expected": limit, "found": count / rows, "p": p, "says": says}
