"""What no event has told is found: once, after a while, and until it is published."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.incumbent.erase import conftest as lives
from tests.incumbent.publish.places import KEY, scored

from incumbent.config import Publish
from incumbent.erase import erase
from incumbent.publish.content import Content, content_of, outcome
from incumbent.publish.due import LOST_AFTER, claim_waiting, record
from incumbent.publish.files import publish_to_folder
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
TABLE, FOLDER = Publish(connection="c", table="t"), Publish(path="/lake")
TARGETS = {"work": TABLE, "lake": FOLDER}
START = datetime(2020, 1, 1, tzinfo=UTC)
LATER = START + LOST_AFTER + timedelta(seconds=1)


def published(store: ModelStore, content: Content, targets: dict[str, Publish] = TARGETS) -> None:
    for name, target in targets.items():
        record(store, name, target, outcome(content, changed=True))


def test_a_content_that_was_just_scored_is_left_to_its_run(store: ModelStore) -> None:
    scored(store, 1)
    assert claim_waiting(store, TARGETS, "one", START) == []
    assert claim_waiting(store, TARGETS, "two", START + LOST_AFTER) == []
    assert claim_waiting(store, TARGETS, "three", LATER) == [KEY]
    assert claim_waiting(store, TARGETS, "three", LATER) == [KEY], "one that is tried again announces its own again"
    assert claim_waiting(store, TARGETS, "four", LATER + timedelta(minutes=5)) == []
    assert claim_waiting(store, TARGETS, "five", LATER + timedelta(minutes=21)) == [KEY]


def test_what_is_published_everywhere_waits_for_nothing(store: ModelStore) -> None:
    content = scored(store, 1)
    claim_waiting(store, TARGETS, "one", START)
    published(store, content, {"work": TABLE})
    claim_waiting(store, TARGETS, "two", START)
    assert claim_waiting(store, TARGETS, "three", LATER) == [KEY], "one place lacks it"
    published(store, content)
    assert claim_waiting(store, TARGETS, "four", LATER + timedelta(days=2)) == []


def test_what_was_changed_without_an_event_waits(store: ModelStore) -> None:
    """As after an erasure; also if the rows come back that were there before."""
    first = scored(store, 1)
    published(store, first)
    second = scored(store, 2)
    claim_waiting(store, TARGETS, "one", START)
    assert claim_waiting(store, TARGETS, "two", LATER) == [KEY]
    published(store, second)
    again = scored(store, 1)
    assert again.part == first.part
    claim_waiting(store, TARGETS, "three", LATER)
    assert claim_waiting(store, TARGETS, "four", LATER + LOST_AFTER + timedelta(seconds=1)) == [KEY]


def test_a_new_place_lacks_everything(store: ModelStore) -> None:
    published(store, scored(store, 1))
    published(store, scored(store, 1, key="2020-02"))
    moved = {"work": Publish(connection="c", table="other"), "lake": FOLDER}
    claim_waiting(store, moved, "one", START)
    assert claim_waiting(store, moved, "two", LATER) == [KEY, "2020-02"]


def test_a_person_who_was_erased_is_gone_from_where_predictions_went(tmp_path: Path) -> None:
    store = lives.lived(Store(tmp_path / "store").model("small"), tmp_path)
    target = {"lake": Publish(path=str(tmp_path / "lake"))}

    def publish(key: str) -> list[str]:
        content = content_of(store, key)
        assert content is not None
        record(store, "lake", target["lake"], publish_to_folder(tmp_path / "lake", content))
        return pq.read_table(tmp_path / "lake")["customer"].to_pylist()

    for key in store.predictions.parts():
        before = publish(key)
    assert lives.PERSON in before
    erase(store, lives.MODEL, lives.contract_at(tmp_path), [f"customer={lives.PERSON}"], "asked to")
    claim_waiting(store, target, "one", START)
    (affected,) = claim_waiting(store, target, "two", LATER)
    left = publish(affected)
    assert sorted(left) == sorted(name for name in before if name != lives.PERSON)
