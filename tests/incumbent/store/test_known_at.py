"""What a table held at a moment is known for ever: its log is never cleaned."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from incumbent.store import Store, Table
from incumbent.store.blobs import Blobs
from incumbent.store.delta_log import DeltaLog

pytestmark = pytest.mark.unit


@pytest.fixture
def table(blobs: Blobs, tmp_path: Path) -> Table:
    return Store(blobs, tmp_path).model("m").batches("flights")


def rows(*values: int) -> pa.Table:
    return pa.table({"key": pa.array(values, pa.int64())})


def replaced(table: Table, partition: str, *values: int) -> datetime:
    """Replace a partition, and return when."""
    table.replace(partition, rows(*values))
    time.sleep(0.002)  # Delta counts milliseconds
    return table.log.moments()[-1].at


def test_what_came_later_is_not_seen(table: Table) -> None:
    first = replaced(table, "2013-07", 1)
    second = replaced(table, "2013-08", 2)
    restated = replaced(table, "2013-07", 1, 3)
    assert table.parts(first - timedelta(seconds=1)) == {}
    assert {key: part.rows for key, part in table.parts(first).items()} == {"2013-07": 1}
    assert {key: part.rows for key, part in table.parts(second).items()} == {"2013-07": 1, "2013-08": 1}
    assert table.parts(restated) == table.parts() == table.parts(datetime.now(UTC) + timedelta(days=1))
    assert table.read_parts([table.parts(first)["2013-07"]])["key"].to_pylist() == [1]


def test_what_was_held_since_a_moment_counts_what_it_held_then(table: Table) -> None:
    moments = [replaced(table, "2013-07", number) for number in range(4)]
    held = table.log.held_since(moments[2])
    assert sorted(table.read_parts([part])["key"].to_pylist()[0] for part in held) == [2, 3]


def test_a_table_that_is_not_made_yet_has_never_held_anything(table: Table) -> None:
    assert table.parts(datetime.now(UTC)) == {}
    assert table.log.held_since(datetime.now(UTC)) == set()


def test_no_checkpoint_cleans_the_log(tmp_path: Path) -> None:
    """Delta would: a year later, with the next checkpoint."""
    table = Store(tmp_path).model("m").batches("flights")
    first = replaced(table, "2013-07", 1)
    second = replaced(table, "2013-07", 2)
    assert isinstance(table.log, DeltaLog)
    address, _ = table.log.blobs.delta()
    for entry in (Path(address) / "_delta_log").iterdir():
        os.utime(entry, (0, 0))
    delta = deltalake.DeltaTable(address)
    delta.create_checkpoint()
    delta.cleanup_metadata()
    table.replace("2013-07", rows(3))
    assert [table.read_parts([table.parts(at)["2013-07"]])["key"].to_pylist() for at in (first, second)] == [[1], [2]]
