"""A drop folder in a bucket: looked at by workers, which have the connection, and not by the triggerer."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import TaskDeferred
from tests.s3_server import BUCKET

from incumbent.config import load_model
from incumbent.embedded.settings import Settings
from incumbent.store.s3 import S3Blobs
from incumbent_airflow.dags.arrive import arrive_dag
from incumbent_airflow.dags.schedule import schedule_dag
from incumbent_airflow.runtime import Runtime, current_settings

pytestmark = pytest.mark.dag
MODEL = """
name: shop
owner: tests
task: binary
grain: month
start: 2020-01
keys: [id]
time: seen
sources:
  orders: {role: batch, path: "shop/orders/{partition}.csv"}
  outcomes: {role: outcomes, path: "shop/outcomes/{partition}.csv"}
label: {sql: late}
"""


class Events(dict[Any, Any]):
    """The outlet events of a task, as far as `emit` uses them."""

    def __missing__(self, asset: Any) -> Any:
        return self

    def add_partitions(self, keys: list[str]) -> None:
        self["keys"] = keys

    @property
    def extra(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def settings(tmp_path: Path, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    folder = tmp_path / "models" / "shop"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(MODEL)
    extra = {"endpoint_url": s3_options["endpoint"], "region_name": s3_options["region"]}
    connection = {
        "conn_type": "aws", "login": s3_options["key"], "password": s3_options["secret"], "extra": extra,
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_INCUMBENT_STORE", json.dumps(connection))
    monkeypatch.setenv("INCUMBENT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("INCUMBENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INCUMBENT_RAW", f"s3://{BUCKET}/{tmp_path.name}")
    return current_settings()


def test_the_sensor_looks_from_the_worker_until_the_object_is_there(settings: Settings, tmp_path: Path) -> None:
    runtime = Runtime.open("shop")
    sensor = schedule_dag(runtime.model, settings).get_task("await_orders")
    context = {"partition_key": "2020-01", "outlet_events": Events()}
    with pytest.raises(TaskDeferred) as waiting:
        sensor.execute(context)
    assert waiting.value.method_name == "look_again"
    (tmp_path / "orders.csv").write_text("id\n1\n")
    runtime.raw_path("orders", "2020-01").put(tmp_path / "orders.csv")
    assert sensor.look_again(context) == "2020-01"
    assert context["outlet_events"]["keys"] == ["2020-01"]


def test_a_bucket_is_looked_at_every_minute(settings: Settings) -> None:
    model = load_model(settings.models / "shop").model
    assert arrive_dag(model, settings).schedule == "* * * * *"


def test_a_delta_table_in_a_bucket_becomes_a_file_in_a_bucket(settings: Settings, s3_options: dict[str, str]) -> None:
    url = f"{settings.drop}/lake"
    folder = settings.models / "shop"
    query = "SELECT id, seen FROM source WHERE seen >= :start AND seen < :end"
    table = f'orders: {{role: batch, path: "shop/orders/{{partition}}.parquet", table: "{url}", query: "{query}"}}'
    (folder / "model.yaml").write_text(re.sub(r"orders: \{.*", table, MODEL))
    (folder / "contract.yaml").write_text(
        "sources: {orders: {key: [id], columns: {id: {dtype: int64}, seen: {dtype: timestamp}}},"
        " outcomes: {key: [id], columns: {id: {dtype: int64}, late: {dtype: bool}}}}"
    )
    times = pa.array([datetime(2020, month, 2, tzinfo=UTC) for month in (1, 2)], pa.timestamp("us", "UTC"))
    address, options = S3Blobs(url, s3_options).delta()
    deltalake.write_deltalake(address, pa.table({"id": [1, 2], "seen": times}), storage_options=options)
    runtime = Runtime.open("shop")
    task = schedule_dag(runtime.model, settings).get_task("extract_orders")
    context = {"partition_key": "2020-01", "outlet_events": Events()}
    found = task.execute(context)
    assert (found["rows"], found["is_new"], found["through"]) == (1, True, "Delta Lake, version 0")
    with runtime.raw_path("orders", "2020-01").open("rb") as file:
        assert pq.read_table(pa.BufferReader(file.read()))["id"].to_pylist() == [1]
    assert not task.execute(context)["is_new"]
