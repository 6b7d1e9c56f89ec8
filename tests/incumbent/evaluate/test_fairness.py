"""Gaps between groups, with an error that knows that groups share their days."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from duels import duel, groups, of_classes, regression

from incumbent.config import Gates
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.gates.fairness import fairness

pytestmark = pytest.mark.unit


def asked(contest: Contest, codes: np.ndarray, measure: str = "selection_rate", **more: Any) -> dict[str, Any]:
    limits = {"column": "sex", "measure": measure, "max_gap": 0.05, **more}
    contest = replace(contest, limits=Gates.model_validate({"fairness": [limits]}))
    return fairness(replace(contest, groups={"sex": groups("sex", codes)}))


def two(rng: np.random.Generator, rows: int = 8000, **more: Any) -> tuple[Contest, np.ndarray]:
    return duel(rng, rows, **more), rng.integers(0, 2, rows)


def test_each_measure_is_the_mean_that_its_name_says() -> None:
    contest, codes = two(np.random.default_rng(1))
    chosen, true = contest.challenger >= 0.2, contest.labels > 0.5
    expected = {
        "selection_rate": [chosen[codes == at].mean() for at in (0, 1)],
        "true_positive_rate": [chosen[(codes == at) & true].mean() for at in (0, 1)],
        "error": [(chosen != true)[codes == at].mean() for at in (0, 1)],
        "calibration": [(contest.challenger - contest.labels)[codes == at].mean() for at in (0, 1)],
    }
    for measure, values in expected.items():
        (found,) = asked(contest, codes, measure, threshold=0.2)["measures"]
        assert [row["value"] for row in found["groups"]] == pytest.approx(values)
        assert found["gap"] == pytest.approx(abs(values[0] - values[1]))


@pytest.mark.parametrize("days", [0, 20])
def test_the_error_of_a_gap_is_what_repetition_shows(days: int) -> None:
    rng = np.random.default_rng(2)
    gaps, errors = [], []
    for _ in range(150):
        contest, _ = two(rng, 2000, days=days)
        # A whole day is often of one group: what its rows share is then between the groups.
        codes = np.repeat(rng.integers(0, 2, 20), 100) if days else rng.integers(0, 2, 2000)
        day = np.repeat(rng.normal(0, 0.8 if days else 0.0, 20), 100)
        odds = np.log(contest.challenger / (1 - contest.challenger)) + day
        contest = replace(contest, challenger=1 / (1 + np.exp(-odds)))
        if 3 <= codes[::100].sum() <= 17:
            (found,) = asked(contest, codes, threshold=0.2)["measures"]
            first, second = (row["value"] for row in found["groups"])
            gaps.append(first - second)
            errors.append(found["error"])
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.2)


def test_a_gap_is_allowed_refused_or_open_by_its_bounds() -> None:
    contest, codes = two(np.random.default_rng(1))
    odds = np.log(contest.challenger / (1 - contest.challenger)) + 0.5 * codes
    contest = replace(contest, challenger=1 / (1 + np.exp(-odds)))
    found = asked(contest, codes, threshold=0.2)
    (one,) = found["measures"]
    assert found["passed"] is False
    assert one["least"] > 0.05
    assert one["between"] == ["a", "b"]
    assert found["sentence"].startswith("selection rate by sex: a and b differ by ")
    assert found["sentence"].endswith(" with 95 % confidence; 5 % is allowed")
    assert asked(contest, codes, threshold=0.2, max_gap=one["most"] + 1e-9)["passed"] is True
    assert asked(contest, codes, threshold=0.2, max_gap=one["gap"])["passed"] is None


def test_small_groups_are_told_and_not_judged() -> None:
    contest, codes = two(np.random.default_rng(1))
    codes[:50] = 2
    found = asked(contest, codes, threshold=0.2)
    assert found["passed"] is True
    assert found["measures"][0]["not_judged"] == ["c"]
    assert found["sentence"].endswith("; too few rows: c")
    alone = asked(contest, np.zeros(8000, dtype=np.int64))
    assert alone["passed"] is None
    assert alone["sentence"] == "selection rate by sex: fewer than two groups have 100 rows that count"


def test_a_column_that_nobody_looked_at_passes_nothing() -> None:
    limits = {"column": "sex", "measure": "error", "max_gap": 0.05}
    contest = duel(np.random.default_rng(1), 10_000, 0.03)
    verdict = judge(replace(contest, limits=Gates.model_validate({"fairness": [limits]})))
    assert verdict.verdict == "insufficient_evidence"
    assert verdict.sentence == "Not promoted: error by sex: nobody looked at the column."


def test_numbers_and_classes_have_gaps_too() -> None:
    rng = np.random.default_rng(1)
    number, classes = regression(rng), of_classes(rng)
    codes = rng.integers(0, 2, 2000)
    far = replace(number, challenger=number.challenger + 20.0 * codes)
    assert asked(far, codes, "calibration", max_gap=10)["passed"] is False
    assert asked(number, codes, "calibration", max_gap=10)["passed"] is True
    (found,) = asked(number, codes, "error", max_gap=10)["measures"]
    assert found["groups"][0]["value"] == pytest.approx(np.abs(number.challenger - number.labels)[codes == 0].mean())
    codes = rng.integers(0, 2, 3000)
    wrong = classes.challenger.argmax(axis=1) != classes.labels
    (found,) = asked(classes, codes, "error")["measures"]
    assert found["groups"][1]["value"] == pytest.approx(wrong[codes == 1].mean())
