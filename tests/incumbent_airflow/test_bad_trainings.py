"""A training that cannot succeed fails before a round is learned, with the remedy, and is not tried a second time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.definitions.retry_policy import RetryAction
from small_training import small_model
from tests.incumbent_airflow.conftest import KEY, ask
from tests.incumbent_airflow.test_train_operator import asked, opening, operator
from tests.jobs_server import JobsServer, jobs_server

from incumbent.errors import ConfigError, PipelineError, TrainingError, UnavailableError
from incumbent.evaluate import leaks
from incumbent.records import GateReport, Training
from incumbent.retrain.requests import is_answered
from incumbent.train import stage
from incumbent.train.work import Work
from incumbent_airflow import stages, training
from incumbent_airflow.defaults import RETRY_POLICY
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.dag
Break = Callable[[JobsServer, pytest.MonkeyPatch], None]
RAY: dict[str, Any] = {"launcher": "ray"}


def another_token(cluster: JobsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.token = "right"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")


def another_ray(cluster: JobsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.ray = "2.0.1"


def nobody_there(cluster: JobsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCUMBENT_RAY_ADDRESS", "http://127.0.0.1:9")


def no_address(cluster: JobsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCUMBENT_RAY_ADDRESS", "ray://head:10001")


def no_gpu(cluster: JobsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "count_gpus", lambda: 0)


BROKEN: dict[str, tuple[dict[str, Any], Break, type[PipelineError], str, str]] = {
    "unreachable": (RAY, nobody_there, UnavailableError, "the Ray cluster does not answer", "look at the cluster"),
    "wrong token": (RAY, another_token, UnavailableError, "the Ray cluster refuses the token", "RAY_AUTH_TOKEN"),
    "other Ray": (RAY, another_ray, TrainingError, "the cluster has another Ray", "install ray=="),
    "no address": (RAY, no_address, ConfigError, "not an address of a Ray dashboard", "Airflow's workers"),
    "no GPU": ({"device": "cuda"}, no_gpu, TrainingError, "a GPU is demanded and there is none", "train.device"),
}


@pytest.fixture
def cluster() -> Iterator[JobsServer]:
    with jobs_server() as running:
        yield running


@pytest.fixture
def store_address(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if anything is fitted."""
    monkeypatch.setattr(Work, "run", lambda *_: pytest.fail("it was fitted"))


@pytest.mark.usefixtures("no_fit")
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_cluster_is_said_and_only_what_may_mend_itself_is_tried_again(
    tmp_path: Path, cluster: JobsServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings, broken, kind, what, remedy = BROKEN[name]
    runtime = opening(tmp_path, monkeypatch, cluster, **settings)
    request = asked(runtime)
    broken(cluster, monkeypatch)
    with pytest.raises(kind) as caught:
        operator(request).execute({})
    assert caught.value.what == what
    assert remedy in caught.value.next_step
    again = RETRY_POLICY.evaluate(caught.value, try_number=1, max_tries=3).action
    assert again == (RetryAction.RETRY if kind is UnavailableError else RetryAction.FAIL)
    assert is_answered(runtime.store, request) == (kind is not UnavailableError)
    assert cluster.submitted == []


def leaking(runtime: Runtime, **gates: Any) -> tuple[Runtime, str]:
    """Return a model whose feature `y` is made from the label, and a request that has its snapshot."""
    events = runtime.store.batches("events").read([KEY]).drop_columns(["partition"]).sort_by("row")
    late = runtime.store.outcomes("truth").read([KEY]).sort_by("row")["late"]
    known = pa.array([3.0 if each else 1.0 for each in late.to_pylist()])
    runtime.store.batches("events").replace(KEY, events.set_column(events.column_names.index("y"), "y", known))
    request = ask(runtime)
    stages.take_snapshot(runtime, request)
    return with_gates(runtime, **gates), request


def with_gates(runtime: Runtime, **gates: Any) -> Runtime:
    model = small_model(rounds=10)
    model = model.model_copy(update={"gates": model.gates.model_copy(update=gates)})
    return replace(runtime, folder=runtime.folder.model_copy(update={"model": model}))


@pytest.mark.usefixtures("no_fit")
def test_a_feature_that_knows_the_label_is_named_before_anything_is_fitted(runtime: Runtime) -> None:
    runtime, request = leaking(runtime)
    with pytest.raises(TrainingError) as caught:
        training.begin_training(runtime, request)
    assert (caught.value.what, caught.value.examples) == ("a feature leaks the label", ("y",))
    assert "y is the label under another name" in str(caught.value.found)
    assert caught.value.next_step == "take y out of features.sql, or vouch for y in gates.allow_leaks"
    assert RETRY_POLICY.evaluate(caught.value, try_number=1, max_tries=3).action == RetryAction.FAIL
    assert is_answered(runtime.store, request)


def test_what_the_guard_found_is_what_the_gate_goes_by(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, request = leaking(runtime, allow_leaks=("y",))
    training.begin_training(runtime, request)
    monkeypatch.setattr(leaks, "find_leaks", lambda *_, **__: pytest.fail("it was looked for again"))
    gate = gated(runtime, request)
    assert (gate["passed"], gate["allowed"], gate["rows"]) == (True, ["y"], 2226)
    assert gate["sentence"] == "no leak in 3 features of 2226 training rows, but for y, allowed in gates.allow_leaks"


def gated(runtime: Runtime, request: str) -> Mapping[str, Any]:
    """Return what the gate against leaks says of the candidate of a request."""
    report = runtime.store.records.get(GateReport, stages.evaluate_candidate(runtime, request)["report"])
    (found,) = (gate for gate in report.gates if gate["gate"] == "leaks")
    return found


def test_the_gate_looks_where_nobody_has(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, request = leaking(runtime)
    monkeypatch.setattr(leaks, "refuse_leaks", lambda *_: None)
    training.begin_training(runtime, request)
    assert runtime.store.records.names(leaks.LOOKED) == []
    gate = gated(runtime, request)
    assert gate["passed"] is False
    assert gate["sentence"].startswith("y is the label under another name")
    assert runtime.store.records.names(leaks.LOOKED) == [request]


def test_a_look_for_another_task_is_not_taken(runtime: Runtime) -> None:
    looks: list[str] = []

    def look() -> leaks.LeakReport:
        looks.append("again")
        return leaks.LeakReport((), 1, 1, 1, 1, {})

    for task in ("binary", "binary", "regression", "regression"):
        assert leaks.looked(runtime.store, "r", task, look) == leaks.LeakReport((), 1, 1, 1, 1, {})
    assert len(looks) == 3, "once for what is on record, and each time for what is not"


def test_a_training_that_is_done_stays_done(runtime: Runtime) -> None:
    runtime, request = leaking(runtime, allow_leaks=("y",))
    first = training.begin_training(runtime, request)
    assert training.begin_training(with_gates(runtime), request) == first
    assert len(runtime.store.records.names(Training.kind)) == 1
