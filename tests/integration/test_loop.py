"""Two months of real flights through real Airflow task runs: what the demonstration left behind."""

import pytest
from tests.integration.conftest import Demonstration, Stack

from incumbent.embedded import processes
from incumbent.records import GateReport, Hold, Ingest, Snapshot, Training
from incumbent.store.check import check
from incumbent.train.work import Work

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
NAME = "flights_delay"


def test_january_ends_with_a_first_champion(running: Stack) -> None:
    store = running.store(NAME)
    first = store.promotion(1)
    assert (first.partition, first.action) == ("2013-01", "promote")
    report = store.records.get(GateReport, first.gate_report)
    assert report.verdict == "promote"
    assert all(gate["passed"] for gate in report.gates)
    training = store.records.get(Training, first.request)
    assert (training.launcher, training.rounds, training.checkpoints) == ("ray", 150, 6)
    assert store.predictions.part("2013-01") is None, "there was nobody to predict with"


def test_the_damaged_delivery_was_held_and_its_correction_was_scored(running: Stack) -> None:
    store = running.store(NAME)
    (hold,) = store.records.all(Hold)
    assert hold.partition == "2013-02"
    assert [finding["column"] for finding in hold.findings if finding["holds"]] == ["distance"]
    accepted = [
        found for found in store.records.all(Ingest) if (found.source, found.partition) == ("flights", "2013-02")
    ]
    assert [found.verdict for found in accepted] == ["accepted", "accepted"], "the damage is for FEATURES to find"
    part = store.predictions.part("2013-02")
    assert part is not None
    assert part.rows == 24_951
    rows = store.predictions.read(["2013-02"], ["generation", "version", "variant", "batch_digest"])
    assert hold.batch_digest not in rows["batch_digest"].unique().to_pylist()
    assert rows.select(["generation", "version", "variant"]).group_by(["generation", "version", "variant"]).aggregate(
        []
    ).to_pylist() == [{"generation": 1, "version": store.promotion(1).version, "variant": "champion"}]


def test_drift_led_to_a_second_champion(running: Stack) -> None:
    store = running.store(NAME)
    seats = [(found.generation, found.partition, found.request) for found in store.ledger()][:2]
    assert seats == [(1, "2013-01", "2013-01-r1"), (2, "2013-02", "2013-02-r1")]
    weather = store.quarantine("weather").read(["2013-02"])
    assert weather["rule"].to_pylist() == ["wind_speed.range"]


def test_the_killed_training_went_on_and_made_the_same_model(demonstration: Demonstration) -> None:
    store, model = demonstration.stack.store(NAME), demonstration.stack.model(NAME)
    first, second = (found["resumed_from"] for found in demonstration.report["trainings"][:2])
    assert first is None
    assert 75 <= second < 150
    training = store.records.get(Training, "2013-02-r1")
    assert training.exact_resume
    work = Work(model, store.records.get(Snapshot, training.snapshot))
    try:
        undisturbed = work.run(store, lambda progress: None)
    finally:
        work.checkpoints(store).clear()
    assert undisturbed.resumed_from is None
    assert undisturbed.version == training.version


def test_the_stack_ran_from_the_wheel_and_spoke_to_nobody_else(demonstration: Demonstration) -> None:
    running = demonstration.stack
    where = "import incumbent, incumbent_airflow; print(incumbent.__file__, incumbent_airflow.__file__)"
    for path in running.call("python", "-c", where).split():
        assert path.startswith(str(running.programs.parent / "lib")), path
    (scheduler,) = [found for found in processes.recorded(running.settings.run) if found.name == "scheduler"]
    process = processes.alive(scheduler)
    assert process is not None
    assert str(running.programs / "airflow") in process.cmdline()
    assert "PYTHONPATH" not in process.environ()
    assert not (running.settings.root / "plugins").exists()
    assert demonstration.strangers == frozenset()


def test_no_run_failed_and_no_promise_is_broken(running: Stack) -> None:
    assert [running.api.why_failed(run) for run in running.api.runs(state="failed")] == []
    assert running.api.get("/importErrors")["total_entries"] == 0
    assert check(running.settings.open_store()) == []
