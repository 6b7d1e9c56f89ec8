"""A backfill of the schedule asks for each partition, and its sensors wait without a worker slot."""

import time

import pytest
from tests.integration.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
NAME = "air_weekly"
DAG = f"{NAME}.schedule"
WEEKS = ("2013-02-04", "2013-02-11")


def states(running: Stack) -> dict[str, set[str]]:
    return {
        run["partition_key"]: {str(task["state"]) for task in running.api.tasks(run)}
        for run in running.api.runs()
        if run["dag_id"] == DAG
    }


def wait_for(running: Stack, wanted: set[str], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if states(running) == dict.fromkeys(WEEKS, wanted):
            return
        time.sleep(1)
    raise AssertionError(f"expected {wanted} in {WEEKS}, found {states(running)}")


def test_a_backfill_waits_for_its_deliveries(running: Stack) -> None:
    body = {
        "dag_id": DAG,
        "from_date": f"{WEEKS[0]}T00:00:00Z",
        "to_date": f"{WEEKS[1]}T00:00:00Z",
        "max_active_runs": 2,
    }
    running.api.post("/backfills", body)
    wait_for(running, {"deferred"})
    for week in WEEKS:
        for source in ("flights", "outcomes"):
            running.drop(NAME, source, week)
    wait_for(running, {"success"})
    running.settler(NAME).wait("the backfilled weeks")
    assert set(WEEKS) <= set(running.store(NAME).predictions.parts())
