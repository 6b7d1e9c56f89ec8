"""The gate of business figures: what kpi.sql measures is surely not behind the champion's by more than it may be."""

from __future__ import annotations

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result, does_not_apply
from incumbent.kpi import guard


def kpi(contest: Contest) -> Result:
    """No KPI of `gates.kpi` is behind the champion's by more than it may be, with 95 % confidence."""
    if contest.champion is None:
        return does_not_apply("kpi", "there is no champion to compare with")
    found = [guard(name, contest.kpis.get(name), limit) for name, limit in contest.limits.kpi.items()]
    failed = [each for each in found if each["passed"] is False]
    open_ = [each for each in found if each["passed"] is None]
    said = (failed or open_ or found)[0]["sentence"]
    return {"gate": "kpi", "passed": False if failed else None if open_ else True, "kpis": found, "sentence": said}
