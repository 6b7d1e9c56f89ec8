"""What a gate is, what it gives, and the words and numbers that several gates give alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from incumbent.evaluate.contest import Contest, Floats
from incumbent.evaluate.settle import far_off, forecast, more_clusters
from incumbent.evaluate.words import count, figure, of, percent
from incumbent.stats import Difference

# `gate`, its name; `passed`, True, False, or None for "not enough evidence"; `sentence`, for people; and every number.
Result = dict[str, Any]
Gate = Callable[[Contest], Result]
MOST_NAMED = 3  # of what a sentence lists


def champion_of(contest: Contest) -> Floats:
    """Return the champion's predictions.

    Raises:
        ValueError: There is no champion.
    """
    if contest.champion is None:
        raise ValueError("this gate compares with a champion, and there is none")
    return contest.champion


def does_not_apply(name: str, why: str) -> Result:
    """Return the result of a gate that has nothing to judge, and says so."""
    return {"gate": name, "passed": True, "applies": False, "sentence": f"does not apply: {why}"}


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


def gained(contest: Contest, gain: Difference) -> str:
    """Return a gain, for a sentence: `+0.004 AUC`, or `log loss saved +1.20 %`."""
    text = figure(gain.estimate, contest.by_auc, gain.error, sign=True)
    return f"{text} AUC" if contest.by_auc else f"{contest.loss_name} saved {text}"


def interval(contest: Contest, gain: Difference, alpha: float) -> str:
    """Return a gain and its interval, for a sentence."""
    low, high = (figure(bound, contest.by_auc, gain.error) for bound in (gain.lower(alpha), gain.upper(alpha)))
    return f"{gained(contest, gain)}, {between(alpha)} {low} to {high}"


def between(alpha: float) -> str:
    """Return what an interval of two one-sided bounds is called, for a sentence: with its level.

    >>> between(0.01), between(0.0035)
    ('98 % interval', '99.3 % interval')
    """
    return f"{percent(1 - 2 * alpha)} interval"


def more_needed(contest: Contest, more: int | None) -> Result:
    """Return how much more evidence would settle a question, in clusters, rows and days."""
    clusters = contest.clusters
    each = 1.0 if clusters is None else contest.labels.size / len(set(clusters.tolist()))
    rows = None if more is None else round(more * each)
    days = more if contest.unit == "days" else None
    if rows is not None and contest.unit != "days" and contest.days:
        days = max(round(rows * contest.days / contest.labels.size), 1)
    return {"unit": contest.unit, "more_needed": more, "more_rows": rows, "more_days": days}


def more_text(contest: Contest, needed: Result, gain: Difference, alpha: float) -> str:
    """Return the same for a sentence."""
    more, rows, days, unit = (needed[name] for name in ("more_needed", "more_rows", "more_days", "unit"))
    if more is None:
        return far_off(figure(gain.upper(alpha) - gain.lower(alpha), contest.by_auc, gain.error))
    beside = f" ({of(days, 'days')})" if days else "" if unit == "rows" else f" ({of(more, unit)})"
    return forecast(f"gain is {figure(gain.estimate, contest.by_auc, gain.error, sign=True)}", rows, beside)


def beats(contest: Contest, name: str, other: Floats, what: str, alpha: float) -> Result:
    """Return whether the candidate is better than other predictions of the same rows, by more than luck."""
    if not contest.losses(other).any():
        return {"gate": name, "passed": False, "sentence": f"{what} makes no error at all"}
    gain = contest.advantage(other)
    passed = True if gain.lower(alpha) > 0 else (False if gain.upper(alpha) <= 0 else None)
    needed = more_needed(contest, more_clusters(gain, alpha, 0.0) if passed is None else None)
    word = "better than" if passed else "not better than"
    text = f"{interval(contest, gain, alpha)}; " + (
        f"{more_text(contest, needed, gain, alpha)} against {what}" if passed is None else f"{word} {what}"
    )
    return {
        "gate": name,
        "passed": passed,
        "metric": contest.metric,
        "against": contest.metric_of(other),
        "candidate": contest.metric_of(contest.challenger),
        **numbers(gain, alpha),
        **needed,
        "sentence": text,
    }


def bounded(difference: Difference, most: float, alpha: float) -> bool | None:
    """Return whether something is at most so much, surely; None where nothing is sure."""
    return True if difference.upper(alpha) <= most else (False if difference.lower(alpha) > most else None)


def confidence(alpha: float) -> str:
    """Return how sure a one-sided bound is, for a sentence.

    >>> confidence(0.05)
    'with 95 % confidence'
    """
    return f"with {percent(1 - alpha)} confidence"


def together(results: list[Result]) -> bool | None:
    """Return what several verdicts are together: one that is against, then one that is open, then all passed."""
    passed = [result["passed"] for result in results]
    return False if False in passed else None if None in passed else True


def listed(names: list[str]) -> str:
    """Return a few names for a sentence.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {count(more)} more" if more > 0 else "")
