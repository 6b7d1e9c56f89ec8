"""Whether a table has drifted: faults apart from shapes, and what good data do among themselves is no drift."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.incumbent.alone.tables import features, with_column

import incumbent
from incumbent.alone.drift import drift
from incumbent.errors import PipelineError

pytestmark = pytest.mark.unit
REFERENCE = features()
QUIET: dict[str, Any] = {"ignore": "day"}


def test_more_of_the_same_is_no_drift() -> None:
    found = drift(REFERENCE, features(1000, seed=2), **QUIET)
    assert (found.verdict, found.passed, found.moved, found.faults) == ("no drift", True, (), ())
    assert found.columns == ("x0", "x1", "x2", "x3", "price", "shop")
    assert (found.rows, found.reference_rows, found.parts) == (1000, 4000, 40)
    assert found.notes == ("id is not judged: each value is another one, as of a key",)


def test_false_alarms_are_rare() -> None:
    verdicts = [drift(features(seed=seed), features(500, seed=seed + 1000), **QUIET).verdict for seed in range(30)]
    assert verdicts.count("no drift") >= 29


def test_what_moved_is_named_with_by_how_much() -> None:
    moved = with_column(features(1000, seed=2, x1=1.0), "shop", ["c"] * 600 + ["a"] * 400)
    found = drift(REFERENCE, moved, **QUIET)
    assert (found.verdict, found.passed) == ("drift", False)
    assert {each["column"] for each in found.moved} == {"x1", "shop"}
    said = {each["column"]: each["says"] for each in found.moved}
    assert said["shop"] == f"c {share(REFERENCE, 'c')} to 60.0%"
    assert said["x1"].startswith("median ") and float(said["x1"].split()[-1]) > 0.8
    assert all(each["effect"] > 0.1 and each["p"] < each["alpha"] for each in found.moved)
    assert found.sentence.startswith("drift: 2 of 6 columns moved: ")
    hidden = drift(REFERENCE, moved, **QUIET, sensitive=["shop"])
    assert {each["column"]: each["says"] for each in hidden.moved}["shop"] == ""


def share(rows: pa.Table, shop: str) -> str:
    return f"{rows['shop'].to_pylist().count(shop) / rows.num_rows:.1%}"


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (lambda rows: with_column(rows, "price", rows["price"].to_numpy() * 1000), "unit"),
        (lambda rows: with_column(rows, "x0", [None] * 500 + rows["x0"].to_pylist()[500:]), "nulls"),
        (lambda rows: with_column(rows, "x0", rows["shop"].to_pylist()), "type"),
        (lambda rows: with_column(rows, "shop", ["?"] * 300 + rows["shop"].to_pylist()[300:]), "unseen"),
        (lambda rows: rows.drop_columns(["shop"]), "missing"),
    ],
)
def test_a_fault_is_no_drift_but_bad_data(broken: Any, test: str) -> None:
    found = drift(REFERENCE, broken(features(1000, seed=2)), **QUIET)
    assert (found.verdict, found.passed) == ("bad data", False)
    assert test in {fault["test"] for fault in found.faults}
    assert found.sentence.startswith("bad data: ")


def test_what_good_days_do_among_themselves_is_no_drift() -> None:
    wobbling, other = features(seed=5, wobble=0.5), features(600, seed=6, x0=0.6, x1=-0.6)
    still = features(seed=5)
    assert drift(still, other, **QUIET).verdict == "drift"
    assert drift(wobbling, other, **QUIET).verdict == "no drift"
    shuffled = wobbling.take(np.random.default_rng(1).permutation(4000))
    assert drift(shuffled, other, ignore="day").moved != drift(shuffled, other, time="day").moved
    assert drift(shuffled, other, time="day").verdict == "no drift", "the time brings the days back"


def test_a_score_counts_as_much_as_all_columns_together() -> None:
    before = REFERENCE.append_column("score", pa.array(1 / (1 + np.exp(-REFERENCE["x0"].to_numpy()))))
    now = features(1000, seed=2)
    after = now.append_column("score", pa.array(1 / (1 + np.exp(-now["x0"].to_numpy() - 1))))
    found = drift(before, after, **QUIET, score="score")
    assert found.verdict == "drift"
    assert [(each["column"], each["importance"]) for each in found.moved] == [("score", None)]


def test_without_a_score_the_columns_have_its_half_of_the_error_rate() -> None:
    still = [
        rows.append_column("score", pa.array([0.5] * rows.num_rows))
        for rows in (REFERENCE, features(1000, seed=2, x1=1.0))
    ]
    with_score, without = drift(*still, **QUIET, score="score"), drift(*still, ignore=["day", "score"])
    (one,), (other,) = with_score.moved, without.moved
    assert (one["column"], other["column"]) == ("x1", "x1")
    assert other["alpha"] == pytest.approx(2 * one["alpha"])


def test_importance_comes_from_a_person_a_file_or_a_small_model(tmp_path: Path) -> None:
    now = features(1000, seed=2, x1=1.0)
    shares = {"x0": 1.0, "x1": 3.0}
    (tmp_path / "importance.json").write_text(json.dumps(shares))
    for given in (shares, tmp_path / "importance.json"):
        found = drift(REFERENCE, now, **QUIET, importance=given)
        assert [(each["column"], each["importance"]) for each in found.moved] == [("x1", 0.75)]
    target = REFERENCE.append_column("y", pa.array((REFERENCE["x1"].to_numpy() > 0).astype(int)))
    (moved,) = drift(target, now, **QUIET, target="y").moved
    assert moved["importance"] > 0.9
    texts = with_column(target, "y", np.where(target["x1"].to_numpy() > 0, "yes", "no").tolist())
    assert drift(texts, now, **QUIET, target="y").moved[0]["importance"] > 0.9


def test_columns_that_nobody_can_judge_are_said_to_be(tmp_path: Path) -> None:
    now = features(1000, seed=2).append_column("new", pa.array(range(1000)))
    before = REFERENCE.append_column("at", pa.array([0] * 4000, pa.timestamp("us")))
    found = drift(before, now.append_column("at", pa.array([0] * 1000, pa.timestamp("us"))), **QUIET)
    assert found.verdict == "no drift"
    assert "new is not judged: the reference has no such column" in found.notes
    assert "at is not judged: timestamp[us] is no text and no number" in found.notes


def test_neither_format_nor_library_matters(tmp_path: Path) -> None:
    now = features(1000, seed=2, x1=1.0)
    expected = drift(REFERENCE, now, **QUIET)
    pq.write_table(REFERENCE, tmp_path / "before.parquet")
    pacsv.write_csv(now, tmp_path / "after.csv")
    found = drift(tmp_path / "before.parquet", str(tmp_path / "after.csv"), **QUIET)
    assert found.moved == expected.moved
    packed = with_column(REFERENCE, "shop", REFERENCE["shop"].to_pylist())
    packed = packed.set_column(7, "shop", packed["shop"].combine_chunks().dictionary_encode())
    assert incumbent.drift(packed, now.to_pandas(), **QUIET).moved == expected.moved


def test_too_little_is_said_to_be_too_little() -> None:
    assert drift(REFERENCE, features(20, seed=2), **QUIET).verdict == "not enough data"
    few = drift(REFERENCE.slice(0, 150), features(1000, seed=2), **QUIET)
    assert few.verdict == "not enough data"
    assert "150 rows of reference of the 200 needed" in few.sentence
    assert not few.passed
    nothing = drift(REFERENCE, features(1000, seed=2), ignore=REFERENCE.column_names)
    assert nothing.verdict == "not enough data"


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"score": "margin"}, "the reference: margin"),
        ({"time": "at"}, "the reference: at"),
        ({"target": "y"}, "the reference: y"),
        ({"importance": {"x0": -1.0}}, "--importance"),
        ({"importance": "nothing.json"}, "--importance"),
        ({"importance": {"x0": 1.0}, "target": "x0"}, "--importance"),
        ({"alpha": 1.0}, "--alpha"),
    ],
)
def test_wrong_usage_is_an_error_that_says_where(asked: dict[str, Any], where: str) -> None:
    with pytest.raises(PipelineError) as caught:
        drift(REFERENCE, features(1000, seed=2), **asked)
    assert caught.value.where == where


def test_a_target_that_nothing_can_be_fitted_to_is_an_error() -> None:
    with pytest.raises(PipelineError, match="no model can be fitted"):
        drift(REFERENCE.append_column("y", pa.array([1] * 4000)), features(1000, seed=2), target="y")
    with pytest.raises(PipelineError, match="the table is empty"):
        drift(REFERENCE, features(1000, seed=2).slice(0, 0))


def test_a_column_of_another_type_in_the_batch_is_said_to_be_of_both() -> None:
    days = pa.array([date(2020, 1, 1)] * 4000)
    one, other = (
        features().append_column("at", days),
        features(1000, seed=2).append_column("at", pa.array(["1/1"] * 1000)),
    )
    (note,) = [note for note in drift(one, other).notes if note.startswith("at ")]
    assert note == "at is not judged: it is date32[day] in the reference and string in the batch; write both alike"
    (note,) = [note for note in drift(one, one).notes if note.startswith("at ")]
    assert note == "at is not judged: date32[day] is no text and no number"
