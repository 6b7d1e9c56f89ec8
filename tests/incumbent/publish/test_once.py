"""Whatever happens, one content stands in a place, whole, and never an older one over a newer one."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from tests.incumbent.publish.places import KEY, Place, predictions, scored, seen, shuffled

from incumbent.errors import ConfigError, StoreError
from incumbent.publish import Content, content_of
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 100))]


@pytest.fixture
def asked_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts that were told, and fell asleep then, that what they publish is what the table holds."""
    monkeypatch.setattr(Content, "is_current", lambda self: True)


def test_a_partition_is_published_and_the_others_stay(store: ModelStore, place: Place) -> None:
    other = place.publish(scored(store, 1, key="2020-02"))
    done = place.publish(scored(store, 1))
    assert (done.rows, done.changed, done.is_there) == (3, True, True)
    assert other.changed
    assert place.read() == sorted(seen(1) + seen(1, key="2020-02"))


def test_the_same_content_changes_nothing(store: ModelStore, place: Place) -> None:
    content = scored(store, 1)
    place.publish(content)
    before = place.state()
    again = place.publish(content)
    assert (again.rows, again.changed, again.is_there) == (3, False, True)
    assert place.state() == before


def test_other_predictions_take_the_place_of_the_old_ones(store: ModelStore, place: Place) -> None:
    place.publish(scored(store, 1, rows=5))
    assert place.publish(scored(store, 2, rows=2)).changed
    assert place.read() == seen(2, rows=2)


def test_a_partition_of_which_every_row_was_erased_is_empty(store: ModelStore, place: Place) -> None:
    place.publish(scored(store, 1))
    assert place.publish(scored(store, 1, rows=0)).changed
    assert place.read() == []


@pytest.mark.usefixtures("asked_in_time")
def test_an_older_content_never_takes_the_place_of_a_newer_one(store: ModelStore, place: Place) -> None:
    old, new = scored(store, 1), scored(store, 2)
    place.publish(new)
    late = place.publish(old)
    assert (late.changed, late.is_there) == (False, False)
    assert "newer" in late.message
    assert place.read() == seen(2)


@pytest.mark.usefixtures("asked_in_time")
def test_a_content_that_came_back_is_newer_than_what_was_between(store: ModelStore, place: Place) -> None:
    first, between, again = scored(store, 1), scored(store, 2), scored(store, 1)
    assert first.part == again.part
    place.publish(first)
    assert not place.publish(again).changed
    assert not place.publish(between).is_there
    assert place.read() == seen(1)


def test_who_finds_that_its_content_was_replaced_publishes_nothing(store: ModelStore, place: Place) -> None:
    place.publish(scored(store, 1))
    old = scored(store, 2)
    scored(store, 3)
    assert not place.publish(old).is_there
    assert place.read() == seen(1)


@pytest.mark.usefixtures("asked_in_time")
def test_a_content_that_is_replaced_while_it_is_copied_does_not_stand(
    store: ModelStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = scored(store, 1), scored(store, 2)
    batches, others = Content.batches, ThreadPoolExecutor(1)
    done = []

    def slow(self: Content) -> Iterator[pa.RecordBatch]:
        yield from batches(self)
        if self == old:
            done.append(others.submit(place.publish, new))
            time.sleep(0.5)  # a folder is locked meanwhile, everywhere else it is done in this time

    monkeypatch.setattr(Content, "batches", slow)
    place.publish(old)
    assert done[0].result().is_there
    assert place.read() == seen(2)


@pytest.mark.usefixtures("asked_in_time")
@pytest.mark.parametrize("seed", SEEDS)
def test_of_attempts_at_once_the_newest_stands(store: ModelStore, place: Place, seed: int) -> None:
    contents = [scored(store, generation) for generation in range(1, 5)]
    attempts = shuffled(contents * 2, seed)
    with ThreadPoolExecutor(len(attempts)) as threads:
        done = list(threads.map(place.publish, attempts))
    assert place.read() == seen(4)
    assert sum(each.changed for each in done if each.digest == contents[-1].part.digest) == 1
    assert all(each.is_there for each in done if each.digest == contents[-1].part.digest)


def test_a_place_holds_one_models_predictions(store: ModelStore, place: Place, tmp_path_factory: object) -> None:
    place.publish(scored(store, 1))
    other = store.beside("other")
    with pytest.raises(ConfigError, match="another model") as caught:
        place.publish(scored(other, 2))
    assert (caught.value.expected, caught.value.found) == ("those of other", "those of small")
    assert place.read() == seen(1)


def test_a_store_that_was_put_back_is_told_from_a_late_attempt(
    store: ModelStore, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for generation in range(1, 4):
        scored(store, generation)
    place.publish(scored(store, 4))
    backup = Store(tmp_path_factory.mktemp("backup")).model("small")
    with pytest.raises(StoreError, match="newer than the store"):
        place.publish(scored(backup, 5))
    assert place.read() == seen(4)


def test_what_was_never_scored_is_nothing_to_publish(store: ModelStore) -> None:
    assert content_of(store, KEY) is None
    store.predictions.replace("2020-02", predictions(1))
    assert content_of(store, KEY) is None
