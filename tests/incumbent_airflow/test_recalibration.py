"""Where the base rate alone has moved, the champion gets another intercept; a training if that is not enough."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from months import (
    FEBRUARY,
    JANUARY,
    MARCH,
    WITHOUT_RECORDS,
    answered,
    commit,
    first_champion,
    month,
    random_of,
    runtime_of,
)
from small_training import small_model

from incumbent.config import Model
from incumbent.estimators import predictor
from incumbent.records import RECALIBRATED, GateReport, ModelVersion, Promotion, RetrainRequest, Training
from incumbent.retrain.gather import gather
from incumbent.retrain.requests import finish, get_request, open_request, unanswered
from incumbent.retrain.stage import ask_on, decide_partition
from incumbent.score import score
from incumbent.store import generation_name
from incumbent.store.check import check_model
from incumbent_airflow import stages, training
from incumbent_airflow.judging import judge
from incumbent_airflow.runtime import Runtime
from incumbent_airflow.shadows import probation_of

pytestmark = pytest.mark.unit
ROWS = 6000


def without_growth() -> Model:
    plain = small_model(rounds=40, params={"max_depth": 3}).model_dump(mode="json")
    return Model.model_validate({**plain, "retrain": {"growth": None}})


def deliver(runtime: Runtime, key: str, base: float) -> None:
    """Commit a month whose outcomes have another base rate, and are otherwise as ever."""
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS))
    kind = rng.choice(["a", "b", "c"], ROWS)
    late = rng.random(ROWS) < 1 / (1 + np.exp(-(1.5 * x - y + (kind == "c") + base)))
    commit(runtime, key, month(key, x=x, y=y, kind=kind.tolist()), late=late)
    assert stages.build_features(runtime, key).part is not None


@pytest.fixture
def moved(tmp_path: Path) -> Runtime:
    """Return a runtime whose champion was trained in January, and whose February has far fewer late ones."""
    runtime = runtime_of(tmp_path, without_growth())
    deliver(runtime, JANUARY, 0.0)
    first_champion(runtime)
    monitored(runtime, FEBRUARY, -1.2)
    return runtime


def monitored(runtime: Runtime, key: str, base: float) -> dict[str, Any]:
    deliver(runtime, key, base)
    assert score(runtime.store, runtime.model, key, predictor(runtime.store)).changed
    return judge(runtime, key)


def decided(runtime: Runtime, key: str) -> dict[str, Any]:
    return decide_partition(runtime.store, runtime.model, key)


def test_another_base_rate_ends_in_another_intercept(moved: Runtime) -> None:
    store = moved.store
    decision = decided(moved, FEBRUARY)
    assert "recalibrate first, for performance" in decision["message"]
    request = get_request(store, decision["request"])
    assert request.evidence["recalibrate"] == "2020-02-01"
    report = answered(moved, request.id)
    assert report.verdict == "promote", report.sentence
    assert "log loss saved +" in report.sentence
    done = store.records.get(Training, request.id)
    version = store.records.get(ModelVersion, report.candidate)
    assert (done.origin, version.recalibrated, version.base) == (RECALIBRATED, True, store.ledger()[0].version)
    assert gather(store, moved.model, FEBRUARY)["trained_partition"] == JANUARY
    monitored(moved, MARCH, -1.2)
    after = decided(moved, MARCH)
    assert (after["request"], "no alarm" in after["message"]) == (None, True)
    probation = probation_of(moved)
    assert probation is not None
    assert (probation.rolls_back, probation.evidence.estimate < -0.05) == (False, True), "it saves a part of the loss"
    assert {each.promise for each in check_model(store)} <= {WITHOUT_RECORDS}


def test_against_another_champion_it_is_judged_by_its_ranks(moved: Runtime) -> None:
    """One whose trees have lost the seat meanwhile is not let in again for its mean."""
    store = moved.store
    request = decided(moved, FEBRUARY)["request"]
    stages.take_snapshot(moved, request)
    training.begin_training(moved, request)
    smaller = moved.model.model_copy(update={"train": moved.model.train.model_copy(update={"rounds": 30})})
    other, _ = open_request(store, JANUARY, "manual", {}, degraded=False, message="by hand")
    report = answered(Runtime(moved.folder.model_copy(update={"model": smaller}), moved.settings), other.id)
    seat = Promotion(2, report.candidate, 1, report.id, "promote", "a test", partition=JANUARY)
    assert store.records.put(generation_name(2), seat)
    found = store.records.get(GateReport, stages.evaluate_candidate(moved, request)["report"])
    assert next(gate for gate in found.gates if gate["gate"] == "superiority")["metric"] == "AUC"


def test_one_that_is_refused_is_followed_by_a_training(moved: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    store = moved.store
    strict = moved.model.model_copy(
        update={"gates": moved.model.gates.model_copy(update={"min_improvement": 0.9, "max_logloss_increase": 0.0})}
    )
    first = decided(moved, FEBRUARY)["request"]
    folder = moved.folder.model_copy(update={"model": strict})
    assert answered(Runtime(folder, moved.settings), first).verdict == "reject"
    (second,) = unanswered(store)
    assert (second.partition, second.reason, "recalibrate" in second.evidence) == (FEBRUARY, "performance", False)
    assert "retrain for performance" in second.message
    assert decided(moved, FEBRUARY)["request"] == second.id, "whoever announces it first"
    assert decided(moved, FEBRUARY)["request"] is None
    finish(store, second.id, "reject", 0, "v")
    assert ask_on(store, moved.model, second) == ""
    assert [each.id for each in unanswered(store)] == []
    assert [record for record in store.records.names(RetrainRequest.kind) if record.endswith("/open")] == [
        "2020-01-r1/open", "2020-02-r1/open", "2020-02-r2/open",
    ]  # fmt: skip
