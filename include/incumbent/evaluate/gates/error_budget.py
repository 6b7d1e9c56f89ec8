"""The gate of the year's error budget: many challengers have no better chance to be promoted by luck than promised."""

from __future__ import annotations

from incumbent.error_budget import budget
from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result
from incumbent.evaluate.words import percent


def error_budget(contest: Contest) -> Result:
    """The year's challengers, this one among them, have not spent more than `gates.alpha_per_year`."""
    alpha, a_year = contest.alpha * contest.sharing, contest.limits.alpha_per_year
    found = budget(contest.spent, contest.day, alpha, a_year)
    allowed = found.next_day == contest.day
    return {
        "gate": "error_budget",
        "passed": True if allowed else None,
        "number": found.number,
        "spent": found.spent,
        "alpha": alpha,
        "alpha_per_year": a_year,
        "next_day": found.next_day,
        "sentence": f"challenger {found.number} of the last 365 days; at most {percent(found.spent + alpha)} chance "
        "that any of them was promoted by luck"
        if allowed
        else f"the error budget of {percent(a_year)} a year is spent by {found.number - 1} challengers: the next one "
        f"may be judged from {found.next_day} on",
    }
