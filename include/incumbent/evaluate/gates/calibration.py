"""The gate of calibration: the mean prediction meets the mean truth."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from incumbent.evaluate.contest import Contest, Floats
from incumbent.evaluate.gates.result import Result, champion_of
from incumbent.stats import Difference, mean_difference

CALIBRATION_ERRORS = 2.0


def calibration(contest: Contest) -> Result:
    """The candidate's mean prediction misses the truth hardly more than the champion's.

    Compared with the champion, because base rates move by the week: an absolute test would keep a
    worse champion in its seat whenever the weather changes. Of several classes the one that is worst counts.
    """
    ours, theirs = contest.misses(contest.challenger), contest.misses(champion_of(contest))
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
        f"{means['champion']:+.4f}: {abs(more.estimate):.4f} {'more' if more.estimate > 0 else 'less'}; "
        f"at most {allowed:.4f} more is allowed",
    }


def first_calibration(contest: Contest) -> Result:
    """The mean prediction (of the class that is worst) meets the mean truth within a tolerance and two errors."""
    found = {name: mean_difference(off, contest.clusters) for name, off in contest.misses(contest.challenger).items()}
    worst = max(found, key=lambda name: abs(found[name].estimate) - allowed_miss(contest, found[name]))
    off, allowed = found[worst], allowed_miss(contest, found[worst])
    return {
        "gate": "calibration",
        "passed": bool(abs(off.estimate) <= allowed),
        **({"class": worst} if contest.classes else {}),
        "candidate_off": off.estimate,
        "estimate": off.estimate,
        "error": off.error,
        "allowed": allowed,
        "sentence": f"the mean {mean_of(worst)} misses by {off.estimate:+.4f}; {allowed:.4f} is allowed",
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
