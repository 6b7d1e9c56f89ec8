"""Links from a task to where its work can be looked at."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink


class RayJobLink(BaseOperatorLink):
    """To the page of the task's job in Ray's dashboard; the worker writes it down when the task defers."""

    name = "Ray job"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, or nothing for a task that needed no Ray."""
        from incumbent.cluster.jobs import find_jobs
        from incumbent_airflow.runtime import current_settings

        job = getattr(operator, "ray_job", "")
        return f"{find_jobs(current_settings()).address}/#/jobs/{job}" if job else ""


class MlflowRunLink(BaseOperatorLink):
    """To the run of the task's training in MLflow."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, or nothing where MLflow has no run of it."""
        from incumbent_airflow.runtime import Runtime
        from incumbent_airflow.training import mlflow_page

        return mlflow_page(Runtime.open(operator.model), operator.training)
