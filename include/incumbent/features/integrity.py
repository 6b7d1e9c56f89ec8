"""Exact tests of a batch before anything is announced: broken data, as against changed data.

A test of a share asks whether it is larger than what past batches have made usual, by an exact binomial tail; the
error rate is divided over all tests of the batch. A season must pass and a wrong unit must not, so "far out of
range" means outside the reference range widened by its own width. What is wrong with a whole column or batch has a
name of its own (`incumbent.features.broken`), and so has another unit in a share of the rows (`mixed_units`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from incumbent.config import Integrity
from incumbent.features.broken import constant_finding, duplicate_of, swaps, type_finding, unit_finding
from incumbent.features.mixed_units import mixed_units
from incumbent.features.profile import OTHER, ColumnProfile, Profile, added
from incumbent.features.usual import Usual, share_test, usual_share

LEAST = {"nulls": 0.03, "unseen": 0.03, "out_of_range": 0.007}  # that is found, beyond what is usual
CERTAIN = {"nulls": 0.005, "unseen": 0.005, "out_of_range": 0.002}  # see `Usual`
WHOLE = ("type", "unit", "constant", "swap")  # what is said of all of a column
ALL = "every column"
FEW = 3.0  # times its magnitude that a range is widened by after one batch; half of that after two
TESTS = 5


def findings(
    batch: Profile,
    history: Sequence[Profile],
    importance: Mapping[str, float] | None,
    settings: Integrity,
    partitions: Sequence[str] = (),
    together: Profile | None = None,
) -> list[dict[str, Any]]:
    """Return what is broken in a batch; an empty list for the first batch, which has no reference.

    Args:
        batch: Profile of the batch.
        history: Profiles of earlier accepted partitions, in order.
        importance: The champion's share of gain by feature; a column that it does not name counts
            in full, as every column does before there is a champion (None).
        settings: Tolerances and the error rate of one batch.
        partitions: Keys of the earlier partitions, to be named.
        together: The sum of the history, where it is known: most of the time goes into adding it up.

    Returns:
        Mappings with column, test, expected, found, p, importance, holds, sentence.
    """
    if not history:
        return []
    reference = together or added(history)
    alpha = settings.alpha / (TESTS * max(1, len(batch.columns)))
    out = []
    for name, test in _all_tests(batch, history, reference, settings):
        share = 1.0 if importance is None else importance.get(name, 1.0)
        if test["p"] < alpha:
            holds = share >= settings.importance or _is_whole(test, settings)
            out.append({"column": name, **test, "importance": share, "holds": holds})
    keys = partitions or [f"the partition {len(history) - at} before" for at in range(len(history))]
    if (key := duplicate_of(batch, dict(zip(keys, history, strict=True)))) is not None:
        says = f"counted to the last row like {key}: probably the same rows again"
        found = {"test": "duplicate", "expected": "other rows", "found": key, "p": 0.0, "says": says}
        out.append({"column": ALL, **found, "importance": 1.0, "holds": True})
    for finding in out:
        finding["sentence"] = f"{finding['column']}: {finding['says']}"
        del finding["says"]
    return out


def _all_tests(
    batch: Profile, history: Sequence[Profile], reference: Profile, settings: Integrity
) -> Iterator[tuple[str, dict[str, Any]]]:
    is_exact = batch.exact and reference.exact
    for name, found in batch.columns.items():
        if name not in reference.columns:
            continue
        past = [each.columns[name] for each in history]
        for test in _tests(found, reference.columns[name], past, settings, is_exact):
            yield name, test
    yield from swaps(batch, reference)


def _tests(
    found: ColumnProfile,
    reference: ColumnProfile,
    past: Sequence[ColumnProfile],
    settings: Integrity,
    is_exact: bool,
) -> Iterator[dict[str, Any]]:
    if found.rows == 0:
        return
    yield _nulls(found, past, settings)
    if not found.values or not reference.values:
        return
    if found.is_text is not reference.is_text:
        yield type_finding(found, reference)
        return
    if reference.is_text:
        yield _unseen(found, reference, past, settings)
    else:
        yield _far_out(found, reference, past, settings)
        yield from unit_finding(found, reference)
        if is_exact:
            yield from mixed_units(found, reference, past)
    yield from constant_finding(found, past)


def _is_whole(test: Mapping[str, Any], settings: Integrity) -> bool:
    broken = 1.0 if test["test"] in WHOLE else float(test["found"])
    return broken > settings.whole


def _usual(past: Sequence[float], floor: float, test: str, fixed: float | None) -> Usual:
    """Return what is usual by past shares, with a fixed tolerance if the model has one."""
    if fixed is not None:
        return Usual(min(1.0, max([floor, *past])), fixed, fixed)
    return Usual(min(1.0, max(floor, usual_share(past))), LEAST[test], CERTAIN[test])


def _nulls(found: ColumnProfile, past: Sequence[ColumnProfile], settings: Integrity) -> dict[str, Any]:
    shares = [each.nulls / each.rows for each in past if each.rows]
    # Never 0: what was not seen yet may still come.
    usual = _usual(shares, 1 / (sum(each.rows for each in past) + 2), "nulls", settings.null_increase)
    test = share_test("nulls", found.nulls, found.rows, usual, "nulls")
    return {**test, "test": "all_null"} if found.nulls == found.rows else test


def _far_out(
    found: ColumnProfile, reference: ColumnProfile, past: Sequence[ColumnProfile], settings: Integrity
) -> dict[str, Any]:
    filled = [each for each in past if each.values and not each.is_text]
    ranges, low, high = [], math.inf, -math.inf
    for each in filled:
        low, high = min(low, float(each.low or 0.0)), max(high, float(each.high or 0.0))
        ranges.append((low, high))
    fences = [_fences(*ends, number) for number, ends in enumerate(ranges, 1)]
    shares = [each.outside(*before) / each.rows for before, each in zip(fences, filled[1:], strict=False)]
    usual = _usual(shares, 1 / (reference.rows + 2), "out_of_range", settings.out_of_range)
    outside = found.outside(*fences[-1])
    return share_test("out_of_range", outside, found.rows, usual, f"far outside {low:g} to {high:g}")


def _fences(low: float, high: float, batches: int) -> tuple[float, float]:
    """Return the range widened by its own width, and by its magnitude while few batches have shown how it moves.

    A day has one weekday and hardly any range of air pressure; another unit is ten times as much, and more.
    """
    size = max(abs(low), abs(high)) or 1.0
    width = ((high - low) or size) + FEW * size / batches
    return low - width, high + width


def _unseen(
    found: ColumnProfile, reference: ColumnProfile, past: Sequence[ColumnProfile], settings: Integrity
) -> dict[str, Any]:
    filled, known, shares = [each for each in past if each.counts], set[str](), []
    for before, each in pairwise(filled):
        known |= before.counts.keys()
        shares.append(_new(each, known) / each.rows)
    known |= reference.counts.keys()
    # Good-Turing: levels seen once say how likely a level is that was never seen.
    singletons = sum(count == 1 for count in reference.counts.values())
    usual = (singletons + 2 * math.sqrt(singletons) + 1) / (reference.rows + 2)
    # A profile names its most frequent levels only: the rest may be new or not, so it counts as ordinary.
    usual = min(1.0, usual + reference.counts.get(OTHER, 0) / max(1, reference.rows))
    return share_test(
        "unseen", _new(found, known), found.rows, _usual(shares, usual, "unseen", settings.unseen),
        "levels never seen before",
    )  # fmt: skip


def _new(found: ColumnProfile, known: set[str]) -> int:
    return sum(count for level, count in found.counts.items() if level not in known)
