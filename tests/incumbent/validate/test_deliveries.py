"""A delivery is committed whole or not at all, and its record is about exactly the bytes that were judged."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.errors import BatchError, StoreError
from incumbent.records import Ingest, Part, digest_of
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model
from incumbent.store.tables import Commit, Table
from incumbent.validate import ingest, ingest_or_raise
from incumbent.validate.contract import SourceContract

pytestmark = pytest.mark.unit

STAGE = importlib.import_module("incumbent.validate.ingest")  # the package has a function of this name

ONE_BAD = pa.array([None, *map(float, range(1, 20))])
TWO_BAD = pa.array([None, None, *map(float, range(2, 20))])


@pytest.mark.parametrize(
    ("columns", "found"),
    [({"y": {"dtype": "float64"}}, "x double, y double"), ({"x": {"dtype": "string"}}, "x string")],
)
def test_a_changed_schema_leaves_everything_as_it_was(
    store: ModelStore,
    deliver: Callable[..., Ingest],
    contract: Callable[..., SourceContract],
    columns: dict[str, Any],
    found: str,
) -> None:
    deliver(x=ONE_BAD)
    before = [store.quarantine("events").parts(), store.batches("events").parts(), store.records.names(Ingest.kind)]
    given = {"x": TWO_BAD, "y": pa.array([1.0] * 20)} if "y" in columns else {"x": pa.array([None, *"a" * 19])}
    with pytest.raises(StoreError) as caught:
        deliver(contract(columns), **given)
    said = str(caught.value)
    for part in (
        "contract.yaml, sources.events",
        "raw/events/2020-01.parquet",
        "expected: row int64,",
        found,
        "next: ",
    ):
        assert part in said
    after = [store.quarantine("events").parts(), store.batches("events").parts(), store.records.names(Ingest.kind)]
    assert after == before


def test_a_write_that_fails_leaves_no_quarantine_of_rows_that_were_not_committed(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(x=ONE_BAD)
    before = store.quarantine("events").parts()
    commit = Table.commit

    def full_disk(table: Table, part: Part) -> Any:
        if table.name.startswith("batches"):
            raise OSError("no space left on device")
        return commit(table, part)

    monkeypatch.setattr(Table, "commit", full_disk)
    with pytest.raises(OSError, match="no space"):
        deliver(x=TWO_BAD)
    assert store.quarantine("events").parts() == before


@pytest.mark.parametrize("last", [ONE_BAD, pa.array(map(float, range(20)))])
def test_the_rows_that_two_deliveries_set_aside_are_those_of_the_one_that_stands(
    store: ModelStore, deliver: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch, last: pa.Array
) -> None:
    """The second comes when the first has committed its good rows, and not yet the others."""
    settled, commit = [], Table.commit

    def slow(table: Table, part: Part, *conditions: Any, **given: Any) -> Commit:
        if table.name == "quarantine/events" and not settled:
            settled.append(True)
            deliver(x=last)
        return commit(table, part, *conditions, **given)

    monkeypatch.setattr(Table, "commit", slow)
    deliver(x=TWO_BAD)
    assert store.batches("events").read(columns=["x"])["x"].to_pylist() == [
        x for x in last.to_pylist() if x is not None
    ]
    assert store.quarantine("events").read(columns=["line"]).num_rows == last.null_count
    assert check_model(store) == []


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_file_that_is_replaced_meanwhile_is_not_mixed_with_its_successor(
    store: ModelStore,
    small: Model,
    contract: Callable[..., SourceContract],
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    path = write()
    if ending != "parquet":
        rows = {"csv": "row,ts,x\n1,2020-01-01T00:00Z,1\n", "jsonl": '{"row":1,"ts":"2020-01-01T00:00:00Z","x":1}\n'}
        path = path.with_suffix(f".{ending}")
        path.write_text(rows[ending])
    digest = digest_of(path.read_bytes())
    expected = 20 if ending == "parquet" else 1
    admit = STAGE.admit

    def late(*args: Any) -> Any:
        path.write_bytes(b"the next delivery")
        return admit(*args)

    monkeypatch.setattr(STAGE, "admit", late)
    found = ingest(store, small, contract(), "events", "2020-01", path)
    assert (found.verdict, found.raw_digest, found.rows) == ("accepted", digest, expected)


def test_a_stopped_delivery_has_the_same_record_on_every_machine(
    tmp_path: Path, small: Model, contract: Callable[..., SourceContract], write: Callable[..., Path]
) -> None:
    here = write(x=pa.array(["far"] * 20))
    (there := tmp_path / "elsewhere" / here.name).parent.mkdir()
    shutil.copy(here, there)
    found = [
        ingest(Store(tmp_path).model(f"store{number}"), small, contract(), "events", "2020-01", path)
        for number, path in enumerate((here, there))
    ]
    assert found[0] == found[1]
    assert "where: 2020-01.parquet, column x" in found[0].message


def test_the_error_names_the_file_with_its_folder(
    store: ModelStore, small: Model, tmp_path: Path, write: Callable[..., Path]
) -> None:
    contract = tmp_path / "contract.yaml"
    contract.write_text("sources: {events: {key: [row], columns: {row: {dtype: int64}, y: {dtype: int64}}}}")
    with pytest.raises(BatchError) as caught:
        ingest_or_raise(store, small, contract, "events", "2020-01", path := write())
    assert f"where: {path}, column y for small.events 2020-01" in str(caught.value)
    with pytest.raises(BatchError, match="there is no such file"):
        ingest_or_raise(store, small, contract, "events", "2020-02", path.with_name("2020-02.parquet"))
