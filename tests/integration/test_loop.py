"""Two months of real flights through real Airflow task runs, one test after the other."""

from typing import Any

import pytest
from demo.report import Reader
from tests.integration.conftest import Stack

from demo import raw_data
from incumbent.records import GateReport, Hold, ModelVersion, Training
from incumbent.store import ModelStore, Store
from incumbent.store.check import check

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
NAME = "flights_delay"


def content(store: ModelStore) -> dict[str, Any]:
    """Return everything that a re-run may not change."""
    tables = {name: table.parts() for name, table in store.tables().items()}
    return {"tables": tables, "ledger": store.ledger(), "versions": store.records.names(ModelVersion.kind)}


def test_january_ends_with_a_first_champion(running: Stack) -> None:
    for source in raw_data.ONCE:
        raw_data.write_once(running.settings.raw / NAME, source)
    for source in ("flights", "weather"):
        running.drop(NAME, source, "2013-01")
    running.settler(NAME).wait("January's flights")
    store = running.store(NAME)
    assert store.champion() is None
    assert "predictions" not in store.tables()
    running.drop(NAME, "outcomes", "2013-01")
    running.settler(NAME).wait("January's outcomes")
    champion = store.champion()
    assert champion is not None
    assert (champion.generation, champion.partition) == (1, "2013-01")
    report = store.records.get(GateReport, champion.gate_report)
    assert report.verdict == "promote"
    assert all(gate["passed"] for gate in report.gates)
    training = store.records.get(Training, champion.request)
    assert (training.launcher, training.rounds, training.checkpoints) == ("ray", 150, 6)


def test_a_damaged_february_is_held_and_its_correction_goes_on(running: Stack) -> None:
    store = running.store(NAME)
    flights = raw_data.write_partition(running.settings.raw / NAME, "flights", "2013-02")
    raw_data.damage_distance(flights)
    running.drop(NAME, "weather", "2013-02")
    running.settler(NAME).wait("the damaged flights")
    (hold,) = store.records.all(Hold)
    assert [finding["column"] for finding in hold.findings if finding["holds"]] == ["distance"]
    assert "predictions" not in store.tables()
    running.drop(NAME, "flights", "2013-02")
    running.settler(NAME).wait("the corrected flights")
    part = store.predictions.part("2013-02")
    assert part is not None
    assert part.rows == 24_951
    rows = store.predictions.read(["2013-02"], ["generation", "version", "variant"])
    assert rows.group_by(["generation", "version", "variant"]).aggregate([]).to_pylist() == [
        {"generation": 1, "version": store.promotion(1).version, "variant": "champion"}
    ]


def test_outcomes_lead_to_a_judged_challenger(running: Stack) -> None:
    running.drop(NAME, "outcomes", "2013-02")
    running.settler(NAME).wait("February's outcomes")
    entry = Reader(running.store(NAME), running.model(NAME)).entry("2013-02")
    assert entry["drift"] == "drift"
    assert entry["retrain_reason"] in ("drift", "performance")
    assert entry["verdict"] == "promote"
    assert entry["generation"] == 1
    assert 0.6 < entry["auc"] < 0.7
    assert [promotion.generation for promotion in running.store(NAME).ledger()] == [1, 2]
    weather = running.store(NAME).quarantine("weather").read(["2013-02"])
    assert weather["rule"].to_pylist() == ["wind_speed.range"]


def test_running_again_changes_nothing(running: Stack) -> None:
    store = running.store(NAME)
    before = content(store)
    for dag, conf in (
        ("ingest_flights", {"partition": "2013-02"}),
        ("features", {"partition": "2013-02"}),
        ("score", {"partition": "2013-02"}),
        ("monitor", {"partition": "2013-02"}),
        ("train", {"partition": "2013-02"}),
    ):
        run = running.api.trigger(f"{NAME}.{dag}", conf)
        assert running.api.wait(f"{NAME}.{dag}", run) == "success", dag
    running.settler(NAME).wait("the runs that followed")
    assert content(store) == before


def test_no_run_failed_and_no_promise_is_broken(running: Stack) -> None:
    assert [running.api.why_failed(run) for run in running.api.runs(state="failed")] == []
    assert running.api.get("/importErrors")["total_entries"] == 0
    assert check(Store(running.settings.store)) == []
