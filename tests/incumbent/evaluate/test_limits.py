"""Floors and ceilings by their bound, size and time, and what errors cost: against formulas and against Monte Carlo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from duels import duel, of_classes, regression

from incumbent.config import Gates
from incumbent.errors import ConfigError
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.gates.bounds import ceilings, floors, measured
from incumbent.evaluate.gates.cost import cost, costs
from incumbent.evaluate.gates.resources import latency, size

pytestmark = pytest.mark.unit


def limited(contest: Contest, **limits: Any) -> Contest:
    return replace(contest, limits=Gates.model_validate(limits))


@pytest.mark.parametrize("name", ["auc", "logloss", "brier"])
def test_figures_of_a_binary_task_have_the_error_that_repetition_shows(name: str) -> None:
    """With days that share their luck: the error knows it."""
    rng = np.random.default_rng(4)
    contests = [duel(rng, 3000, days=30, luck=0.5) for _ in range(150)]
    found = [measured(each, name, each.challenger) for each in contests]
    assert np.mean([each.error for each in found]) == pytest.approx(np.std([each.estimate for each in found]), rel=0.2)


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_figures_of_a_regression_have_the_error_that_repetition_shows(name: str) -> None:
    rng = np.random.default_rng(4)
    contests = [regression(rng, 500, clusters=None, unit="rows") for _ in range(300)]
    found = [measured(each, name, each.challenger) for each in contests]
    truth = {"rmse": 9.0, "mae": 9 * np.sqrt(2 / np.pi), "r2": 1 - 81 / 900}[name]
    assert np.mean([each.estimate for each in found]) == pytest.approx(truth, rel=0.01)
    assert np.mean([each.error for each in found]) == pytest.approx(np.std([each.estimate for each in found]), rel=0.2)


@pytest.mark.parametrize(
    ("gate", "key", "name", "sign"),
    [(floors, "floors", "auc", 1), (ceilings, "ceilings", "logloss", -1), (ceilings, "ceilings", "brier", -1)],
)
def test_a_limit_is_kept_by_the_bound_and_not_by_the_estimate(gate: Any, key: str, name: str, sign: int) -> None:
    contest = duel(np.random.default_rng(1), 5000)
    found = measured(contest, name, contest.challenger)
    bound, other = found.lower(0.05), found.upper(0.05)
    bound, other = (bound, other) if sign > 0 else (other, bound)
    for limit, passed in (
        (bound - sign * 1e-9, True),
        (bound + sign * 1e-9, None),
        (found.estimate, None),
        (other + sign * 1e-9, False),
    ):
        assert gate(limited(contest, **{key: {name: limit}}))["passed"] is passed


def test_a_floor_is_asked_of_a_first_model_too_and_its_sentence_names_the_figure() -> None:
    contest = limited(duel(np.random.default_rng(1), 5000, 0.02, correlation=0.99), floors={"auc": 0.9})
    verdict = judge(contest)
    assert (verdict.verdict, verdict.gates[-1]["gate"]) == ("reject", "floors")
    assert verdict.sentence.startswith("Not promoted: auc 0.8")
    assert verdict.sentence.endswith(" with 95 % confidence; 0.9 is needed.")
    first = replace(contest, champion=None, baseline=np.full(5000, 0.1), chance=0.1)
    assert judge(first).gates[-1]["passed"] is False


def test_numbers_and_classes_have_limits_of_their_own() -> None:
    rng = np.random.default_rng(2)
    number, classes = regression(rng), of_classes(rng)
    assert floors(limited(number, floors={"r2": 0.8}))["passed"] is True
    assert ceilings(limited(number, ceilings={"rmse": 8, "mae": 100}))["passed"] is False
    assert floors(limited(classes, floors={"accuracy": 0.45}))["passed"] is True
    right = float((classes.challenger.argmax(axis=1) == classes.labels).mean())
    assert floors(limited(classes, floors={"accuracy": 0.99}))["figures"][0]["estimate"] == pytest.approx(right)
    assert ceilings(limited(classes, ceilings={"logloss": 0.5}))["passed"] is False
    level = limited(replace(number, labels=np.full(2000, 5.0)), floors={"r2": 0.1})
    assert floors(level)["sentence"] == "r2 of equal labels"


def test_a_model_may_need_so_much() -> None:
    contest = limited(duel(np.random.default_rng(1), 1000), max_megabytes=2, max_ms_per_1000_rows=5)
    assert size(replace(contest, megabytes=2.0))["passed"] is True
    assert size(replace(contest, megabytes=2.1))["sentence"] == "the file has 2.1 MB; 2 MB are allowed"
    assert size(contest)["passed"] is None
    fast, slow = (latency(replace(contest, ms_per_1000_rows=ms)) for ms in (4.4, 5.1))
    assert (fast["passed"], slow["passed"], latency(contest)["passed"]) == (True, False, None)
    assert slow["sentence"] == "1,000 rows take more than 5 ms"
    again = latency(replace(contest, ms_per_1000_rows=3.9))
    assert again == fast, "another time gives the same report"


def test_prices_of_errors_count_as_they_are() -> None:
    contest = limited(
        duel(np.random.default_rng(1), 1000), cost={"false_positive": 1, "false_negative": 10, "threshold": 0.3}
    )
    assert contest.limits.cost is not None
    chosen = contest.challenger >= 0.3
    expected = 1.0 * (chosen & (contest.labels < 0.5)) + 10.0 * (~chosen & (contest.labels > 0.5))
    np.testing.assert_array_equal(costs(contest, contest.limits.cost, contest.challenger), expected)
    sql = "CASE WHEN prediction >= 0.3 AND label = 0 THEN 1 WHEN prediction < 0.3 AND label = 1 THEN 10 ELSE 0 END"
    by_sql = limited(contest, cost={"sql": sql})
    assert cost(by_sql)["estimate"] == cost(contest)["estimate"]
    assert cost(by_sql)["candidate"] == pytest.approx(expected.mean())


def test_a_cost_may_rise_by_so_much_and_no_more() -> None:
    contest = duel(np.random.default_rng(1), 20_000, -0.05)
    found = cost(limited(contest, cost={"false_positive": 1, "false_negative": 5, "threshold": 0.2}))
    assert found["passed"] is False
    dear = {"false_positive": 1, "false_negative": 5, "threshold": 0.2, "max_increase": found["upper"] + 1e-9}
    assert cost(limited(contest, cost=dear))["passed"] is True
    open_ = dear | {"max_increase": found["estimate"]}
    assert cost(limited(contest, cost=open_))["passed"] is None
    same = limited(replace(contest, challenger=contest.champion), cost=dear | {"max_increase": 0})
    assert cost(same)["passed"] is True, "the same model costs the same"


def test_sql_prices_numbers_and_classes_by_their_names() -> None:
    rng = np.random.default_rng(2)
    number = limited(regression(rng), cost={"sql": "abs(prediction - label)"})
    assert cost(number)["candidate"] == pytest.approx(np.abs(number.challenger - number.labels).mean())
    classes = limited(of_classes(rng), cost={"sql": "CASE WHEN label = 'c' AND prediction <> 'c' THEN 7 ELSE 0 END"})
    missed = (classes.labels == 2) & (classes.challenger.argmax(axis=1) != 2)
    assert cost(classes)["candidate"] == pytest.approx(7 * missed.mean())


def test_a_cost_that_cannot_be_said_is_not_passed() -> None:
    contest = duel(np.random.default_rng(1), 1000)
    null = cost(limited(contest, cost={"sql": "CASE WHEN label = 0 THEN 1.0 END"}))
    assert null["passed"] is False
    assert null["sentence"] == f"{int(contest.labels.sum())} rows have no cost: NULL or NaN"
    for sql in ("prise * label", "sum(label)", "label); DROP TABLE rows; --"):
        with pytest.raises(ConfigError, match=r"gates\.cost\.sql"):
            cost(limited(contest, cost={"sql": sql}))
    first = replace(limited(contest, cost={"sql": "label"}), champion=None)
    assert (cost(first)["passed"], cost(first)["applies"]) == (True, False)
