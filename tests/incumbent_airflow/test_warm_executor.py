"""The embedded stack's executor loses no task."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.executors.local_executor import LocalExecutor
from airflow.models.taskinstancekey import TaskInstanceKey

from incumbent_airflow.executors.warm import WarmLocalExecutor

pytestmark = pytest.mark.unit
KEY = TaskInstanceKey("small.train", "train", "manual", try_number=1, map_index=-1)
QUEUED: Any = SimpleNamespace(key=KEY, id="an id")


def test_a_task_that_its_worker_took_along_may_be_queued_again() -> None:
    executor = WarmLocalExecutor(parallelism=1)
    executor.running.add(KEY)
    assert (executor.slots_available, executor.has_task(QUEUED)) == (0, True)
    executor.revoke_task(ti=QUEUED)
    assert (executor.slots_available, executor.has_task(QUEUED)) == (1, False)
    executor.revoke_task(ti=QUEUED)


def test_airflows_own_leaves_it_queued() -> None:
    """When it no longer does, ours has nothing to add."""
    with pytest.raises(NotImplementedError):
        LocalExecutor(parallelism=1).revoke_task(ti=QUEUED)
