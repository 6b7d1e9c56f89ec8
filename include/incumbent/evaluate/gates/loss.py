"""The gate of the loss: who ranks better and says nonsense is not promoted."""

from __future__ import annotations

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result, bounded, champion_of, confidence, numbers
from incumbent.evaluate.words import figure
from incumbent.stats import relative_difference


def loss(contest: Contest) -> Result:
    """The candidate's loss is not larger than the champion's by more than the limit, surely."""
    champion, limit = champion_of(contest), contest.limits.max_logloss_increase
    name = contest.loss_name
    if not (base := contest.losses(champion)).any():
        return {"gate": "loss", "passed": False, "metric": name, "sentence": "the champion makes no error at all"}
    change, alpha = relative_difference(contest.losses(contest.challenger), base, contest.clusters), contest.loss_alpha
    said, most, allowed = (
        figure(value, points=False, sign=True) for value in (change.estimate, change.upper(alpha), limit)
    )
    return {
        "gate": "loss",
        "passed": bounded(change, limit, alpha),
        "metric": name,
        **numbers(change, alpha),
        "max_increase": limit,
        "sentence": f"{name} {said}, at most {most} {confidence(alpha)}; allowed {allowed}",
    }
