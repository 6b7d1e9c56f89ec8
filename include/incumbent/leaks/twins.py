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
    numbers = [column for column in sheet.columns if not column.is_text]
    known = [np.sort(values[np.isfinite(values)]) for values in map(sheet.sampled, numbers)]
    middle = np.array([np.median(values) for values in known])
    spread = np.array([max(float(values.std()), 1e-12) for values in known])
    found = []
    for at in range(len(numbers)):
        like = np.abs(middle - middle[at]) < CLOSE * spread[at]
        like &= (spread < 2 * spread[at]) & (spread[at] < 2 * spread)
        for other in np.nonzero(like)[0]:
            if other <= at:
                continue
            apart = np.abs(sheet.sampled(numbers[at]) - sheet.sampled(numbers[other]))
            far = float(np.nanmedian(apart)) / spread[at] if np.isfinite(apart).any() else np.inf
            if 0 < far < CLOSE:
                found.append((far, at, int(other)))
        if len(found) >= MOST_PAIRS:
            break
    return [(numbers[one], numbers[other]) for _, one, other in sorted(found)]


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
