"""The tables' promises: replaced whole, by content, verified when read."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.errors import StoreError
from incumbent.store import Store, Table
from incumbent.store import blobs as blobs_module
from incumbent.store.blobs import Blobs
from incumbent.store.data_files import ROW_GROUP_ROWS, write
from incumbent.store.memory import MemoryBlobs

pytestmark = pytest.mark.unit


@pytest.fixture
def table(blobs: Blobs, tmp_path: Path) -> Table:
    return Store(blobs, tmp_path).model("m").batches("flights")


def rows(*values: int) -> pa.Table:
    moment = datetime(2013, 7, 1, tzinfo=UTC)
    return pa.table(
        {
            "key": pa.array(values, pa.int64()),
            "name": pa.array([None if value % 2 else str(value) for value in values], pa.string()),
            "at": pa.array([moment] * len(values), pa.timestamp("us", "UTC")),
        }
    )


def version(table: Table) -> int:
    newest = table.log.newest()
    assert newest is not None
    return newest.number


def test_reads_back_what_was_written_with_its_partition(table: Table) -> None:
    table.replace("2013-07", rows(1, 2))
    table.replace("2013-08", rows(3))
    found = table.read()
    assert found.to_pylist() == [
        *({**row, "partition": "2013-07"} for row in rows(1, 2).to_pylist()),
        *({**row, "partition": "2013-08"} for row in rows(3).to_pylist()),
    ]
    assert table.read(["2013-08"], ["key"]).to_pylist() == [{"key": 3}]


def test_same_content_commits_nothing(table: Table) -> None:
    first = table.replace("2013-07", rows(1, 2))
    before = version(table)
    again = table.replace("2013-07", rows(1, 2))
    assert (first.changed, again.changed) == (True, False)
    assert again.part == first.part
    assert version(table) == before


def test_replaces_one_partition_and_leaves_the_others(table: Table) -> None:
    table.replace("2013-07", rows(1, 2))
    kept = table.replace("2013-08", rows(3)).part
    table.replace("2013-07", rows(9))
    assert table.part("2013-08") == kept
    assert table.read(["2013-07"], ["key"])["key"].to_pylist() == [9]


def test_content_that_comes_back_is_current_again(table: Table) -> None:
    first = table.replace("2013-07", rows(1)).part
    table.replace("2013-07", rows(2))
    assert table.replace("2013-07", rows(1)).part == first
    assert table.read(["2013-07"], ["key"])["key"].to_pylist() == [1]


def test_past_content_stays_readable_by_digest(table: Table) -> None:
    first = table.replace("2013-07", rows(1)).part
    table.replace("2013-07", rows(2))
    assert table.read_parts([first], ["key"])["key"].to_pylist() == [1]


def test_other_readers_see_a_plain_delta_table(table: Table) -> None:
    table.replace("2013-07", rows(1, 2))
    table.replace("2013-07", rows(1, 2, 3))
    if isinstance(table.blobs, MemoryBlobs):
        pytest.skip("Delta Lake does not reach this process's memory")
    address, options = table.blobs.delta()
    assert deltalake.DeltaTable(address, storage_options=options).to_pyarrow_table().num_rows == 3


def test_empty_partition_keeps_its_schema(table: Table) -> None:
    table.replace("2013-07", rows())
    assert table.parts()["2013-07"].rows == 0
    assert table.read(["2013-07"]).column_names == ["key", "name", "at", "partition"]


def test_changed_columns_are_refused_with_both_schemas(table: Table) -> None:
    table.replace("2013-07", rows(1))
    with pytest.raises(StoreError, match="columns differ") as caught:
        table.replace("2013-08", rows(1).drop_columns(["name"]))
    assert "name string" in str(caught.value.expected)
    assert "name" not in str(caught.value.found)


def test_batches_of_a_large_content_hold_a_few_row_groups_at_once(tmp_path: Path) -> None:
    table = Store(tmp_path).model("m").table("large")
    rows = pa.table({"key": np.random.default_rng(1).integers(0, 2**60, 24 * ROW_GROUP_ROWS)})
    part = table.replace("2013-07", rows).part
    before, most, seen = pa.total_allocated_bytes(), 0, []
    for batch in table.batches(part, 2 * ROW_GROUP_ROWS):
        seen.append(batch["key"][0].as_py())
        most = max(most, pa.total_allocated_bytes() - before)
    assert seen == rows["key"].to_pylist()[:: 2 * ROW_GROUP_ROWS]
    assert most < rows.nbytes / 3
    some = table.batches(part, ROW_GROUP_ROWS, row_groups=[3, 5])
    assert [batch["key"][0].as_py() for batch in some] == [rows["key"][at * ROW_GROUP_ROWS].as_py() for at in (3, 5)]


def test_a_table_is_widened_once_and_what_it_holds_has_nulls_there(table: Table) -> None:
    wider = pa.field("weight", pa.float64())
    table.widen([wider])
    assert table.parts() == {}, "one that is not made gets its columns with its first content"
    first = table.replace("2013-07", rows(1)).part
    before = len(table.log.moments())
    table.widen([wider])
    table.widen([wider])
    assert (len(table.log.moments()), table.part("2013-07")) == (before + 1, first)
    table.replace("2013-08", rows(2).append_column(wider, pa.array([0.5])))
    assert table.read(columns=["key", "weight"]).to_pylist() == [
        {"key": 1, "weight": None},
        {"key": 2, "weight": 0.5},
    ]
    assert table.read().column_names == ["key", "name", "at", "weight", "partition"]
    assert table.read(["2013-07"], ["weight"])["weight"].type == pa.float64()
    with pytest.raises(StoreError, match="columns differ"):
        table.replace("2013-09", rows(3))
    if not isinstance(table.blobs, MemoryBlobs):
        address, options = table.blobs.delta()
        other = deltalake.DeltaTable(address, storage_options=options).to_pyarrow_table()
        assert sorted(other["weight"].to_pylist(), key=str) == [0.5, None]


@pytest.mark.parametrize("key", ["../x", "a/b", "", "x y"])
def test_keys_that_are_no_path_part_are_refused(table: Table, key: str) -> None:
    with pytest.raises(StoreError, match="not a partition"):
        table.replace(key, rows(1))


def test_missing_partition_says_what_is_there(table: Table) -> None:
    table.replace("2013-07", rows(1))
    with pytest.raises(StoreError, match="newest 2013-07"):
        table.read(["2013-08"])


def test_every_flipped_bit_is_noticed(table: Table) -> None:
    part = table.replace("2013-07", rows(*range(50))).part
    name = f"partition=2013-07/{part.digest}.parquet"
    good = table.blobs.read(name)
    for position in range(0, len(good), 7):
        bad = bytearray(good)
        bad[position] ^= 1 << (position % 8)
        table.blobs.remove(name)
        table.blobs.create(name, bytes(bad))
        blobs_module._VERIFIED.clear()
        with pytest.raises(StoreError, match="changed since it was committed"):
            table.read(["2013-07"])


def write_one(job: tuple[Blobs, int]) -> bool:
    blobs, number = job
    return Table(blobs, "batches/flights").replace(f"2013-{number:02d}", rows(number)).changed


def test_concurrent_writers_of_different_partitions_all_commit(table: Table) -> None:
    # spawn: the Delta library has threads, which a fork does not carry along
    shared = isinstance(table.blobs, MemoryBlobs)
    with ThreadPoolExecutor(4) if shared else ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        assert all(pool.map(write_one, [(table.blobs, number) for number in range(1, 9)]))
    assert {key: table.read([key])["key"].to_pylist() for key in table.parts()} == {
        f"2013-{number:02d}": [number] for number in range(1, 9)
    }


@pytest.mark.parametrize("as_stream", [False, True])
def test_a_file_has_row_groups_that_workers_can_share(tmp_path: Path, as_stream: bool) -> None:
    rows = pa.table({"x": pa.array(range(2 * ROW_GROUP_ROWS + 5))})
    write(tmp_path / "rows.parquet", rows.to_reader(max_chunksize=1000) if as_stream else rows)
    found = pq.ParquetFile(tmp_path / "rows.parquet").metadata
    sizes = [found.row_group(number).num_rows for number in range(found.num_row_groups)]
    assert sizes == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 5]
