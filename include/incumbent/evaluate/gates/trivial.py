"""The gates against trivial rules: a constant, and of a first model also the best single feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from incumbent.evaluate.contest import LOSS_ALPHA, Contest, Floats
from incumbent.evaluate.gates.result import Result, beats

# Milder than the test against chance: there is no seat to lose yet, and a week of gate rows can tell a
# model from a good rule only when it is far better. A model that is no better than the rule passes
# in at most one case of ten, and only if it knows something at all.
BASELINE_ALPHA = 0.10


def chance(contest: Contest) -> Result:
    """The candidate knows more than a constant.

    A first model is compared with the mean of the training labels, or the shares of their classes, and the second try
    at one has half the error rate, the third a third: where nothing can be learned, a new try with every partition
    would get the seat by luck sooner or later. A challenger, which has to be better than a champion too, is compared
    with those of the gate rows themselves: no constant that could have been known is better, and no training row has to
    be read.
    """
    cold = contest.champion is None
    alpha = (contest.limits.alpha / (1 + contest.tried) if cold else LOSS_ALPHA) / contest.sharing
    constant = np.broadcast_to(_known(contest) if cold else _best(contest), contest.challenger.shape)
    # Also of a recalibration by how it ranks: a mean that is known afterwards is hard to beat by the loss.
    return beats(replace(contest, by_loss=False), "chance", constant, "a constant guess", alpha)


def baseline(contest: Contest) -> Result:
    """The candidate knows more than the best single feature does."""
    if contest.baseline is None:
        return {"gate": "baseline", "passed": False, "sentence": "there is no baseline to compare with"}
    what = f"the one feature {contest.baseline_feature!r}"
    found = beats(contest, "baseline", contest.baseline, what, BASELINE_ALPHA / contest.sharing)
    return {**found, "feature": contest.baseline_feature}


def _known(contest: Contest) -> float | Floats:
    return 0.0 if contest.chance is None else contest.chance


def _best(contest: Contest) -> float | Floats:
    if contest.task != "multiclass":
        return float(contest.labels.mean())
    return np.bincount(contest.labels.astype(np.int64), minlength=len(contest.classes)) / contest.labels.size
