"""The tasks that publish: run by Airflow over real connections, and what they never say."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization
from sqlalchemy import URL
from tests.databases import PASSWORD, Postgres, postgres
from tests.incumbent.publish.places import KEY, read_files, scored, seen
from tests.openlineage.schemas import endpoint
from tests.s3_server import BUCKET

from incumbent.config import load_model
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError, UnavailableError
from incumbent.publish import due
from incumbent.store import ModelStore
from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags import maintenance
from incumbent_airflow.dags.publish import publish_dag
from incumbent_airflow.publishing import publish_partition, unpublished
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.dag
ROOT = Path(__file__).parents[2]
MODEL = """
name: shop
owner: tests
task: binary
grain: month
start: 2020-01
keys: [id]
time: at
sources:
  orders: {role: batch, path: "shop/orders/{partition}.parquet"}
  outcomes: {role: outcomes, path: "shop/outcomes/{partition}.parquet"}
label: {sql: late}
publish:
  work: {connection: warehouse, table: TABLE}
  lake: {path: PATH}
"""
CONTRACT = """
sources:
  orders: {key: [id], columns: {id: {dtype: string}, at: {dtype: timestamp}}}
  outcomes: {key: [id], columns: {id: {dtype: string}, late: {dtype: bool}}}
"""
RUN = """
import json, sys
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session

bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["shop.publish"]
for task in dag.tasks:
    task.retries = 0
run = dag.test(logical_date=datetime(2020, 2, int(sys.argv[2]), tzinfo=UTC), run_conf={"partition": "2020-01"})
with create_session() as session:
    events = sorted((event.asset.name, event.partition_key) for event in session.query(AssetEvent))
    states = {task.task_id: str(task.state) for task in run.get_task_instances(session=session)}
print("RESULT " + json.dumps({"events": events, "states": states}))
"""
NAMES = ("INCUMBENT_MODELS", "INCUMBENT_RAW", "INCUMBENT_STORE", "INCUMBENT_HOME", "INCUMBENT_OPENLINEAGE")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        running.run("CREATE ROLE reader LOGIN PASSWORD 'reads-only'", "GRANT USAGE ON SCHEMA public TO reader")
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the model, which is what the environment names."""
    folder = tmp_path / "models" / "shop"
    folder.mkdir(parents=True)
    text = MODEL.replace("TABLE", f"t_{tmp_path.name}").replace("PATH", str(tmp_path / "lake"))
    (folder / "model.yaml").write_text(text)
    (folder / "contract.yaml").write_text(CONTRACT)
    (folder / "features.sql").write_text("SELECT id, at FROM batch")
    for name, place in {"MODELS": "models", "RAW": "raw", "STORE": "store", "HOME": "home"}.items():
        monkeypatch.setenv(f"INCUMBENT_{name}", str(tmp_path / place))
    return tmp_path


@pytest.fixture
def store(home: Path) -> ModelStore:
    return Settings.from_env(os.environ).open_store().model("shop")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    return lambda given: monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(given))


def in_table(server: Postgres, home: Path) -> list[Any]:
    return sorted(server.ask(f"SELECT id, prediction, generation, partition FROM t_{home.name}"))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of an Airflow with a database of its own."""
    home = tmp_path_factory.mktemp("airflow")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"AIRFLOW_HOME": str(home), "PYTHONPATH": f"{ROOT}:{env.get('PYTHONPATH', '')}"}
    command = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
    subprocess.run(command, env=env, capture_output=True, timeout=300, check=True)
    return env


def run_by_airflow(database: dict[str, str], connection: dict[str, Any], day: int) -> tuple[dict[str, Any], str]:
    """Run the DAG for January in a process of its own; return the outcome, and all that was said."""
    env = (
        database
        | {name: os.environ[name] for name in NAMES if name in os.environ}
        | {"AIRFLOW_CONN_WAREHOUSE": json.dumps(connection)}
    )
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT / "dags" / "publish.py"), str(day)],
        env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    logs = [path.read_text(errors="replace") for path in Path(database["AIRFLOW_HOME"]).rglob("*.log")]
    said = "\n".join([done.stdout, done.stderr, *logs])
    result = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert result, said[-5000:]
    return json.loads(result[0].removeprefix("RESULT ")), said


def test_airflow_publishes_a_partition_announces_each_place_and_tells_openlineage(
    server: Postgres, home: Path, store: ModelStore, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(store, 1)
    with endpoint(home) as running:
        monkeypatch.setenv("INCUMBENT_OPENLINEAGE", running.url)
        found, said = run_by_airflow(database, server.connection(), 1)
        told = [event for event in running.took() if event["eventType"] == "COMPLETE"]
    outputs = {event["job"]["name"]: event["outputs"][0]["name"] for event in told if "publish" in event["job"]["name"]}
    assert outputs == {"shop.publish.publish_work": f"t_{home.name}", "shop.publish.publish_lake": str(home / "lake")}
    assert found["states"] == {"publish_work": "success", "publish_lake": "success"}, said[-3000:]
    assert found["events"] == [["shop.published_lake", KEY], ["shop.published_work", KEY]]
    assert in_table(server, home) == read_files(home / "lake") == seen(1)
    assert unsaid(said)


def test_one_place_that_is_away_keeps_no_other_from_its_rows(
    server: Postgres, home: Path, store: ModelStore, database: dict[str, str]
) -> None:
    scored(store, 1)
    found, said = run_by_airflow(database, server.connection(port=1), 2)
    assert found["states"] == {"publish_work": "failed", "publish_lake": "success"}, said[-3000:]
    assert "the database cannot be reached" in said
    assert f"shop.publish.work {KEY}, connection warehouse, table t_{home.name}" in said
    assert read_files(home / "lake") == seen(1)
    assert unsaid(said)


def unsaid(said: str) -> bool:
    return not [line for line in said.splitlines() if "p@ss" in line or "p%40ss" in line or "w0rd" in line]


@pytest.mark.parametrize("extra", [{}, {"sslmode": "prefer"}, {"cursor": "dictcursor"}])
def test_the_hook_opens_the_connection(
    server: Postgres, home: Path, store: ModelStore, connect: Callable[..., None], extra: dict[str, Any]
) -> None:
    connect(server.connection(extra=extra))
    scored(store, 1)
    done = publish_partition(Runtime.open("shop"), "work", KEY)
    assert done is not None
    assert done.changed
    assert in_table(server, home) == seen(1)


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ({"conn_type": "fs"}, "FSHook, no DbApiHook"),
        (None, "there is none of this id"),
        (f'{{"password": "{PASSWORD}"', "there is none of this id"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named(
    home: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch, connection: Any, says: str
) -> None:
    if connection is not None:
        text = connection if isinstance(connection, str) else json.dumps(connection)
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", text)
    scored(store, 1)
    with pytest.raises(ConfigError, match=says) as caught:
        publish_partition(Runtime.open("shop"), "work", KEY)
    assert caught.value.where == f"shop.publish.work {KEY}, connection warehouse"
    assert unsaid(f"{caught.value}{caught.value.__cause__}{caught.value.__context__}")


def test_any_hook_whose_dialect_sqlalchemy_knows_will_do(
    home: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a provider that nobody here has heard of."""
    path = home / "work.sqlite"

    class FileHook(DbApiHook):
        conn_name_attr = "file_conn_id"

        def get_conn(self) -> sqlite3.Connection:
            return sqlite3.connect(self.connection.host)

    monkeypatch.setattr(Connection, "get_hook", lambda self, **_: FileHook(file_conn_id=self.conn_id))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "file", "host": str(path)}))
    scored(store, 1)
    with pytest.raises(ConfigError, match="no dialect of SQLAlchemy"):
        publish_partition(Runtime.open("shop"), "work", KEY)
    monkeypatch.setattr(FileHook, "sqlalchemy_url", URL.create("sqlite"))
    done = publish_partition(Runtime.open("shop"), "work", KEY)
    assert done is not None
    assert done.changed
    with sqlite3.connect(path) as file:
        assert file.execute(f"SELECT count(*) FROM t_{home.name}").fetchone() == (3,)


@pytest.mark.parametrize(
    ("changed", "kind", "says"),
    [
        ({"password": "p@ss, but wrong"}, UnavailableError, "password authentication failed"),
        ({"port": 1}, UnavailableError, "refused"),
        ({"login": "reader", "password": "reads-only"}, ConfigError, "InsufficientPrivilege"),
    ],
)
def test_what_a_database_refuses_is_said_without_secrets(
    server: Postgres, home: Path, store: ModelStore, connect: Callable[..., None], changed: Any, kind: Any, says: str
) -> None:
    connect(server.connection(**changed))
    scored(store, 1)
    with pytest.raises(kind) as caught:
        publish_partition(Runtime.open("shop"), "work", KEY)
    assert says in str(caught.value)
    said = f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    assert unsaid(said)
    assert "reads-only" not in said


def test_a_bucket_is_reached_over_a_connection(
    home: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch, s3_options: dict[str, str]
) -> None:
    path = home / "models" / "shop" / "model.yaml"
    to = f"s3://{BUCKET}/{home.name}"
    path.write_text(path.read_text().replace(f"{{path: {home / 'lake'}}}", f"{{path: {to}, connection: lake}}"))
    scored(store, 1)
    with pytest.raises(ConfigError, match="the connection is missing"):
        publish_partition(Runtime.open("shop"), "lake", KEY)
    extra = {"endpoint_url": s3_options["endpoint"], "region_name": s3_options["region"]}
    connection = {"conn_type": "aws", "login": s3_options["key"], "password": s3_options["secret"], "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    done = publish_partition(Runtime.open("shop"), "lake", KEY)
    assert done is not None
    assert done.changed


def test_a_partition_that_was_not_scored_is_skipped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from incumbent_airflow.dags import publish

    monkeypatch.setattr(publish, "get_current_context", lambda: {"partition_key": KEY})
    task = publish_dag(load_model(home / "models" / "shop").model).get_task("publish_lake")
    with pytest.raises(AirflowSkipException, match="was not scored yet"):
        task.python_callable()


def test_only_a_folder_that_publishes_has_the_dag(home: Path) -> None:
    bag = DagBag(dag_folder=str(ROOT / "dags" / "publish.py"))
    assert bag.import_errors == {}
    dag: Any = bag.dags["shop.publish"]
    assert {asset.name for asset in dag.timetable.asset_condition.objects} == {"shop.predictions", "shop.unpublished"}
    assert "**Re-run:**" in dag.doc_md
    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert {task.task_id for task in again.tasks} == {"publish_work", "publish_lake"}
    path = home / "models" / "shop" / "model.yaml"
    path.write_text(path.read_text().partition("publish:")[0])
    assert DagBag(dag_folder=str(ROOT / "dags" / "publish.py")).dags == {}
    assert not [task for task in maintenance.maintenance_dag(models()).tasks if "unpublished" in task.task_id]


def test_maintenance_announces_what_no_event_has_told(
    server: Postgres, home: Path, store: ModelStore, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(server.connection())
    announced: list[tuple[str, str]] = []
    monkeypatch.setattr(maintenance, "emit", lambda _, asset, key: announced.append((asset.name, key)))
    monkeypatch.setattr(maintenance, "get_current_context", lambda: {"run_id": "one"})
    (task,) = (each for each in maintenance.maintenance_dag(models()).tasks if each.task_id == "unpublished_shop")
    scored(store, 1)
    with pytest.raises(AirflowSkipException):
        task.python_callable()
    monkeypatch.setattr(due, "LOST_AFTER", timedelta(hours=-1))
    assert task.python_callable() == [KEY]
    assert announced == [("shop.unpublished", KEY)]
    for name in ("work", "lake"):
        publish_partition(Runtime.open("shop"), name, KEY)
    assert unpublished(Runtime.open("shop"), "two") == []
