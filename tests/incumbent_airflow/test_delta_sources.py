"""What a source from a Delta table promises: the cases of the databases, on a folder and in a bucket."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.s3_server import BUCKET

from incumbent.config import Source
from incumbent.errors import BatchError, ConfigError, UnavailableError
from incumbent.store.s3 import S3Blobs
from incumbent.validate import delta
from incumbent.validate.contract import SourceContract
from incumbent.validate.delta import DeltaAddress, DeltaReading
from incumbent.validate.extract import Extraction, extract

pytestmark = pytest.mark.unit

START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
KINDS = {
    "id": pa.int64(),
    "seen": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "x": pa.float64(),
    "amount": pa.decimal128(12, 3),
    "flag": pa.bool_(),
    "name": pa.string(),
}
DTYPES = {"id": "int64", "seen": "timestamp", "day": "date", "x": "float64", "amount": "float64", "flag": "bool"}
CONTRACT = SourceContract.model_validate(
    {"key": ["id"], "columns": {name: {"dtype": kind} for name, kind in (DTYPES | {"name": "string"}).items()}}
)
ALL = "SELECT * FROM source"
MONTH = "SELECT * FROM source WHERE seen >= :start AND seen < :end"
ROWS: list[tuple[Any, ...]] = [
    (3, START, date(2020, 1, 1), 0.1, Decimal("127000.381"), True, "Zoë 東京 🛫"),
    (2**63 - 1, datetime(2020, 1, 31, 23, 59, 59, 999999, UTC), date(9999, 12, 31), 1e300, Decimal("0.001"), False, ""),
    (-(2**63), START + timedelta(days=9), date(1, 1, 1), -0.5, Decimal("-7"), None, 'it\'s \\ 100 % "q" :end $1 ?'),
    (0, START + timedelta(days=3), None, nan, None, None, None),
    (1, START + timedelta(days=4), date(2020, 2, 29), inf, None, None, "a\nb\tc"),
]
Write = Callable[..., DeltaAddress]


@pytest.fixture(params=["folder", "bucket"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Write rows as the next version of the table."""
    where = DeltaAddress(str(tmp_path / "table"))
    if request.param == "bucket":
        url, options = f"s3://{BUCKET}/{tmp_path.name}/table", request.getfixturevalue("s3_options")
        where = DeltaAddress(*S3Blobs(url, options).delta())
    return lambda rows, mode="overwrite", **given: write_table(where, rows, mode, **given)


@pytest.fixture
def local(tmp_path: Path) -> Write:
    return lambda rows, mode="overwrite", **given: write_table(
        DeltaAddress(str(tmp_path / "table")), rows, mode, **given
    )


def write_table(where: DeltaAddress, rows: list[tuple[Any, ...]], mode: Any, **given: Any) -> DeltaAddress:
    columns = {name: pa.array([row[at] for row in rows], kind) for at, (name, kind) in enumerate(KINDS.items())}
    table = pa.table(given.pop("columns", columns))
    deltalake.write_deltalake(where.address, table, mode=mode, storage_options=dict(where.options) or None, **given)
    return where


def read(where: DeltaAddress, query: str, folder: Path, zone: str | None = None, **given: Any) -> Extraction:
    values = {"start": START, "end": END, "partition": "2020-01"} | given.pop("values", {})
    reading = given.pop("reading", None) or DeltaReading(where, query, values, "shop.rows 2020-01", **given)
    return extract(reading, CONTRACT, folder / "f.parquet", "w", zone)


def content(folder: Path) -> pa.Table:
    return pq.read_table(folder / "f.parquet")


def test_types_and_values_arrive_as_they_are(write: Write, tmp_path: Path) -> None:
    where = write(ROWS)
    reading = DeltaReading(where, ALL, {}, "w")
    found = read(where, ALL, tmp_path, reading=reading)
    rows = [tuple(map(plain, row.values())) for row in content(tmp_path).to_pylist()]
    assert rows == [tuple(map(plain, row)) for row in sorted(ROWS)]
    assert (found.rows, found.is_new, reading.through) == (len(ROWS), True, "Delta Lake, version 0")


def plain(value: object) -> object:
    """Return a value as it compares: NaN is equal to itself."""
    return float(value) if isinstance(value, Decimal) else "NaN" if value != value else value


def test_equal_rows_in_another_order_and_version_are_the_same_file(write: Write, tmp_path: Path) -> None:
    first = read(write(ROWS), MONTH, tmp_path)
    write(ROWS[:2])
    where = write(ROWS[:1:-1], "append")
    reading = DeltaReading(where, MONTH, {"start": START, "end": END}, "w")
    again = read(where, MONTH, tmp_path, reading=reading)
    assert (again.digest, again.is_new, reading.through) == (first.digest, False, "Delta Lake, version 2")
    assert read(write(ROWS[:-1]), MONTH, tmp_path).is_new


def test_no_rows_are_a_file_with_the_columns(local: Write, tmp_path: Path) -> None:
    assert read(local([]), MONTH, tmp_path).rows == 0
    assert content(tmp_path).schema.names == list(CONTRACT.columns)


def test_an_interval_has_its_start_and_not_its_end(local: Write, tmp_path: Path) -> None:
    moments = [START - timedelta(microseconds=1), START, END - timedelta(microseconds=1), END]
    where = local([(number, at, None, None, None, None, None) for number, at in enumerate(moments)])
    read(where, MONTH, tmp_path)
    assert content(tmp_path)["id"].to_pylist() == [1, 2]


def test_a_parameter_is_never_read_as_sql(local: Write, tmp_path: Path) -> None:
    hostile = "'; DROP VIEW source; --\\' \" %s :end $1 ? {partition}"
    query = "SELECT * REPLACE (CAST(:partition AS text) AS name) FROM source WHERE ':end %' <> :partition -- :end"
    where = local(ROWS)
    read(where, query, tmp_path, values={"partition": hostile})
    assert set(content(tmp_path)["name"].to_pylist()) == {hostile}


def test_a_time_without_a_zone_needs_one(local: Write, tmp_path: Path) -> None:
    columns = {"id": pa.array([1]), "seen": pa.array([datetime(2020, 7, 1, 12)], pa.timestamp("us"))}
    where = local([], columns=columns)
    query = "SELECT id, seen, NULL AS day, NULL AS x, NULL AS amount, NULL AS flag, NULL AS name FROM source"
    with pytest.raises(BatchError, match="without a zone"):
        read(where, query, tmp_path)
    read(where, query, tmp_path, "Europe/Berlin")
    assert content(tmp_path)["seen"].to_pylist() == [datetime(2020, 7, 1, 10, tzinfo=UTC)]


def test_what_is_written_while_it_is_read_is_of_the_next_version(local: Write, tmp_path: Path) -> None:
    many = [(number, START, None, None, None, None, None) for number in range(200_000)]
    where = local(many)
    batches = iter(DeltaReading(where, ALL, {}, "w"))
    next(batches)
    local([(1, START, None, None, None, None, None)])
    assert sum(rows.num_rows for rows in batches) == len(many)
    assert read(where, ALL, tmp_path).rows == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT nothing FROM source", "Binder Error"),
        ("SELECT * FROM elsewhere", "Catalog Error"),
        ("SELECT * FROM read_csv('/etc/passwd')", "file system operations are disabled"),
        ("SELECT CAST(name AS INTEGER) AS id FROM source", "Conversion Error"),
    ],
)
def test_a_query_that_is_refused_is_a_mistake_in_the_folder(
    local: Write, tmp_path: Path, query: str, found: str
) -> None:
    with pytest.raises(ConfigError, match="does not take the query") as caught:
        read(local(ROWS), query, tmp_path)
    assert found in str(caught.value.found)
    assert not (tmp_path / "f.parquet").exists()


def test_an_error_of_a_private_source_repeats_no_value(local: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not shown") as caught:
        read(local(ROWS), "SELECT CAST(name AS INTEGER) AS id FROM source", tmp_path, private=True)
    assert "東京" not in str(caught.value)


def test_a_place_without_a_table_is_a_mistake_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        read(DeltaAddress(str(tmp_path)), ALL, tmp_path)


def test_a_file_that_was_vacuumed_is_tried_again(local: Write, tmp_path: Path) -> None:
    where = local(ROWS)
    for file in (tmp_path / "table").glob("*.parquet"):
        file.unlink()
    with pytest.raises(UnavailableError, match="cannot be read to the end"):
        read(where, ALL, tmp_path)
    assert not (tmp_path / "f.parquet").exists()


def test_no_message_and_no_argument_has_the_credentials(
    s3_options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = delta.subprocess.Popen
    monkeypatch.setattr(
        delta.subprocess, "Popen", lambda *given, **named: seen.append((given, named)) or real(*given, **named)
    )
    url, options = S3Blobs(f"s3://{BUCKET}/nothing", s3_options).delta()
    with pytest.raises(ConfigError) as caught:
        read(DeltaAddress(url, options), ALL, tmp_path)
    assert options["AWS_SECRET_ACCESS_KEY"] not in str(caught.value) + repr(seen) + repr(DeltaAddress(url, options))


def test_a_reading_that_is_cancelled_ends(local: Write, tmp_path: Path) -> None:
    where = local([(number, START, None, None, None, None, None) for number in range(3000)])
    slow = "SELECT a.* FROM source a, source b, source c WHERE a.id + b.id + c.id < 0"
    reading = DeltaReading(where, slow, {}, "w")
    threading.Thread(target=lambda: (wait_for(reading), reading.cancel())).start()
    with pytest.raises(UnavailableError, match="cancelled"):
        read(where, slow, tmp_path, reading=reading)
    assert not (tmp_path / "f.parquet").exists()


def wait_for(reading: DeltaReading) -> None:
    while reading._child is None:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": "/a", "connection": "b", "query": "SELECT :partition"}, "has one of them"),
        ({"table": "/a"}, "needs `query` too"),
        ({"table": "relative/a", "query": "SELECT :partition"}, "full path"),
        ({"table": "s3://a", "query": "SELECT :partition"}, "full path"),
        ({"table": "/a", "query": "SELECT 1"}, "asks for one partition"),
    ],
)
def test_a_table_is_described_whole_or_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source.model_validate({"role": "batch", "path": "x/{partition}.parquet", **given})


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
def test_a_table_with_a_feature_that_is_not_known_is_refused_by_name(
    local: Write, tmp_path: Path, feature: str
) -> None:
    where = local(ROWS)
    log = tmp_path / "table" / "_delta_log" / "00000000000000000000.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "protocol" in action:
            features = {"readerFeatures": [feature], "writerFeatures": [feature]}
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7} | features
    log.write_text("\n".join(map(json.dumps, actions)))
    with pytest.raises(ConfigError, match="cannot be opened") as caught:
        read(where, ALL, tmp_path)
    assert feature in str(caught.value.found)
