"""A process killed while it ingests leaves a sound store, and the next ingest of the file finishes the work."""

from pathlib import Path

import pyarrow as pa
import pytest
from tests.crashes import changes, killed_at, killed_at_each_point
from tests.incumbent.validate.conftest import build_contract, read_here, small_model, write_delivery

from incumbent.records import Ingest
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model
from incumbent.store.local import LocalBlobs
from incumbent.validate import ingest

pytestmark = pytest.mark.unit

ONE_BAD = pa.array([None, *map(float, range(1, 20))])
UNDER_WAY = "before record ingests#1"


def one_bad(root: Path) -> None:
    """Deliver a file with one bad row."""
    file = write_delivery(root, x=ONE_BAD)
    with read_here():
        ingest(store_in(root), small_model(), build_contract(), "events", "2020-01", file)


def one_bad_then_corrected(root: Path) -> None:
    """Deliver a file with one bad row, and the corrected one."""
    one_bad(root)
    corrected(root)


def corrected(root: Path) -> Ingest:
    with read_here():
        return ingest(store_in(root), small_model(), build_contract(), "events", "2020-01", write_delivery(root))


def store_in(root: Path) -> ModelStore:
    return Store(root / "store").model("small")


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_killed_anywhere_no_promise_is_broken_and_the_next_run_finishes(tmp_path: Path, each_time: bool) -> None:
    points = []
    for point, root in killed_at_each_point(one_bad_then_corrected, tmp_path, each_time=each_time):
        points.append(point)
        assert check_model(store_in(root)) == [], point
        one_bad_then_corrected(root)  # the next run; what this process keeps in memory is of other folders
        assert check_model(store_in(root)) == [], point
        assert content(root) == content(tmp_path / "whole"), point
    tables = {
        f"{what} of {table}/events" for what in ("making", "file", "commit") for table in ("batches", "quarantine")
    }
    assert changes(points) == tables | {"object", "intent ingests", "record ingests", "removal of intent ingests"}


def content(root: Path) -> dict[str, bytes]:
    """Return what a store holds, but for the logs of its tables, which know the time."""
    blobs = LocalBlobs(root / "store")
    held = {name: blobs.read(name) for name in blobs.names() if "_delta_log" not in name and "/reports/" not in name}
    parts = {name: repr(table.parts()).encode() for name, table in store_in(root).tables().items()}
    return held | parts


@pytest.fixture
def under_way(tmp_path: Path) -> Path:
    """A store whose rows are committed and whose record is not."""
    return killed_at(one_bad, tmp_path / "killed", UNDER_WAY)


def test_a_corrected_file_takes_the_place_of_rows_under_way(under_way: Path) -> None:
    assert corrected(under_way).rows == 20
    assert check_model(store_in(under_way)) == []


def test_rows_are_under_way_until_their_record_stands_and_no_longer(under_way: Path) -> None:
    """Else a record that is lost later would not be missed."""
    one_bad(under_way)
    store = store_in(under_way)
    (name,) = store.records.names(Ingest.kind)
    store.records.blobs.remove(store.records.key(Ingest.kind, name))
    (violation,) = check_model(store)
    assert violation.promise == "accepted rows are named by the record of their delivery"
    assert violation.where == "batches/events, partition 2020-01"


def test_an_intent_that_cannot_be_read_covers_nothing(under_way: Path) -> None:
    store = store_in(under_way)
    (name,) = store.intents.names(Ingest.kind)
    store.intents.blobs.remove(store.intents.key(Ingest.kind, name))
    store.intents.blobs.create(store.intents.key(Ingest.kind, name), b"{")
    (violation,) = check_model(store)
    assert violation.promise == "accepted rows are named by the record of their delivery"
