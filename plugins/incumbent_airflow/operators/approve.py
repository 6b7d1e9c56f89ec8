"""A person's yes or no between EVALUATE and PROMOTE, asked once a request and only when the gates passed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from incumbent.config import Model
from incumbent_airflow.runtime import Runtime

APPROVE, REJECT = "Approve", "Reject"


class ApproveOperator(HITLOperator):
    """Ask in Airflow's UI whether a gated challenger may take the seat; silence means no."""

    def __init__(self, *, model_name: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.model_name = model_name

    @classmethod
    def for_model(cls, model: Model) -> ApproveOperator:
        """Return the operator with the model's timeout."""
        return cls(
            model_name=model.name,
            task_id="approve",
            subject=f"Promote a new champion of {model.name}?",
            body="{{ (ti.xcom_pull(task_ids='evaluate') or {}).get('sentence', '') }}",
            options=[APPROVE, REJECT],
            defaults=[REJECT],
            response_timeout=timedelta(hours=model.approvals.timeout_hours),
        )

    def execute(self, context: Any) -> Any:
        """Skip unless the gate report says promote and the request has no answer yet, then ask.

        A cleared run would otherwise ask a person for an answer that changes nothing.
        """
        from incumbent_airflow.stages import is_settled

        task = context["ti"]
        report = task.xcom_pull(task_ids="evaluate") or {}
        if report.get("verdict") != "promote":
            raise AirflowSkipException("Nothing to approve: the gates did not pass.")
        if is_settled(Runtime.open(self.model_name), task.xcom_pull(task_ids="claim")):
            raise AirflowSkipException("Nothing to approve: the request was answered before.")
        return super().execute(context)
