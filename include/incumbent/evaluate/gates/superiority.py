"""The gate that decides: a paired test of the gain, by clusters that share their luck."""

from __future__ import annotations

from incumbent.evaluate.contest import LOSS_ALPHA, Contest
from incumbent.evaluate.error_rate import alpha_split, detectable
from incumbent.evaluate.gates.result import Result, champion_of, interval, more_needed, more_text, numbers
from incumbent.evaluate.kept import LATER
from incumbent.evaluate.settle import more_clusters


def superiority(contest: Contest) -> Result:
    """The candidate is better by more than luck, and by enough to be worth a change."""
    champion, limits = champion_of(contest), contest.limits
    if not contest.losses(champion).any():
        return {"gate": "superiority", "passed": False, "sentence": "the champion makes no error at all"}
    gain, enough = contest.gain, contest.gain.estimate >= limits.min_improvement

    def fixed(error: float, df: int) -> float:
        return split(contest, error, df)[0]

    alpha, later = split(contest, gain.error, gain.df)
    if gain.lower(alpha) > 0 and enough:
        passed: bool | None = True
    elif gain.upper(alpha) < limits.min_improvement or gain.upper(LOSS_ALPHA) <= 0:
        passed = False
    else:
        passed = None
    needed = more_needed(contest, more_clusters(gain, fixed, limits.min_improvement) if passed is None else None)
    words = {True: "better than the champion", False: "not better than the champion by what is worth a change"}
    end = more_text(contest, needed, gain, alpha) if passed is None else words[passed]
    return {
        "gate": "superiority",
        "passed": passed,
        "metric": contest.metric,
        "champion": contest.metric_of(champion),
        "candidate": contest.metric_of(contest.challenger),
        **numbers(gain, alpha),
        **({} if contest.by_loss else {LATER: later}),
        "detectable": detectable(gain.error, gain.df, contest.alpha),
        "min_improvement": limits.min_improvement,
        "degraded": contest.degraded,
        **needed,
        "sentence": f"{interval(contest, gain, alpha)}; {end}",
    }


def split(contest: Contest, error: float, df: int) -> tuple[float, float]:
    """Return the error rate of the fixed test, and what is kept for later batches, if the gain had such an error.

    Of a recalibration nothing is kept: where its rows show nothing, a training is asked for.
    """
    if contest.by_loss:
        return contest.alpha, 0.0
    found = detectable(error, df, contest.alpha)
    return alpha_split(contest.alpha, found, contest.limits.min_improvement, contest.degraded)
