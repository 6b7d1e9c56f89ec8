"""Running any finished run again changes no table content, no digest and no generation."""

from typing import Any

import pytest
from tests.integration.conftest import Stack

from incumbent.records import GateReport, ModelVersion, RetrainRequest, Training
from incumbent.store import ModelStore
from incumbent.store.check import check

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
NAME = "flights_delay"


def content(store: ModelStore) -> dict[str, Any]:
    """Return everything that a re-run may not change."""
    tables = {name: table.parts() for name, table in store.tables().items()}
    kinds = (ModelVersion.kind, GateReport.kind, Training.kind, RetrainRequest.kind)
    return {"tables": tables, "ledger": store.ledger(), **{kind: store.records.names(kind) for kind in kinds}}


def test_clearing_a_finished_run_changes_nothing(running: Stack) -> None:
    store = running.store(NAME)
    before = content(store)
    runs = [run for run in running.api.runs(state="success") if run["dag_id"].startswith(f"{NAME}.")]
    oldest: dict[str, str] = {}
    for run in runs:  # most has come since the oldest partition: corrections, other champions
        oldest[run["dag_id"]] = min(run["partition_key"] or "", oldest.get(run["dag_id"], run["partition_key"] or ""))
    finished = {run["dag_id"]: run for run in runs if (run["partition_key"] or "") == oldest[run["dag_id"]]}
    kinds = {dag_id.partition(".")[2] for dag_id in finished}
    assert kinds >= {"arrive", "ingest_flights", "features", "score", "monitor", "train"}
    for run in finished.values():
        running.api.clear(run)
    for run in finished.values():
        assert running.api.wait(run["dag_id"], run["dag_run_id"]) == "success", running.api.why_failed(run)
    running.settler(NAME).wait("what the cleared runs announced")
    assert content(store) == before
    assert check(running.settings.open_store()) == []
