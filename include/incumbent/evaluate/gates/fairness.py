"""The gate of fairness: groups of people are not treated more differently than is allowed."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from incumbent.config import Fairness
from incumbent.evaluate.contest import Contest, Floats, Groups
from incumbent.evaluate.gates.result import Result, confidence, listed, together
from incumbent.evaluate.words import percent
from incumbent.stats import Difference, quantile

FEWEST = 100  # rows that count of a group; below, it is told and not judged
Truths = npt.NDArray[np.bool_]


def fairness(contest: Contest) -> Result:
    """The gap between any two groups is at most what `gates.fairness` says, surely."""
    found = [_judged(contest, asked) for asked in contest.limits.fairness]
    passed = together(found)
    told = [each["sentence"] for each in found if each["passed"] is passed]
    return {
        "gate": "fairness",
        "passed": passed,
        "measures": found,
        "sentence": "; ".join(told[:1] if passed is not True else told),
    }


def values_of(contest: Contest, asked: Fairness) -> tuple[Floats, Truths]:
    """Return what a measure is the mean of, and which rows count."""
    labels, scores, every = contest.labels, contest.challenger, np.ones(contest.labels.size, dtype=np.bool_)
    if asked.measure == "calibration":
        return scores - labels, every
    if contest.task == "regression":
        return np.abs(scores - labels), every
    if contest.task == "multiclass":
        return (scores.argmax(axis=1) != labels).astype(np.float64), every
    chosen = scores >= asked.threshold
    if asked.measure == "error":
        return (chosen != (labels > 0.5)).astype(np.float64), every
    return chosen.astype(np.float64), labels > 0.5 if asked.measure == "true_positive_rate" else every


def _judged(contest: Contest, asked: Fairness) -> Result:
    name = f"{asked.measure.replace('_', ' ')} by {asked.column}"
    head: Result = {"column": asked.column, "measure": asked.measure, "max_gap": asked.max_gap}
    groups = contest.groups.get(asked.column)
    if groups is None:
        return {**head, "passed": None, "groups": [], "sentence": f"{name}: nobody looked at the column"}
    values, counts = values_of(contest, asked)
    table = [_group(groups, at, values, counts) for at in range(len(groups.names))]
    judged = [at for at, row in enumerate(table) if row["rows"] >= FEWEST]
    few = [row["group"] for row in table if row["rows"] < FEWEST]
    head |= {"groups": table, "not_judged": few}
    if len(judged) < 2:
        return {**head, "passed": None, "sentence": f"{name}: fewer than two groups have {FEWEST} rows that count"}
    gaps = _gaps(contest, groups, judged, values, counts)
    alpha = contest.loss_alpha
    widest = max(gaps, key=lambda pair: abs(gaps[pair].estimate))
    # To show that all gaps are small each has to be shown; to show that one is large costs a part of the rate for each.
    most = max(_most(gap, alpha) for gap in gaps.values())
    least = max(_least(gap, alpha / len(gaps)) for gap in gaps.values())
    passed = True if most <= asked.max_gap else False if least > asked.max_gap else None
    first, second = (groups.names[at] for at in widest)
    ignored = f"; too few rows: {listed(few)}" if few else ""
    gap = gaps[widest]
    return {
        **head,
        "passed": passed,
        "gap": abs(gap.estimate),
        "error": gap.error,
        "between": [first, second],
        "least": least,
        "most": most,
        "alpha": alpha,
        "sentence": f"{name}: {first} and {second} differ by {_text(contest, abs(gap.estimate))}, at most "
        f"{_text(contest, most)} {confidence(alpha)}; {_text(contest, asked.max_gap)} is allowed{ignored}",
    }


def _group(groups: Groups, at: int, values: Floats, counts: Truths) -> dict[str, Any]:
    own = values[(groups.codes == at) & counts]
    return {"group": groups.names[at], "rows": int(own.size), "value": float(own.mean()) if own.size else None}


def _gaps(
    contest: Contest, groups: Groups, judged: list[int], values: Floats, counts: Truths
) -> dict[tuple[int, int], Difference]:
    """Return the difference of each two groups, with an error that knows that they share their days."""
    codes = None if contest.clusters is None else np.unique(contest.clusters, return_inverse=True)[1]
    clusters = contest.labels.size if codes is None else int(codes.max()) + 1
    means, sums = {}, {}
    for at in judged:
        own = (groups.codes == at) & counts
        means[at] = float(values[own].mean())
        psi = np.where(own, values - means[at], 0.0) / own.sum()
        sums[at] = psi if codes is None else np.bincount(codes, weights=psi, minlength=clusters)
    found = {}
    for first, second in combinations(judged, 2):
        apart = sums[first] - sums[second]
        error = float(np.sqrt(apart @ apart * clusters / (clusters - 1)))
        found[first, second] = Difference(means[first] - means[second], error, clusters, clusters - 1)
    return found


def _most(gap: Difference, alpha: float) -> float:
    return abs(gap.estimate) + quantile(alpha, gap.df) * gap.error


def _least(gap: Difference, alpha: float) -> float:
    return abs(gap.estimate) - quantile(alpha, gap.df) * gap.error


def _text(contest: Contest, value: float) -> str:
    return f"{value:.4g}" if contest.task == "regression" else percent(value)
