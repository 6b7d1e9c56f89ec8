"""Each request gets an answer, and a finished one keeps it: whatever is cleared, fails or is edited later."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.incumbent_airflow.conftest import KEY, SQL, ask, gate

from incumbent.config import Retention
from incumbent.errors import ConfigError, FeatureError, StoreError, UnavailableError
from incumbent.features.build import build
from incumbent.promote import rollback
from incumbent.records import GateReport, ModelVersion, Promotion, Training
from incumbent.retrain.requests import fail, finish, get_request, is_answered, unanswered
from incumbent.store import generation_name
from incumbent.store.check import check_model
from incumbent_airflow import seats, stages, training
from incumbent_airflow.runtime import Runtime, refuse_unknown

pytestmark = pytest.mark.unit


def edit(runtime: Runtime, sql: str) -> None:
    (runtime.folder.path / "features.sql").write_text(sql)


def run(runtime: Runtime, request: str) -> dict[str, Any]:
    gate(runtime, request)
    return stages.promote_candidate(runtime, request, None)


def answers(runtime: Runtime, request: str) -> set[str]:
    return {name.split("/")[1] for name in runtime.store.records.names("requests", request)} - {"open"}


def test_a_finished_run_that_is_cleared_reads_its_snapshot(runtime: Runtime) -> None:
    request = ask(runtime)
    assert run(runtime, request)["kind"] == "promoted"
    taken = stages.snapshot_of(runtime, request)
    tables = set(runtime.store.tables())
    edit(runtime, SQL.replace("x, y", "x, y, x * y AS xy"))
    assert (stages.take_snapshot(runtime, request), stages.snapshot_of(runtime, request)) == ([], taken)
    edit(runtime, "SELECT nothing FROM batch")
    assert (stages.take_snapshot(runtime, request), stages.snapshot_of(runtime, request)) == ([], taken)
    assert run(runtime, request)["kind"] == "already"
    assert (set(runtime.store.tables()), answers(runtime, request)) == (tables, {"done"})


def test_a_backfilled_training_sees_the_data_as_known_then(runtime: Runtime) -> None:
    """On request only; what a request was pinned to stays."""
    build(runtime.store, runtime.model, runtime.store.objects.put(SQL.encode()), KEY)
    time.sleep(0.003)
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.003)
    late = runtime.store.outcomes("truth").read([KEY]).drop_columns(["partition"])
    runtime.store.outcomes("truth").replace(KEY, late.slice(0, 2000))
    claimed = stages.claim_request(runtime, KEY, "a run", "look again", moment)
    assert claimed and stages.claim_request(runtime, KEY, "a run", "", "") == claimed
    assert outcomes_of(runtime, claimed) == 3000
    finish(runtime.store, claimed, "reject", 0, "")
    other = stages.claim_request(runtime, KEY, "another run", "look again")
    assert other and outcomes_of(runtime, other) == 2000
    with pytest.raises(ConfigError, match="not a moment"):
        stages.claim_request(runtime, KEY, "a third run", "look again", "2013-07-01")


def outcomes_of(runtime: Runtime, request: str) -> int:
    stages.take_snapshot(runtime, request)
    return sum(part["rows"] for part in stages.snapshot_of(runtime, request).outcomes)


def test_a_request_that_cannot_be_met_is_answered(runtime: Runtime) -> None:
    edit(runtime, "SELECT nothing FROM batch")
    request = ask(runtime)
    with pytest.raises(FeatureError):
        stages.take_snapshot(runtime, request)
    assert answers(runtime, request) == {"failed"}
    edit(runtime, SQL)
    assert run(runtime, request)["kind"] == "promoted", "corrected and cleared, the run goes on"
    assert answers(runtime, request) == {"failed", "done"}


@pytest.mark.parametrize("task", ["evaluate", "promote"])
@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (StoreError("broken", where="x", next_step="y"), True),
        (KeyError("nobody expected this"), True),
        (UnavailableError("away", where="x", next_step="y"), False),
    ],
    ids=["permanent", "unforeseen", "away"],
)
def test_so_is_one_that_fails_in_evaluate_or_promote(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, task: str, error: Exception, answered: bool
) -> None:
    request = ask(runtime)

    def fall(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"incumbent.{task}.{task}", fall)
        with pytest.raises(type(error)):
            run(runtime, request)
    assert is_answered(runtime.store, request) is answered
    if answered:
        message = runtime.store.records.get_plain("requests", f"{request}/failed")["message"]
        assert str(error) in message
    assert run(runtime, request)["kind"] == "promoted", "cleared, the run goes on"


def test_a_done_request_is_never_failed_too(runtime: Runtime) -> None:
    request = ask(runtime)
    finish(runtime.store, request, "promote", 1, "v")
    fail(runtime.store, request, "too late")
    assert answers(runtime, request) == {"done"}


def test_contenders_are_judged_on_the_facts_of_the_snapshot(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A correction that comes during a training changes neither side, whatever was built of it."""
    assert run(runtime, ask(runtime))["generation"] == 1
    champion = runtime.store.champion()
    assert champion is not None
    edit(runtime, SQL.replace("x, y", "x, y, 3 * x - y AS better"))
    second = ask(runtime, "another")
    stages.take_snapshot(runtime, second)
    training.begin_training(runtime, second)
    rows = runtime.store.batches("events").read([KEY]).drop_columns(["partition"])
    shifted = rows.set_column(rows.column_names.index("x"), "x", pc.add(rows["x"], 1.0))
    runtime.store.batches("events").replace(KEY, shifted)
    held = runtime.store.records.get(ModelVersion, champion.version).definition
    assert build(runtime.store, runtime.model, held, KEY).changed
    seen: list[list[float]] = []

    def look(*words: Any, rows: Callable[[str], pa.Table], **_: Any) -> None:
        seen.extend(rows(definition)["x"].to_pylist() for definition in (words[3]["fresh"].definition, held))
        raise StopIteration

    monkeypatch.setattr("incumbent.evaluate.evaluate", look)
    with pytest.raises(StopIteration):
        stages.evaluate_candidate(runtime, second)
    candidates, champions = seen
    assert len(candidates) > 100
    assert candidates == champions


def test_a_challenger_whose_gate_is_stale_is_judged_again_and_not_fitted_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, request = runtime.store, ask(runtime)
    gate(runtime, request)
    candidate = store.records.get(Training, request).version
    other = Promotion(1, candidate, 0, "another report", "promote", "a race", partition=KEY)
    store.records.put(generation_name(1), other)
    assert stages.promote_candidate(runtime, request, None)["kind"] == "stale"
    again = unanswered(store)[0]
    assert (again.reason, again.candidate) == ("stale_gate", candidate)
    monkeypatch.setattr("incumbent.train.stage.plan_training", None)
    gate(runtime, again.id)
    assert stages.snapshot_of(runtime, again.id) == stages.snapshot_of(runtime, request)
    assert training.begin_training(runtime, again.id).training == {"version": candidate, "rounds": 10, "launcher": ""}
    assert stages.promote_candidate(runtime, again.id, None)["kind"] == "not_passed", "it is the champion itself"
    assert unanswered(store) == []


def test_a_second_candidate_is_trained_gated_and_may_get_the_seat(runtime: Runtime) -> None:
    request = stages.claim_request(runtime, KEY, "a run", "", since="2020-01-10")
    assert request is not None
    stands = get_request(runtime.store, request)
    assert stands.message == "By hand, with a second candidate on the rows since 2020-01-10."
    assert stages.take_snapshot(runtime, request) == ["recent"]
    assert stages.take_snapshot(runtime, request) == ["recent"], "cleared"
    for origin in ("fresh", "recent"):
        training.begin_training(runtime, request, origin)
    found = stages.evaluate_candidate(runtime, request)
    assert found["sentence"].startswith("Of 2 candidates the ")
    assert len(runtime.store.records.names("gate_reports")) == 2
    assert stages.promote_candidate(runtime, request, None)["kind"] == "promoted"
    # The batch was put where it is by no delivery.
    assert {each.promise for each in check_model(runtime.store)} == {
        "accepted rows are named by the record of their delivery"
    }
    with pytest.raises(ConfigError, match="not a day"):
        stages.claim_request(runtime, KEY, "another run", "", since="last week")


def test_the_champion_with_more_rounds_is_a_second_candidate(runtime: Runtime) -> None:
    assert run(runtime, ask(runtime))["generation"] == 1
    train = runtime.model.train.model_copy(update={"warm_rounds": 5})
    folder = runtime.folder.model_copy(update={"model": runtime.model.model_copy(update={"train": train})})
    later = Runtime(folder, runtime.settings)
    request = ask(later, "another")
    assert stages.take_snapshot(later, request) == ["warm"]
    for origin in ("fresh", "warm"):
        training.begin_training(later, request, origin)
    stages.evaluate_candidate(later, request)
    rounds = {each.origin: each.rounds for each in later.store.records.all(Training) if each.request == request}
    assert rounds == {"fresh": 10, "warm": 15}


def test_a_run_that_finds_its_request_held_says_by_whom(runtime: Runtime) -> None:
    """As after a run that failed because a cluster was away: its request is not answered, and it may be cleared."""
    request = stages.claim_request(runtime, KEY, "the first run", "look again")
    assert request is not None
    assert stages.claim_request(runtime, KEY, "another run", "look again") is None
    said = stages.why_unclaimed(runtime, KEY)
    assert said.startswith(f"Run the first run holds request {request} until 2")
    assert said.endswith(" UTC: clear that run, or wait.")
    finish(runtime.store, request, "reject", 0, "")
    assert stages.why_unclaimed(runtime, KEY) == "The request is answered by another run, or was answered before."


def test_a_broken_challenger_does_not_stop_the_champion(runtime: Runtime) -> None:
    run(runtime, ask(runtime))
    edit(runtime, "SELECT nothing FROM batch")
    rows = runtime.store.batches("events").read([KEY]).drop_columns(["partition"])
    runtime.store.batches("events").replace(KEY, rows.slice(0, 2900))
    built = stages.build_features(runtime, KEY)
    assert built.part is not None
    assert built.part.rows == 2900
    with pytest.raises(FeatureError, match="nothing"):
        stages.build_challenger_features(runtime, KEY)
    edit(runtime, SQL.replace("x, y", "x, y, x * y AS xy"))
    assert stages.build_challenger_features(runtime, KEY) == "2900 rows"
    edit(runtime, SQL)
    assert "the definition that serves" in stages.build_challenger_features(runtime, KEY)


def test_retention_runs_once_a_day_and_only_when_it_is_asked_for(runtime: Runtime) -> None:
    assert stages.vacuum_daily(runtime, "a run") is None
    model = runtime.model.model_copy(update={"retention": Retention(keep_days=0)})
    keeping = replace(runtime, folder=runtime.folder.model_copy(update={"model": model}))
    truth = runtime.store.outcomes("truth")
    truth.replace(KEY, truth.read([KEY]).drop_columns(["partition"]).slice(1))
    assert stages.vacuum_daily(keeping, "a run") == "1 data files removed"
    assert stages.vacuum_daily(keeping, "a run") == "0 data files removed"
    assert stages.vacuum_daily(keeping, "another run") is None


def test_a_definition_that_is_refused_stops_no_champion(runtime: Runtime) -> None:
    edit(runtime, "SELECT *, random() AS luck FROM batch")
    with pytest.raises(FeatureError, match=r"(?s)is refused.*line 1.*random\(\)"):
        stages.build_features(runtime, KEY)
    assert list(runtime.store.tables()) == ["batches/events", "outcomes/truth"], "nothing is stored of it"
    edit(runtime, SQL)
    run(runtime, ask(runtime))
    edit(runtime, "SELECT *, random() AS luck FROM batch")
    assert stages.build_features(runtime, KEY).part is not None
    with pytest.raises(FeatureError, match="is refused"):
        stages.build_challenger_features(runtime, KEY)


def test_a_rollback_belongs_to_its_run(runtime: Runtime) -> None:
    run(runtime, ask(runtime))
    outcome = seats.roll_back(runtime, 1, "a test", "manual__1")
    assert (outcome["generation"], outcome["partition"]) == (1, "2020-01")
    assert rollback(runtime.store, 1, "a test", run="manual__1").generation == 1
    assert len(runtime.store.records.names("pins", "rollback-")) == 1


def test_a_rollback_says_what_it_did_and_what_is_left(runtime: Runtime) -> None:
    run(runtime, ask(runtime))
    first = runtime.store.ledger()[0]
    other = replace(runtime.store.records.get(ModelVersion, first.version), digest="f" * 64)
    runtime.store.records.put(other.digest, other)
    runtime.store.records.put("000002", replace(first, generation=2, version=other.digest, previous=1, request="x"))
    rows = pa.table({"row": [1, 2], "generation": [2, 2], "version": [other.digest] * 2, "variant": ["champion"] * 2})
    runtime.store.predictions.replace("2020-01", rows)
    back = seats.roll_back(runtime, 1, "a test", "manual__2")
    said = "The version of generation 1 has the seat again, as generation 3."
    assert back["message"] == f"{said} 2 rows of 2020-01 were scored by generation 2."
    assert seats.roll_back(runtime, 1, "a test", "manual__2") == back, "a cleared run"
    again = seats.roll_back(runtime, 3, "a test", "manual__3")
    assert again["message"] == (
        "Generation 3 has the seat already: nothing has changed. 2 rows of 2020-01 were scored by versions without it."
    )
    assert again["affected"] == {"2020-01": 2}, "they can still be scored again"


def test_a_parameter_that_a_dag_does_not_have_is_refused() -> None:
    dag = SimpleNamespace(dag_id="small.rollback", params={"generation": 1, "reason": ""})
    refuse_unknown({"dag": dag, "dag_run": SimpleNamespace(conf={"generation": 2})})
    refuse_unknown({"dag": dag, "dag_run": SimpleNamespace(conf=None)})
    with pytest.raises(ConfigError, match=r"(?s)generation, reason.*found: generaton"):
        refuse_unknown({"dag": dag, "dag_run": SimpleNamespace(conf={"generaton": 3})})


def test_the_log_of_the_gates_has_a_line_for_each(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    request = ask(runtime)
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    with caplog.at_level("INFO", logger="incumbent_airflow.stages"):
        done = stages.evaluate_candidate(runtime, request)
    gates = runtime.store.records.get(GateReport, done["report"]).gates
    lines = [line for line in caplog.messages if line.split()[0] in {gate["gate"] for gate in gates}]
    assert len(lines) == len(gates) and all(line.split()[1] in {"passed", "failed", "open"} for line in lines)
    assert f"gate_reports/{done['report']}.json" in caplog.messages[-1]
