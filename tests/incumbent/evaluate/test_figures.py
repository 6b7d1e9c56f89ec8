"""What is told of a candidate beside its verdict: calibration and importance on the gate rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Gates
from incumbent.evaluate import Contest
from incumbent.evaluate.figures import FEWEST, MOST_EXPLAINED, GateFigures, calibration, figures
from incumbent.records import ModelVersion

pytestmark = pytest.mark.unit
GOLDEN = Path(__file__).parents[2] / "golden" / "gate-figures-1.json"
ROWS = 4000


def version(digest: str, features: tuple[str, ...], estimator: str = "xgboost") -> ModelVersion:
    return ModelVersion(digest, "m", estimator, "binary", f"of {digest}", "", features, {}, {}, 1, 9, "2020", {})


def contest(rows: int = ROWS, too_high: float = 0.0) -> Contest:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.05, 0.7, rows)
    labels = (rng.random(rows) < chance).astype(float)
    days = np.arange(rows) * 20 // max(rows, 1)
    return Contest(
        task="binary", labels=labels, challenger=chance + too_high, champion=None, clusters=days, unit="days",
        train_rows=9, train_until="2020", gate_from="2020", limits=Gates(),
    )  # fmt: skip


def table(_: str) -> pa.Table:
    return pa.table({"row": np.arange(ROWS)})


def explaining(version: ModelVersion, rows: pa.Table) -> np.ndarray:
    """Each feature adds one less than the one before it, with a changing sign; the bias is large."""
    sign = np.where(np.asarray(rows["row"]) % 2, 1.0, -1.0)
    sizes = np.arange(len(version.features), 0, -1.0)
    return np.column_stack([*(sign * size for size in sizes), np.full(rows.num_rows, 100.0)])


def test_predictions_meet_the_truth_bin_by_bin() -> None:
    (found,) = calibration(contest())
    assert (found["class"], len(found["bins"])) == ("", 10)
    assert sum(each["rows"] for each in found["bins"]) == ROWS
    assert [each["predicted"] for each in found["bins"]] == sorted(each["predicted"] for each in found["bins"])
    assert max(abs(each["observed"] - each["predicted"]) / each["error"] for each in found["bins"]) < 4
    (high,) = calibration(contest(too_high=0.2))
    assert all(each["predicted"] - each["observed"] > 3 * each["error"] for each in high["bins"])


def test_a_bin_has_rows_enough_that_nobody_is_seen_in_it() -> None:
    (few,) = calibration(contest(rows=2 * FEWEST + 1))
    assert len(few["bins"]) == 2 and min(each["rows"] for each in few["bins"]) >= FEWEST
    (found,) = calibration(replace(contest(), challenger=np.full(ROWS, 0.25)))
    assert [each["rows"] for each in found["bins"]] == [ROWS]
    (rare,) = calibration(replace(contest(), challenger=np.where(np.arange(ROWS) < FEWEST - 1, 0.9, 0.25)))
    assert [each["rows"] for each in rare["bins"]] == [ROWS - FEWEST + 1]
    (one,) = calibration(replace(contest(rows=60), clusters=np.zeros(60, dtype=np.int64)))
    assert [each["error"] for each in one["bins"]] == [None]


def test_several_classes_are_each_a_curve() -> None:
    rng = np.random.default_rng(1)
    chances = rng.dirichlet([4, 3, 2], ROWS)
    labels = (rng.random((ROWS, 1)) > chances.cumsum(axis=1)).sum(axis=1).astype(float)
    of = replace(contest(), task="multiclass", classes=("a", "b", "c"), labels=labels, challenger=chances)
    found = calibration(of)
    assert [each["class"] for each in found] == ["a", "b", "c"]
    assert found[0]["bins"][-1]["predicted"] == pytest.approx(np.sort(chances[:, 0])[-400:].mean(), rel=0.02)


def test_both_contenders_are_explained_on_the_same_rows() -> None:
    seen = []

    def watched(version: ModelVersion, rows: pa.Table) -> np.ndarray:
        seen.append(rows["row"].to_pylist())
        return explaining(version, rows)

    found = figures(contest(), version("new", ("x", "y")), version("old", ("x",)), table, watched)
    assert (found.candidate, found.champion, found.explained) == ("new", "old", MOST_EXPLAINED)
    assert (found.importance, found.champion_importance) == ({"x": 2.0, "y": 1.0}, {"x": 1.0})
    figures(contest(), version("new", ("x", "y")), None, table, watched)
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == MOST_EXPLAINED


def test_what_cannot_be_said_is_said() -> None:
    new = version("new", ("x",))
    assert figures(contest(), new, None, table, None).not_explained == "nobody was asked for it"
    other = figures(contest(), version("new", ("x",), "onnx"), None, table, explaining)
    assert "estimator onnx" in other.not_explained and len(other.calibration) == 1
    nan = figures(replace(contest(), challenger=np.full(ROWS, np.nan)), new, None, table, explaining)
    none = figures(contest(rows=0), new, None, table, explaining)
    assert {(each.calibration, each.not_explained) for each in (nan, none)} == {
        ((), "there are no gate rows that can be judged")
    }


def test_the_record_is_golden() -> None:
    stored = json.loads(GOLDEN.read_text())
    assert GateFigures.from_json(stored).to_json() == stored
    found = figures(contest(400), version("new", ("x", "y")), version("old", ("x",)), table, explaining)
    assert {**found.to_json(), "calibration": 0} == {**stored, "calibration": 0}
