"""The task that trains: in its process, or deferred until its job has ended; only a person ends a job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import TaskDeferred
from small_training import small_model, small_store
from tests.incumbent_airflow.conftest import CONTRACT, KEY, SQL, ask
from tests.jobs_server import JobsServer, jobs_server

from incumbent.errors import TrainingError, UnavailableError
from incumbent.records import Training
from incumbent.train.progress import Progress
from incumbent.train.ray_job import PROGRESS, RESULT
from incumbent.train.stage import plan_training
from incumbent_airflow import stages, training
from incumbent_airflow.operators.train import TrainOnRayOperator
from incumbent_airflow.runtime import Runtime
from incumbent_airflow.triggers import ray_job
from incumbent_airflow.triggers.ray_job import RayJobTrigger

pytestmark = pytest.mark.dag


@pytest.fixture
def cluster() -> Iterator[JobsServer]:
    with jobs_server() as running:
        yield running


@pytest.fixture
def opened(tmp_path: Path, cluster: JobsServer, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return what a task opens by the environment: a model that trains on the cluster, its January in the store."""
    return opening(tmp_path, monkeypatch, cluster, launcher="ray")


def opening(root: Path, monkeypatch: pytest.MonkeyPatch, cluster: JobsServer, **train: Any) -> Runtime:
    folder = root / "models" / "small"
    folder.mkdir(parents=True)
    model = small_model(rounds=10, checkpoint_every=5, **train).model_dump(mode="json", exclude_defaults=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(model))
    (folder / "features.sql").write_text(SQL)
    (folder / "contract.yaml").write_text(CONTRACT)
    environment = {"HOME": root / "home", "MODELS": root / "models", "RAY_ADDRESS": cluster.url}
    for name, value in environment.items():
        monkeypatch.setenv(f"INCUMBENT_{name}", str(value))
    monkeypatch.setenv("INCUMBENT_MLFLOW_URI", "sqlite:///nowhere.db")
    runtime = Runtime.open("small")
    made, snapshot = small_store(root / "made")
    for table, rows in (
        (runtime.store.batches("events"), made.features(snapshot.definition)),
        (runtime.store.outcomes("truth"), made.outcomes("truth")),
    ):
        table.replace(KEY, rows.read([KEY]).drop_columns(["partition"]))
    return runtime


def operator(request: str) -> TrainOnRayOperator:
    return TrainOnRayOperator(task_id="train", model="small", request=request)


def asked(runtime: Runtime) -> str:
    request = ask(runtime)
    stages.take_snapshot(runtime, request)
    return request


def deferred(request: str) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        operator(request).execute({})
    return caught.value


def give_result(runtime: Runtime, request: str) -> None:
    """Do what the job would do, in this process."""
    planned = plan_training(runtime.store, runtime.model, stages.snapshot_of(runtime, request), request)
    outcome = planned.work.run(runtime.store, lambda progress: None)
    planned.work.checkpoints(runtime.store).say(RESULT, asdict(outcome))


def test_small_data_is_fitted_in_the_task(
    tmp_path: Path, cluster: JobsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = opening(tmp_path, monkeypatch, cluster, launcher="process")
    request = asked(runtime)
    with caplog.at_level(logging.INFO):
        done = operator(request).execute({})
    assert (done["rounds"], done["launcher"]) == (10, "process")
    told = [record.getMessage() for record in caplog.records if record.name.endswith("progress")]
    assert [line.partition(" ")[0] for line in told[:3]] == ["choosing", "reading", "round"]
    assert told[-1].startswith("round 10 of 10 (100 %), train logloss 0.")
    assert operator(request).execute({}) == done
    assert cluster.submitted == []


def test_it_defers_to_its_job_and_a_retried_task_finds_it(opened: Runtime, cluster: JobsServer) -> None:
    request = asked(opened)
    first = deferred(request)
    (job,) = cluster.states
    assert isinstance(first.trigger, RayJobTrigger)
    assert (first.trigger.job, first.method_name, first.kwargs) == (job, "execute_complete", {"job": job})
    cluster.states[job] = "RUNNING"
    assert deferred(request).trigger.job == job
    assert len(cluster.submitted) == 1


def test_it_stores_what_its_job_gave(opened: Runtime, cluster: JobsServer) -> None:
    request = asked(opened)
    job = deferred(request).trigger.job
    give_result(opened, request)
    done = operator(request).execute_complete({}, {"state": "SUCCEEDED", "message": ""}, job)
    assert opened.store.records.get(Training, request).version == done["version"]
    assert operator(request).execute({}) == done, "a cleared task finds it"


def test_the_links_lead_to_the_job_and_the_run(opened: Runtime, cluster: JobsServer) -> None:
    task = operator(asked(opened))
    with pytest.raises(TaskDeferred):
        task.execute({})
    links = {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}
    (job,) = cluster.states
    assert links == {"Ray job": f"{cluster.url}/#/jobs/{job}", "MLflow run": ""}
    opened.store.records.put_plain("mlflow_runs", task.request, {"experiment": "3", "run": "ab"})
    assert training.mlflow_page(opened, task.request).endswith("/#/experiments/3/runs/ab?workflowType=machine_learning")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"state": "AWAY", "message": "no answer"}, UnavailableError),
        ({"state": "LOST", "message": ""}, UnavailableError),
        ({"state": "FAILED", "message": ""}, TrainingError),
        # A cleared task finds its job before the trigger of the try before it ends that.
        ({"state": "STOPPED", "message": ""}, UnavailableError),
    ],
)
def test_only_what_can_succeed_is_worth_another_try(
    opened: Runtime, cluster: JobsServer, event: dict[str, str], error: type[Exception]
) -> None:
    request = asked(opened)
    job = deferred(request).trigger.job
    with pytest.raises(error):
        operator(request).execute_complete({}, event, job)


def run(trigger: RayJobTrigger) -> list[Any]:
    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    return asyncio.run(asyncio.wait_for(events(), 20))


def trigger(job: str) -> RayJobTrigger:
    return RayJobTrigger(job, "small", "2020-01-r1", poll_s=0.05)


def test_the_trigger_is_rebuilt_from_what_it_says_of_itself() -> None:
    path, given = trigger("a").serialize()
    assert path == f"{RayJobTrigger.__module__}.RayJobTrigger"
    assert RayJobTrigger(**given).serialize() == (path, given)


def test_the_trigger_tells_each_progress_once_and_fires_at_the_end(
    opened: Runtime, cluster: JobsServer, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.states["a"] = "RUNNING"
    cluster.logs["a"] = PROGRESS + Progress(5, 10, 100).to_json()

    async def follow() -> list[Any]:
        async def end() -> None:
            await asyncio.sleep(0.5)
            cluster.states["a"] = "SUCCEEDED"

        ending = asyncio.create_task(end())
        found = [event.payload async for event in trigger("a").run()]
        await ending
        return found

    with caplog.at_level(logging.INFO):
        (event,) = asyncio.run(asyncio.wait_for(follow(), 20))
    assert event["state"] == "SUCCEEDED"
    assert caplog.text.count("round 5 of 10 (50 %)") == 1


def test_the_trigger_waits_for_a_cluster_that_is_away_and_then_says_so(
    opened: Runtime, cluster: JobsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCUMBENT_RAY_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setattr(ray_job, "AWAY_S", 0.3)
    (event,) = run(trigger("a"))
    assert event["state"] == "AWAY"
    assert "the Ray cluster does not answer" in event["message"]


def test_a_job_that_is_forgotten_fires(opened: Runtime) -> None:
    assert [event["state"] for event in run(trigger("gone"))] == ["LOST"]


def test_only_a_person_ends_the_job(opened: Runtime, cluster: JobsServer) -> None:
    cluster.states["a"] = "RUNNING"

    async def cancelled() -> None:
        following = asyncio.create_task(anext(aiter(trigger("a").run())))
        await asyncio.sleep(0.3)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        await trigger("a").cleanup()

    asyncio.run(cancelled())
    assert cluster.stopped == []
    asyncio.run(trigger("a").on_kill())
    assert cluster.stopped == ["a"]
