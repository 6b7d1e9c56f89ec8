"""What the cluster answers, and what is said when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from small_training import small_model, small_settings, small_store
from tests.jobs_server import JobsServer, jobs_server

from incumbent.cluster.failure import failure_line, failure_of
from incumbent.cluster.jobs import find_jobs, open_jobs
from incumbent.cluster.jobs_api import LOST, SUCCEEDED, JobsApi
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError, PipelineError, TrainingError, UnavailableError
from incumbent.train.order import read_order
from incumbent.train.progress import Progress
from incumbent.train.ray_job import PROGRESS, RESULT, outcome, submit, watch
from incumbent.train.work import Work

pytestmark = pytest.mark.unit


@pytest.fixture
def cluster() -> Iterator[JobsServer]:
    with jobs_server() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, cluster: JobsServer) -> Settings:
    return small_settings(tmp_path, INCUMBENT_RAY_ADDRESS=cluster.url, INCUMBENT_RAY_PYTHON="/opt/a b/python")


def test_a_work_is_submitted_once_and_its_order_lies_in_the_store(
    tmp_path: Path, cluster: JobsServer, settings: Settings
) -> None:
    store, snapshot = small_store(tmp_path / "store")
    work = Work(small_model(launcher="ray", rounds=7), snapshot)
    jobs = JobsApi(cluster.url)
    job = submit(store, work, jobs, settings)
    assert submit(store, work, jobs, settings) == job == f"incumbent-{work.id[:24]}-1"
    (body,) = cluster.submitted
    assert body["metadata"] == {"model": "small", "snapshot": snapshot.id, "work": work.id}
    assert "runtime_env" not in body, "a worker with an environment of its own is none that Ray has ready"
    assert body["entrypoint"].startswith("'/opt/a b/python' -m incumbent.train.job '{")
    told = body["entrypoint"].partition(" -m incumbent.train.job ")[2].strip("'")
    found_store, found = read_order(told, tmp_path / "scratch")
    assert found_store.name == "small"
    assert (found.model, found.workers) == (work.model, work.workers)
    assert found.id == work.id


def test_a_failed_job_is_submitted_again_under_another_name(
    tmp_path: Path, cluster: JobsServer, settings: Settings
) -> None:
    store, snapshot = small_store(tmp_path / "store")
    work, jobs = Work(small_model(launcher="ray"), snapshot), JobsApi(cluster.url)
    first = submit(store, work, jobs, settings)
    cluster.states[first] = "FAILED"
    cluster.logs[first] = f"{PROGRESS}{Progress(1, 2, 3).to_json()}\nTraceback\nMemoryError: no"
    with pytest.raises(TrainingError, match="the Ray job failed") as caught:
        outcome(store, work, jobs, first, "FAILED")
    assert str(caught.value.found).splitlines() == ["FAILED", "Traceback", "MemoryError: no"]
    assert submit(store, work, jobs, settings) == first.removesuffix("1") + "2"


@pytest.mark.parametrize("kind", [TrainingError, UnavailableError])
def test_an_error_comes_home_in_the_jobs_log_as_itself(
    tmp_path: Path, cluster: JobsServer, settings: Settings, kind: type[PipelineError]
) -> None:
    store, snapshot = small_store(tmp_path / "store")
    work, jobs = Work(small_model(launcher="ray"), snapshot), JobsApi(cluster.url)
    job = submit(store, work, jobs, settings)
    error = kind("no use", where="here", expected=1, found="two\nlines", next_step="look")
    cluster.states[job] = SUCCEEDED
    cluster.logs[job] = "\n".join(["attempt 1", failure_line(error), "and more"])
    with pytest.raises(kind) as caught:
        outcome(store, work, jobs, job, SUCCEEDED)
    assert str(caught.value) == str(error)
    assert submit(store, work, jobs, settings) == job.removesuffix("1") + "2", "the task's next try begins anew"


def test_an_error_that_an_earlier_release_left_in_the_store_is_still_one(
    tmp_path: Path, cluster: JobsServer, settings: Settings
) -> None:
    store, snapshot = small_store(tmp_path / "store")
    work, jobs = Work(small_model(launcher="ray"), snapshot), JobsApi(cluster.url)
    job = submit(store, work, jobs, settings)
    cluster.states[job] = SUCCEEDED
    work.checkpoints(store).say(RESULT, failure_of(TrainingError("no use", where="here", next_step="look")))
    with pytest.raises(TrainingError, match="no use"):
        outcome(store, work, jobs, job, SUCCEEDED)
    assert submit(store, work, jobs, settings) == job.removesuffix("1") + "2"


def test_what_a_job_warned_of_is_in_the_tasks_log(
    tmp_path: Path, cluster: JobsServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    store, snapshot = small_store(tmp_path / "store")
    work, jobs = Work(small_model(launcher="ray", rounds=2), snapshot), JobsApi(cluster.url)
    job = submit(store, work, jobs, settings)
    done = replace(work.run(store, lambda progress: None), warnings=["null in all training rows: x"])
    work.checkpoints(store).say(RESULT, asdict(done))
    assert outcome(store, work, jobs, job, SUCCEEDED).warnings == ["null in all training rows: x"]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == done.warnings


def test_a_job_that_its_cluster_has_forgotten_is_worth_another_try(
    tmp_path: Path, cluster: JobsServer, settings: Settings
) -> None:
    store, snapshot = small_store(tmp_path / "store")
    work, jobs = Work(small_model(launcher="ray"), snapshot), JobsApi(cluster.url)
    job = submit(store, work, jobs, settings)
    cluster.states.clear()
    assert watch(jobs, job).state == LOST
    with pytest.raises(UnavailableError, match="forgotten the job"):
        outcome(store, work, jobs, job, LOST)
    assert submit(store, work, jobs, settings) == job


def test_what_a_job_said_last_is_its_progress(cluster: JobsServer) -> None:
    told = [Progress(1, 9, 100), Progress(5, 9, 100, "train logloss", 0.25)]
    cluster.states["a"] = "RUNNING"
    cluster.logs["a"] = "\n".join(["attempt 1", *(PROGRESS + each.to_json() for each in told), "and more"])
    assert watch(JobsApi(cluster.url), "a").progress == told[-1]


@pytest.mark.parametrize(("given", "found"), [("", "none"), ("wrong", "another token")])
def test_a_wrong_token_is_said_with_the_remedy(cluster: JobsServer, given: str, found: str) -> None:
    cluster.token = "right"
    assert JobsApi(cluster.url, "right").states() == {}
    with pytest.raises(UnavailableError, match="refuses the token") as caught:
        JobsApi(cluster.url, given).states()
    assert caught.value.found == found
    assert "RAY_AUTH_TOKEN_PATH" in caught.value.next_step


def test_the_token_is_the_one_that_rays_own_clients_take(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    path = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    assert JobsApi.of("http://x", path).token == "from a file"
    assert JobsApi.of("http://x", {**path, "RAY_AUTH_TOKEN": "given"}).token == "given"
    assert JobsApi.of("http://x", {**path, "RAY_AUTH_MODE": "disabled"}).token == ""


def test_another_ray_is_refused_with_both_versions(tmp_path: Path, cluster: JobsServer, settings: Settings) -> None:
    cluster.ray = "2.0.1"
    store, snapshot = small_store(tmp_path / "store")
    with pytest.raises(TrainingError, match="the cluster has another Ray") as caught:
        submit(store, Work(small_model(launcher="ray"), snapshot), JobsApi(cluster.url), settings)
    assert caught.value.found == "ray 2.0.1"
    assert cluster.submitted == []


@pytest.mark.parametrize("address", ["nonsense", "ray://head:10001", "head:8265", "auto", "http://"])
def test_what_is_no_address_of_a_dashboard_is_refused_and_not_tried_again(tmp_path: Path, address: str) -> None:
    settings, (store, _) = small_settings(tmp_path, INCUMBENT_RAY_ADDRESS=address), small_store(tmp_path / "store")
    for opened in (lambda: open_jobs(store, settings), lambda: find_jobs(settings)):
        with pytest.raises(ConfigError, match="not an address of a Ray dashboard") as caught:
            opened()
        assert (caught.value.where, caught.value.found) == ("environment variable INCUMBENT_RAY_ADDRESS", address)
    JobsApi.of("https://ray.example.org/cluster-1/", {})


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://[::bad"])
def test_a_cluster_that_is_not_there_is_said_so(address: str) -> None:
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        JobsApi(address).states()
    assert caught.value.where == address


def test_another_release_on_a_node_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from incumbent.train import order

    store, snapshot = small_store(tmp_path / "store")
    command = order.write_order(store, Work(small_model(), snapshot))
    monkeypatch.setattr(order.incumbent, "__version__", "0.0.1")
    with pytest.raises(TrainingError, match="another release") as caught:
        read_order(command, tmp_path)
    assert caught.value.found == "0.0.1"
    with pytest.raises(TrainingError, match="the order of a training is gone"):
        read_order(command.replace(str(tmp_path), str(tmp_path / "elsewhere")), tmp_path)
