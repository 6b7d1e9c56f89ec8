"""The drop folder lies on a local folder or in a bucket, and an unchanged file is read once."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.s3_server import BUCKET

from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.errors import BatchError
from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.store.place import ObjectPath, Place
from incumbent.store.s3 import S3Blobs
from incumbent.validate import digests, ingest
from incumbent.validate.arrivals import new_deliveries
from incumbent.validate.contract import SourceContract
from incumbent.validate.extract import extract

pytestmark = pytest.mark.unit
Contract = Callable[..., SourceContract]
Write = Callable[..., Path]
KEY = "events/2020-01.parquet"


class Drop:
    """A drop folder: a file is written here and put there."""

    def __init__(self, top: Place, here: Path, write: Write) -> None:
        self.top, self.here, self.write = top, here, write

    def put(self, partition: str = "2020-01", **columns: Any) -> Place:
        return self.take(self.write(partition, **columns), f"events/{partition}.parquet")

    def take(self, file: Path, key: str) -> Place:
        place = self.top / key
        if isinstance(place, ObjectPath):
            place.put(file)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
        return place


@pytest.fixture(params=["folder", "bucket"])
def drop(request: pytest.FixtureRequest, tmp_path: Path, write: Write) -> Drop:
    if request.param == "folder":
        return Drop(tmp_path / "drop", tmp_path, write)
    options = request.getfixturevalue("s3_options")
    return Drop(ObjectPath(S3Blobs(f"s3://{BUCKET}/{tmp_path.name}/drop", options)), tmp_path, write)


@pytest.fixture
def contract_path(tmp_path: Path) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(
        "sources: {events: {key: [row], columns: {row: {dtype: int64}, ts: {dtype: timestamp}, x: {dtype: float64}}}}"
    )
    return path


def test_a_dropped_file_is_found_judged_and_then_nothing_new(
    drop: Drop, local: ModelStore, small: Model, contract: Contract, contract_path: Path
) -> None:
    def look() -> list[str]:
        return new_deliveries(local, small, contract_path, "events", drop.top)

    assert look() == []
    place = drop.put()
    drop.take(drop.write("2020-02"), "events/2020-02.parquet.tmp")
    drop.take(drop.write("2020-02"), "events/old/2020-02.parquet")
    assert look() == ["2020-01"]
    found = ingest(local, small, contract(), "events", "2020-01", place)
    assert (found.verdict, found.rows) == ("accepted", 20)
    assert look() == []
    drop.put(x=pa.array([7.0] * 20))
    assert look() == ["2020-01"], "a corrected file under the same name"


def test_what_cannot_be_taken_has_the_same_reason_everywhere(
    drop: Drop, local: ModelStore, small: Model, contract: Contract
) -> None:
    def reason(place: Place, **policy: int) -> str:
        try:
            return ingest(local, small, contract(policy=policy), "events", "2020-01", place).reason
        except BatchError as error:
            assert str(place) in error.where
            return f"{error.reason}, {error.found}"

    assert reason(drop.top / "events/2020-03.parquet") == "NOT_FOUND, nothing"
    place = drop.put()
    assert reason(drop.top / "events") == "NOT_FOUND, a folder"
    assert reason(place, max_bytes=100) == "TOO_LARGE"


def test_a_query_is_written_there_and_equal_rows_change_nothing(drop: Drop, contract: Contract) -> None:
    class Rows:
        column_names, num_rows = ["row", "ts", "x"], 1

        def column(self, index: int) -> pa.Array:
            return [pa.array([1]), pa.array([datetime(2020, 1, 1, tzinfo=UTC)]), pa.array([0.5])][index]

    target = drop.top / KEY
    first = extract([Rows()], contract(), target, "w", None)
    mark = digests.mark_of(target.stat())
    again = extract([Rows()], contract(), target, "w", None)
    assert (first.is_new, again.is_new, again.digest) == (True, False, first.digest)
    assert digests.mark_of(target.stat()) == mark
    with target.open("rb") as file:
        assert pq.read_table(pa.BufferReader(file.read())).num_rows == 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are opened by who looks for what is new, as they are."""
    names: list[str] = []
    real = digests.hashlib.file_digest
    monkeypatch.setattr(
        digests.hashlib, "file_digest", lambda file, kind: names.append("") or real(file, kind)
    )  # fmt: skip
    monkeypatch.setattr(digests, "SETTLED_NS", -1)
    return names


def test_an_unchanged_file_is_not_read_again_by_any_process(
    drop: Drop, local: ModelStore, small: Model, contract_path: Path, opened: list[str]
) -> None:
    def look() -> int:
        before = len(opened)
        assert new_deliveries(local, small, contract_path, "events", drop.top) == ["2020-01", "2020-02"]
        return len(opened) - before

    drop.put()
    drop.put("2020-02")
    assert (look(), look()) == (2, 0)
    drop.put(x=pa.array([7.0] * 20))
    assert look() == 1
    hint = next(local.work.rglob("digests-events.json"))
    hint.write_text("{ half")
    assert (look(), look()) == (2, 0)
    hint.unlink()
    assert look() == 2


def test_a_file_that_keeps_its_size_and_its_time_is_found_out(
    tmp_path: Path, local: ModelStore, small: Model, contract_path: Path, opened: list[str], write: Write
) -> None:
    path = write(x=pa.array([1.0] * 20))
    status = path.stat()
    first = digests.Digests(tmp_path / "hints").sha256(path, status)
    known = digests.Digests(tmp_path / "hints")
    assert known.sha256(path, status) == first
    known.save()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert digests.Digests(tmp_path / "hints").sha256(path, path.stat()) != first


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path, write: Write) -> None:
    path, known = write(), digests.Digests(tmp_path / "hints")
    known.sha256(path, path.stat())
    known.save()
    assert not (tmp_path / "hints").exists()


def test_an_ingest_believes_no_hint(
    drop: Drop, local: ModelStore, small: Model, contract: Contract, contract_path: Path, opened: list[str]
) -> None:
    place = drop.put()
    new_deliveries(local, small, contract_path, "events", drop.top)
    hint = next(local.work.rglob("digests-events.json"))
    lie = hint.read_text()
    true = ingest(local, small, contract(), "events", "2020-01", place).raw_digest
    assert true in lie
    hint.write_text(lie.replace(true, "0" * 64))
    assert ingest(local, small, contract(), "events", "2020-01", place).raw_digest == true
    assert [each.raw_digest for each in local.records.all(Ingest)] == [true]


def test_the_setting_names_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert Settings.from_env({"INCUMBENT_RAW": str(tmp_path)}).open_drop() == tmp_path
    settings = Settings.from_env({"INCUMBENT_RAW": "s3://bucket/prefix/"})
    assert str(settings.open_drop({"region": "us-east-1"}) / "a/b.csv") == "s3://bucket/prefix/a/b.csv"
