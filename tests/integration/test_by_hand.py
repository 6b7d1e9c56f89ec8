"""Each DAG started with `airflow dags trigger`, its partition in `--conf`, and the DAG that follows with the key."""

import json
import time
from typing import Any

import pytest
from tests.integration.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
MONTH = "2013-02"
# The DAG, its --conf, and the DAG that must run next with the same key.
STARTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("flights_delay.arrive", {}, ""),
    ("flights_delay.schedule", {"partition": MONTH}, "flights_delay.ingest_weather"),
    ("flights_delay.ingest_planes", {}, ""),
    ("flights_delay.ingest_airlines", {}, ""),
    ("flights_delay.ingest_flights", {"partition": MONTH}, "flights_delay.features"),
    ("flights_delay.ingest_weather", {"partition": MONTH}, "flights_delay.features"),
    ("flights_delay.ingest_outcomes", {"partition": MONTH}, "flights_delay.monitor"),
    ("flights_delay.features", {"partition": MONTH}, "flights_delay.score"),
    ("flights_delay.score", {"partition": MONTH}, "flights_delay.monitor"),
    ("flights_delay.monitor", {"partition": MONTH}, ""),
    ("flights_airtime.train", {"partition": MONTH, "reason": "tried by hand", "since": "2013-01-15"}, ""),
    ("flights_airtime.rollback", {"generation": 1, "reason": "tried by hand"}, ""),
    ("incumbent.maintenance", {}, ""),
)
# The command line of Airflow, imported once for all commands.
COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser
parser = get_parser()
for command in json.loads(sys.argv[1]):
    arguments = parser.parse_args(command)
    arguments.func(arguments)
"""


def test_each_dag_starts_from_the_command_line(running: Stack) -> None:
    mark = f"by-hand-{time.time():.0f}"
    commands = [
        ["dags", "trigger", dag_id, "--run-id", mark, *(["--conf", json.dumps(conf)] if conf else [])]
        for dag_id, conf, _ in STARTS
    ]
    earlier = {run["dag_run_id"] for run in running.api.runs()}
    running.call("python", "-c", COMMANDS, json.dumps(commands))
    for dag_id, _, _ in STARTS:
        run = running.api.get(f"/dags/{dag_id}/dagRuns/{mark}")
        assert running.api.wait(dag_id, mark) == "success", running.api.why_failed(run)
    for dag_id, _, follower in STARTS:
        if follower:
            wait_for_follower(running, earlier, dag_id, follower)
    tasks = running.api.tasks(running.api.get(f"/dags/flights_airtime.train/dagRuns/{mark}"))
    others = [(task["rendered_map_index"], task["state"]) for task in tasks if task["task_id"] == "train_others"]
    assert others == [("recent", "success")], "a second candidate, on the rows since that day"
    for model in ("flights_delay", "flights_airtime"):
        running.settler(model).wait("the runs that followed")


def wait_for_follower(running: Stack, earlier: set[str], dag_id: str, follower: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for run in running.api.runs(state="success"):
            new = run["dag_run_id"] not in earlier and run["run_type"] == "asset_triggered"
            if new and (run["dag_id"], run["partition_key"]) == (follower, MONTH):
                return
        time.sleep(1)
    raise AssertionError(f"no run of {follower} with key {MONTH} came after {dag_id}")
