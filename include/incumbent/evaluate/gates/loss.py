"""The gate of the loss: who ranks better and says nonsense is not promoted."""

from __future__ import annotations

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result, between, champion_of, numbers
from incumbent.evaluate.words import figure
from incumbent.stats import relative_difference


def loss(contest: Contest) -> Result:
    """The candidate's loss is not larger than the champion's by more than the limit.

    A guard, not a second proof: that it is better is shown by its advantage, at the error rate of the contest. Where
    the gate rows are a few days, the interval of the loss alone is wider than any limit, and to ask that all of it
    lies below would keep out most challengers that are better.
    """
    champion, limit = champion_of(contest), contest.limits.max_logloss_increase
    name = contest.loss_name
    if not (base := contest.losses(champion)).any():
        return {"gate": "loss", "passed": False, "metric": name, "sentence": "the champion makes no error at all"}
    change, alpha = relative_difference(contest.losses(contest.challenger), base, contest.clusters), contest.loss_alpha
    said, low, high, allowed = (
        figure(value, points=False, sign=True)
        for value in (change.estimate, change.lower(alpha), change.upper(alpha), limit)
    )
    return {
        "gate": "loss",
        "passed": True if change.estimate <= limit else False if change.lower(alpha) > limit else None,
        "metric": name,
        **numbers(change, alpha),
        "max_increase": limit,
        "sentence": f"{name} {said}, {between(alpha)} {low} to {high}; allowed {allowed}",
    }
