"""A decision looks at the right rows and requests, and a cleared run makes it again without a trace."""

from pathlib import Path
from typing import Any

import pytest
from series import MODEL, MONTHS, deliver, drift, performance, seat
from small_training import small_settings

from incumbent.promote import rollback
from incumbent.records import GateReport, digest_of
from incumbent.retrain import History, PastRequest
from incumbent.retrain.gather import gather, history_of
from incumbent.retrain.requests import MANUAL, fail, finish, open_request, unanswered
from incumbent.retrain.stage import decide_partition
from incumbent.retrain.why import SAME, decisions, why
from incumbent.store import ModelStore

pytestmark = pytest.mark.unit


def decide(store: ModelStore, key: str, run: str = "") -> dict[str, Any]:
    return decide_partition(store, MODEL, key, run)


def history(store: ModelStore, key: str) -> History:
    return history_of(store, gather(store, MODEL, key))


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
    assert history(store, "2020-05").requests == (PastRequest("2020-05", "", MANUAL, learned="2020-05"),)


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


def judged(store: ModelStore, request: str, alpha: float) -> None:
    """Let the gates say no to a request's challenger, and spend an error rate on it."""
    gates = ({"gate": "superiority", "passed": None, "alpha": alpha, "alpha_later": 0.0},)
    found = GateReport(MODEL.name, request.rsplit("-r", 1)[0], "c", "x", 1, "s", request, "reject", gates, "")
    store.records.put(found.id, found)


def test_what_challengers_have_spent_is_gathered(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    for key in ("2020-02", "2020-03", "2020-04"):
        judged(store, f"{key}-r1", 0.13)
    assert [(each.request, each.alpha) for each in history(store, "2020-03").spent] == [
        ("2020-02-r1", 0.13),
        ("2020-03-r1", 0.13),
    ]
    open_request(store, "2020-02", "growth", {}, degraded=False, message="more")
    finish(store, "2020-02-r1", "promote", 1, "v")
    drift(store, "2020-03")
    assert "0.26 of the year's error budget of 0.26 are spent" in decide(store, "2020-03")["message"]


def test_what_its_own_challenger_has_spent_does_not_change_a_decision(store: ModelStore) -> None:
    seat(store, 1, "2020-01")
    drift(store, "2020-03")
    first = decide(store, "2020-03", "run-1")
    judged(store, "2020-03-r1", 0.26)
    finish(store, "2020-03-r1", "reject", 0, "c")
    before = records(store)
    again = decide(store, "2020-03", "run-2")
    assert again["message"] == f"{first['message']} It was asked for before, as 2020-03-r1."
    assert records(store) == before
    (decision,) = decisions(store, "2020-03")
    assert why(store, MODEL, decision).replayed == SAME


def test_what_others_of_its_partition_have_spent_counts(store: ModelStore) -> None:
    """Else a training is asked for that nobody may judge."""
    seat(store, 1, "2020-01")
    open_request(store, "2020-03", MANUAL, {}, degraded=False, message="please")
    judged(store, "2020-03-r1", 0.26)
    finish(store, "2020-03-r1", "reject", 0, "c")
    at_once = MODEL.model_copy(update={"retrain": MODEL.retrain.model_copy(update={"cooldown_days": 0})})
    drift(store, "2020-03")
    found = decide_partition(store, at_once, "2020-03")
    assert (found["request"], "0.26 of the year's error budget of 0.26 are spent" in found["message"]) == (None, True)
