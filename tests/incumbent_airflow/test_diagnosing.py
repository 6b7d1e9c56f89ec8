"""MONITOR says why a batch alarms: for three worlds that change in three ways, and for one that is held."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from months import FEBRUARY, JANUARY, MARCH, WITHOUT_RECORDS, commit, first_champion, month, random_of, runtime_of
from small_training import small_model

from incumbent.config import Model, Monitor
from incumbent.erase import erase
from incumbent.estimators import predictor
from incumbent.features.rows import with_local_date
from incumbent.features.sample import sampled_rows
from incumbent.records import ModelVersion
from incumbent.retrain.stage import decide_partition
from incumbent.retrain.why import decisions
from incumbent.score import score
from incumbent.store.check import check_model
from incumbent_airflow import stages
from incumbent_airflow.diagnosing import diagnosis
from incumbent_airflow.judging import judge
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROWS = 6000


def clustered() -> Model:
    plain = small_model(rounds=40, params={"max_depth": 3}).model_dump(mode="json")
    return Model.model_validate({**plain, "evaluate": {"cluster": ["local_date"]}, "timezone": "America/New_York"})


def deliver(runtime: Runtime, key: str, cause: str = "", outcomes: bool = True) -> None:
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS))
    kind = rng.choice(["a", "b", "c", "d"], ROWS)
    if cause == "moved":
        x = 0.3 * x + 1.0
    weight = -0.2 if cause == "concept" else 1.5
    late = rng.random(ROWS) < 1 / (1 + np.exp(-(weight * x - y + (kind == "c") - 1)))
    if cause == "more":
        late |= rng.random(ROWS) < 0.05
    if cause == "kind b":
        x, y = np.where(kind == "b", x + 3, x), np.where(kind == "b", y - 3, y)
    if cause == "unit":
        x = x * 1000
    commit(runtime, key, month(key, x=x, y=y, kind=kind.tolist()), **({"late": late} if outcomes else {}))


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    runtime = runtime_of(tmp_path, clustered())
    deliver(runtime, JANUARY)
    first_champion(runtime)
    return runtime


def monitored(runtime: Runtime, cause: str, outcomes: bool = True) -> dict[str, Any]:
    deliver(runtime, FEBRUARY, cause, outcomes)
    assert stages.build_features(runtime, FEBRUARY).part is not None
    assert score(runtime.store, runtime.model, FEBRUARY, predictor(runtime.store)).changed
    return judge(runtime, FEBRUARY)


def recorded(runtime: Runtime) -> dict[str, Any]:
    champion = runtime.store.champion()
    assert champion is not None
    found = diagnosis(runtime, FEBRUARY, champion.version)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("cause", "outcomes", "expected"),
    [
        ("", True, "none"),
        ("", False, "none"),
        ("moved", False, "covariate_shift"),
        ("concept", True, "concept_drift"),
        ("kind b", False, "upstream_change"),
    ],
)
def test_the_cause_is_recorded_and_said(runtime: Runtime, cause: str, outcomes: bool, expected: str) -> None:
    said = monitored(runtime, cause, outcomes)
    found = recorded(runtime)
    assert found["cause"] == expected, found["sentence"]
    assert said["diagnosis"] == found["sentence"]
    assert judge(runtime, FEBRUARY) == said, "again, it says the same"
    assert {each.promise for each in check_model(runtime.store)} <= {WITHOUT_RECORDS}
    tiers = {"concept": "critical", "": "none", "moved": "warning", "kind b": "warning"}
    assert found["tier"] == tiers[cause], "labels that alarm are critical"
    if cause == "concept":
        assert any(each["by"] == "losses" and each["column"] == "x" for each in found["segments"])
    if cause == "kind b":
        assert (found["segments"][0]["column"], found["segments"][0]["level"]) == ("kind", "b")
        assert [column["sources"] for column in found["columns"]][:2] == [["batch"], ["batch"]]


def test_an_alarm_of_several_partitions_is_known_to_the_record_as_to_the_decision(runtime: Runtime) -> None:
    store, model = runtime.store, runtime.model
    for key in (FEBRUARY, MARCH):
        deliver(runtime, key, "more")
        assert stages.build_features(runtime, key).part is not None
        assert score(store, model, key, predictor(store)).changed
        said = judge(runtime, key)
        (name,) = store.records.names("diagnoses", f"{key}/")
        found = store.records.get_plain("diagnoses", name)
        alone = found["evidence"]["performance"]["z"].values()
        assert max(alone) < model.monitor.alarm_z, "no partition alarms by itself"
        assert said["diagnosis"] == found["sentence"]
        assert (found["cause"] == "none") == (key == FEBRUARY), found["sentence"]
    decided = decide_partition(store, model, MARCH)
    assert decided["reason"] == "performance"
    (decision,) = decisions(store, MARCH)
    (hold,) = [each for each in decision.evidence["holds"] if each["rule"] == "diagnosis"]
    assert hold["says"] == found["sentence"].rstrip("."), "one diagnosis"
    assert found["tier"] == "critical"


def test_the_estimate_is_among_the_metrics_before_and_after_outcomes_are_in(runtime: Runtime) -> None:
    said = monitored(runtime, "", outcomes=False)
    assert "auc is probably 0." in said["estimate"]

    def metrics() -> dict[str, float]:
        rows = runtime.store.metrics.read([FEBRUARY]).to_pylist()
        return {row["metric"]: row["value"] for row in rows}

    before = metrics()
    assert list(before) == ["estimated_auc"]
    deliver(runtime, FEBRUARY)
    judge(runtime, FEBRUARY)
    after = metrics()
    assert set(after) == {"auc", "trivial_auc", "estimated_auc"}
    assert after["estimated_auc"] == before["estimated_auc"] == pytest.approx(after["auc"], abs=0.03)
    version = runtime.store.metrics.log.newest()
    judge(runtime, FEBRUARY)
    assert runtime.store.metrics.log.newest() == version, "nothing is committed twice"


def test_kpis_are_written_when_outcomes_are_in_and_again_when_their_sql_changes(runtime: Runtime) -> None:
    file = runtime.folder.path / "kpi.sql"
    file.write_text('SELECT "row", prediction > 0.5 AS warned, prediction > 0.5 AND late AS found FROM rows')
    monitored(runtime, "", outcomes=False)
    assert runtime.store.records.names("kpis") == [], "nothing is known yet"
    deliver(runtime, FEBRUARY)
    judge(runtime, FEBRUARY)

    def metrics() -> dict[str, tuple[float, float]]:
        rows = runtime.store.metrics.read([FEBRUARY]).to_pylist()
        return {row["metric"]: (row["value"], row["error"]) for row in rows}

    found = metrics()
    said = np.asarray(runtime.store.predictions.read([FEBRUARY])["prediction"])
    assert found["kpi_warned"][0] == pytest.approx(np.mean(said > 0.5))
    assert 0 < found["kpi_found"][0] < found["kpi_warned"][0]
    assert 0 < found["kpi_warned"][1] < 0.05
    (name,) = runtime.store.records.names("kpis")
    record = runtime.store.records.get_plain("kpis", name)
    assert runtime.store.objects.get(record["definition"]) == file.read_bytes()
    assert record["values"][0]["clusters"] == 30, "days in New York"
    file.write_text('SELECT "row", 1 AS one FROM rows')
    judge(runtime, FEBRUARY)
    assert metrics()["kpi_one"] == (1.0, 0.0)
    assert "kpi_warned" not in metrics()
    assert len(runtime.store.records.names("kpis")) == 2
    assert {each.promise for each in check_model(runtime.store)} <= {WITHOUT_RECORDS}


def test_kpis_that_cannot_be_computed_stop_no_verdict(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    (runtime.folder.path / "kpi.sql").write_text('SELECT "row", gone AS p FROM rows')
    said = monitored(runtime, "")
    assert said["performance"].startswith("2020-02: auc")
    assert "the KPIs are refused" in caplog.text
    assert "gone" in caplog.text
    assert runtime.store.records.names("kpis") == []


def test_a_team_may_keep_evidently(runtime: Runtime) -> None:
    model = runtime.model.model_copy(update={"monitor": Monitor.model_validate({"engine": "evidently"})})
    kept = replace(runtime, folder=runtime.folder.model_copy(update={"model": model}))
    said = monitored(kept, "moved", outcomes=False)
    assert "Evidently says that" in said["drift"]
    champion = runtime.store.champion()
    assert champion is not None
    (name,) = [each for each in runtime.store.records.names("verdicts", f"{FEBRUARY}/") if "/drift-" in each]
    verdict = runtime.store.records.get_plain("verdicts", name)
    assert verdict["engine"] == "evidently"
    assert [each["feature"] for each in verdict["features"]] == ["x"]
    assert verdict["score"]["column"] == "score"
    assert recorded(kept)["cause"] == "covariate_shift"


def test_an_adopted_champion_has_no_estimate_and_is_diagnosed_all_the_same(runtime: Runtime) -> None:
    monitored(runtime, "moved", outcomes=False)
    store = runtime.store
    for kind in ("diagnoses", "estimates"):
        for name in store.records.names(kind):
            store.records.remove(kind, name)
    for name in store.records.names("snapshots"):
        store.records.remove("snapshots", name)
    said = judge(runtime, FEBRUARY)
    assert "no estimate: nobody knows rows that the champion was gated on" in said["estimate"]
    found = recorded(runtime)
    assert found["cause"] == "covariate_shift"
    assert "nobody knows what the champion was trained on" in found["sentence"]


def test_a_batch_that_is_held_has_a_diagnosis_too(runtime: Runtime) -> None:
    deliver(runtime, FEBRUARY, "unit")
    assert stages.build_features(runtime, FEBRUARY).hold is not None
    (name,) = runtime.store.records.names("diagnoses", f"{FEBRUARY}/")
    found = runtime.store.records.get_plain("diagnoses", name)
    assert (found["cause"], found["notify"], found["generation"]) == ("bad_data", "data owner", 1)
    assert found["tier"] == "quarantine"
    deliver(runtime, MARCH, "unit")
    assert stages.build_features(runtime, MARCH).hold is not None
    (next_one,) = runtime.store.records.names("diagnoses", f"{MARCH}/")
    assert runtime.store.records.get_plain("diagnoses", next_one)["tier"] == "critical", "the second in a row"
    assert stages.build_features(runtime, FEBRUARY).hold is not None, "again"
    assert {each.promise for each in check_model(runtime.store)} <= {WITHOUT_RECORDS}


def test_an_erasure_leaves_the_diagnosis_and_the_estimate(runtime: Runtime) -> None:
    monitored(runtime, "")
    before = recorded(runtime)
    erase(runtime.store, runtime.model, runtime.folder.contract_path, ["row=20000"], "asked for")
    assert recorded(runtime) == before
    assert judge(runtime, FEBRUARY)["diagnosis"] == before["sentence"]


def test_a_sample_is_of_equal_chances_and_the_same_again(runtime: Runtime) -> None:
    store = runtime.store
    champion = store.champion()
    assert champion is not None
    version = store.records.get(ModelVersion, champion.version)
    parts = [store.features(version.definition).part(JANUARY)] * 2
    found = sampled_rows(store, version.definition, parts, ["row", "gone"], 1000)  # type: ignore[arg-type]
    assert found.column_names == ["row"]
    row = np.asarray(found["row"])
    assert 3000 - 4 * 65 < np.mean(row - 10_000) < 3000 + 4 * 65
    assert len(row) == 1000
    assert found.equals(sampled_rows(store, version.definition, parts, ["row"], 1000))  # type: ignore[arg-type]
    assert sampled_rows(store, version.definition, parts, ["row"], 12_000).num_rows == 12_000  # type: ignore[arg-type]
    assert sampled_rows(store, version.definition, parts, ["row"], 10**9).num_rows == 12_000  # type: ignore[arg-type]


def test_a_day_is_that_of_the_models_zone(runtime: Runtime) -> None:
    times = pa.array(np.array(["2020-01-02T03:00", "2020-01-02T06:00"], "datetime64[us]")).cast(
        pa.timestamp("us", "UTC")
    )
    days = with_local_date(runtime.model, pa.table({"at": times}))["local_date"]
    assert [str(day) for day in days.to_pylist()] == ["2020-01-01", "2020-01-02"]
