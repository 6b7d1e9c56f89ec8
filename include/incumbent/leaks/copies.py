"""Copies of the label: one value for each class, two tight clusters, or the same number in another unit.

A high AUC alone accuses the innocent: the petals of iris separate a species without an error. What no
honest column has is exactness: one value a class, or two heaps with nothing but room between them.

False alarms: two values that agree with the label in 99 % of each class are the label under another name, and a
rank correlation of 0.999 leaves 0.2 % of the variance to nature and instruments; petals of iris, the
strongest honest columns of the study, have heaps wider than the room between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from incumbent.leaks.columns import Column, Floats, filled
from incumbent.leaks.finding import Finding
from incumbent.leaks.sheet import Sheet

AGREEMENT = 0.99
CORRELATION = 0.999
OUTSIDE = 0.01  # of a class may lie beyond each end of its heap
MOST_LEVELS = 10
ROWS_A_LEVEL = 20
NEXT = "leave it out; if it is known before the outcome, predict something that is not"


def copies(sheet: Sheet) -> Iterator[Finding]:
    """Yield the columns that are the label itself."""
    label = sheet.sampled_label
    for column in sheet.columns:
        each = column.take(sheet.sample)
        shapes = [each, *([shape] if (shape := filled(each)) else [])]
        found = _binary if sheet.task == "binary" else _numeric
        finding = None if sheet.classes is None else _several(each, sheet.sampled_classes)
        if finding or (finding := next((said for shape in shapes if (said := found(shape, label))), None)):
            yield finding


def _several(column: Column, classes: Floats) -> Finding | None:
    """Return what is said of a column that has a value, or a heap of values, for each of several classes."""
    values = np.where(np.isfinite(column.values), column.values, np.inf)
    levels, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    names, numbers = np.unique(classes, return_inverse=True)
    if levels.size <= max(MOST_LEVELS, 2 * names.size) and counts.mean() >= ROWS_A_LEVEL:
        rows = np.bincount(codes * names.size + numbers, minlength=levels.size * names.size).reshape(levels.size, -1)
        says = rows.argmax(axis=1)
        right = np.bincount(says, weights=rows[np.arange(levels.size), says], minlength=names.size)
        agrees = float((right / rows.sum(axis=0)).min())
        if agrees >= AGREEMENT:
            what = f"each of its {levels.size} values stands for one class in {agrees:.1%} of the rows of each class"
            return _finding(
                column.name, what, "the same value in several classes here and there", {"agreement": agrees}
            )
    if column.is_text or levels.size <= 2 or levels[-1] == np.inf:
        return None
    return _heaps(column.name, [values[numbers == number] for number in range(names.size)])


def _binary(column: Column, label: Floats) -> Finding | None:
    values = np.where(np.isfinite(column.values), column.values, np.inf)
    levels, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    positives = np.bincount(codes, weights=label)
    if levels.size == 2 or (column.is_text and levels.size <= MOST_LEVELS and counts.mean() >= ROWS_A_LEVEL):
        says_yes = positives / counts > label.mean()
        negatives = counts - positives
        agrees = float(min(positives[says_yes].sum() / label.sum(), negatives[~says_yes].sum() / (1 - label).sum()))
        if agrees >= AGREEMENT and says_yes.any() and not says_yes.all():
            what = f"each of its {levels.size} values stands for one label in {agrees:.1%} of the rows of each class"
            return _finding(column.name, what, "the same value in both classes here and there", {"agreement": agrees})
    if column.is_text or levels.size <= 2 or levels[-1] == np.inf:
        return None
    return _heaps(column.name, [values[label > 0.5], values[label < 0.5]])


def _heaps(name: str, heaps: Sequence[Floats]) -> Finding | None:
    ends = [
        np.quantile(heap, (OUTSIDE, 1 - OUTSIDE)) for heap in sorted(heaps, key=lambda heap: float(np.median(heap)))
    ]
    room = min(float(above[0] - below[1]) for below, above in pairwise(ends))
    widest = max(float(end[1] - end[0]) for end in ends)
    if room <= widest:
        return None
    count = "two" if len(heaps) == 2 else f"{len(heaps)}"
    what = f"the classes lie in {count} heaps, {room / max(widest, 1e-12):.3g} times as far apart as the widest is wide"
    return _finding(name, what, "classes that overlap, or lie less far apart than they are wide", {"room": room})


def _numeric(column: Column, label: Floats) -> Finding | None:
    known = np.isfinite(column.values)
    if column.is_text or known.sum() < 0.5 * known.size or np.unique(label[known]).size < 3:
        return None
    values, truth = column.values[known], label[known]
    if values.std() == 0:
        return None
    plain = abs(float(np.corrcoef(values, truth)[0, 1]))
    ranks = abs(float(np.corrcoef(rankdata(values), rankdata(truth))[0, 1]))
    if max(plain, ranks) < CORRELATION:
        return None
    what = f"its correlation with the label is {max(plain, ranks):.5f}"
    return _finding(column.name, what, f"less than {CORRELATION}", {"correlation": plain, "rank_correlation": ranks})


def _finding(name: str, found: str, expected: str, evidence: dict[str, float]) -> Finding:
    sentence = f"{name} is the label under another name: {found}"
    return Finding(name, "copy", sentence, expected, found, NEXT, evidence)
