"""Maintenance looks at every model, whatever is wrong with another."""

import logging
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from demo import raw_data
from incumbent.errors import StoreError
from incumbent_airflow.dag_factory import models
from incumbent_airflow.dags import maintenance
from incumbent_airflow.dags.maintenance import maintenance_dag

pytestmark = pytest.mark.unit


def test_a_damaged_ledger_keeps_no_other_model_from_its_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCUMBENT_STORE", str(tmp_path))
    damaged = tmp_path / "flights_airtime" / "records" / "promotions" / "000001.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"{")
    done, failed = {}, {}
    for task in maintenance_dag(models()).tasks:
        if task.task_id.startswith("registry"):
            try:
                done[task.task_id] = task.python_callable()
            except StoreError as error:
                failed[task.task_id] = error.where
    assert done == {"registry_flights_delay": "nothing to register"}
    assert failed == {"registry_flights_airtime": str(damaged)}


def test_a_delivery_whose_run_has_failed_is_announced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The watcher tells of a file once, and of one that nobody judged never again."""
    monkeypatch.setenv("INCUMBENT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("INCUMBENT_RAW", str(tmp_path / "raw"))
    raw_data.write_partition(tmp_path / "raw" / "flights_delay", "flights", "2013-01")
    announced: list[tuple[str, str]] = []
    monkeypatch.setattr(maintenance, "emit", lambda _, asset, key: announced.append((asset.name, key)))
    (waiting,) = (task for task in maintenance_dag(models()).tasks if task.task_id == "waiting_flights_delay")
    monkeypatch.setattr(maintenance, "get_current_context", lambda: {"run_id": "one"})
    assert waiting.python_callable() == []
    monkeypatch.setattr(maintenance, "get_current_context", lambda: {"run_id": "two"})
    caplog.set_level(logging.INFO)
    with pytest.raises(AirflowSkipException) as skipped:
        waiting.python_callable()
    assert caplog.messages[-1] == str(skipped.value), "why a task is skipped is in its own log"
    assert announced == [("flights_delay.raw_flights", "2013-01")]


def test_a_source_that_comes_once_is_announced_again_by_its_own_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its consumers wait for an event without a partition: one that every run of a shared task would give them."""
    monkeypatch.setenv("INCUMBENT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("INCUMBENT_RAW", str(tmp_path / "raw"))
    raw_data.write_once(tmp_path / "raw" / "flights_delay", "airlines")
    monkeypatch.setattr(maintenance, "get_current_context", lambda: {"run_id": "one"})
    tasks = {task.task_id: task for task in maintenance_dag(models()).tasks}
    waiting = tasks["waiting_flights_delay"]
    assert waiting.python_callable() == ["announce_flights_delay_airlines"]
    announcing = {name: [asset.name for asset in tasks[name].outlets] for name in waiting.downstream_task_ids}
    assert announcing == {
        "announce_flights_delay_airlines": ["flights_delay.raw_airlines"],
        "announce_flights_delay_planes": ["flights_delay.raw_planes"],
    }
    assert not {asset.name for asset in waiting.outlets} & {name for (name,) in announcing.values()}
