"""Gates that a folder asks for, from its files to the report: slices, fairness, behaviour, speed, and its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from months import FEBRUARY, JANUARY, WITHOUT_RECORDS, answered, commit, month, random_of, runtime_of
from small_training import small_model

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.functions import Functions
from incumbent.records import GateReport, digest_of
from incumbent.retrain.requests import open_request
from incumbent.sensitive import Sensitive
from incumbent.store.check import check_model
from incumbent_airflow import stages, training
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROWS = 6000
CONTRACT = """
sources:
  events: {key: [row], columns: {row: {dtype: int64}, kind: {dtype: string}, sex: {dtype: string, sensitive: true}}}
  truth: {key: [row], columns: {row: {dtype: int64}, late: {dtype: bool}}}
"""
OWN = """
def gate_calls(contest):
    return {"passed": True, "sentence": "fine", "rows": contest.rows.num_rows}
"""
SENSITIVE = Sensitive(masked={"events": ("sex",)}, kept_out={"events": ("sex",)}, hashed={})


def model_of(**gates: Any) -> Model:
    plain = small_model(rounds=30, params={"max_depth": 3}).model_dump(mode="json")
    model = Model.model_validate({**plain, "gates": {"min_improvement": 0.002, **gates}})
    return model.with_sensitive(SENSITIVE).with_functions(Functions.of(OWN))


def deliver(runtime: Runtime, key: str) -> None:
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS))
    kind, sex = rng.choice(["a", "b", "c"], ROWS), rng.choice(["woman", "man"], ROWS, p=[0.4, 0.6])
    late = rng.random(ROWS) < 1 / (1 + np.exp(-(x - y + (kind == "c"))))
    commit(runtime, key, month(key, x=x, y=y, kind=kind.tolist(), sex=sex.tolist()), late=late)
    assert stages.build_features(runtime, key).part is not None


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return runtime_of(tmp_path, model_of(), CONTRACT)


def changed(runtime: Runtime, **gates: Any) -> Runtime:
    return replace(runtime, folder=runtime.folder.model_copy(update={"model": model_of(**gates)}))


def asked(runtime: Runtime, key: str) -> str:
    request = open_request(runtime.store, key, "manual", {}, degraded=False, message="asked by a test")[0].id
    stages.take_snapshot(runtime, request)
    return request


def judged(runtime: Runtime, key: str) -> tuple[GateReport, dict[str, Any]]:
    """Train and judge a candidate; return its report, and what each gate says."""
    request = open_request(runtime.store, key, "manual", {}, degraded=False, message="asked by a test")[0].id
    report = answered(runtime, request)
    return report, {gate["gate"]: gate for gate in report.gates}


def test_a_first_model_and_a_challenger_are_asked_for_everything(runtime: Runtime) -> None:
    runtime = changed(
        runtime,
        slices=["kind", "sex"],
        slice_margin=0.2,
        floors={"auc": 0.7},
        fairness=[{"column": "sex", "measure": "error", "max_gap": 0.2}],
        max_megabytes=5,
        max_ms_per_1000_rows=60_000,
        behaviour=[
            {"name": "larger_x", "feature": "x", "change": {"add": 1}, "expect": "not_less"},
            {
                "name": "other_kind",
                "feature": "kind",
                "change": {"swap": ["a", "b"]},
                "expect": "same",
                "tolerance": 0.2,
            },
        ],
    )
    store = runtime.store
    deliver(runtime, JANUARY)
    report, gates = judged(runtime, JANUARY)
    assert report.verdict == "promote", report.sentence
    assert {"slices", "error_budget"}.isdisjoint(gates), "there is no champion to lose against"
    assert [test["passed"] for test in gates["behaviour"]["tests"]] == [True, True]
    assert gates["gate_calls"]["rows"] == gates["sample"]["rows"]
    assert gates["gate_calls"]["functions"] == digest_of(OWN.encode())
    assert store.objects.get(digest_of(OWN.encode())).decode() == OWN

    (groups,) = [measure["groups"] for measure in gates["fairness"]["measures"]]
    assert [group["group"] for group in groups] == ["group 1", "group 2"]
    assert groups[0]["rows"] > groups[1]["rows"] > 300
    said = json.dumps(report.to_json())
    assert "woman" not in said and '"man"' not in said, "nobody is shown the values of a sensitive column"

    (timing,) = store.records.names("gate_timings")
    measured = store.records.get_plain("gate_timings", timing)["ms_per_1000_rows"]
    assert 0 < measured < 60_000
    assert "ms_per_1000_rows" not in gates["latency"], "a report is the same whatever a clock says"
    assert gates["latency"]["passed"] is True

    deliver(runtime, FEBRUARY)
    report, gates = judged(runtime, FEBRUARY)
    assert gates["error_budget"]["number"] == 1
    assert gates["error_budget"]["next_day"] == "2020-03-01"
    table = gates["slices"]["slices"]
    assert [(row["column"], row["slice"]) for row in table] == [
        ("kind", "a"), ("kind", "b"), ("kind", "c"), ("sex", "group 1"), ("sex", "group 2"),
    ]  # fmt: skip
    assert all(row["named"] and row["tested"] for row in table)
    assert sum(row["rows"] for row in table) == 2 * gates["sample"]["rows"]
    again, gates = judged(runtime, FEBRUARY)
    assert gates["error_budget"]["number"] == 2, "another request of the same partition"
    assert gates["error_budget"]["spent"] == pytest.approx(0.01)
    assert again.id != report.id
    assert {each.promise for each in check_model(store)} <= {WITHOUT_RECORDS}


def test_text_features_are_slices_by_themselves(runtime: Runtime) -> None:
    deliver(runtime, JANUARY)
    judged(runtime, JANUARY)
    deliver(runtime, FEBRUARY)
    _, gates = judged(runtime, FEBRUARY)
    assert [(row["slice"], row["named"]) for row in gates["slices"]["slices"]] == [
        ("a", False), ("b", False), ("c", False),
    ]  # fmt: skip


def test_where_features_may_hold_sensitive_values_no_slice_shows_any(runtime: Runtime) -> None:
    deliver(runtime, JANUARY)
    judged(runtime, JANUARY)
    deliver(runtime, FEBRUARY)
    let_in = runtime.model.with_sensitive(replace(SENSITIVE, kept_out={"events": ()}))
    runtime = replace(runtime, folder=runtime.folder.model_copy(update={"model": let_in}))
    _, gates = judged(runtime, FEBRUARY)
    assert [row["slice"] for row in gates["slices"]["slices"]] == ["group 1", "group 2", "group 3"]


@pytest.mark.parametrize(
    ("gates", "where", "found"),
    [
        ({"slices": ["knd"]}, "gates.slices", "knd"),
        ({"fairness": [{"column": "gender", "measure": "error", "max_gap": 0.1}]}, "gates.fairness", "gender"),
        (
            {"behaviour": [{"name": "t", "feature": "sex", "change": {"add": 1}, "expect": "same"}]},
            "behaviour, t",
            "sex",
        ),
    ],
)
def test_a_column_that_there_is_not_is_named_before_anything_is_fitted(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, gates: dict[str, Any], where: str, found: str
) -> None:
    monkeypatch.setattr("incumbent.train.stage.plan_training", lambda *_, **__: None)
    deliver(runtime, JANUARY)
    runtime = changed(runtime, **gates)
    request = asked(runtime, JANUARY)
    with pytest.raises(ConfigError) as caught:
        training.begin_training(runtime, request)
    assert where in caught.value.where
    assert caught.value.found == found
    assert runtime.store.records.names("trainings") == []


def test_a_slow_candidate_is_judged_by_what_was_measured_first(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = changed(runtime, max_ms_per_1000_rows=1e-9)
    deliver(runtime, JANUARY)
    request = asked(runtime, JANUARY)
    training.begin_training(runtime, request)
    killed = {"now": True}
    claim = runtime.store.records.claim

    def dies(kind: str, name: str, plain: Any) -> Any:
        if kind == "pins" and name.startswith("gate-") and killed["now"]:
            raise KeyboardInterrupt
        return claim(kind, name, plain)

    monkeypatch.setattr(type(runtime.store.records), "claim", lambda self, *rest: dies(*rest))
    with pytest.raises(KeyboardInterrupt):
        stages.evaluate_candidate(runtime, request)
    killed["now"] = False
    reports = runtime.store.records.names("gate_reports")
    monkeypatch.setattr("incumbent.evaluate.asked.measured", lambda *_: pytest.fail("it was measured again"))
    report = runtime.store.records.get(GateReport, stages.evaluate_candidate(runtime, request)["report"])
    assert [report.id] == reports
    assert (report.verdict, report.gates[-3]["gate"]) == ("reject", "latency")
    assert report.sentence == "Not promoted: 1,000 rows take more than 1e-09 ms."
