"""The gate of the sample: whether it can say anything, and what difference it would find."""

from __future__ import annotations

import numpy as np

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.error_rate import detectable
from incumbent.evaluate.gates.result import Result
from incumbent.evaluate.kept import LATER
from incumbent.evaluate.words import count, figure, of


def sample(contest: Contest) -> Result:
    """There are enough rows of each class and enough clusters to say anything."""
    rows = int(contest.labels.size)
    positives = int((contest.labels > 0.5).sum()) if contest.task == "binary" else rows
    of_class = {name: int((contest.labels == at).sum()) for at, name in enumerate(contest.classes)}
    fewest, kind = rows, "rows"
    if contest.task == "binary":
        fewest, kind = min(positives, rows - positives), "rows of the rarer class"
    elif of_class:
        rarest = min(of_class, key=lambda name: of_class[name])
        fewest, kind = of_class[rarest], f"rows of class {rarest}"
    clusters = rows if contest.clusters is None else int(np.unique(contest.clusters).size)
    limits = contest.limits
    lacks = []
    if fewest < limits.min_positives:
        lacks.append(f"{count(fewest)} {kind} of the {count(limits.min_positives)} needed")
    if clusters < limits.min_clusters:
        lacks.append(f"{of(clusters, contest.unit)} of the {count(limits.min_clusters)} needed")
    found = None if lacks else found_with(contest)
    there = f"{count(rows)} gate rows over {of(clusters, contest.unit)}"
    if found is not None:
        name = "AUC" if contest.by_auc else f"of the {contest.loss_name}"
        there += f"; a true gain of {figure(found, contest.by_auc)} {name} is found in nine of ten cases"
    return {
        "gate": "sample",
        "passed": None if lacks else True,
        "rows": rows,
        "positives": positives if contest.task == "binary" else None,
        **({"classes": of_class} if of_class else {}),
        "clusters": clusters,
        "unit": contest.unit,
        "min_positives": limits.min_positives,
        "min_clusters": limits.min_clusters,
        **({} if contest.champion is None else {"detectable": found}),
        **(_gain_so_far(contest) if lacks else {}),
        "sentence": "too few gate rows: " + " and ".join(lacks) + "; the next partition brings others, a longer "
        "evaluate.holdout_days takes more"
        if lacks
        else there,
    }


def _gain_so_far(contest: Contest) -> Result:
    """Return the gain on rows that are too few to be tested by themselves: they are the first that shadow adds to."""
    if contest.labels.size < 2:
        return {}
    try:
        gain = contest.gain
    except ValueError:  # a first model, one class, one cluster, or nothing to gain on
        return {}
    later = {} if contest.by_loss else {LATER: contest.alpha}
    return {"estimate": gain.estimate, "error": gain.error, **later}


def found_with(contest: Contest) -> float | None:
    """Return the true gain that the rows would show in nine of ten cases; None where there is nothing to gain on."""
    if contest.champion is None or not contest.losses(contest.champion).any():
        return None
    return detectable(contest.gain.error, contest.gain.df, contest.alpha)


def first_sample(contest: Contest) -> Result:
    """There are enough gate rows, and enough rows were trained on."""
    result, needed = sample(contest), contest.limits.min_train_rows
    result |= {"train_rows": contest.train_rows, "min_train_rows": needed}
    if contest.train_rows < needed:
        result["passed"] = None
        result["sentence"] = f"too few training rows: {count(contest.train_rows)} of the {count(needed)} needed"
    return result
