"""The schedule's tasks that query a database: run by Airflow over a real connection, and what they never say.

Long because one server, one database of Airflow's and their connections serve all of it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowTaskTimeout, TaskDeferred
from airflow.sdk.execution_time.timeout import timeout
from airflow.serialization.serialized_objects import DagSerialization
from tests.databases import PASSWORD, Postgres, postgres

from incumbent.config import load_model
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError, UnavailableError
from incumbent_airflow import databases
from incumbent_airflow.assets import ModelAssets
from incumbent_airflow.dags.schedule import schedule_dag
from incumbent_airflow.databases import open_database
from incumbent_airflow.operators.extract import ExtractOperator

pytestmark = pytest.mark.dag
ROOT = Path(__file__).parents[2]
MODEL = """
name: shop
owner: tests
task: binary
grain: month
timezone: Europe/Berlin
start: 2020-01
end: 2020-03
keys: [id]
time: seen
sources:
  orders:
    role: batch
    path: shop/orders/{partition}.parquet
    connection: shop
    query: SELECT id, seen FROM orders WHERE seen >= :start AND seen < :end
  outcomes:
    role: outcomes
    path: shop/outcomes/{partition}.parquet
    connection: shop
    query: SELECT id, late FROM orders WHERE to_char(seen AT TIME ZONE 'Europe/Berlin', 'YYYY-MM') = :partition
label: {sql: late, delay_days: 40}
"""
CONTRACT = """
sources:
  orders: {key: [id], columns: {id: {dtype: int64}, seen: {dtype: timestamp}}}
  outcomes: {key: [id], columns: {id: {dtype: int64}, late: {dtype: bool, nullable: true}}}
"""
# The first second of January in Berlin is still December in UTC.
ROWS = [(1, "2019-12-31 22:59:59Z", True), (2, "2019-12-31 23:00:00Z", False), (3, "2020-01-31 22:59:59Z", None)]
JANUARY = {"partition": "2020-01"}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        insert = ("INSERT INTO orders VALUES (%s, %s, %s)", ROWS)
        running.run("CREATE TABLE orders (id int8, seen timestamptz, late bool)", many=insert)
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the model, which is what the environment names."""
    folder = tmp_path / "models" / "shop"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(MODEL)
    (folder / "contract.yaml").write_text(CONTRACT)
    (folder / "features.sql").write_text("SELECT id, seen FROM batch")
    for name, place in {"MODELS": "models", "RAW": "raw", "STORE": "store", "HOME": "home"}.items():
        monkeypatch.setenv(f"INCUMBENT_{name}", str(tmp_path / place))
    return tmp_path


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    return lambda given: monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(given))


class Events(dict[Any, Any]):
    """The outlet events of a task, as far as `emit` uses them."""

    class Event:
        def __init__(self) -> None:
            self.keys: list[str] = []
            self.extra: dict[str, Any] = {}

        def add_partitions(self, keys: list[str]) -> None:
            self.keys += keys

    def __missing__(self, asset: Any) -> Any:
        return self.setdefault(asset.name, self.Event()) if hasattr(asset, "name") else self.setdefault(asset, None)


def operator(home: Path, source: str = "orders") -> ExtractOperator:
    model = load_model(home / "models" / "shop").model
    return ExtractOperator(
        task_id=f"extract_{source}", model="shop", source=source, asset=ModelAssets(model).raw(source)
    )


def execute(task: ExtractOperator, partition: str = "2020-01") -> tuple[dict[str, Any], list[str]]:
    events = Events()
    result = task.execute({"partition_key": partition, "outlet_events": events})
    return result, events[task.asset.name].keys


RUN = """
import json, sys
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session

bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["shop.schedule"]
for task in dag.tasks:
    task.retries = 0
run = dag.test(logical_date=datetime(2020, 2, 1, tzinfo=UTC), run_conf={"partition": "2020-01"})
with create_session() as session:
    events = sorted((event.asset.name, event.partition_key) for event in session.query(AssetEvent))
    states = {task.task_id: str(task.state) for task in run.get_task_instances(session=session)}
print("RESULT " + json.dumps({"events": events, "states": states}))
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of an Airflow with a database of its own."""
    home = tmp_path_factory.mktemp("airflow")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
    subprocess.run(command, env=env, capture_output=True, timeout=300, check=True)
    return env


def run_by_airflow(database: dict[str, str], home: Path, connection: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Run the schedule's DAG for January in a process of its own; return the outcome, and all that was said."""
    names = ("INCUMBENT_MODELS", "INCUMBENT_RAW", "INCUMBENT_STORE", "INCUMBENT_HOME")
    env = database | {name: os.environ[name] for name in names} | {"AIRFLOW_CONN_SHOP": json.dumps(connection)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT / "dags" / "schedule.py")],
        env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    logs = [path.read_text(errors="replace") for path in Path(database["AIRFLOW_HOME"]).rglob("*.log")]
    said = "\n".join([done.stdout, done.stderr, *logs])
    result = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert result, said[-5000:]
    return json.loads(result[0].removeprefix("RESULT ")), said


def test_airflow_delivers_a_partition_and_announces_it(server: Postgres, home: Path, database: dict[str, str]) -> None:
    found, said = run_by_airflow(database, home, server.connection())
    assert found["states"] == {"extract_orders": "success", "extract_outcomes": "success"}, said[-3000:]
    assert found["events"] == [["shop.raw_orders", "2020-01"], ["shop.raw_outcomes", "2020-01"]]
    files = {path.relative_to(home / "raw").as_posix(): path for path in (home / "raw").rglob("*") if path.is_file()}
    assert sorted(files) == ["shop/orders/2020-01.parquet", "shop/outcomes/2020-01.parquet"]
    orders, outcomes = (pq.read_table(files[name]).to_pylist() for name in sorted(files))
    assert [row["seen"].isoformat() for row in orders] == ["2019-12-31T23:00:00+00:00", "2020-01-31T22:59:59+00:00"]
    assert outcomes == [{"id": 2, "late": False}, {"id": 3, "late": None}]
    assert "2 rows through ADBC" in said
    assert_unsaid(said)


def test_airflow_says_what_is_wrong_and_no_password(server: Postgres, home: Path, database: dict[str, str]) -> None:
    found, said = run_by_airflow(database, home, server.connection(port=1))
    assert set(found["states"].values()) == {"failed"}
    assert "the database cannot be reached" in said
    assert "shop.orders 2020-01, connection shop" in said
    assert_unsaid(said)
    assert not list((home / "raw").rglob("*.parquet"))


def assert_unsaid(said: str) -> None:
    assert [line for line in said.splitlines() if "p@ss" in line or "p%40ss" in line or "w0rd" in line] == []


@pytest.mark.parametrize("has_adbc", [True, False])
def test_a_rerun_writes_nothing_new_and_announces_again(
    server: Postgres, home: Path, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, has_adbc: bool
) -> None:
    connect(server.connection())
    first, announced = execute(operator(home))
    if not has_adbc:
        monkeypatch.setattr(databases, "ADBC_POSTGRES", "no_such_driver")
    again, once_more = execute(operator(home))
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert (again["digest"], again["rows"]) == (first["digest"], 2)
    assert announced == once_more == ["2020-01"]


def test_rows_that_are_not_due_are_waited_for_without_a_slot(
    home: Path, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(home / "models" / "shop").model
    assert model.due("orders", "2020-01") == datetime(2020, 1, 31, 23, tzinfo=UTC)
    assert model.due("outcomes", "2020-01") == datetime(2020, 1, 31, 23, tzinfo=UTC) + timedelta(days=40)
    this_month = datetime.now(UTC).strftime("%Y-%m")
    with pytest.raises(TaskDeferred) as deferred:
        execute(operator(home, "outcomes"), this_month)
    assert deferred.value.trigger.serialize()[1]["moment"] == model.due("outcomes", this_month)
    assert deferred.value.method_name == "execute_complete"


@pytest.mark.parametrize("has_adbc", [True, False])
def test_a_kill_ends_the_query_in_the_database(
    server: Postgres, home: Path, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, has_adbc: bool
) -> None:
    """As Airflow does it: a signal, whose handler calls `on_kill` in the thread that waits."""
    connect(server.connection())
    if not has_adbc:
        monkeypatch.setattr(databases, "ADBC_POSTGRES", "no_such_driver")
    path = home / "models" / "shop" / "model.yaml"
    path.write_text(MODEL.replace("SELECT id, seen FROM orders", "SELECT id, seen, pg_sleep(300) FROM orders"))
    task = operator(home)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    monkeypatch.setattr(signal, "SIGTERM", signal.SIGUSR1)
    before = signal.signal(signal.SIGUSR1, lambda *_: task.on_kill())

    def kill() -> None:
        until(lambda: server.ask(asleep) == [(1,)])
        os.kill(os.getpid(), signal.SIGUSR1)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(UnavailableError, match="cancelled"):
            execute(task)
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, before)
    until(lambda: server.ask(asleep) == [(0,)])
    assert not list((home / "raw").rglob("*.parquet"))


def test_a_timeout_ends_it_too(server: Postgres, home: Path, connect: Callable[..., None]) -> None:
    connect(server.connection())
    path = home / "models" / "shop" / "model.yaml"
    path.write_text(MODEL.replace("SELECT id, seen FROM orders", "SELECT id, seen, pg_sleep(300) FROM orders"))
    with pytest.raises(AirflowTaskTimeout), timeout(2):
        execute(operator(home))
    until(lambda: server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == [(0,)])


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ({"conn_type": "fs"}, "FSHook, no DbApiHook"),
        ({"conn_type": "snowflake"}, "type snowflake, for which no provider is installed"),
        (None, "there is none of this id"),
        (f"a://b://c://me:{PASSWORD}@host/x", "there is none of this id"),
        (f'{{"password": "{PASSWORD}"', "there is none of this id"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, connection: Any, says: str
) -> None:
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection if isinstance(connection, str) else json.dumps(connection))
    with pytest.raises(ConfigError, match=says) as caught:
        execute(operator(home))
    assert caught.value.where == "shop.orders 2020-01, connection shop"
    assert "DbApiHook" in str(caught.value.expected)
    said = f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    assert not [part for part in ("p@ss", "w0rd") if part in said]


@pytest.mark.parametrize(
    ("extra", "through"),
    [
        ({}, "ADBC"),
        ({"sslmode": "prefer", "application_name": "it's"}, "ADBC"),
        ({"cursor": "dictcursor"}, "ADBC"),
        ({"prepare_threshold": 5}, "psycopg"),
    ],
)
def test_adbc_is_taken_where_it_connects_as_the_hook_would(
    server: Postgres, connect: Callable[..., None], extra: dict[str, Any], through: str
) -> None:
    from incumbent.validate.reading import Reading

    connect(server.connection(extra=extra))
    reading = Reading(open_database("shop", "w"), "SELECT current_setting('application_name') AS name", {}, "w")
    (rows,) = list(reading)
    assert reading.through == through
    if "application_name" in extra:
        assert rows.column(0).to_pylist() == ["it's"]


def test_any_hook_that_is_a_dbapihook_will_do(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a provider that nobody here has heard of: its driver says how it wants its parameters."""
    import sqlite3

    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk import Connection

    class FileHook(DbApiHook):
        conn_name_attr = "file_conn_id"

        def get_conn(self) -> sqlite3.Connection:
            return sqlite3.connect(self.connection.host)

    monkeypatch.setattr(Connection, "get_hook", lambda self, **_: FileHook(file_conn_id=self.conn_id))
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE orders (id INTEGER, seen TEXT, late INTEGER)")
        file.executemany("INSERT INTO orders VALUES (?, replace(?, 'Z', '+00:00'), ?)", ROWS)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "file", "host": str(path)}))
    result, announced = execute(operator(home))
    assert (result["rows"], announced) == (2, ["2020-01"])
    assert open_database("shop", "w").style == "format"
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "gcpbigquery"}))
    assert open_database("shop", "w").style == "pyformat"


def test_the_schedule_asks_the_database_where_it_would_wait_for_a_file(home: Path) -> None:
    model = load_model(home / "models" / "shop").model
    dag: Any = schedule_dag(model, Settings.from_env(os.environ))
    assert [task.task_id for task in dag.tasks] == ["extract_orders", "extract_outcomes"]
    assert {asset.name for task in dag.tasks for asset in task.outlets} == {"shop.raw_orders", "shop.raw_outcomes"}
    assert dag.max_active_runs == 4 + 2, "a month's outcomes are waited for while two more months pass"
    assert dag.dagrun_timeout == timedelta(days=40, hours=6)
    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert {task.task_id for task in again.tasks} == {"extract_orders", "extract_outcomes"}


def test_parsing_looks_up_no_connection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.BaseHook.get_connection", lambda *_: pytest.fail("looked up while parsing"))
    bag = DagBag(dag_folder=str(ROOT / "dags" / "schedule.py"))
    assert bag.import_errors == {}
    assert [task.task_id for task in bag.dags["shop.schedule"].tasks] == ["extract_orders", "extract_outcomes"]
