"""A LocalExecutor whose tasks start with the heavy libraries already imported, and that loses none of them.

Great Expectations, XGBoost, MLflow and Evidently take 4 to 10 s of CPU to import, and a task of the
demonstration computes for less than one. Workers and tasks are forks of the scheduler, so what it
imports before the first fork costs every task nothing, and its memory is shared.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING

from airflow.executors.local_executor import LocalExecutor

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

# Libraries only: an edited file of the project counts from the next task on. None of them opens anything
# or leaves a thread behind that holds a lock across a fork.
MODULES = (
    "deltalake",
    "duckdb",
    "evidently.presets",
    "great_expectations.datasource.fluent",
    "great_expectations.execution_engine",
    "mlflow.tracking",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pydantic",
    "ray.job_submission",
    "scipy.stats",
    "xgboost",
    "yaml",
)


class WarmLocalExecutor(LocalExecutor):
    """Run tasks as forks of a process that has imported what they need."""

    def start(self) -> None:
        """Import, then fork the workers; a library that is missing is the task's own error later."""
        for name in MODULES:
            try:
                import_module(name)
            except ImportError as error:
                self.log.warning("not preloaded: %s", error)
        # Out of sight of the collector, which would write to every object and so copy the shared pages.
        gc.collect()
        gc.freeze()
        super().start()

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """Let go of a task that has been queued for too long: the scheduler queues it again.

        LocalExecutor has no such function, and a task whose worker was killed before the task had begun stays queued
        for good. Should a worker have it after all, Airflow lets one of the two begin.
        """
        self.queued_tasks.pop(ti.key, None)
        self.running.discard(ti.key)
