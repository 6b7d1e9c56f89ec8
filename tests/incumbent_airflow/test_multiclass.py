"""The loop with three classes: cold start, seat, predictions, a challenger, monitoring, and classes that change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_training import CLASSES, class_model, small_settings
from tests.docs_example import EXAMPLE

from incumbent.config import Model, ModelFolder
from incumbent.erase import erase
from incumbent.errors import ConfigError, FeatureError, TrainingError
from incumbent.estimators import estimator, explainer, predictor
from incumbent.features.rows import feature_rows
from incumbent.partitions import Grain, end_of, start_of
from incumbent.records import GateReport, ModelVersion, Training
from incumbent.retrain.requests import is_answered, open_request
from incumbent.retrain.stage import decide_partition
from incumbent.score import explain, score
from incumbent.store.check import check_model
from incumbent_airflow import stages, training
from incumbent_airflow.judging import judge, write_report
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROWS = 6000
SQL = 'SELECT "row", "at", x, y, kind FROM batch'
CONTRACT = """
sources:
  events: {key: [row], columns: {row: {dtype: int64}, kind: {dtype: string}}}
  truth: {key: [row], columns: {row: {dtype: int64}, state: {dtype: string}}}
"""
JANUARY, FEBRUARY, MARCH = "2020-01", "2020-02", "2020-03"
EACH: dict[str, dict[str, Any]] = {
    "xgboost": {"rounds": 60, "early_stopping": 8, "validation_days": 3, "params": {"max_depth": 3, "subsample": 0.8}},
    "lightgbm": {"rounds": 60, "early_stopping": 8, "validation_days": 3, "params": {"num_leaves": 7}},
    "onnx": {"script": "train.py", "rounds": 150, "checkpoint_every": 25, "params": {"C": 0.5}},
}
WITHOUT_RECORDS = "accepted rows are named by the record of their delivery"  # these rows were never delivered


def model_of(name: str = "xgboost", **train: Any) -> Model:
    model = class_model(estimator=name, **{**EACH[name], **train})
    return model.with_script(EXAMPLE) if name == "onnx" else model


def changed(runtime: Runtime, model: Model) -> Runtime:
    return replace(runtime, folder=runtime.folder.model_copy(update={"model": model}))


def deliver(runtime: Runtime, key: str, lost: float = 4.0) -> None:
    """Commit a month whose rows are mostly early or late, and rarely lost."""
    rng = np.random.default_rng(int(key[-2:]))
    x, y = rng.normal(size=(2, ROWS))
    kind = rng.choice(["a", "b", "c"], ROWS)
    start, end = start_of(key, Grain.MONTH), end_of(key, Grain.MONTH)
    first, length = np.datetime64(start.replace(tzinfo=None), "us"), np.timedelta64(end - start)
    at = first + np.arange(ROWS) * (length // ROWS)
    row = np.arange(ROWS) + 10_000 * int(key[-2:])
    told = np.digitize(x - 0.5 * y + (kind == "c") + rng.logistic(size=ROWS), [0.0, lost])
    times = pa.array(at).cast(pa.timestamp("us", "UTC"))
    events = {"row": row, "at": times, "x": x, "y": y, "kind": kind.tolist()}
    runtime.store.batches("events").replace(key, pa.table(events))
    state = np.array(CLASSES)[told].tolist()
    runtime.store.outcomes("truth").replace(key, pa.table({"row": row, "state": state}))
    assert stages.build_features(runtime, key).part is not None


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "features.sql").write_text(SQL)
    (folder / "contract.yaml").write_text(CONTRACT)
    return Runtime(ModelFolder(path=folder, model=model_of()), small_settings(tmp_path))


def candidate(runtime: Runtime, key: str) -> tuple[str, GateReport, str]:
    """Return a request, its gate report, and what became of its candidate."""
    request = open_request(runtime.store, key, "manual", {}, degraded=False, message="asked by a test")[0].id
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    report = runtime.store.records.get(GateReport, stages.evaluate_candidate(runtime, request)["report"])
    return request, report, stages.promote_candidate(runtime, request, None)["kind"]


def scored(runtime: Runtime, key: str) -> pa.Table:
    assert score(runtime.store, runtime.model, key, predictor(runtime.store)).changed
    return runtime.store.predictions.read([key])


@pytest.mark.parametrize("name", EACH)
def test_a_candidate_gets_the_seat_and_scores(runtime: Runtime, name: str) -> None:
    runtime = changed(runtime, model_of(name, weight="1 + (x > 0)::INT"))
    store = runtime.store
    deliver(runtime, JANUARY)
    request, report, kind = candidate(runtime, JANUARY)
    assert kind == "promoted", report.sentence
    assert report.sentence.startswith("All 6 gates passed: log loss saved +")
    assert report.gates[1]["classes"].keys() == set(CLASSES)
    assert 20 <= report.gates[1]["classes"]["lost"] < 160, "unequal classes"
    record = store.records.get(Training, request)
    version = store.records.get(ModelVersion, record.version)
    assert (version.task, tuple(version.classes), record.metric) == (
        "multiclass", CLASSES, "multi_logloss" if name == "lightgbm" else "mlogloss",
    )  # fmt: skip
    assert sum(version.importance.values()) == pytest.approx(1)
    rows = scored(runtime, JANUARY)
    said = np.array(rows["probabilities"].to_pylist())
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    assert rows["prediction"].to_pylist() == [CLASSES[number] for number in said.argmax(axis=1)]
    np.testing.assert_array_equal(rows["probability"], said.max(axis=1))
    truth = np.array(store.outcomes("truth").read([JANUARY])["state"].to_pylist())
    for number, each in enumerate(CLASSES):
        assert said[truth == each, number].mean() > said[truth != each, number].mean() + 0.02
    assert {each.promise for each in check_model(store)} <= {WITHOUT_RECORDS}
    if name == "onnx":
        return
    kept = feature_rows(store, version.definition, [JANUARY])
    kind_of = estimator(name)
    parts = kind_of.explain(kind_of.load(store.objects.get(version.digest), version), version, kept)
    margins = parts.sum(axis=2)
    softmax = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, said, atol=1e-4)
    explain(store, runtime.model, JANUARY, explainer(store))
    least, *_ = [row for row in store.explanations.read([JANUARY]).to_pylist() if row["chosen"] == "near"]
    at = kept["row"].to_pylist().index(least["row"])
    told = [row for row in store.explanations.read([JANUARY]).to_pylist() if row["row"] == least["row"]]
    of = CLASSES.index(least["class"])
    assert least["class"] == rows["prediction"][at].as_py()
    assert least["base"] + least["rest"] + sum(row["adds"] for row in told) == pytest.approx(margins[at, of], abs=1e-6)


def test_a_challenger_takes_the_seat_and_both_are_monitored(runtime: Runtime) -> None:
    store = runtime.store
    deliver(runtime, JANUARY)
    weak = changed(runtime, model_of(rounds=7, early_stopping=None, params={"max_depth": 2, "eta": 0.3}))
    _, report, kind = candidate(weak, JANUARY)
    assert kind == "promoted", report.sentence
    deliver(runtime, FEBRUARY)
    scored(runtime, FEBRUARY)
    said = judge(runtime, FEBRUARY)
    assert said["drift"].startswith("2020-02: no drift; the score of class ")
    assert said["performance"].startswith("2020-02: logloss 0.")
    assert "accuracy " in said["performance"]
    metrics = {row["metric"]: row["value"] for row in store.metrics.read([FEBRUARY]).to_pylist()}
    assert set(metrics) == {"logloss", "trivial_logloss", "accuracy", "estimated_logloss"}
    assert metrics["logloss"] < metrics["trivial_logloss"]
    assert "waiting for outcomes (192 new rows" in decide_partition(store, runtime.model, FEBRUARY)["message"]
    fewer = runtime.model.model_copy(update={"retrain": runtime.model.retrain.model_copy(update={"min_new_rows": 150})})
    assert decide_partition(store, fewer, FEBRUARY)["reason"] == "growth", "the rarest class has so many"

    _, report, kind = candidate(runtime, FEBRUARY)
    assert kind == "promoted", report.sentence
    assert "better than the champion" in report.sentence
    (superiority,) = (gate for gate in report.gates if gate["gate"] == "superiority")
    assert superiority["candidate"] < superiority["champion"]
    _, again, kind = candidate(runtime, FEBRUARY)
    assert (again.verdict, kind) == ("reject", "not_passed"), "the same rows and parameters are no better"

    deliver(runtime, MARCH, lost=1.0)
    rows = scored(runtime, MARCH)
    assert set(rows["generation"].to_pylist()) == {2}
    assert "mean of class late off by +0.3" in judge(runtime, MARCH)["performance"]
    decision = decide_partition(runtime.store, runtime.model, MARCH)
    assert decision["reason"] == "performance"
    assert "what was predicted of class late" in decision["message"]
    assert {each.promise for each in check_model(store)} <= {WITHOUT_RECORDS}


def test_the_page_of_a_month_is_drawn(runtime: Runtime) -> None:
    deliver(runtime, JANUARY)
    assert candidate(runtime, JANUARY)[2] == "promoted"
    deliver(runtime, FEBRUARY)
    scored(runtime, FEBRUARY)
    judge(runtime, FEBRUARY)
    page = write_report(runtime, FEBRUARY)
    assert page is not None
    assert "Score of class " in Path(page).read_text()


def test_an_erased_row_leaves_the_probabilities_of_all_others(runtime: Runtime) -> None:
    deliver(runtime, JANUARY)
    assert candidate(runtime, JANUARY)[2] == "promoted"
    before = scored(runtime, JANUARY)
    judge(runtime, JANUARY)
    erase(runtime.store, runtime.model, runtime.folder.contract_path, ["row=10007"], "asked to")
    after = runtime.store.predictions.read([JANUARY])
    left = before.filter(pc.not_equal(before["row"], 10_007))
    said = ["row", "prediction", "probability", "probabilities"]
    assert after.select(said).equals(left.select(said))
    assert {each.promise for each in check_model(runtime.store)} <= {WITHOUT_RECORDS}


def test_a_feature_cannot_have_the_name_of_a_score(runtime: Runtime) -> None:
    (runtime.folder.path / "features.sql").write_text(SQL.replace("x,", 'x, x AS "score of class late",'))
    with pytest.raises(FeatureError, match="reserved name") as caught:
        deliver(runtime, JANUARY)
    assert str(caught.value.found) == "score of class late"


def test_a_class_that_the_window_lacks_is_an_answer_that_names_it(runtime: Runtime) -> None:
    deliver(runtime, JANUARY, lost=1e9)
    with pytest.raises(TrainingError, match="a class is not among the training rows") as caught:
        candidate(runtime, JANUARY)
    assert "none of lost in " in str(caught.value.found)
    assert is_answered(runtime.store, f"{JANUARY}-r1")


def test_a_class_that_is_new_is_refused_until_it_is_one_of_the_classes(runtime: Runtime) -> None:
    """The champion does not know it; the next one, trained on it, takes the seat."""
    deliver(runtime, JANUARY)
    assert candidate(runtime, JANUARY)[2] == "promoted"
    deliver(runtime, FEBRUARY)
    scored(runtime, FEBRUARY)
    outcomes = runtime.store.outcomes("truth").read([FEBRUARY]).drop_columns(["partition"])
    state = ["gone" if number % 10 == 0 else name for number, name in enumerate(outcomes["state"].to_pylist())]
    runtime.store.outcomes("truth").replace(FEBRUARY, outcomes.set_column(1, "state", pa.array(state)))
    with pytest.raises(ConfigError, match="a label is none of the classes") as caught:
        judge(runtime, FEBRUARY)
    assert caught.value.found == "'gone' in 600 outcomes"

    classes = ("early", "gone", "late", "lost")
    label = runtime.model.label.model_copy(update={"classes": classes})
    wider = changed(runtime, runtime.model.model_copy(update={"label": label}))
    assert "mean of class gone off by -0.100" in judge(wider, FEBRUARY)["performance"]
    _, report, kind = candidate(wider, FEBRUARY)
    assert kind == "promoted", report.sentence
    assert score(wider.store, wider.model, FEBRUARY, predictor(wider.store), generation=2).changed
    rows = wider.store.predictions.read([FEBRUARY])
    assert len(rows["probabilities"][0]) == 4
    assert judge(wider, FEBRUARY)["performance"].startswith("2020-02: logloss 0.")
