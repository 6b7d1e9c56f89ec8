"""A model whose January is in the store, for the stages of a training."""

import json
from pathlib import Path

import pytest
from small_training import small_model, small_settings, small_store
from tests.s3_server import BUCKET

from incumbent.config import ModelFolder
from incumbent.retrain.requests import open_request
from incumbent_airflow import stages, training
from incumbent_airflow.runtime import Runtime

KEY = "2020-01"


SQL = 'SELECT "row", "at", x, y, kind FROM batch'


CONTRACT = """
sources:
  events: {key: [row], columns: {row: {dtype: int64}}}
  truth: {key: [row], columns: {row: {dtype: int64}}}
"""


@pytest.fixture(params=["folder", "bucket"])
def store_address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of an empty store: a folder, or a bucket whose credentials only the connection knows."""
    if request.param == "folder":
        return str(tmp_path / "store")
    options = request.getfixturevalue("s3_options")
    extra = {"endpoint_url": options["endpoint"], "region_name": options["region"]}
    connection = {"conn_type": "aws", "login": options["key"], "password": options["secret"], "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_INCUMBENT_STORE", json.dumps(connection))
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def runtime(tmp_path: Path, store_address: str) -> Runtime:
    """Return a runtime whose store holds January's batch and outcomes."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "features.sql").write_text(SQL)
    (folder / "contract.yaml").write_text(CONTRACT)
    model = small_model(rounds=10, checkpoint_every=5)
    runtime = Runtime(ModelFolder(path=folder, model=model), small_settings(tmp_path, INCUMBENT_STORE=store_address))
    made, snapshot = small_store(tmp_path / "made")
    features, truth = made.features(snapshot.definition), made.outcomes("truth")
    runtime.store.batches("events").replace(KEY, features.read([KEY]).drop_columns(["partition"]))
    runtime.store.outcomes("truth").replace(KEY, truth.read([KEY]).drop_columns(["partition"]))
    return runtime


def ask(runtime: Runtime, message: str = "asked by a test") -> str:
    return open_request(runtime.store, KEY, "manual", {}, degraded=False, message=message)[0].id


def gate(runtime: Runtime, request: str) -> None:
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    stages.evaluate_candidate(runtime, request)
