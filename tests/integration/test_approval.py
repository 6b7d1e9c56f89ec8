"""With approvals on, a gated challenger waits for a person, who is named in the ledger."""

import time
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from tests.integration.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
NAME = "air_approved"
WEEKS = ("2013-01-07", "2013-01-14")


def waiting_for_a_person(running: Stack, timeout_s: float = 180) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for run in running.api.runs(state="running"):
            if run["dag_id"] == f"{NAME}.train":
                for task in running.api.tasks(run):
                    if task["task_id"] == "approve" and task["state"] == "awaiting_input":
                        return run
        time.sleep(1)
    raise AssertionError("no training waits for a person")


def answer(running: Stack, run: dict[str, Any], choice: str) -> None:
    time.sleep(3)  # Airflow loses an answer that comes while the task is still being parked
    path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/approve/-1/hitlDetails"
    running.api.patch(path, {"chosen_options": [choice], "params_input": {}})


def test_nobody_takes_the_seat_without_a_yes(running: Stack) -> None:
    running.settle(NAME, WEEKS[0], "flights", "outcomes")
    running.settle(NAME, WEEKS[1], "flights")
    running.drop(NAME, "outcomes", WEEKS[1])
    run = waiting_for_a_person(running)
    assert running.store(NAME).champion() is None
    answer(running, run, "Reject")
    running.settler(NAME).wait("the refusal")
    assert running.store(NAME).champion() is None
    states = {task["task_id"]: task["state"] for task in running.api.tasks(run)}
    assert (states["evaluate"], states["promote"], states["register"]) == ("success", "skipped", "success")
    client = MlflowClient(running.settings.mlflow_uri)
    experiment = client.get_experiment_by_name(f"incumbent/{NAME}")
    assert [found.info.status for found in client.search_runs([experiment.experiment_id])] == ["FINISHED"]


def test_a_yes_promotes_and_is_recorded(running: Stack) -> None:
    run_id = running.api.trigger(f"{NAME}.train", {"partition": WEEKS[1], "reason": "asked again"})
    run = waiting_for_a_person(running)
    assert run["dag_run_id"] == run_id
    answer(running, run, "Approve")
    running.settler(NAME).wait("the approval")
    champion = running.store(NAME).champion()
    assert champion is not None
    assert (champion.generation, champion.approved_by) == (1, running.api.user)
