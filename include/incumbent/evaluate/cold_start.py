"""The gates of a first model: there is no champion, so it must beat chance and a simple rule."""

from __future__ import annotations

import numpy as np

from incumbent.evaluate import gates
from incumbent.evaluate.contest import Contest, Floats
from incumbent.evaluate.gates import Result
from incumbent.evaluate.settle import more_clusters
from incumbent.stats import mean_difference

# Milder than the test against chance: there is no seat to lose yet, and a week of gate rows can tell a
# model from a good rule only when it is far better. A model that is no better than the rule passes
# in at most one case of ten, and only if it knows something at all.
BASELINE_ALPHA = 0.10


def sample(contest: Contest) -> Result:
    """There are enough gate rows, and enough rows were trained on."""
    result, needed = gates.sample(contest), contest.limits.min_train_rows
    result |= {"train_rows": contest.train_rows, "min_train_rows": needed}
    if contest.train_rows < needed:
        result["passed"] = None
        result["sentence"] = f"too few training rows: {contest.train_rows} of the {needed} needed"
    return result


def chance(contest: Contest) -> Result:
    """The candidate knows more than the mean of the training labels, or the shares of their classes."""
    constant = np.broadcast_to(contest.chance, contest.challenger.shape)
    return _beats(contest, "chance", constant, "a constant guess", contest.limits.alpha / contest.sharing)


def baseline(contest: Contest) -> Result:
    """The candidate knows more than the best single feature does."""
    if contest.baseline is None:
        return {"gate": "baseline", "passed": False, "sentence": "there is no baseline to compare with"}
    return {
        **_beats(
            contest,
            "baseline",
            contest.baseline,
            f"the one feature {contest.baseline_feature!r}",
            BASELINE_ALPHA / contest.sharing,
        ),
        "feature": contest.baseline_feature,
    }


def calibration(contest: Contest) -> Result:
    """The mean prediction (of the class that is worst) meets the mean truth within a tolerance and two errors."""
    found = {name: mean_difference(off, contest.clusters) for name, off in contest.misses(contest.challenger).items()}
    worst = max(found, key=lambda name: abs(found[name].estimate) - gates.allowed_miss(contest, found[name]))
    off, allowed = found[worst], gates.allowed_miss(contest, found[worst])
    return {
        "gate": "calibration",
        "passed": bool(abs(off.estimate) <= allowed),
        **({"class": worst} if contest.classes else {}),
        "candidate_off": off.estimate,
        "estimate": off.estimate,
        "error": off.error,
        "allowed": allowed,
        "sentence": f"the mean {gates.mean_of(worst)} misses by {off.estimate:+.4f}; {allowed:.4f} is allowed",
    }


def _beats(contest: Contest, name: str, other: Floats, what: str, alpha: float) -> Result:
    if contest.task == "regression" and not contest.losses(other).any():
        return {"gate": name, "passed": False, "sentence": f"{what} makes no error at all"}
    gain = contest.advantage(other)
    passed = True if gain.lower(alpha) > 0 else (False if gain.upper(alpha) <= 0 else None)
    more = more_clusters(gain, alpha, 0.0) if passed is None else None
    word = "better than" if passed else "not better than"
    text = f"{gates.interval(contest, gain, alpha)}; " + (
        gates.more_text(contest, more) + f" against {what}" if passed is None else f"{word} {what}"
    )
    return {
        "gate": name,
        "passed": passed,
        "metric": contest.metric,
        "against": contest.metric_of(other),
        "candidate": contest.metric_of(contest.challenger),
        **gates.numbers(gain, alpha),
        "unit": contest.unit,
        "more_needed": more,
        "sentence": text,
    }
