"""What a behavioural test changes, and what it demands of the predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from duels import duel, of_classes, regression

from incumbent.config import Behaviour, Gates
from incumbent.errors import ConfigError
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.behaviour import probe
from incumbent.evaluate.contest import Probe
from incumbent.evaluate.gates.behaviour import behaviour

pytestmark = pytest.mark.unit
ROWS = pa.table(
    {
        "sex": ["f", "m", None, "x"],
        "age": pa.array([20, 0, None, 41], pa.int64()),
        "weight": [1.5, float("nan"), None, 0.0],
        "member": [True, False, None, True],
    }
)


def asked(feature: str, change: dict[str, Any], **more: Any) -> Behaviour:
    return Behaviour.model_validate({"name": "test", "feature": feature, "change": change, "expect": "same", **more})


def seen(feature: str, change: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the values of the rows that a change reaches, before and after."""
    told: list[list[Any]] = []

    def predict(rows: pa.Table) -> np.ndarray:
        assert rows.column_names == ROWS.column_names
        told.append(rows[feature].to_pylist())
        return np.zeros(rows.num_rows)

    probe(asked(feature, change), ROWS, predict)
    return (told[0], told[1]) if told else ([], [])


@pytest.mark.parametrize(
    ("feature", "change", "before", "after"),
    [
        ("sex", {"swap": ["f", "m"]}, ["f", "m"], ["m", "f"]),
        ("sex", {"set": "f"}, ["m", "x"], ["f", "f"]),
        ("age", {"add": 5}, [20, 0, 41], [25, 5, 46]),
        ("age", {"multiply": 1.1}, [20, 41], [22, 45]),
        ("age", {"set": 20}, [0, 41], [20, 20]),
        ("weight", {"multiply": 2}, [1.5], [3.0]),
        ("member", {"swap": [True, False]}, [True, False, True], [False, True, False]),
        ("sex", {"set": "zz"}, ["f", "m", "x"], ["zz", "zz", "zz"]),
        ("age", {"swap": [1, 2]}, [], []),
    ],
)
def test_a_change_reaches_the_rows_that_it_changes(
    feature: str, change: dict[str, Any], before: list[Any], after: list[Any]
) -> None:
    assert seen(feature, change) == (before, after)


@pytest.mark.parametrize(("feature", "change"), [("sex", {"add": 1}), ("age", {"set": "old"}), ("sex", {"set": 3})])
def test_a_change_of_another_type_is_named(feature: str, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"gates\.behaviour, test"):
        seen(feature, change)


def judged(contest: Contest, moved: np.ndarray | float, **more: Any) -> dict[str, Any]:
    limits = Gates(behaviour=(asked("x", {"add": 1}, **more),))
    tried = Probe(contest.challenger, contest.challenger + moved)
    return behaviour(replace(contest, limits=limits, probes={"test": tried}))


def test_enough_rows_must_be_predicted_as_expected() -> None:
    contest = duel(np.random.default_rng(1), 1000)
    half = np.where(np.arange(1000) < 940, 0.0, 0.05)
    assert judged(contest, half)["passed"] is False
    assert judged(contest, half, share=0.94)["passed"] is True
    assert judged(contest, half, tolerance=0.051)["passed"] is True
    assert judged(contest, half, expect="not_less")["passed"] is True
    assert judged(contest, half, expect="not_more")["passed"] is False
    assert judged(contest, -half, expect="not_less")["passed"] is False
    assert judged(contest, np.nan)["passed"] is False
    said = judged(contest, half)["sentence"]
    assert said == "test: 94 % of 1,000 rows are predicted the same; 95 % are needed"


def test_a_tolerance_of_a_regression_is_a_share_of_the_mean_size_of_a_label() -> None:
    contest = regression(np.random.default_rng(1))
    size = float(np.abs(contest.labels).mean())
    assert judged(contest, 0.0099 * size)["passed"] is True
    assert judged(contest, 0.0101 * size)["passed"] is False


def test_of_several_classes_no_probability_may_move() -> None:
    contest = of_classes(np.random.default_rng(1))
    moved = np.zeros_like(contest.challenger)
    assert judged(contest, moved)["passed"] is True
    moved[:, 2] = -0.02
    assert judged(contest, moved)["passed"] is False


def test_a_test_that_changes_no_row_says_nothing() -> None:
    limits = Gates(behaviour=(asked("x", {"add": 1}),))
    contest = replace(duel(np.random.default_rng(1), 10_000, 0.03), limits=limits)
    assert judge(contest).sentence == "Not promoted: test: no gate row is changed by it."
    none = replace(contest, probes={"test": Probe(np.empty(0), np.empty(0))})
    assert judge(none).verdict == "insufficient_evidence"
