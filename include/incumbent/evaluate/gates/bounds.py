"""The gates of absolute limits: floors of what is good, ceilings of what is bad; a bound keeps to them, no estimate."""

from __future__ import annotations

import numpy as np

from incumbent.evaluate.contest import Contest, Floats
from incumbent.evaluate.gates.result import Result, bounded, confidence, numbers, together
from incumbent.stats import Difference, auc_influence, from_influence, mean_difference


def floors(contest: Contest) -> Result:
    """Each figure is at least what `gates.floors` says, surely."""
    return _kept("floors", contest, dict(contest.limits.floors), -1)


def ceilings(contest: Contest) -> Result:
    """Each figure is at most what `gates.ceilings` says, surely."""
    return _kept("ceilings", contest, dict(contest.limits.ceilings), 1)


def measured(contest: Contest, name: str, scores: Floats) -> Difference:
    """Return a figure of a contender, with its clustered error.

    Args:
        contest: Has the truth.
        name: `auc`, `accuracy` or `r2`, the larger the better; `logloss`, `brier`, `rmse` or `mae`.
        scores: What the contender says.

    Raises:
        ValueError: There is no such figure.
    """
    labels, clusters = contest.labels, contest.clusters
    if name == "auc":
        area, psi = auc_influence(labels, scores)
        return from_influence(area, psi, clusters)
    if name == "rmse":
        squared = mean_difference((scores - labels) ** 2, clusters)
        root = float(np.sqrt(squared.estimate))
        return Difference(root, squared.error / (2 * root) if root else 0.0, squared.clusters, squared.df)
    if name == "r2":
        squared_errors, spread = (scores - labels) ** 2, (labels - labels.mean()) ** 2
        if not (base := float(spread.mean())):
            return Difference(-np.inf, 0.0, labels.size, max(labels.size - 1, 1))
        left = float(squared_errors.mean()) / base
        return from_influence(1 - left, -(squared_errors - left * spread) / (base * labels.size), clusters)
    return mean_difference(_each(contest, name, scores), clusters)


def _each(contest: Contest, name: str, scores: Floats) -> Floats:
    """Return what each row adds to a figure that is a mean."""
    if name == "logloss":
        return contest.losses(scores)
    if name == "accuracy":
        right: Floats = (scores.argmax(axis=1) == contest.labels).astype(np.float64)
        return right
    miss: Floats = scores - contest.labels
    if name == "brier":
        squared: Floats = miss**2
        return squared
    if name == "mae":
        size: Floats = np.abs(miss)
        return size
    raise ValueError(f"there is no figure {name}")


def _kept(gate: str, contest: Contest, limits: dict[str, float], sign: int) -> Result:
    """Return whether figures keep to limits, times their sign, from above."""
    alpha, found = contest.loss_alpha, list[Result]()
    for name, limit in limits.items():
        value = measured(contest, name, contest.challenger)
        if not np.isfinite(value.estimate):
            found.append({"name": name, "limit": limit, "passed": False, "sentence": f"{name} of equal labels"})
            continue
        turned = Difference(sign * value.estimate, value.error, value.clusters, value.df)
        word, bound = ("at most", value.upper(alpha)) if sign > 0 else ("at least", value.lower(alpha))
        asked = "allowed" if sign > 0 else "needed"
        found.append(
            {
                "name": name,
                "limit": limit,
                "passed": bounded(turned, sign * limit, alpha),
                **{name: number for name, number in numbers(value, alpha).items() if name != "p"},
                "sentence": f"{name} {value.estimate:.4g}, {word} {bound:.4g} {confidence(alpha)}; "
                f"{limit:g} is {asked}",
            }
        )
    passed = together(found)
    told = [each["sentence"] for each in found if each["passed"] is passed]
    return {
        "gate": gate,
        "passed": passed,
        "figures": found,
        "sentence": "; ".join(told[:1] if passed is not True else told),
    }
