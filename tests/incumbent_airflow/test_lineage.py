"""What a model's tasks commit is told to a real endpoint, once, and nothing waits for it or fails with it."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from lived import CONTRACT, deliver, opened, scored, trained
from months import FEBRUARY, JANUARY, MARCH, runtime_of
from small_training import small_model
from tests.openlineage.schemas import Endpoint, endpoint, problems

from incumbent.cli.main import FINE, USAGE, VERDICT_NO, main
from incumbent.errors import BatchError
from incumbent.lineage import transport
from incumbent.store.check import check_model
from incumbent.validate import ingest_or_raise
from incumbent_airflow import lineage
from incumbent_airflow.dags import features, maintenance
from incumbent_airflow.publishing import publish_partition
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.dag
TOKEN = "a-secret-token"
DAGS = ("arrive", "ingest_events", "features", "train", "score", "publish", "monitor", "rollback")
TASKS = {"ingest_events.validate", "ingest_truth.validate", "features.features", "train.snapshot", "train.train",
         "train.evaluate", "train.promote", "score.score", "publish.publish_lake"}  # fmt: skip


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a model after a month, with a delivery that was stopped."""
    home = tmp_path_factory.mktemp("told")
    model = small_model(rounds=15, checkpoint_every=15, params={"max_depth": 3})
    runtime_of(home, model, CONTRACT)
    plain = model.model_dump(mode="json", exclude_defaults=True) | {"publish": {"lake": {"path": str(home / "lake")}}}
    (home / "small" / "model.yaml").write_text(json.dumps(plain))
    runtime = opened(home)
    deliver(runtime, JANUARY)
    assert trained(runtime, JANUARY).verdict == "promote"
    scored(runtime, JANUARY)
    publish_partition(runtime, "lake", JANUARY)
    file = Path(str(runtime.raw_path("events", MARCH)))
    file.write_bytes(b"no table")
    with pytest.raises(BatchError):
        ingest_or_raise(runtime.store, runtime.model, runtime.folder.contract_path, "events", MARCH, file)
    return runtime


@pytest.fixture
def told(tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Have the runtime tell an endpoint that nobody has told anything yet."""
    home = runtime.settings.models
    for name, place in {"HOME": home, "STORE": runtime.settings.store, "RAW": home / "raw", "MODELS": home}.items():
        monkeypatch.setenv(f"INCUMBENT_{name}", str(place))
    with endpoint(tmp_path, TOKEN) as running:
        monkeypatch.setenv("INCUMBENT_OPENLINEAGE", running.url)
        monkeypatch.setenv("INCUMBENT_OPENLINEAGE_TOKEN", TOKEN)
        yield running


def after_tasks(*dags: str) -> None:
    for name in dags or DAGS:
        lineage.after_task({"dag": SimpleNamespace(dag_id=f"small.{name}")})


def ended(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the last event of each job, without the model's name."""
    return {event["job"]["name"].removeprefix("small."): event for event in events if event["eventType"] != "START"}


def test_each_commit_is_told_once_and_what_it_was_made_of(told: Endpoint, runtime: Runtime) -> None:
    after_tasks("arrive", "score")
    assert ended(told.took()).keys() == {"score.score"}
    after_tasks()
    events = told.took()
    assert ended(events).keys() == TASKS
    kinds = [event["eventType"] for event in events]
    assert (kinds.count("START"), kinds.count("COMPLETE"), kinds.count("FAIL")) == (10, 9, 1)
    jobs = ended([event for event in events if event["eventType"] == "COMPLETE"])
    raw, batch = jobs["ingest_events.validate"]["inputs"][0], jobs["ingest_events.validate"]["outputs"][0]
    assert raw["inputFacets"]["subset"]["inputCondition"]["locations"] == [str(runtime.raw_path("events", JANUARY))]
    assert {each["success"] for each in raw["inputFacets"]["dataQualityAssertions"]["assertions"]} == {True, False}
    made = jobs["features.features"]
    assert _version(made["inputs"][0]) == _version(batch) and "SELECT" in made["job"]["facets"]["sql"]["query"]
    x = made["outputs"][0]["facets"]["columnLineage"]["fields"]["x"]["inputFields"]
    assert [(each["name"], each["field"]) for each in x] == [(batch["name"], "x")]
    known = _version(jobs["train.train"]["outputs"][0])
    assert runtime.store.promotion(1).version == known
    predicted = jobs["score.score"]
    assert [_version(each) for each in predicted["inputs"]] == [_version(made["outputs"][0]), known]
    assert predicted["inputs"][1]["facets"]["incumbent_model"]["generation"] == 1
    assert _version(jobs["publish.publish_lake"]["inputs"][0]) == _version(predicted["outputs"][0])
    parents = {jobs[f"train.{task}"]["run"]["facets"]["parent"]["run"]["runId"] for task in
               ("train", "evaluate", "promote")}  # fmt: skip
    assert len(parents) == 1
    (stopped,) = (event for event in events if event["eventType"] == "FAIL")
    assert stopped["run"]["facets"]["nominalTime"]["nominalStartTime"].startswith(MARCH)
    assert stopped["run"]["facets"]["errorMessage"]["message"] and stopped["outputs"] == []
    after_tasks()
    assert told.took() == events, "nothing is told twice"
    assert check_model(runtime.store) == []


def test_what_was_not_told_is_told_later_and_the_task_goes_on(
    told: Endpoint, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("INCUMBENT_OPENLINEAGE_TOKEN", "another-secret")
    with caplog.at_level(logging.INFO):
        after_tasks("train")
    (warning,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert f"{transport.REFUSED}: HTTP status 401" in warning.message and told.url in warning.message
    assert told.took() == [] and "secret" not in caplog.text
    caplog.clear()
    lineage.after_task({"dag": SimpleNamespace(dag_id="gone.score")})
    assert "lineage: not told (FileNotFoundError)" in caplog.text or "lineage: not told (ConfigError)" in caplog.text
    lineage.after_task({})  # as of a task that was killed: Airflow calls back from elsewhere
    assert "KeyError" in caplog.text
    monkeypatch.setenv("INCUMBENT_OPENLINEAGE_TOKEN", TOKEN)
    assert lineage.tell_waiting("small").startswith("1")
    assert ended(told.took()).keys() == TASKS
    count = len(told.took())
    deliver(runtime, FEBRUARY)
    after_tasks()
    assert ended(told.took()[count:]).keys() == {"ingest_events.validate", "ingest_truth.validate", "features.features"}


def test_no_more_time_is_taken_than_is_given(told: Endpoint, runtime: Runtime) -> None:
    found = lineage.tell_now(Runtime.open("small"), -1.0)
    assert (found.told, told.took()) == (0, []) and found.left > 10


def test_everything_can_be_told_again(
    told: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lineage", "export", "small"]) == FINE
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [problem for event in events for problem in problems(event)] == []
    assert main(["lineage", "export", "small", "--send"]) == FINE
    assert told.took() == events
    after_tasks()
    assert told.took() == events, "what was sent by hand is told"
    later = (datetime.now(UTC)).isoformat()
    assert main(["lineage", "export", "small", "--since", later]) == VERDICT_NO
    assert main(["lineage", "export", "small", "--since", "2000-01-01"]) == FINE
    capsys.readouterr()
    monkeypatch.setenv("INCUMBENT_OPENLINEAGE", "")
    assert main(["lineage", "export", "small", "--send"]) == USAGE
    assert main(["lineage", "export", "small", "--since", "soon"]) == USAGE


def test_it_is_off_by_default(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it then costs no import, tests/dags says of all DAG files."""
    monkeypatch.delenv("INCUMBENT_OPENLINEAGE", raising=False)
    assert not any(getattr(task, name) for task in features.features_dag(runtime.model).tasks for name in lineage.ENDS)
    assert "lineage_small" not in maintenance.maintenance_dag([runtime.model]).task_ids


def test_tasks_tell_when_they_end_however_they_end(told: Endpoint, runtime: Runtime) -> None:
    dag = features.features_dag(runtime.model)
    for name in lineage.ENDS:
        assert all(getattr(task, name) == [lineage.after_task] for task in dag.tasks), name
    assert DagSerialization.to_dict(dag)
    assert "lineage_small" in maintenance.maintenance_dag([runtime.model]).task_ids


def _version(dataset: dict[str, Any]) -> str:
    return str(dataset["facets"]["version"]["datasetVersion"])
