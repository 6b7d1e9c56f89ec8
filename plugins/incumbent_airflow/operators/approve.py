"""A person's yes or no between EVALUATE and PROMOTE, asked only when the gates passed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from incumbent.config import Model

APPROVE, REJECT = "Approve", "Reject"


class ApproveOperator(HITLOperator):
    """Ask in Airflow's UI whether a gated challenger may take the seat; silence means no."""

    @classmethod
    def for_model(cls, model: Model) -> ApproveOperator:
        """Return the operator with the model's timeout."""
        return cls(
            task_id="approve",
            subject=f"Promote a new champion of {model.name}?",
            body="{{ (ti.xcom_pull(task_ids='evaluate') or {}).get('sentence', '') }}",
            options=[APPROVE, REJECT],
            defaults=[REJECT],
            response_timeout=timedelta(hours=model.approvals.timeout_hours),
        )

    def execute(self, context: Any) -> Any:
        """Skip unless the gate report says promote, then ask."""
        report = context["ti"].xcom_pull(task_ids="evaluate") or {}
        if report.get("verdict") != "promote":
            raise AirflowSkipException("Nothing to approve: the gates did not pass.")
        return super().execute(context)
