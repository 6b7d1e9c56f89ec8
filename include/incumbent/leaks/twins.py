"""Plan and reality: two columns in the same unit whose difference tells what neither tells alone.

A departure time beside a scheduled one is a delay in two parts. Each alone passes every test of single columns;
their difference does not. The column that moves with the difference is the later one, and is named: what
really happened is the plan plus the surprise, so the surprise is correlated with it and hardly with the plan.

False alarms: the difference must tell a quarter of all there is to know (entropy or variance) more than either
column does alone, surely at the sheet's alpha over all pairs that are tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm, rankdata

from incumbent.leaks.association import fold_codes, strength
from incumbent.leaks.columns import Column, Floats
from incumbent.leaks.finding import Finding
from incumbent.leaks.sheet import Sheet

LEAST_GAIN = 0.25
CLOSE = 0.35  # of a standard deviation: the middle difference of two columns that mean the same
MOST_PAIRS = 500
MOST_ROWS = 2000
LEAST_CORRELATION = 0.5
LEAST_KNOWN = 20  # different values


def twins(sheet: Sheet) -> Iterator[Finding]:
    """Yield columns that are another column plus what the label is about."""
    pairs = _pairs(sheet)
    folds = fold_codes(sheet.sampled_label, sheet.task, sheet.seed)
    seen: set[str] = set()
    for first, second in pairs:
        if {first.name, second.name} & seen:
            continue
        one, other = sheet.sampled(first), sheet.sampled(second)
        apart = Column("", one - other)
        if np.isfinite(apart.values).sum() < LEAST_KNOWN:
            continue
        told = strength(apart, sheet.sampled_label, sheet.task, folds)
        alone = max((sheet.strength[column.name] for column in (first, second)), key=lambda found: found.skill)
        error = float(np.hypot(told.error, alone.error))
        if told.skill - alone.skill - norm.isf(sheet.alpha / len(pairs)) * error < LEAST_GAIN:
            continue
        real, plan = (first, second) if _moves(apart.values, one) > _moves(apart.values, other) else (second, first)
        seen.add(real.name)
        yield _finding(real.name, plan.name, told.skill, alone.skill, told.auc)


def _pairs(sheet: Sheet) -> list[tuple[Column, Column]]:
    """Return pairs of numbers that mean about the same, the closest first."""
    each = [(column, sheet.sampled(column)[:MOST_ROWS]) for column in sheet.columns if not column.is_text]
    each = [(column, some) for column, some in each if np.unique(some[np.isfinite(some)]).size >= LEAST_KNOWN]
    if len(each) < 2:
        return []
    numbers, values = [column for column, _ in each], np.array([some for _, some in each])
    middle, spread = np.nanmedian(values, axis=1), np.maximum(np.nanstd(values, axis=1), 1e-12)
    ranks = np.array([rankdata(np.where(np.isnan(some), mid, some)) for some, mid in zip(values, middle, strict=True)])
    close = np.corrcoef(ranks) > LEAST_CORRELATION
    ratio = spread[:, None] / spread[None, :]
    close &= (np.abs(middle[:, None] - middle[None, :]) < CLOSE * spread) & (ratio < 2) & (ratio > 0.5)
    found = []
    for at, other in zip(*np.nonzero(np.triu(close, 1)), strict=True):
        far = float(np.nanmedian(np.abs(values[at] - values[other]))) / spread[at]
        if 0 < far < CLOSE:
            found.append((far, int(at), int(other)))
    return [(numbers[one], numbers[other]) for _, one, other in sorted(found)[:MOST_PAIRS]]


def _moves(apart: Floats, values: Floats) -> float:
    known = np.isfinite(apart)
    return abs(float(np.corrcoef(rankdata(apart[known]), rankdata(values[known]))[0, 1]))


def _finding(name: str, plan: str, told: float, alone: float, auc: float) -> Finding:
    return Finding(
        column=name,
        test="twin",
        sentence=f"{name} is {plan} plus what came later: their difference explains {told:.0%} of the label "
        f"(AUC {auc:.3f}), either alone {max(alone, 0.0):.0%}",
        expected=f"a difference that explains at most {LEAST_GAIN:.0%} more than either column",
        found=f"{told - max(alone, 0.0):.0%} more",
        next_step=f"keep {plan}, leave {name} out unless it is known before the outcome",
        evidence={"skill": told, "skill_alone": alone, "auc": auc},
    )
