"""Which of two models is better on the same rows: four answers, and no answer about other rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.incumbent.alone.tables import class_predictions, predictions, with_column

import incumbent
from incumbent.alone.compare import compare
from incumbent.errors import PipelineError
from incumbent.evaluate.words import about
from incumbent.stats import paired_auc_difference

pytestmark = pytest.mark.unit
GOOD, BAD = predictions(), predictions(noise=1.0)
ASKED: dict[str, Any] = {"key": "id", "label": "y"}


def refused(a: Any, b: Any, **asked: Any) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        compare(a, b, **ASKED | asked)
    return caught.value


def test_the_better_model_is_found_from_either_side() -> None:
    found, swapped = compare(BAD, GOOD, **ASKED), compare(GOOD, BAD, **ASKED)
    assert (found.verdict, swapped.verdict) == ("B is better", "A is better")
    assert (found.passed, swapped.passed) == (True, False)
    assert found.difference and swapped.difference
    assert found.difference["estimate"] == pytest.approx(-swapped.difference["estimate"])
    assert found.difference["lower"] == pytest.approx(-swapped.difference["upper"])
    assert found.sentence.startswith("B is better: AUC +0.0")
    assert (found.rows, found.positives, found.metric) == (3000, pc.sum(GOOD["y"]).as_py(), "AUC")


def test_the_numbers_are_those_of_the_gates() -> None:
    found = compare(BAD, GOOD, **ASKED, cluster="day")
    labels, good, bad, day = (GOOD["y"].to_numpy(), GOOD["score"].to_numpy(), BAD["score"].to_numpy(), GOOD["day"])
    expected = paired_auc_difference(labels, good, bad, day.to_numpy())
    assert found.difference
    assert found.difference["estimate"] == pytest.approx(expected.estimate)
    assert found.difference["lower"] == pytest.approx(expected.lower(0.01))
    assert (found.clusters, found.unit) == (30, "clusters")


def test_equal_models_make_no_difference_that_matters() -> None:
    rows = 60_000
    one, other = (predictions(rows, noise=0.1, draw=draw) for draw in (1, 2))
    found = compare(one, other, **ASKED)
    assert found.difference and abs(found.difference["estimate"]) < 0.001
    assert found.verdict == "no difference that matters"
    assert not found.passed
    assert compare(one, one, **ASKED).verdict == "no difference that matters"


def test_few_rows_say_nothing_and_how_many_would() -> None:
    one, other = {"noise": 0.7, "draw": 1}, {"noise": 0.5, "draw": 2}
    found = compare(predictions(1500, **one), predictions(1500, **other), **ASKED)
    assert found.verdict == "not enough rows to say"
    assert found.more_rows and found.more_rows > 500
    assert found.difference
    expected = (
        f"; if the true difference is {found.difference['estimate']:+.4f}, about {about(found.more_rows)} more labelled"
    )
    assert f"{expected} rows would show it" in found.sentence
    more = 1500 + 2 * found.more_rows
    assert compare(predictions(more, **one), predictions(more, **other), **ASKED).verdict == "B is better"


def test_an_interval_with_differences_that_matter_is_said_to_be_wide_and_not_settled() -> None:
    found = compare(*(predictions(1500, noise=0.5, draw=draw) for draw in (1, 7)), **ASKED)
    assert found.difference and found.difference["estimate"] == pytest.approx(found.min_improvement, abs=0.0005)
    assert found.difference["upper"] > 10 * found.min_improvement
    assert (found.verdict, found.more_rows) == ("not enough rows to say", None)
    width = found.difference["upper"] - found.difference["lower"]
    assert f"; the interval is {width:.4f} wide and has differences that matter: four times as many" in found.sentence
    assert "hardly" not in found.sentence


def test_too_few_rows_of_a_class_say_nothing_whatever_the_difference() -> None:
    terrible = predictions(noise=5.0)
    assert compare(terrible, GOOD, **ASKED).verdict == "B is better"
    found = compare(terrible.slice(0, 500), GOOD.slice(0, 500), **ASKED)
    assert found.difference and found.difference["lower"] > 0
    assert found.verdict == "not enough rows to say"
    assert "rows of the rarer class of the 200 needed" in found.sentence
    assert found.more_rows is None


def test_luck_that_days_share_is_no_evidence() -> None:
    one, other = (predictions(6000, days=12, luck=0.8, draw=draw) for draw in (1, 2))
    alone, together = compare(one, other, **ASKED), compare(one, other, **ASKED, cluster="day")
    assert alone.difference and together.difference
    assert together.difference["error"] > 2 * alone.difference["error"]
    assert (alone.verdict, together.verdict) == ("A is better", "not enough rows to say")
    assert any("name that with --cluster" in note for note in alone.notes)
    assert not together.notes


def test_equal_challengers_are_hardly_ever_better() -> None:
    verdicts = [
        compare(*(predictions(1500, 0.5, seed, draw) for draw in (1, 2)), **ASKED).verdict for seed in range(100, 200)
    ]
    assert verdicts.count("B is better") <= 4, "1 in 100 at most, and by luck a few"


def test_a_regression_and_several_classes_are_found_out() -> None:
    world = np.random.default_rng(2)
    truth = world.normal(size=2000)
    one, other = ({"id": range(2000), "prediction": truth + size * world.normal(size=2000)} for size in (1.0, 0.9))
    found = compare(pa.table(one), pa.table({**other, "y": truth}), **ASKED)
    assert (found.task, found.metric, found.verdict) == ("regression", "squared error", "B is better")
    assert found.difference and 0.1 < found.difference["estimate"] < 0.3
    classes = compare(class_predictions(noise=0.7), class_predictions(), **ASKED)
    assert (classes.task, classes.metric, classes.verdict) == ("multiclass", "log loss", "B is better")
    assert set(classes.b["misses"]) == {"early", "late", "lost"}


def test_a_model_without_any_error_is_better_and_another_is_not() -> None:
    truth = pa.table({"id": range(400), "y": np.arange(400) / 7, "score": np.arange(400) / 7})
    off = with_column(truth, "score", np.arange(400) / 7 + 0.1)
    assert compare(truth, off, **ASKED).verdict == "A is better"
    assert compare(off, truth, **ASKED).verdict == "B is better"
    assert compare(truth, truth, **ASKED).verdict == "no difference that matters"


def test_one_file_may_have_both_predictions() -> None:
    both = BAD.append_column("challenger", GOOD["score"])
    found = compare(both, label="y", score="score", score_b="challenger")
    assert found.difference == compare(BAD, GOOD, **ASKED).difference
    assert (found.a["column"], found.b["column"]) == ("score", "challenger")
    with pytest.raises(PipelineError, match="one file needs two score columns"):
        compare(both, label="y")


def test_neither_order_nor_format_nor_library_matters(tmp_path: Path) -> None:
    expected = compare(BAD, GOOD, **ASKED, cluster="day")
    shuffled = GOOD.take(np.random.default_rng(3).permutation(3000)).drop_columns(["y", "day"])
    assert compare(BAD, shuffled, **ASKED, cluster="day").difference == expected.difference
    pq.write_table(BAD, tmp_path / "a.parquet")
    pacsv.write_csv(shuffled, tmp_path / "b.csv")
    found = compare(tmp_path / "a.parquet", str(tmp_path / "b.csv"), **ASKED, cluster="day")
    assert found.difference == pytest.approx(expected.difference)
    frames = compare(BAD.to_pandas(), shuffled.to_pandas().sample(frac=1, random_state=1), **ASKED, cluster=["day"])
    assert frames.difference == pytest.approx(expected.difference)
    packed = with_column(shuffled, "id", shuffled["id"].cast(pa.int32()))
    assert incumbent.compare(BAD, packed, **ASKED, cluster="day").difference == expected.difference


def test_harm_to_a_part_speaks_against_a_better_model() -> None:
    rows = 12_000
    bad, good = predictions(rows, noise=1.5), predictions(rows, noise=0.0)
    west = np.array(good["region"].to_pylist()) == "west"
    reversed_there = np.where(west, 1 - bad["score"].to_numpy(), good["score"].to_numpy())
    worse = predictions(rows, noise=6.0)
    mixed = with_column(worse, "score", np.where(west, bad["score"].to_numpy(), worse["score"].to_numpy()))
    found = compare(mixed, with_column(good, "score", reversed_there), **ASKED, slices="region")
    assert found.verdict == "B is better"
    assert {each["value"]: each["is_worse"] for each in found.slices} == {"east": False, "north": False, "west": True}
    assert "worse where region is west" in found.objections
    assert not found.passed
    assert "; but " in found.sentence
    hidden = compare(mixed, with_column(good, "score", reversed_there), **ASKED, slices="region", sensitive="region")
    assert "west" not in str(hidden.to_json())


def test_a_slice_with_few_rows_says_nothing() -> None:
    named = with_column(BAD, "region", ["rare"] * 20 + ["common"] * 2980)
    found = compare(named, GOOD.drop_columns(["region"]), **ASKED, slices=["region"])
    assert [(each["value"], each["rows"], "estimate" in each) for each in found.slices] == [
        ("common", 2980, True),
        ("rare", 20, False),
    ]


def test_scores_that_only_rank_are_compared_by_rank_alone() -> None:
    margins = [with_column(each, "score", 10 * each["score"].to_numpy()) for each in (BAD, GOOD)]
    found = compare(*margins, **ASKED)
    assert (found.verdict, found.objections) == ("B is better", ())
    assert "loss" not in found.b
    assert any("only how they rank" in note for note in found.notes)


def test_a_better_ranking_of_probabilities_that_are_off_is_said_to_be() -> None:
    off = with_column(GOOD, "score", GOOD["score"].to_numpy() ** 3)
    found = compare(BAD, off, **ASKED)
    assert found.verdict == "B is better"
    assert any("the mean prediction misses by" in said for said in found.objections)


def test_rows_without_a_label_do_not_count() -> None:
    gone = [None if at < 500 else value for at, value in enumerate(BAD["y"].to_pylist())]
    found = compare(with_column(BAD, "y", gone), GOOD.drop_columns(["y"]), **ASKED)
    assert (found.rows, found.unlabelled) == (2500, 500)
    nan = [np.nan if value is None else float(value) for value in gone]
    assert compare(with_column(BAD, "y", nan), GOOD.drop_columns(["y"]), **ASKED).difference == found.difference


@pytest.mark.parametrize(
    ("what", "where", "a", "b"),
    [
        ("a column is not in the table", "A: id", BAD.drop_columns(["id"]), GOOD),
        ("a column is in neither table", "A, B: y", BAD.drop_columns(["y"]), GOOD.drop_columns(["y"])),
        ("no score column", "B", BAD, GOOD.drop_columns(["score"])),
        ("the table is empty", "B", BAD, GOOD.slice(0, 0)),
        ("the files have other rows", "A: id", BAD, GOOD.slice(0, 2990)),
        ("the files have other rows", "B: id", BAD.slice(10), GOOD),
        ("a key occurs more than once", "B: id", BAD, pa.concat_tables([GOOD, GOOD.slice(0, 3)])),
        ("a key is missing", "A: id", with_column(BAD, "id", [None, *range(1, 3000)]), GOOD),
        ("the keys are of other types", "B: id", BAD, with_column(GOOD, "id", [f"r{at}" for at in range(3000)])),
        ("the files have other labels", "B: y", BAD, with_column(GOOD, "y", 1 - GOOD["y"].to_numpy())),
        ("a score is not a finite number", "B", BAD, with_column(GOOD, "score", [np.nan] + [0.5] * 2999)),
        ("a score is not a finite number", "A", with_column(BAD, "score", [None] + [0.5] * 2999), GOOD),
        ("the scores are no numbers", "B", BAD, with_column(GOOD, "score", ["high"] * 3000)),
        ("all labels are the same", "A: y", with_column(BAD, "y", [1] * 3000), GOOD.drop_columns(["y"])),
        ("no row has a label", "A: y", with_column(BAD, "y", pa.nulls(3000, pa.int64())), GOOD.drop_columns(["y"])),
        (
            "nothing says which label is 1",
            "A: y",
            with_column(BAD, "y", ["late", "early"] * 1500),
            GOOD.drop_columns(["y"]),
        ),
        ("the task cannot be told from the labels", "A: y", with_column(BAD, "y", ["a", "b", "c"] * 1000), GOOD),
        ("this is no table", "B", BAD, {"id": [1]}),
    ],
)
def test_what_cannot_be_compared_is_an_error_that_says_where(what: str, where: str, a: Any, b: Any) -> None:
    error = refused(a, b)
    assert (error.what, error.where) == (what, where)
    assert error.next_step


def test_more_that_cannot_be_compared() -> None:
    assert refused(BAD, GOOD, key=()).what == "two files need a key to be compared"
    assert refused(BAD, GOOD, alpha=0.0).what == "these limits say nothing"
    assert refused(BAD, GOOD, score="margin").where == "A: margin"
    assert refused(class_predictions(), with_sum(2.0)).what == "the scores of the classes are no probabilities"
    assert refused(with_column(BAD, "y", [2] * 3000), GOOD, task="binary").what == "the files have other labels"
    twos = with_column(BAD, "y", [2, 1] * 1500)
    assert refused(twos, GOOD.drop_columns(["y"]), task="binary").what == "labels are neither 0 nor 1"
    assert refused(Path("nothing.parquet"), GOOD).what == "the table cannot be read"
    assert refused(Path("table.xlsx"), GOOD).what == "the table's format is not known"


def with_sum(total: float) -> pa.Table:
    rows = class_predictions()
    return with_column(rows, "probability_late", total * rows["probability_late"].to_numpy())


def test_a_key_that_nobody_is_shown_is_in_no_message() -> None:
    shown, hidden = refused(BAD, GOOD.slice(0, 2990)), refused(BAD, GOOD.slice(0, 2990), sensitive="id")
    assert shown.examples[:2] == ("2990", "2991")
    assert hidden.examples == ("***",)


def test_a_column_that_neither_file_has_is_looked_for_in_both() -> None:
    error = refused(BAD.drop_columns(["day"]), GOOD.select(["id", "score"]), label="yy")
    assert error.expected == "in A one of id, region, y, score; in B one of id, score"
    assert refused(BAD, GOOD.select(["id", "score"]), cluster="days").where == "A, B: days"


@pytest.mark.parametrize("words", [("no", "yes"), ("No ", " YES"), ("f", "t"), ("0", "1"), (False, True)])
def test_labels_that_say_yes_and_no_are_as_good_as_numbers(words: tuple[Any, Any]) -> None:
    said = with_column(BAD, "y", [words[value] for value in BAD["y"].to_pylist()])
    expected, others = compare(BAD, GOOD, **ASKED), GOOD.drop_columns(["y"])
    assert compare(said, others, **ASKED) == compare(said, others, **ASKED, task="binary") == expected


def test_two_texts_of_which_nobody_knows_which_is_one_are_refused_with_what_to_do() -> None:
    said = with_column(BAD, "y", [("early", "late")[value] for value in BAD["y"].to_pylist()])
    for asked in ({}, {"task": "binary"}):
        error = refused(said, GOOD.drop_columns(["y"]), **asked)
        assert "late" in str(error.found) and "--task" not in error.next_step
        assert "write the label as 1" in error.next_step
    assert "late" not in str(refused(said, GOOD.drop_columns(["y"]), sensitive="y"))


def test_an_interval_of_two_clusters_is_not_said_nor_a_difference_that_cannot_be() -> None:
    two = compare(BAD, with_column(GOOD, "day", GOOD["id"].to_numpy() % 2), **ASKED, cluster="day", slices="region")
    assert two.clusters == 30, "the day of A counts"
    halves = with_column(BAD, "day", BAD["id"].to_numpy() % 2)
    two = compare(halves, GOOD.drop_columns(["day"]), **ASKED, cluster="day", slices="region")
    assert (two.verdict, two.clusters, two.detectable) == ("not enough rows to say", 2, None)
    assert "interval" not in two.sentence and "2 clusters of the 5 needed" in two.sentence
    assert [each for each in two.slices if "lower" in each] == []
    assert compare(GOOD, GOOD, **ASKED).detectable is None, "of the same predictions"
    assert compare(BAD, GOOD, **ASKED).detectable
