"""Fit a candidate of a retrain request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator

from incumbent_airflow.links import MlflowRunLink, RayJobLink
from incumbent_airflow.runtime import Runtime
from incumbent_airflow.triggers.ray_job import RayJobTrigger


class TrainOnRayOperator(BaseOperator):
    """Fit a request's candidate: in the task while the data is small, else as a Ray job that is waited for.

    The job's name is the digest of what is fitted. Whoever comes back, a retried task, a cleared one, or another run
    of the same request, finds the job that runs, or its result; a job that was lost goes on from its newest
    checkpoint. While it runs the task is deferred and holds no slot. Only a person who ends the task ends the job.

    :param model: Model name.
    :param request: Retrain request id.
    :param origin: Which of the request's candidates; see `incumbent.train.candidates`.
    """

    template_fields = ("request", "origin")
    operator_extra_links = (RayJobLink(), MlflowRunLink())

    def __init__(self, *, model: str, request: Any, origin: str = "fresh", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.request = request
        self.origin = origin
        self.ray_job = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Return the version, or defer until its job has ended."""
        from incumbent_airflow.training import begin_training

        begun = begin_training(Runtime.open(self.model), self.request, self.origin)
        if begun.training is None:
            self.ray_job = begun.job
            trigger = RayJobTrigger(begun.job, self.model, self.training)
            self.defer(trigger=trigger, method_name="execute_complete", kwargs={"job": begun.job}, timeout=self._time())
        return dict(begun.training or {})

    def execute_complete(self, context: Any, event: dict[str, Any], job: str) -> dict[str, Any]:
        """Return the version that a job gave."""
        from incumbent_airflow.training import finish_training

        self.ray_job = job
        runtime = Runtime.open(self.model)
        return finish_training(runtime, self.request, self.origin, job, event["state"], event["message"])

    @property
    def training(self) -> str:
        """Name of the training."""
        from incumbent.records import training_name

        return training_name(self.request, self.origin)

    def _time(self) -> timedelta | None:
        return self.execution_timeout if isinstance(self.execution_timeout, timedelta) else None
