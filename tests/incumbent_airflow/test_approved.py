"""A person's answer stands, whatever is cleared or answered later."""

from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from tests.incumbent_airflow.conftest import ask, gate

from incumbent.config import Approvals
from incumbent.retrain.requests import finish, verdict_of
from incumbent_airflow import stages
from incumbent_airflow.operators.approve import ApproveOperator
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit


YES = {"chosen_options": ["Approve"], "responded_by_user": {"name": "bob"}}


NO = {"chosen_options": ["Reject"], "responded_by_user": {"name": "ann"}}


@pytest.fixture
def approved(runtime: Runtime) -> Runtime:
    """Return the runtime of a model whose challengers wait for a person."""
    model = runtime.model.model_copy(update={"approvals": Approvals(required=True)})
    return replace(runtime, folder=runtime.folder.model_copy(update={"model": model}))


def test_a_refused_request_stays_refused_whatever_is_cleared(approved: Runtime) -> None:
    request = ask(approved)
    gate(approved, request)
    assert stages.promote_candidate(approved, request, NO)["kind"] == "not_approved"
    again = stages.promote_candidate(approved, request, YES)
    assert (again["kind"], again["generation"]) == ("not_approved", 0)
    assert "open a new request" in again["message"]
    assert (approved.store.ledger(), verdict_of(approved.store, request)) == ([], "not_approved")
    asked_again = ask(approved)
    gate(approved, asked_again)
    assert stages.promote_candidate(approved, asked_again, YES)["kind"] == "promoted"


def test_a_promotion_stands_against_a_later_no(approved: Runtime) -> None:
    request = ask(approved)
    gate(approved, request)
    assert stages.promote_candidate(approved, request, YES)["kind"] == "promoted"
    again = stages.promote_candidate(approved, request, NO)
    assert (again["kind"], again["generation"]) == ("already", 1)
    assert [entry.approved_by for entry in approved.store.ledger()] == ["bob"]


def test_also_when_the_process_was_killed_before_it_answered_the_request(
    approved: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(approved)
    gate(approved, request)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("incumbent.retrain.requests.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.promote_candidate(approved, request, YES)
    assert stages.promote_candidate(approved, request, NO)["kind"] == "already"
    assert verdict_of(approved.store, request) == "promote"


def test_nobody_is_asked_about_a_request_that_is_answered(approved: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(approved)
    monkeypatch.setattr(Runtime, "open", lambda name: approved)
    asked: list[str] = []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.HITLOperator.execute", lambda *_: asked.append(request)
    )

    class Instance:
        def xcom_pull(self, task_ids: str) -> Any:
            return {"claim": request, "evaluate": {"verdict": "promote"}}[task_ids]

    approve = ApproveOperator.for_model(approved.model)
    approve.execute({"ti": Instance()})
    assert asked == [request]
    finish(approved.store, request, "not_approved", 0, "")
    with pytest.raises(AirflowSkipException, match="answered before"):
        approve.execute({"ti": Instance()})
    assert asked == [request]
