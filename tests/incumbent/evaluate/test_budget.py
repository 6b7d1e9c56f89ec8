"""The year's error budget: counted by the dates of partitions, whatever the order of the reports."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from duels import duel

from incumbent.config import Gates
from incumbent.error_budget import Spent, budget, spent_before, tried_before
from incumbent.evaluate import judge
from incumbent.evaluate.gates.error_budget import error_budget
from incumbent.evaluate.gates.trivial import chance
from incumbent.partitions import Grain
from incumbent.records import GateReport

pytestmark = pytest.mark.unit


def report(request: str, *alphas: float, candidate: str = "c") -> GateReport:
    """Return a report whose superiority gate spent an error rate and kept some; an old one kept none."""
    spent = dict(zip(("alpha", "alpha_later"), alphas, strict=False))
    gates = ({"gate": "superiority", "passed": None, **spent},)
    partition = request.rsplit("-r", 1)[0]
    return GateReport("m", partition, candidate, "x", 1, "s", request, "insufficient_evidence", gates, "")


def test_what_was_spent_is_the_sum_of_both_parts_of_all_candidates_of_a_request() -> None:
    reports = [
        report("2013-02-r1", 0.01),  # of a release that did not split
        report("2013-03-r1", 0.0045, 0.0005),
        report("2013-03-r1", 0.0005, 0.0045, candidate="d"),
        report("2013-04-r1"),  # too few rows: nothing was tested
        report("2013-05-r1", 0.045, 0.005),
        report("2013-06-r1", 0.009, 0.001),
        report("2013-07-r1", 0.009, 0.001),
    ]
    expected = [("2013-03-01", 0.01), ("2013-04-01", 0.01), ("2013-06-01", 0.05)]
    found = spent_before(reports, Grain.MONTH, "2013-06", "2013-06-r1")
    assert [(each.day, each.alpha) for each in found] == [(day, pytest.approx(alpha)) for day, alpha in expected]
    for order in list(permutations(reports))[::700]:
        assert spent_before(order, Grain.MONTH, "2013-06", "2013-06-r1") == found


def test_a_report_of_a_release_without_these_gates_can_be_read_and_counts() -> None:
    superiority = {
        "gate": "superiority",
        "passed": None,
        "estimate": 0.01,
        "alpha": 0.01,
        "lower": -0.001,
        "upper": 0.021,
    }
    plain = {
        "schema": "incumbent.gate_reports/1", "model": "m", "partition": "2013-02", "candidate": "c", "champion": "x",
        "champion_generation": 1, "snapshot": "s", "request": "2013-02-r1", "verdict": "insufficient_evidence",
        "gates": [{"gate": "data", "passed": True}, superiority], "sentence": "Not promoted.",
    }  # fmt: skip
    old = GateReport.from_json(plain)
    assert old.id == "ffc116c3099eaf6fbe414aeedb27f774a660f3ea48dd175b049043573c291b78"
    assert old.to_json() == plain
    assert spent_before([old], Grain.MONTH, "2013-06", "2013-06-r1") == (Spent("2013-02-r1", "2013-03-01", 0.01),)


def test_a_year_later_it_is_forgotten_and_not_a_day_before() -> None:
    old = [Spent("a", "2013-03-01", 0.01)]
    assert budget(old, "2014-02-28", 0.01, 0.01).next_day == "2014-03-01"
    assert budget(old, "2014-03-01", 0.01, 0.01) == budget([], "2014-03-01", 0.01, 0.01)


def test_the_next_day_is_when_enough_has_been_forgotten() -> None:
    spent = [Spent(str(month), f"2013-{month:02d}-01", 0.05) for month in range(1, 6)]
    assert budget(spent, "2013-06-01", 0.01, 0.26).next_day == "2013-06-01"
    assert budget(spent, "2013-06-01", 0.05, 0.26).next_day == "2014-01-01"
    assert budget(spent, "2013-06-01", 0.10, 0.26).next_day == "2014-02-01"


def test_the_report_says_which_challenger_it_is_and_at_most_what_chance_luck_had() -> None:
    contest = replace(duel(np.random.default_rng(1), 10_000, 0.02), day="2013-07-01")
    spent = (Spent("a", "2013-03-01", 0.01), Spent("b", "2013-06-01", 0.01))
    said = error_budget(replace(contest, spent=spent))
    assert said["sentence"] == (
        "challenger 3 of the last 365 days; at most 3 % chance that any of them was promoted by luck"
    )
    assert error_budget(replace(contest, spent=spent, degraded=True))["sentence"].endswith(
        "at most 7 % chance that any of them was promoted by luck"
    )
    assert judge(replace(contest, spent=spent)).verdict == "promote"


def test_a_spent_budget_is_no_verdict_against_anybody_and_says_until_when() -> None:
    """The 26th challenger of a year is the last: 26 at 1 % are 26 %."""
    contest = replace(duel(np.random.default_rng(1), 10_000, 0.02), day="2013-12-31")
    spent = tuple(Spent(str(week), f"2013-{1 + week // 4:02d}-{1 + 7 * (week % 4):02d}", 0.01) for week in range(26))
    assert judge(replace(contest, spent=spent[:25])).verdict == "promote"
    over = judge(replace(contest, spent=spent))
    assert over.verdict == "insufficient_evidence"
    assert over.sentence == (
        "Not promoted: the error budget of 26 % a year is spent by 26 challengers: the next one may be judged from "
        "2014-01-01 on."
    )
    superiority = next(gate for gate in over.gates if gate["gate"] == "superiority")
    assert superiority["passed"] is None
    assert "alpha" not in superiority, "what is not tested spends nothing"
    assert judge(replace(contest, spent=spent, limits=Gates(alpha_per_year=0.3))).verdict == "promote"


def test_nobody_keeps_a_budget_of_a_first_model_or_of_two_files() -> None:
    contest = duel(np.random.default_rng(1), 10_000, 0.02)
    assert "error_budget" not in [gate["gate"] for gate in judge(contest).gates]
    first = replace(contest, champion=None, champion_train_until="", day="2013-07-01", baseline=contest.champion)
    assert "error_budget" not in [gate["gate"] for gate in judge(first).gates]


def first(request: str, *, judged: bool = True, champion: str = "") -> GateReport:
    """Return a report of a first model, which chance was asked about if there were rows enough."""
    gates = ({"gate": "chance", "passed": None, "alpha": 0.01},) if judged else ({"gate": "sample", "passed": None},)
    partition = request.rsplit("-r", 1)[0]
    return GateReport("m", partition, "c", champion, 0, "s", request, "insufficient_evidence", gates, "")


def test_each_try_at_a_first_model_has_less_of_the_error_rate() -> None:
    reports = [
        first("2013-02-r1"),
        first("2013-03-r1"),
        first("2013-03-r2"),
        first("2013-04-r1", judged=False),
        first("2013-05-r1", champion="x"),
        first("2013-06-r1"),
    ]
    tries = [tried_before(reports, Grain.MONTH, month, f"{month}-r1") for month in ("2013-02", "2013-03", "2013-06")]
    assert tries == [0, 2, 3]
    assert tried_before(reports, Grain.MONTH, "2014-02", "2014-02-r1") == 3, "a year after, the first is forgotten"
    contest = duel(np.random.default_rng(1), 10_000)
    cold = replace(contest, champion=None, chance=0.1)
    alphas = [chance(replace(cold, tried=tried))["alpha"] for tried in (0, 1, 3)]
    assert alphas == [0.01, 0.005, 0.0025]
    assert chance(replace(contest, tried=3))["alpha"] == 0.05, "a challenger has no tries"
