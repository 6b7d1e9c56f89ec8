"""What rests on something is found, what repairs it is said, and an order to score again is done once."""

import json
import shlex
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from lived import deliver, lived, opened, scored
from months import APRIL, FEBRUARY, JANUARY, MARCH

from incumbent.cli.main import BROKEN, FINE, USAGE, VERDICT_NO, main
from incumbent.errors import ConfigError, ModelError, UnavailableError
from incumbent.promote.ledger import champion_at
from incumbent.records import ModelVersion, Promotion, ScoreOrder
from incumbent.score import orders
from incumbent.score.orders import answers, claim_orders, do_orders, waiting
from incumbent.store import ModelStore, generation_name
from incumbent.store.check import check_model
from incumbent_airflow import seats
from incumbent_airflow.dags import arrive, maintenance
from incumbent_airflow.publishing import publish_partition
from incumbent_airflow.runtime import Runtime
from incumbent_airflow.triggers.landed import look

pytestmark = pytest.mark.unit
Said = Callable[..., Any]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lived")
    lived(home)
    return home


@pytest.fixture
def runtime(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    home = tmp_path / "home"
    shutil.copytree(template, home)  # with the times of its files: the ledger's are those of its entries
    monkeypatch.setenv("INCUMBENT_HOME", str(home))
    monkeypatch.setenv("INCUMBENT_STORE", opened(home).settings.store)
    monkeypatch.setenv("INCUMBENT_RAW", str(home / "raw"))
    monkeypatch.setenv("INCUMBENT_MODELS", str(home))
    return opened(home)


@pytest.fixture
def store(runtime: Runtime) -> ModelStore:
    return runtime.store


@pytest.fixture
def said(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str, status: int = FINE) -> Any:
        assert main([*words, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


def made_by(store: ModelStore) -> dict[str, int]:
    parts = store.predictions.parts()
    return {key: store.predictions.read([key], ["generation"])["generation"][0].as_py() for key in parts}


def test_a_rollback_leaves_what_its_generation_scored_and_an_order_repairs_exactly_that(
    runtime: Runtime, store: ModelStore, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    seats.score_again(runtime, [MARCH, APRIL], 2, "as if nobody had scored them again")
    found = said("impact", "small", "--generation", "2")
    assert (found["partitions"], found["rows"]) == ([MARCH, APRIL], 2 * 3998)
    assert found["assets"]["small.predictions"] == [MARCH, APRIL]
    assert store.promotion(2).gate_report in found["reports"]
    command = shlex.split(found["repair_command"])
    assert command[:5] == ["incumbent", "score", "small", "--partitions", f"{MARCH},{APRIL}"]
    assert main(["impact", "small", "--generation", "2"]) == FINE
    assert capsys.readouterr().out.splitlines()[-1] == f"Next: {found['repair_command']}"
    untouched = {key: store.predictions.part(key) for key in (JANUARY, FEBRUARY)}
    order = said(*command[1:])
    assert (order["new"], order["generation"], order["partitions"]) == (True, 3, {MARCH: None, APRIL: None})
    assert claim_orders(store, "a run", datetime.now(UTC)) == [MARCH, APRIL]
    assert claim_orders(store, "another", datetime.now(UTC)) == []
    assert scored(runtime, MARCH) == 3
    assert made_by(store) == {JANUARY: 1, FEBRUARY: 1, MARCH: 3, APRIL: 2}
    assert said(*command[1:])["partitions"][APRIL] is None
    assert scored(runtime, APRIL) == 3
    state = said(*command[1:])
    assert (state["id"], state["new"]) == (order["id"], False)
    assert {each["verdict"] for each in state["partitions"].values()} == {"done"}
    assert {key: store.predictions.part(key) for key in (JANUARY, FEBRUARY)} == untouched
    assert waiting(store) == [] and check_model(store) == []
    assert main(["impact", "small", "--generation", "2"]) == FINE
    assert capsys.readouterr().out.splitlines()[-1] == "Next: nothing is to be repaired"


def test_an_order_is_done_once_and_leaves_alone_what_came_after_it(runtime: Runtime, store: ModelStore) -> None:
    given, is_new = orders.order(store, runtime.model, ScoreOrder((FEBRUARY,), 2, "a test", "me"))
    assert is_new
    again, is_new = orders.order(store, runtime.model, ScoreOrder((FEBRUARY,), 2, "a test", "somebody else"))
    assert (again, is_new) == (given, False)
    assert scored(runtime, FEBRUARY) == 2
    seats.score_again(runtime, [FEBRUARY], 1, "by hand, later")
    store.records.remove(ScoreOrder.kind, f"{given.id}/{FEBRUARY}")  # killed before it could say so
    assert scored(runtime, FEBRUARY) == 1
    assert made_by(store)[FEBRUARY] == 1
    (answer,) = answers(store, given).values()
    assert answer and "This run scored 2020-02 with generation 2 already" in answer["message"]


def test_what_cannot_be_done_is_answered_and_keeps_nothing_waiting(
    runtime: Runtime, store: ModelStore, said: Said
) -> None:
    def broken(*_: Any) -> Any:
        raise ModelError("no such file", where="there", next_step="look")

    def away(*_: Any) -> Any:
        raise UnavailableError("away", where="there", next_step="wait")

    words = ("score", "small", "--partitions", JANUARY, "--generation", "2", "--reason", "why")
    said(*words)
    with pytest.raises(UnavailableError):
        do_orders(store, runtime.model, JANUARY, away)
    assert len(waiting(store)) == 1
    assert do_orders(store, runtime.model, JANUARY, broken) == []
    assert said(*words, status=VERDICT_NO)["partitions"][JANUARY]["verdict"] == "failed"
    assert scored(runtime, JANUARY) == 1


def test_an_order_that_was_altered_is_a_broken_promise(runtime: Runtime, store: ModelStore, said: Said) -> None:
    words = ("score", "small", "--partitions", JANUARY, "--reason", "why")
    order, records = said(*words)["id"], Path(store.blobs.url) / "records" / ScoreOrder.kind
    assert check_model(store) == []
    path = records / order / "open.json"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"generation":3', b'"generation":9'))
    assert {each.promise for each in check_model(store)} == {
        "a record lies under its own name", "what a record names is there",
    }  # fmt: skip
    path.write_bytes(kept)
    assert scored(runtime, JANUARY) == 3
    path.unlink()
    assert [each.where for each in check_model(store)] == [f"{ScoreOrder.kind}/{order}/{JANUARY}"]


@pytest.mark.parametrize("who", ["watcher", "maintenance"])
def test_an_order_is_announced_to_the_runs_that_score(
    who: str, runtime: Runtime, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("score", "small", "--partitions", f"{JANUARY},{APRIL}", "--reason", "why")
    told: list[tuple[str, str]] = []
    if who == "maintenance":
        dag = maintenance.maintenance_dag([runtime.model])
        monkeypatch.setattr(maintenance, "emit", lambda _, asset, key: told.append((asset.name, key)))
        monkeypatch.setattr(maintenance, "get_current_context", lambda: {"run_id": "a run"})
        dag.get_task("orders_small").python_callable()
        monkeypatch.setattr(maintenance, "get_current_context", lambda: {"run_id": "another run"})
        with pytest.raises(AirflowSkipException):
            dag.get_task("orders_small").python_callable()
    else:
        dag = arrive.arrive_dag(runtime.model, runtime.settings)
        (watched,) = (each for each in dag.timetable.asset_condition.objects[0].watchers[0].trigger.patterns
                      if "score_orders" in each)  # fmt: skip
        assert len(look([watched])) == 1
        pulled: dict[str, Any] = {}
        task = SimpleNamespace(
            xcom_push=lambda key, value: pulled.update(value), xcom_pull=lambda task_ids, key: pulled
        )
        monkeypatch.setattr(arrive, "emit", lambda _, asset, key: told.append((asset.name, key)))
        monkeypatch.setattr(arrive, "get_current_context", lambda: {"run_id": "a run", "ti": task})
        assert "announce_score_orders" in dag.get_task("find").python_callable()
        dag.get_task("announce_score_orders").python_callable()
    assert told == [("small.features", JANUARY), ("small.features", APRIL)]


def test_orders_that_make_no_sense_are_refused(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    january = ["--partitions", JANUARY]
    unknown = [["--partitions", "2019-01"], ["--partitions", "x"], [*january, "--generation", "9"]]
    for given in (*unknown, [*january, "--as-of", "2000-01-01"], [*january, "--as-of", "x"]):
        assert main(["score", "small", "--reason", "why", *given]) == USAGE
        assert "next:" in capsys.readouterr().err
    assert waiting(runtime.store) == []


def test_who_held_the_seat_on_a_day(runtime: Runtime, store: ModelStore, said: Said) -> None:
    times = [store.records.written(Promotion.kind, generation_name(number)) for number in (1, 2, 3)]
    assert champion_at(store, times[0] - timedelta(microseconds=1)) is None
    for number, at in enumerate(times, start=1):
        assert said("champion", "show", "small", "--as-of", at.isoformat())["generation"] == number
    assert said("champion", "show", "small")["action"] == "rollback"
    assert said("champion", "show", "small", "--as-of", "2000-01-01", status=VERDICT_NO) is None
    order = said(
        "score",
        "small",
        "--partitions",
        f"{JANUARY},{APRIL}",
        "--as-of",
        times[1].isoformat(),
        "--reason",
        "a backfill",
    )
    assert order["generation"] == 2
    assert seats.chosen_generation(runtime, None, times[1].isoformat()) == 2
    assert (seats.chosen_generation(runtime, 1, None), seats.chosen_generation(runtime, None, "")) == (1, None)
    for generation, day in ((1, times[1].isoformat()), (None, "2000-01-01")):
        with pytest.raises(ConfigError):
            seats.chosen_generation(runtime, generation, day)


def test_a_bad_batch_is_followed_into_what_learned_from_it(runtime: Runtime, store: ModelStore, said: Said) -> None:
    seats.score_again(runtime, [APRIL], 2, "as if nobody had scored it again")
    second = store.promotion(2).version
    found = said("impact", "small", "--batch", FEBRUARY)
    assert (found["versions"], found["generations"], found["is_there"]) == ([second], [2], True)
    assert found["snapshots"] == [store.records.get(ModelVersion, second).snapshot]
    assert [each["partition"] for each in found["of_data"]] == [FEBRUARY]
    assert [each["partition"] for each in found["by_version"]] == [APRIL]
    assert (found["again"], found["repair"], found["rows"]) == ([APRIL], 3, 2 * 3998)
    by_snapshot = said("impact", "small", "--snapshot", second[:12])
    assert (by_snapshot["versions"], by_snapshot["partitions"]) == ([second], [APRIL])
    of_truth = said("impact", "small", "--batch", FEBRUARY, "--source", "truth")
    assert (of_truth["of_data"], of_truth["versions"]) == ([], [second])
    # Corrected, and its features made again by themselves: what is left is what learned from what it was.
    deliver(runtime, FEBRUARY, shift=0.25)
    assert said("impact", "small", "--batch", FEBRUARY)["again"] == [FEBRUARY, APRIL]
    scored(runtime, FEBRUARY)
    found = said("impact", "small", "--batch", FEBRUARY)
    assert (found["is_there"], found["of_data"], found["again"]) == (False, [], [APRIL])


def publishing(runtime: Runtime, publish: dict[str, Any]) -> Runtime:
    """Return the runtime with what model.yaml is to say of places."""
    file = runtime.settings.models / "small" / "model.yaml"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"publish": publish}))
    return opened(runtime.settings.models)


def test_what_was_published_is_named_until_the_repair_is_published_too(
    runtime: Runtime, store: ModelStore, said: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    runtime = publishing(runtime, {"lake": {"path": str(lake)}})
    seats.score_again(runtime, [APRIL], 2, "as if nobody had scored it again")
    for key in (JANUARY, MARCH, APRIL):
        publish_partition(runtime, "lake", key)
    copy = {"partition": APRIL, "place": "lake", "address": str(lake), "rows": 3998, "touched": 3998}
    found = said("impact", "small", "--generation", "2")
    assert found["published"] == {APRIL: [copy | {"is_current": True}]}
    assert found["assets"]["small.published_lake"] == [APRIL]
    assert said("impact", "small", "--batch", JANUARY)["published"].keys() == {JANUARY, MARCH, APRIL}
    # Repaired here, the copy still says what it said.
    seats.score_again(runtime, [APRIL], 3, "the repair")
    found = said("impact", "small", "--generation", "2")
    assert (found["partitions"], found["again"]) == ([], [])
    assert found["published"] == {APRIL: [copy | {"is_current": False}]}
    assert main(["impact", "small", "--generation", "2"]) == FINE
    told = capsys.readouterr().out
    assert f"published {APRIL} in lake ({lake}): 3998 of 3998 rows, and the store holds another content now" in told
    (store.blobs.below(f"tables/predictions/partition={APRIL}")).remove(f"{content_of_copy(store)}.parquet")
    assert said("impact", "small", "--generation", "2")["published"][APRIL][0]["touched"] is None
    publish_partition(runtime, "lake", APRIL)
    assert said("impact", "small", "--generation", "2")["published"] == {}
    # Nobody takes rows away from a place that model.yaml does not name any more.
    publishing(runtime, {})
    found = said("impact", "small", "--generation", "3")
    assert [each["address"] for each in found["published"][APRIL]] == [""]
    assert "small.published_lake" not in found["assets"]


def content_of_copy(store: ModelStore) -> str:
    """Return the content that was published first of April."""
    return store.records.names("publications", f"{APRIL}/")[0].rpartition("-")[2]


def test_when_everything_is_touched_a_training_is_what_helps(
    runtime: Runtime, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said("impact", "small", "--batch", JANUARY)["repair_command"] == ""
    assert main(["impact", "small", "--batch", JANUARY]) == FINE
    assert "drop a corrected file" in capsys.readouterr().out.splitlines()[-1]
    deliver(runtime, JANUARY, shift=0.25)
    assert main(["impact", "small", "--batch", JANUARY]) == FINE
    assert "no generation is untouched" in capsys.readouterr().out.splitlines()[-1]
    for given in (["--generation", "9"], ["--batch", "2019-01"], ["--snapshot", "nothing"],
                  ["--batch", JANUARY, "--source", "x"], ["--generation", "1", "--source", "events"]):  # fmt: skip
        assert main(["impact", "small", *given]) == USAGE


def test_a_version_says_why_it_got_the_seat_and_what_followed(
    runtime: Runtime, store: ModelStore, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said("version", "why", "small", "2")
    assert (found["barred"], found["scored"], found["broken"]) == (2, [], [])
    assert found["seats"][0]["lost"] == "It predicts another world."
    assert [each["verdict"] for each in found["reports"]] == ["promote"]
    assert main(["version", "why", "small", store.promotion(1).version[:10]]) == FINE
    told = capsys.readouterr().out
    assert "generation 1 by promote" in told and "generation 3 by rollback" in told
    assert "passed  superiority" in told or "passed" in told
    for key in (JANUARY, FEBRUARY, MARCH, APRIL):
        assert f"scored {key}" in told
    assert main(["version", "why", "small", "9"]) == USAGE
    report = f"{store.records.names('gate_reports')[0]}"
    path = Path(store.blobs.url) / "records" / "gate_reports" / f"{report}.json"
    path.write_bytes(path.read_bytes().replace(b"All ", b"Few ", 1))
    broken = [main(["version", "why", "small", str(number)]) for number in (1, 2)]
    assert sorted(broken) == [FINE, BROKEN]
