"""A request that no run takes up is announced again: soon at first, then ever more rarely."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from incumbent.retrain import requests
from incumbent.retrain.lost import announce_lost
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
LEASE_S = 60.0
LOOK = 5  # minutes between two looks, as incumbent.maintenance has it


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path).model("m")


def opened(store: ModelStore) -> tuple[str, datetime]:
    request, _ = requests.open_request(store, "2013-02", "drift", {}, degraded=False, message="because")
    requests.announce(store, request.id)
    written = store.records.blobs.path(store.records.key("requests", f"{request.id}/open")).stat().st_mtime
    return request.id, datetime.fromtimestamp(written, UTC)


def looks(store: ModelStore, since: datetime, minutes: range) -> list[int]:
    """Return the minutes of those looks, each by a run of its own, that announced something."""
    return [minute for minute in minutes if announce_lost(store, f"{minute}", since + timedelta(minutes=minute))]


def test_a_lost_request_is_announced_by_one_run(store: ModelStore) -> None:
    name, since = opened(store)
    late = since + timedelta(minutes=11)
    assert announce_lost(store, "run-1", since) == []
    assert [request.id for request in announce_lost(store, "run-1", late)] == [name]
    assert announce_lost(store, "run-2", late) == []
    assert [request.id for request in announce_lost(store, "run-1", late)] == [name], "its task was tried again"


def test_one_that_waits_for_a_long_training_is_announced_ever_more_rarely(store: ModelStore) -> None:
    _, since = opened(store)
    assert looks(store, since, range(LOOK, 600, LOOK)) == [15, 35, 75, 155, 315]


def test_at_least_once_a_day_for_as_long_as_it_takes(store: ModelStore) -> None:
    _, since = opened(store)
    day = 24 * 60
    pauses = [later - earlier for earlier, later in pairwise(looks(store, since, range(15, 7 * day, 120)))]
    assert max(pauses) == pauses[-1] == day


def test_one_whose_run_died_is_announced_as_soon_as_the_lease_ends(store: ModelStore) -> None:
    """However rarely it was announced while it waited for that run."""
    name, since = opened(store)
    assert looks(store, since, range(15, 24 * 60, 15))[-1] > 600
    taken = since + timedelta(days=1)
    requests.claim(store, name, "train-1", taken, LEASE_S)
    assert announce_lost(store, "run-1", taken) == []
    assert looks(store, taken, range(LOOK, 60, LOOK)) == [5, 25]
    requests.fail(store, name, "hopeless")
    assert announce_lost(store, "run-2", taken + timedelta(days=1)) == []
