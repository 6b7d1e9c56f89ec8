"""A process killed while it ingests leaves a sound store, and the next ingest of the file finishes the work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.store.records import Records
from incumbent.store.tables import Table

pytestmark = pytest.mark.unit

ONE_BAD = pa.array([None, *map(float, range(1, 20))])


class Killed(BaseException):
    """The end of the process, as far as the code under test can tell."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, goes: Callable[..., bool]) -> None:
    """End the process when it calls a method with certain arguments."""
    real = getattr(owner, method)

    def call(*given: Any, **named: Any) -> Any:
        if goes(*given):
            raise Killed
        return real(*given, **named)

    monkeypatch.setattr(owner, method, call)


MOMENTS = {
    "before the rows": (Table, "_commit", lambda table, *_: "batches" in table.folder.parts),
    "before the quarantine": (Table, "_commit", lambda table, *_: "quarantine" in table.folder.parts),
    "before the record": (Records, "claim", lambda _, kind, *__: kind == Ingest.kind),
}


def deliver_and_die(deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, *MOMENTS[moment])
        with pytest.raises(Killed):
            deliver(x=ONE_BAD)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_ingest_breaks_no_promise_and_the_next_one_finishes(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    deliver_and_die(deliver, monkeypatch, moment)
    assert check_model(store) == []
    assert store.records.names(Ingest.kind) == []
    found = deliver(x=ONE_BAD)
    assert (found.verdict, found.rows, found.quarantined) == ("accepted", 19, 1)
    assert store.quarantine("events").read(["2020-01"]).num_rows == 1
    assert check_model(store) == []


def test_a_corrected_file_takes_the_place_of_rows_under_way(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_and_die(deliver, monkeypatch, "before the record")
    assert deliver().rows == 20
    assert check_model(store) == []


def test_rows_are_under_way_until_their_record_stands_and_no_longer(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a record that is lost later would not be missed."""
    deliver_and_die(deliver, monkeypatch, "before the record")
    deliver(x=ONE_BAD)
    (name,) = store.records.names(Ingest.kind)
    store.records.path(Ingest.kind, name).unlink()
    (violation,) = check_model(store)
    assert violation.promise == "accepted rows are named by the record of their delivery"
    assert violation.where == "batches/events, partition 2020-01"


def test_an_intent_ends_though_its_process_was_killed_right_after_the_record(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would hide the loss of that record for ever."""
    with monkeypatch.context() as patch:
        kill_at(patch, Path, "unlink", lambda path, *_, **__: "intents" in path.parts and path.suffix == ".json")
        with pytest.raises(Killed):
            deliver()
    assert len(store.records.names(Ingest.kind)) == len(store.intents.names(Ingest.kind)) == 1
    deliver()
    assert store.intents.names(Ingest.kind) == []


def test_an_intent_that_cannot_be_read_covers_nothing(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_and_die(deliver, monkeypatch, "before the record")
    (name,) = store.intents.names(Ingest.kind)
    store.intents.path(Ingest.kind, name).write_bytes(b"{")
    (violation,) = check_model(store)
    assert violation.promise == "accepted rows are named by the record of their delivery"
