"""Every training is in MLflow: its page from the start, its curves while it runs, all of it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_training import REQUEST, small_model, small_settings, small_store

from incumbent.functions import Functions
from incumbent.promote import known_run, log_live, log_trainings, open_run, unlogged
from incumbent.promote.mlflow_client import REQUEST as TAG
from incumbent.records import ModelVersion, TrainingCost
from incumbent.store import ModelStore
from incumbent.train.stage import train_candidate

pytestmark = pytest.mark.mlflow
NOBODY = "http://127.0.0.1:9"


def client_of(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def trained(root: Path, functions: str = "", **train: Any) -> ModelStore:
    store, snapshot = small_store(root)
    settings = small_settings(root, INCUMBENT_CORE_HOUR_PRICE="3.6")
    model = small_model(early_stopping=30, validation_days=5, **train).with_functions(Functions.of(functions))
    train_candidate(store, model, snapshot, REQUEST, settings)
    return store


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> ModelStore:
    """Return a store whose experiment is this test's own; the server is shared."""
    made = trained(tmp_path)
    made.name = request.node.name
    return made


def test_a_run_is_there_from_the_start_and_takes_points(store: ModelStore, server: str) -> None:
    run = open_run(store, server, REQUEST, {})
    assert run is not None
    assert open_run(store, server, REQUEST, {}) == run == known_run(store, REQUEST)
    assert log_live(server, run, {"validation.logloss": 0.5}, 3, {})
    found = client_of(server).get_run(run.run)
    assert (found.info.status, found.data.tags[TAG]) == ("RUNNING", REQUEST)
    assert found.data.metrics == {"validation.logloss": 0.5}
    assert run.page(server).startswith(f"{server}/#/experiments/{found.info.experiment_id}/runs/{run.run}?")


def test_a_run_that_a_lost_reply_hid_is_found_again(store: ModelStore, server: str) -> None:
    run = open_run(store, server, REQUEST, {})
    store.records.remove("mlflow_runs", REQUEST)
    assert open_run(store, server, REQUEST, {}) == run


def test_all_of_a_training_is_written_down_once_and_into_the_same_run(store: ModelStore, server: str) -> None:
    run = open_run(store, server, REQUEST, {})
    assert run is not None
    assert log_trainings(store, server) == [REQUEST]
    assert log_trainings(store, server) == unlogged(store) == []
    client, version = client_of(server), store.records.get(ModelVersion, store.records.names(ModelVersion.kind)[0])
    found = client.get_run(run.run)
    assert found.info.status == "FINISHED"
    assert (found.data.tags["incumbent.digest"], found.data.tags["incumbent.snapshot"]) == (
        version.digest,
        version.snapshot,
    )
    params = found.data.params
    assert (params["launcher"], params["seed"], params["rounds"]) == ("process", "7", str(version.rounds))
    assert params["layout"].startswith("cpu, 1 worker of ")
    assert params["code.packages"] == version.code["packages"]
    curve = client.get_metric_history(run.run, "validation.logloss")
    assert [point.step for point in curve] == list(range(1, len(curve) + 1))
    assert len(curve) >= version.rounds
    metrics = found.data.metrics
    assert metrics["importance.x"] == pytest.approx(version.importance["x"])
    cost = store.records.get(TrainingCost, REQUEST)
    assert metrics["price"] == pytest.approx(cost.core_seconds * 3.6 / 3600)
    files = {file.path.rpartition("/")[2] for file in client.list_artifacts(run.run, "training")}
    assert files == {"manifest.json", "training.json", "cost.json", "features.sql", "packages.txt"}


def test_an_own_metric_has_its_curve_and_its_text_lies_beside(
    tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    text = "def metric(labels, predictions, weights):\n    return -abs(labels - predictions).mean()\n"
    store = trained(tmp_path, text, rounds=10)
    store.name = request.node.name
    run = open_run(store, server, REQUEST, {})
    assert run is not None
    assert log_live(server, run, {"validation.model.py:metric": -0.5}, 3, {})
    assert log_trainings(store, server) == [REQUEST]
    client = client_of(server)
    curve = client.get_metric_history(run.run, "validation.model.py:metric")
    assert len(curve) == 11
    assert all(point.value < 0 for point in curve)
    (path,) = (each.path for each in client.list_artifacts(run.run, "training") if each.path.endswith("model.py"))
    assert Path(client.download_artifacts(run.run, path, str(tmp_path))).read_text() == text


def test_a_server_that_is_away_costs_no_training(store: ModelStore) -> None:
    assert open_run(store, NOBODY, REQUEST, {}) is None
    assert known_run(store, REQUEST) is None
    assert unlogged(store) == [REQUEST]


def test_without_a_server_nothing_is_asked(store: ModelStore) -> None:
    assert open_run(store, "sqlite:///mlflow.db", REQUEST, {}) is None
