"""A LocalExecutor whose tasks start with the heavy libraries already imported.

Great Expectations, XGBoost, MLflow and Evidently take 4 to 10 s of CPU to import, and a task of the
demonstration computes for less than one. Workers and tasks are forks of the scheduler, so what it
imports before the first fork costs every task nothing, and its memory is shared.
"""

from __future__ import annotations

import gc
from importlib import import_module

from airflow.executors.local_executor import LocalExecutor

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
