"""Maintenance looks at every model, whatever is wrong with another."""

from pathlib import Path

import pytest

from incumbent.errors import StoreError
from incumbent_airflow.dag_factory import models
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
