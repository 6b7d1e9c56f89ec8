"""A request lives once: opened, claimed under a lease, answered."""

from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from incumbent.retrain import requests
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 60.0


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path).model("m")


def opened(store: ModelStore, reason: str = "drift", message: str = "because") -> str:
    request, _ = requests.open_request(store, "2013-02", reason, {}, degraded=False, message=message)
    return request.id


def test_duplicates_are_coalesced_until_the_request_is_answered(store: ModelStore) -> None:
    first = opened(store)
    assert opened(store) == opened(store, reason="performance", message="also") == first == "2013-02-r1"
    requests.finish(store, first, "reject", 0, "v")
    assert opened(store, reason="manual", message="again") == "2013-02-r2"
    assert [request.id for request in requests.unanswered(store)] == ["2013-02-r2"]


def test_requests_come_in_the_order_of_their_numbers(store: ModelStore) -> None:
    for _ in range(10):
        requests.finish(store, opened(store, requests.MANUAL), "reject", 0, "v")
    opened(store, requests.MANUAL)
    requests.open_request(store, "2013-01", "drift", {}, degraded=False, message="earlier")
    expected = ["2013-01-r1", *(f"2013-02-r{number}" for number in range(1, 12))]
    assert [request.id for request in requests.every(store)] == expected
    assert [request.id for request in requests.unanswered(store)] == ["2013-01-r1", "2013-02-r11"]


def test_open_and_failed_are_two_things(store: ModelStore) -> None:
    name = opened(store)
    assert requests.verdict_of(store, name) == ""
    requests.fail(store, name, "hopeless")
    assert requests.verdict_of(store, name) == "failed"
    requests.finish(store, name, "promote", 2, "v")
    assert requests.verdict_of(store, name) == "promote", "the run was cleared and went on"


def test_a_lease_keeps_others_out_until_it_ends(store: ModelStore) -> None:
    name = opened(store)
    assert requests.claim(store, name, "a", NOW, LEASE_S) == 1
    assert requests.claim(store, name, "a", NOW, LEASE_S) == 1
    assert requests.claim(store, name, "b", NOW, LEASE_S) is None
    assert requests.claim(store, name, "b", NOW + timedelta(seconds=61), LEASE_S) == 2
    assert requests.claimed_by(store, "2013-02", "b") == name
    assert requests.claimed_by(store, "2013-02", "a") is None, "it was taken over"


def test_who_lost_a_request_does_not_get_it_back(store: ModelStore) -> None:
    name = opened(store)
    late = NOW + timedelta(seconds=61)
    assert requests.claim(store, name, "a", NOW, LEASE_S) == 1
    assert requests.claim(store, name, "b", late, LEASE_S) == 2
    assert requests.claim(store, name, "a", late, LEASE_S) is None


def test_an_answered_request_is_not_given_away(store: ModelStore) -> None:
    name = opened(store)
    assert requests.claim(store, name, "a", NOW, LEASE_S) == 1
    requests.finish(store, name, "reject", 0, "v")
    assert requests.claim(store, name, "b", NOW + timedelta(days=1), LEASE_S) is None
    assert requests.claim(store, name, "a", NOW + timedelta(days=1), LEASE_S) == 1


def test_a_person_may_ask_again_in_the_same_words_and_a_cleared_run_does_not(store: ModelStore) -> None:
    requests.finish(store, opened(store, "drift"), "reject", 0, "v")
    assert opened(store, "drift") == "2013-02-r1"
    assert opened(store, "manual") == opened(store, "manual") == "2013-02-r2"
    requests.finish(store, "2013-02-r2", "reject", 0, "v")
    assert opened(store, "manual") == "2013-02-r3"


def test_the_first_answer_stands(store: ModelStore) -> None:
    name = opened(store)
    requests.finish(store, name, "promote", 2, "v")
    requests.finish(store, name, "reject", 0, "w")
    assert store.records.get_plain("requests", f"{name}/done")["verdict"] == "promote"


def test_each_request_is_announced_once(store: ModelStore) -> None:
    name = opened(store)
    assert [request.id for request in requests.start_pending(store)] == [name]
    assert requests.start_pending(store) == []


def race(job: tuple[Path, int]) -> tuple[bool, bool]:
    store = Store(job[0]).model("m")
    _, created = requests.open_request(store, "2013-02", "drift", {}, degraded=False, message=f"by {job[1]}")
    return created, requests.claim(store, "2013-02-r1", f"run-{job[1]}", NOW, LEASE_S) is not None


def test_twenty_duplicates_at_once_make_one_request_and_one_claim(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(race, [(tmp_path, number) for number in range(20)]))
    assert sum(created for created, _ in results) == 1
    assert sum(claimed for _, claimed in results) == 1
    assert [request.id for request in requests.unanswered(Store(tmp_path).model("m"))] == ["2013-02-r1"]
