"""A decision looks at the right rows and requests, and a cleared run makes it again without a trace."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small_training import small_model, small_settings

from incumbent.monitor import PerformanceVerdict
from incumbent.promote import rollback
from incumbent.records import ModelVersion, Promotion, digest_of
from incumbent.retrain import History, PastRequest
from incumbent.retrain.gather import gather
from incumbent.retrain.requests import MANUAL, fail, finish, open_request, unanswered
from incumbent.retrain.stage import decide_partition
from incumbent.store import ModelStore, generation_name
from incumbent.verdict_names import VERDICTS, drift_name, performance_name

pytestmark = pytest.mark.unit
MONTHS = [f"2020-{month:02d}" for month in range(1, 7)]
ROWS = 3000
MODEL = small_model()
MODEL = MODEL.model_copy(update={"label": MODEL.label.model_copy(update={"where": "status = 'landed'"})})


def deliver(store: ModelStore, key: str) -> None:
    """Commit features and outcomes of a month; every third outcome is cancelled and has no label."""
    first = int(key.replace("-", "")) * 10_000
    row = pa.array(range(first, first + ROWS), pa.int64())
    store.features(store.objects.put(b"SELECT * FROM batch")).replace(key, pa.table({"row": row}))
    status = pa.array(["cancelled" if number % 3 == 0 else "landed" for number in range(ROWS)])
    late = pa.array(np.arange(ROWS) % 2 == 0)
    store.outcomes("truth").replace(key, pa.table({"row": row, "late": late, "status": status}))


def seat(store: ModelStore, generation: int, partition: str) -> None:
    digest = store.objects.put(f"model {generation}".encode())
    definition = store.objects.put(b"SELECT * FROM batch")
    version = ModelVersion(digest, "small", "xgboost", "binary", definition, "s", (), {}, {}, 1, 1, "2020-01-01", {})
    store.records.put(digest, version)
    entry = Promotion(generation, digest, generation - 1, "", "promote", "better", f"r{generation}", partition)
    store.records.put(generation_name(generation), entry)


def drift(store: ModelStore, key: str, sentence: str = "the score moved") -> None:
    """Let a month and the one before be scored by the champion, and its scores drift."""
    champion = store.champion()
    assert champion is not None
    scores = pa.table({"row": [1], "prediction": [float(len(sentence))]})
    for month in (MONTHS[MONTHS.index(key) - 1], key):
        part = store.predictions.replace(month, scores).part
        plain = {"generation": champion.generation, "tier": "retrain candidate", "sentence": sentence}
        store.records.put_plain(VERDICTS, drift_name(month, part, champion.version), plain)


def performance(store: ModelStore, key: str, champion: Promotion, value: float) -> None:
    part = store.predictions.replace(key, pa.table({"row": [1], "prediction": [value]})).part
    outcomes = store.outcomes("truth").parts()[key]
    reference = {"value": 0.7, "error": 0.01, "clusters": 1e6, "rows": 2000}
    verdict = PerformanceVerdict(
        key, champion.generation, champion.version, True, 1.0, "auc", value, 0.01, {}, 0.5, "judged", rows=2000,
        df=1e6, misses={"": {"estimate": 0.0, "error": 0.01}}, slack=0.005, reference=reference,
    )  # fmt: skip
    store.records.put(performance_name(key, part, outcomes), verdict)


def decide(store: ModelStore, key: str, run: str = "") -> dict[str, Any]:
    return decide_partition(store, MODEL, key, run)


def history(store: ModelStore, key: str) -> History:
    return gather(store, MODEL, key)


def records(store: ModelStore) -> list[str]:
    kinds = ("decisions", "requests", "promotions")
    return [f"{kind}/{name}" for kind in kinds for name in store.records.names(kind)]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = small_settings(tmp_path).open_store(None).model(MODEL.name)
    for key in MONTHS:
        deliver(store, key)
    return store


def test_a_cleared_run_makes_the_same_decision_and_leaves_no_trace(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    drift(store, "2020-03")
    first = decide(store, "2020-03", "run-1")
    assert (first["request"], first["reason"]) == ("2020-03-r1", "drift")
    before = records(store)
    again = decide(store, "2020-03", "run-1")
    assert again["request"] is None, "it is announced once"
    assert again["message"] == f"{first['message']} It was asked for before, as 2020-03-r1."
    finish(store, "2020-03-r1", "promote", 2, "v")
    seat(store, 2, "2020-03")
    assert decide(store, "2020-03", "run-1") == again, "also when its own request has changed the champion"
    added = {name.rsplit("/", 1)[1] for name in set(records(store)) - set(before)}
    assert added == {"done", "000002"}


def test_so_does_another_run_that_finds_nothing_new(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    drift(store, "2020-03")
    first = decide(store, "2020-03", "run-1")
    before = records(store)
    again = decide(store, "2020-03")
    assert (again["request"], again["reason"]) == (None, "drift")
    assert again["message"].startswith(first["message"])
    assert records(store) == before


def test_its_own_request_cools_down_what_is_new(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    drift(store, "2020-03")
    decide(store, "2020-03", "run-1")
    drift(store, "2020-03", "scored again, and it moved elsewhere")
    found = decide(store, "2020-03", "run-2")
    assert (found["request"], "cooling down" in found["message"]) == (None, True)
    assert [request.id for request in unanswered(store)] == ["2020-03-r1"]


def test_a_person_who_asked_cools_down_too(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    drift(store, "2020-03")
    open_request(store, "2020-03", MANUAL, {}, degraded=False, message="please")
    assert "cooling down for 14 more days" in decide(store, "2020-03", "run-1")["message"]


def test_a_backfilled_cold_start_asks_once(store: ModelStore) -> None:
    found = [decide(store, key, f"run-{key}") for key in MONTHS]
    assert [decision["request"] for decision in found] == ["2020-01-r1", *[None] * 5]
    assert "the request of 2020-01 is not answered yet" in found[-1]["message"]
    fail(store, "2020-01-r1", "hopeless")
    assert decide(store, "2020-06", "run-7")["request"] == "2020-06-r1", "what has failed is not open"


def test_so_does_one_that_is_monitored_newest_first(store: ModelStore) -> None:
    found = {key: decide(store, key, f"run-{key}") for key in reversed(MONTHS)}
    assert [request.id for request in unanswered(store)] == ["2020-06-r1"]
    assert "the request of 2020-06 is not answered yet" in found["2020-01"]["message"]
    before = records(store)
    again = decide(store, "2020-06", "run-7")
    assert (again["request"], again["reason"], records(store)) == (None, "cold_start", before)
    fail(store, "2020-06-r1", "hopeless")
    assert decide(store, "2020-01", "run-8")["request"] == "2020-01-r1", "what has failed is not open"


def test_with_a_champion_only_earlier_requests_count(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    open_request(store, "2020-05", MANUAL, {}, degraded=False, message="please")
    assert history(store, "2020-03").requests == ()
    assert history(store, "2020-05").requests == (PastRequest("2020-05", "", MANUAL),)


def test_only_rows_with_a_label_count(store: ModelStore) -> None:
    assert history(store, "2020-02").labelled == {"2020-01": 2000, "2020-02": 2000}
    counted = store.records.names("label_counts")
    assert len(counted) == 2
    assert history(store, "2020-02").labelled == {"2020-01": 2000, "2020-02": 2000}
    assert store.records.names("label_counts") == counted


def test_a_champion_that_came_back_has_seen_what_it_was_promoted_with(store: ModelStore) -> None:
    seat(store, 1, "2020-02")
    seat(store, 2, "2020-04")
    rollback(store, 1, "complaints")
    assert history(store, "2020-05").promoted_partition == "2020-02"
    drift(store, "2020-02")
    assert "no alarm" in decide(store, "2020-02", "run-1")["message"], "it was trained on that month"


def test_outcomes_that_come_late_are_decided_about_where_the_series_stands(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    champion = store.champion()
    assert champion is not None
    for key in ("2020-03", "2020-04", "2020-05"):  # February's outcomes come last, and are the worst
        performance(store, key, champion, 0.70)
    assert decide(store, "2020-05")["partition"] == "2020-05"
    performance(store, "2020-02", champion, 0.70)
    found = decide(store, "2020-02", "run-1")
    assert (found["partition"], found["reason"]) == ("2020-05", "")
    assert store.records.get_plain("pins", "decision-2020-02-" + digest_of("run-1")[:16])["decision"][:7] == "2020-05"


def test_the_tenth_request_comes_after_the_second(store: ModelStore) -> None:
    for number in range(1, 11):
        request, _ = open_request(store, "2020-01", MANUAL, {}, degraded=False, message="again")
        finish(store, request.id, "promote" if number == 10 else "reject", 1, "v")
    assert history(store, "2020-01").requests[-1].verdict == "promote"
