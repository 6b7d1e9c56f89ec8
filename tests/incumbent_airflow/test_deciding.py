"""A decision looks at the right rows and requests, and a cleared run makes it again without a trace."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_training import small_model, small_settings

from incumbent.config import ModelFolder
from incumbent.promote import rollback
from incumbent.records import ModelVersion, Promotion
from incumbent.retrain.requests import MANUAL, fail, finish, open_request, unanswered
from incumbent.store import generation_name
from incumbent.verdict_names import VERDICTS, drift_name
from incumbent_airflow.deciding import decide, history
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
MONTHS = [f"2020-{month:02d}" for month in range(1, 7)]
ROWS = 3000


def deliver(runtime: Runtime, key: str) -> None:
    """Commit features and outcomes of a month; every third outcome is cancelled and has no label."""
    store = runtime.store
    first = int(key.replace("-", "")) * 10_000
    row = pa.array(range(first, first + ROWS), pa.int64())
    store.features(store.objects.put(b"SELECT * FROM batch")).replace(key, pa.table({"row": row}))
    status = pa.array(["cancelled" if number % 3 == 0 else "landed" for number in range(ROWS)])
    late = pa.array(np.arange(ROWS) % 2 == 0)
    store.outcomes("truth").replace(key, pa.table({"row": row, "late": late, "status": status}))


def seat(runtime: Runtime, generation: int, partition: str) -> None:
    store = runtime.store
    digest = store.objects.put(f"model {generation}".encode())
    definition = store.objects.put(b"SELECT * FROM batch")
    version = ModelVersion(digest, "small", "xgboost", "binary", definition, "s", (), {}, {}, 1, 1, "2020-01-01", {})
    store.records.put(digest, version)
    entry = Promotion(generation, digest, generation - 1, "", "promote", "better", f"r{generation}", partition)
    store.records.put(generation_name(generation), entry)


def drift(runtime: Runtime, key: str, sentence: str = "the score moved") -> None:
    """Let a month be scored by the champion, and its scores drift."""
    champion = runtime.store.champion()
    assert champion is not None
    scores = pa.table({"row": [1], "prediction": [float(len(sentence))]})
    part = runtime.store.predictions.replace(key, scores).part
    plain = {"generation": champion.generation, "tier": "drift", "sentence": sentence}
    runtime.store.records.put_plain(VERDICTS, drift_name(key, part, champion.version), plain)


def records(runtime: Runtime) -> list[str]:
    kinds = ("decisions", "requests", "promotions")
    return [f"{kind}/{name}" for kind in kinds for name in runtime.store.records.names(kind)]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    model = small_model()
    model = model.model_copy(update={"label": model.label.model_copy(update={"where": "status = 'landed'"})})
    runtime = Runtime(ModelFolder(path=tmp_path, model=model), small_settings(tmp_path))
    for key in MONTHS:
        deliver(runtime, key)
    return runtime


def test_a_cleared_run_makes_the_same_decision_and_leaves_no_trace(runtime: Runtime) -> None:
    seat(runtime, 1, "2020-01")
    drift(runtime, "2020-03")
    first = decide(runtime, "2020-03", "run-1")
    assert (first["request"], first["reason"]) == ("2020-03-r1", "drift")
    before = records(runtime)
    again = decide(runtime, "2020-03", "run-1")
    assert again["request"] is None, "it is announced once"
    assert again["message"] == f"{first['message']} It was asked for before, as 2020-03-r1."
    finish(runtime.store, "2020-03-r1", "promote", 2, "v")
    seat(runtime, 2, "2020-03")
    assert decide(runtime, "2020-03", "run-1") == again, "also when its own request has changed the champion"
    added = {name.rsplit("/", 1)[1] for name in set(records(runtime)) - set(before)}
    assert added == {"done", "000002"}


def test_so_does_another_run_that_finds_nothing_new(runtime: Runtime) -> None:
    seat(runtime, 1, "2020-01")
    drift(runtime, "2020-03")
    first = decide(runtime, "2020-03", "run-1")
    before = records(runtime)
    again = decide(runtime, "2020-03")
    assert (again["request"], again["reason"]) == (None, "drift")
    assert again["message"].startswith(first["message"])
    assert records(runtime) == before


def test_its_own_request_cools_down_what_is_new(runtime: Runtime) -> None:
    seat(runtime, 1, "2020-01")
    drift(runtime, "2020-03")
    decide(runtime, "2020-03", "run-1")
    drift(runtime, "2020-03", "scored again, and it moved elsewhere")
    found = decide(runtime, "2020-03", "run-2")
    assert (found["request"], "cooling down" in found["message"]) == (None, True)
    assert [request.id for request in unanswered(runtime.store)] == ["2020-03-r1"]


def test_a_person_who_asked_cools_down_too(runtime: Runtime) -> None:
    seat(runtime, 1, "2020-01")
    drift(runtime, "2020-03")
    open_request(runtime.store, "2020-03", MANUAL, {}, degraded=False, message="please")
    assert "cooling down for 14 more days" in decide(runtime, "2020-03", "run-1")["message"]


def test_a_backfilled_cold_start_asks_once(runtime: Runtime) -> None:
    found = [decide(runtime, key, f"run-{key}") for key in MONTHS]
    assert [decision["request"] for decision in found] == ["2020-01-r1", *[None] * 5]
    assert "the request of 2020-01 is not answered yet" in found[-1]["message"]
    fail(runtime.store, "2020-01-r1", "hopeless")
    assert decide(runtime, "2020-06", "run-7")["request"] == "2020-06-r1", "what has failed is not open"


def test_so_does_one_that_is_monitored_newest_first(runtime: Runtime) -> None:
    found = {key: decide(runtime, key, f"run-{key}") for key in reversed(MONTHS)}
    assert [request.id for request in unanswered(runtime.store)] == ["2020-06-r1"]
    assert "the request of 2020-06 is not answered yet" in found["2020-01"]["message"]
    before = records(runtime)
    again = decide(runtime, "2020-06", "run-7")
    assert (again["request"], again["reason"], records(runtime)) == (None, "cold_start", before)
    fail(runtime.store, "2020-06-r1", "hopeless")
    assert decide(runtime, "2020-01", "run-8")["request"] == "2020-01-r1", "what has failed is not open"


def test_with_a_champion_only_earlier_requests_count(runtime: Runtime) -> None:
    seat(runtime, 1, "2020-01")
    open_request(runtime.store, "2020-05", MANUAL, {}, degraded=False, message="please")
    assert history(runtime, "2020-03").requests == ()
    assert history(runtime, "2020-05").requests == (("2020-05", ""),)


def test_only_rows_with_a_label_count(runtime: Runtime) -> None:
    assert history(runtime, "2020-02").labelled == {"2020-01": 2000, "2020-02": 2000}
    counted = runtime.store.records.names("label_counts")
    assert len(counted) == 2
    assert history(runtime, "2020-02").labelled == {"2020-01": 2000, "2020-02": 2000}
    assert runtime.store.records.names("label_counts") == counted


def test_a_champion_that_came_back_has_seen_what_it_was_promoted_with(runtime: Runtime) -> None:
    seat(runtime, 1, "2020-02")
    seat(runtime, 2, "2020-04")
    rollback(runtime.store, 1, "complaints")
    assert history(runtime, "2020-05").promoted_partition == "2020-02"
    drift(runtime, "2020-02")
    assert "0 labelled rows are new" in decide(runtime, "2020-02", "run-1")["message"]


def test_the_tenth_request_comes_after_the_second(runtime: Runtime) -> None:
    for number in range(1, 11):
        request, _ = open_request(runtime.store, "2020-01", MANUAL, {}, degraded=False, message="again")
        finish(runtime.store, request.id, "promote" if number == 10 else "reject", 1, "v")
    assert history(runtime, "2020-01").requests[-1] == ("2020-01", "promote")
