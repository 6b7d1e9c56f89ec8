"""The gate of slices: a gain on the whole does not pay for harm to a part.

Slices that were found, and small ones, can only veto: by a harm that luck does not explain, over all slices together
(Holm). A slice that a person named, with rows enough, must be shown to lose less than a margin.
"""

from __future__ import annotations

import numpy as np

from incumbent.evaluate.contest import LOSS_ALPHA, Contest, Groups
from incumbent.evaluate.gates.result import Result, between, bounded, does_not_apply
from incumbent.evaluate.words import figure, of
from incumbent.stats import Difference

ENOUGH = 100  # rows of each class (rows, for a regression) for a slice to be shown non-inferior
FEWEST = 20  # the same for a slice to have a say at all: below, an error is a guess
FEWEST_CLUSTERS = 5


def slices(contest: Contest) -> Result:
    """No slice is harmed, and in those that a person named the candidate is not worse by more than a margin."""
    looked = contest.slices or ()
    table = [row for groups in looked for row in _rows(contest, groups)]
    tested = [row for row in table if row["tested"]]
    if not tested:
        if named := [groups.column for groups in looked if groups.named]:
            return _result(contest, table, None, f"no slice of {', '.join(named)} has rows enough to be judged")
        why = "no feature is a category of at most 20 levels with rows enough"
        return {**does_not_apply("slices", why), "slices": table}
    for row, falls in zip(tested, holm([row["p_harm"] for row in tested], LOSS_ALPHA), strict=True):
        row["harmed"] = falls
    harmed = [row for row in tested if row["harmed"]]
    unsure = [row for row in tested if row["not_inferior"] is not True and row["required"]]
    columns = len({row["column"] for row in tested})
    sentence = f"no harm in {of(len(tested), 'slices')} of {of(columns, 'columns')}"
    if harmed:
        worst = min(harmed, key=lambda row: float(row["p_harm"]))
        sentence = f"{worst['column']} = {worst['slice']} is harmed: {_said(contest, worst)}"
    elif unsure:
        worst = min(unsure, key=lambda row: float(row["lower"]))
        margin = figure(contest.limits.slice_margin, contest.by_auc)
        sentence = f"not shown that {worst['column']} = {worst['slice']} loses less than {margin}: "
        sentence += _said(contest, worst)
    return _result(contest, table, False if harmed else None if unsure else True, sentence)


def holm(p_values: list[float], alpha: float) -> list[bool]:
    """Return which hypotheses fall, so that any true one does with probability alpha at most.

    >>> holm([0.04, 0.001, 0.02], 0.05)
    [True, True, True]
    >>> holm([0.04, 0.001, 0.03], 0.05)
    [False, True, False]
    """
    fallen = [False] * len(p_values)
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        if p_values[at] > alpha / (len(p_values) - rank):
            break
        fallen[at] = True
    return fallen


def _rows(contest: Contest, groups: Groups) -> list[Result]:
    return [
        {
            "column": groups.column,
            "slice": name,
            "named": groups.named,
            **_slice(contest.among(groups.codes == at), groups.named),
        }
        for at, name in enumerate(groups.names)
    ]


def _slice(part: Contest, named: bool) -> Result:
    """Return what there is to say of one slice."""
    rows, positives = int(part.labels.size), int((part.labels > 0.5).sum())
    fewest = min(positives, rows - positives) if part.task == "binary" else rows
    found: Result = {"rows": rows, **({"positives": positives} if part.task == "binary" else {}), "tested": False}
    clusters = rows if part.clusters is None else int(np.unique(part.clusters).size)
    if part.champion is None or fewest < FEWEST or clusters < FEWEST_CLUSTERS or not part.losses(part.champion).any():
        return found
    gain, alpha = part.gain, part.loss_alpha
    less = Difference(-gain.estimate, gain.error, gain.clusters, gain.df)
    return found | {
        "tested": True,
        "required": named and fewest >= ENOUGH,
        "champion": part.metric_of(part.champion),
        "candidate": part.metric_of(part.challenger),
        "difference": gain.estimate,
        "error": gain.error,
        "lower": gain.lower(alpha),
        "upper": gain.upper(alpha),
        "p_harm": less.p,
        "not_inferior": bounded(less, part.limits.slice_margin, alpha),
    }


def _said(contest: Contest, row: Result) -> str:
    points, error = contest.by_auc, float(row["error"])
    low, high = (figure(float(row[name]), points, error) for name in ("lower", "upper"))
    gain = figure(float(row["difference"]), points, error, sign=True)
    said = f"{gain} AUC" if points else f"{contest.loss_name} saved {gain}"
    return f"{said}, {between(contest.loss_alpha)} {low} to {high}"


def _result(contest: Contest, table: list[Result], passed: bool | None, sentence: str) -> Result:
    return {
        "gate": "slices",
        "passed": passed,
        "metric": contest.metric,
        "alpha": LOSS_ALPHA,
        "slice_margin": contest.limits.slice_margin,
        "slices": table,
        "sentence": sentence,
    }
