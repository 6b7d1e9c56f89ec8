"""The gates of a challenger, each a small function of a contest.

A gate says True, False, or None for "not enough evidence". It fails closed: what cannot be computed
is not passed. Nothing here compares two point estimates: "newer AUC above older AUC" promotes half of
all challengers that are exactly as good.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from incumbent.evaluate.contest import LOSS_ALPHA, Contest, Floats
from incumbent.evaluate.settle import more_clusters
from incumbent.stats import Difference, mean_difference, relative_difference

Result = dict[str, Any]
CALIBRATION_ERRORS = 2.0


def data(contest: Contest) -> Result:
    """Gate rows are newer than every training row of both contenders, and every number is finite."""
    seen = [day for day in (contest.train_until, contest.champion_train_until) if day]
    newer = bool(contest.train_until) and all(day <= contest.gate_from for day in seen)
    arrays = {
        "label": contest.labels,
        "candidate score": contest.challenger,
        "champion score": contest.champion,
        "baseline score": contest.baseline,
    }
    bad = {
        name: int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
        for name, values in arrays.items()
        if values is not None and not np.isfinite(values).all()
    }
    if not newer:
        sentence = f"the gate rows start at {contest.gate_from}, but training rows reach up to {max(seen, default='?')}"
    elif bad:
        sentence = "not finite: " + ", ".join(f"{count} {name}s" for name, count in bad.items())
    else:
        sentence = "the gate rows are newer than all training rows"
    return {
        "gate": "data",
        "passed": newer and not bad,
        "gate_from": contest.gate_from,
        "train_until": contest.train_until,
        "champion_train_until": contest.champion_train_until,
        "not_finite": bad,
        "sentence": sentence,
    }


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
        lacks.append(f"{fewest} {kind} of the {limits.min_positives} needed")
    if clusters < limits.min_clusters:
        lacks.append(f"{clusters} {contest.unit} of the {limits.min_clusters} needed")
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
        "sentence": "too few gate rows: " + " and ".join(lacks) + "; the next partition brings others, a longer "
        "evaluate.holdout_days takes more"
        if lacks
        else f"{rows} gate rows over {clusters} {contest.unit}",
    }


def superiority(contest: Contest) -> Result:
    """The candidate is better by more than luck, and by enough to be worth a change."""
    champion, limits, alpha = _champion(contest), contest.limits, contest.alpha
    if contest.task == "regression" and not contest.losses(champion).any():
        return {"gate": "superiority", "passed": False, "sentence": "the champion makes no error at all"}
    gain = contest.advantage(champion)
    enough = gain.estimate >= limits.min_improvement
    if gain.lower(alpha) > 0 and enough:
        passed: bool | None = True
    elif gain.upper(alpha) < limits.min_improvement or gain.upper(LOSS_ALPHA) <= 0:
        passed = False
    else:
        passed = None
    more = more_clusters(gain, alpha, limits.min_improvement) if passed is None else None
    return {
        "gate": "superiority",
        "passed": passed,
        "metric": contest.metric,
        "champion": contest.metric_of(champion),
        "candidate": contest.metric_of(contest.challenger),
        **numbers(gain, alpha),
        "min_improvement": limits.min_improvement,
        "degraded": contest.degraded,
        "unit": contest.unit,
        "more_needed": more,
        "sentence": _superiority_sentence(contest, gain, passed, more),
    }


def loss(contest: Contest) -> Result:
    """The candidate's loss is not larger than the champion's by more than the limit, surely."""
    champion, limit = _champion(contest), contest.limits.max_logloss_increase
    name = contest.loss_name
    if not (base := contest.losses(champion)).any():
        return {"gate": "loss", "passed": False, "metric": name, "sentence": "the champion makes no error at all"}
    change, alpha = relative_difference(contest.losses(contest.challenger), base, contest.clusters), contest.loss_alpha
    lower, upper = change.lower(alpha), change.upper(alpha)
    passed = True if upper <= limit else (False if lower > limit else None)
    return {
        "gate": "loss",
        "passed": passed,
        "metric": name,
        **numbers(change, alpha),
        "max_increase": limit,
        "sentence": f"{name} {change.estimate:+.2%}, at most {upper:+.2%} with {100 * (1 - alpha):g} % confidence; "
        f"allowed {limit:+.2%}",
    }


def calibration(contest: Contest) -> Result:
    """The candidate's mean prediction misses the truth hardly more than the champion's.

    Compared with the champion, because base rates move by the week: an absolute test would keep a
    worse champion in its seat whenever the weather changes. Of several classes the one that is worst counts.
    """
    ours, theirs = contest.misses(contest.challenger), contest.misses(_champion(contest))
    found = {name: _more_off(off, theirs[name], contest) for name, off in ours.items()}
    worst = max(found, key=lambda name: found[name].estimate - allowed_miss(contest, found[name]))
    more, allowed = found[worst], allowed_miss(contest, found[worst])
    means = {"candidate": float(ours[worst].mean()), "champion": float(theirs[worst].mean())}
    return {
        "gate": "calibration",
        "passed": bool(more.estimate <= allowed),
        **({"class": worst} if contest.classes else {}),
        "candidate_off": means["candidate"],
        "champion_off": means["champion"],
        "estimate": more.estimate,
        "error": more.error,
        "allowed": allowed,
        "sentence": f"the mean {mean_of(worst)} misses by {means['candidate']:+.4f}, the champion's by "
        f"{means['champion']:+.4f}; {allowed:.4f} more is allowed",
    }


def allowed_miss(contest: Contest, miss: Difference) -> float:
    """Return by how much a mean prediction may miss: a tolerance, and what luck does, to the worst of all classes."""
    several = max(len(contest.classes), 1)
    errors = CALIBRATION_ERRORS if several == 1 else float(norm.isf(norm.sf(CALIBRATION_ERRORS) / several))
    return contest.limits.calibration_tolerance * contest.scale() + errors * miss.error


def mean_of(name: str) -> str:
    """Return what a mean is of, for a sentence.

    >>> mean_of(""), mean_of("late")
    ('prediction', 'probability of class late')
    """
    return f"probability of class {name}" if name else "prediction"


def _more_off(ours: Floats, theirs: Floats, contest: Contest) -> Difference:
    """Return by how much more the candidate's mean misses, to whichever side, than the champion's."""
    return mean_difference(np.sign(ours.mean()) * ours - np.sign(theirs.mean()) * theirs, contest.clusters)


def numbers(difference: Difference, alpha: float) -> Result:
    """Return a difference as plain numbers for a report, with its one-sided bounds."""
    return {
        "estimate": difference.estimate,
        "error": difference.error,
        "clusters": difference.clusters,
        "alpha": alpha,
        "lower": difference.lower(alpha),
        "upper": difference.upper(alpha),
        "p": difference.p,
    }


def interval(contest: Contest, gain: Difference, alpha: float) -> str:
    """Return a gain, its interval and the number of clusters, for a sentence."""
    form = "{:+.4f}" if contest.task == "binary" else "{:+.2%}"
    name = "AUC" if contest.task == "binary" else f"{contest.loss_name} saved"
    low, high = form.format(gain.lower(alpha)), form.format(gain.upper(alpha))
    return f"{name} {form.format(gain.estimate)}, interval {low} to {high} over {gain.clusters} {contest.unit}"


def more_text(contest: Contest, more: int | None) -> str:
    """Return how much more evidence would settle it, for a sentence."""
    if more is None:
        return "more rows would hardly settle it"
    return f"about {more} more {contest.unit if more > 1 else contest.unit.removesuffix('s')} would settle it"


def _superiority_sentence(contest: Contest, gain: Difference, passed: bool | None, more: int | None) -> str:
    text = interval(contest, gain, contest.alpha)
    if passed:
        return f"{text}; better than the champion"
    if passed is False:
        return f"{text}; not better than the champion by what is worth a change"
    return f"{text}; {more_text(contest, more)}"


def _champion(contest: Contest) -> Floats:
    if contest.champion is None:
        raise ValueError("this gate compares with a champion, and there is none")
    return contest.champion
