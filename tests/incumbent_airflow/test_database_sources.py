"""What a source from a database promises, on every way to read one: PostgreSQL by three drivers, SQLite, and DuckDB.

A database of yours is tried in the same way: a `Reader` of it, added to `READERS`. Long because it is one
conformance test: every promise, in one place.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.crashes import killed_at_each_point
from tests.databases import PASSWORD, Postgres, Reader, duckdb_reader, postgres, postgres_reader, sqlite_reader
from tests.incumbent.validate.conftest import admitted_rows

from incumbent.errors import BatchError, ConfigError, PipelineError, UnavailableError
from incumbent.validate import reading
from incumbent.validate.contract import SourceContract
from incumbent.validate.extract import Extraction, extract
from incumbent.validate.reading import Database, Reading

pytestmark = pytest.mark.unit

POSTGRES = ("ADBC", "psycopg", "psycopg2")
READERS = (*(f"postgres by {through}" for through in POSTGRES), "sqlite", "duckdb by ADBC")
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
CONTRACT = SourceContract.model_validate(
    {
        "key": ["id"],
        "columns": {
            "id": {"dtype": "int64"},
            "seen": {"dtype": "timestamp"},
            "day": {"dtype": "date"},
            "x": {"dtype": "float64"},
            "amount": {"dtype": "float64"},
            "flag": {"dtype": "bool"},
            "name": {"dtype": "string"},
        },
    }
)
ALL = "SELECT * FROM rows"
MONTH = "SELECT * FROM rows WHERE seen >= :start AND seen < :end"
ROWS: list[tuple[Any, ...]] = [
    (3, START, date(2020, 1, 1), 0.1, Decimal("127000.381"), True, "Zoë 東京 🛫"),
    (2**63 - 1, datetime(2020, 1, 31, 23, 59, 59, 999999, UTC), date(9999, 12, 31), 1e300, Decimal("0.001"), False, ""),
    (-(2**63), START + timedelta(days=9), date(1, 1, 1), -0.5, Decimal("-7"), None, 'it\'s \\ 100 % "q" :end $1 ?'),
    (0, START + timedelta(days=3), None, None, None, None, None),
    (1, START + timedelta(days=4), date(2020, 2, 29), inf, None, None, "a\nb\tc"),
]
NOT_A_NUMBER = (5, START, None, nan, None, None, None)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Reader:
    engine, _, through = request.param.partition(" by ")
    if engine == "postgres":
        return postgres_reader(request.getfixturevalue("server"), through)
    return (duckdb_reader if through else sqlite_reader)(tmp_path)


@pytest.fixture(params=("ADBC", "psycopg"))
def airflows(request: pytest.FixtureRequest, server: Postgres) -> Reader:
    """Return the two ways that Airflow's hook for PostgreSQL leads to."""
    return postgres_reader(server, request.param)


def read(reader: Reader, query: str, folder: Path, zone: str | None = None, **given: Any) -> Extraction:
    values = {"start": START, "end": END, "partition": "2020-01"} | given.pop("values", {})
    contract = given.pop("contract", CONTRACT)
    return extract(
        Reading(reader.database, query, values, "shop.rows 2020-01"), contract, folder / "f.parquet", "w", zone
    )


def mark(folder: Path) -> tuple[int, int]:
    status = (folder / "f.parquet").stat()
    return status.st_ino, status.st_mtime_ns


def content(folder: Path) -> pa.Table:
    return pq.read_table(folder / "f.parquet")


def contract_of(dtype: str, added: str = "drop", **policy: Any) -> SourceContract:
    columns = {"id": {"dtype": dtype}}
    return SourceContract.model_validate(
        {"key": ["id"], "columns": columns, "policy": policy, "evolution": {"added": added}}
    )


def test_types_and_values_arrive_as_they_are(reader: Reader, tmp_path: Path) -> None:
    reader.make(ROWS)
    found = read(reader, ALL, tmp_path)
    table = content(tmp_path)
    assert [str(field.type) for field in table.schema] == [
        "int64", "timestamp[us, tz=UTC]", "date32[day]", "double", "double", "bool", "string",
    ]  # fmt: skip
    expected = [tuple(float(each) if isinstance(each, Decimal) else each for each in row) for row in sorted(ROWS)]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    assert (found.rows, found.is_new) == (len(ROWS), True)
    assert len(admitted_rows(tmp_path / "f.parquet", CONTRACT)) == len(ROWS), "what is written is what is admitted"


def test_not_a_number_is_no_null(reader: Reader, tmp_path: Path) -> None:
    if not reader.has_nan:
        pytest.skip("SQLite stores NaN as NULL")
    reader.make([NOT_A_NUMBER])
    read(reader, ALL, tmp_path)
    (value,) = content(tmp_path)["x"].to_pylist()
    assert value != value


def test_no_rows_are_a_file_with_the_columns(reader: Reader, tmp_path: Path) -> None:
    reader.make([])
    assert read(reader, MONTH, tmp_path).rows == 0
    assert content(tmp_path).schema.names == list(CONTRACT.columns)
    with pytest.raises(BatchError, match="has no rows"):
        admitted_rows(tmp_path / "f.parquet", CONTRACT)


def test_an_interval_has_its_start_and_not_its_end(reader: Reader, tmp_path: Path) -> None:
    moments = [START - timedelta(microseconds=1), START, END - timedelta(seconds=1), END]
    reader.make([(number, at, None, None, None, None, None) for number, at in enumerate(moments)])
    read(reader, MONTH, tmp_path)
    assert content(tmp_path)["id"].to_pylist() == [1, 2]


HOSTILE = "'; DROP TABLE rows; --\\' \" %s %(x)s :end $1 ? {partition}"


def test_a_parameter_is_never_read_as_sql(reader: Reader, tmp_path: Path) -> None:
    reader.make(ROWS)
    query = ALL.replace("*", "id, seen, day, x, amount, flag, CAST(:partition AS text) AS name")
    read(
        reader,
        f"{query} WHERE ':end %' <> CAST(:partition AS text) -- :end %s",
        tmp_path,
        values={"partition": HOSTILE},
    )
    assert set(content(tmp_path)["name"].to_pylist()) == {HOSTILE}
    assert read(reader, ALL, tmp_path).rows == len(ROWS), "the table is still there"


def test_equal_rows_in_another_order_are_the_same_file(reader: Reader, tmp_path: Path) -> None:
    reader.make(ROWS)
    first = read(reader, f"{ALL} ORDER BY id", tmp_path)
    written = mark(tmp_path)
    again = read(reader, f"{ALL} ORDER BY id DESC", tmp_path)
    assert (again.digest, again.is_new) == (first.digest, False)
    assert mark(tmp_path) == written, "nobody is told of it again"
    reader.make(ROWS[:-1])
    changed = read(reader, ALL, tmp_path)
    assert (changed.is_new, changed.digest == first.digest, content(tmp_path).num_rows) == (True, False, len(ROWS) - 1)
    assert [path.name for path in tmp_path.glob("*.parquet*")] == ["f.parquet"]


def test_a_batch_of_nulls_does_not_change_a_type(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.make([(number, START, None, None, None, None, None) for number in range(4)] + [(9, *ROWS[0][1:])])
    whole = read(reader, f"{ALL} ORDER BY id", tmp_path)
    monkeypatch.setattr(reading, "BATCH_ROWS", 2)
    assert read(reader, f"{ALL} ORDER BY id", tmp_path).digest == whole.digest
    assert content(tmp_path)["name"].to_pylist() == [None] * 4 + [ROWS[0][-1]]


def test_the_reading_says_what_it_went_through(reader: Reader) -> None:
    reader.make(ROWS)
    reading = Reading(reader.database, ALL, {}, "w")
    assert sum(rows.num_rows for rows in reading) == len(ROWS)
    assert reading.through == reader.through


def test_each_reader_of_postgres_writes_the_same_file(server: Postgres, tmp_path: Path) -> None:
    wide = ALL.replace("*", "id, seen, day, nullif(x, 1e300)::float4 AS x, amount / 7 AS amount, flag, name")
    digests = set()
    for through in ("ADBC", "psycopg"):
        reader = postgres_reader(server, through)
        reader.make([*ROWS, NOT_A_NUMBER])
        digests.add(read(reader, wide, tmp_path).digest)
    assert len(digests) == 1


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_the_zone_of_the_session_changes_nothing(airflows: Reader, server: Postgres, tmp_path: Path, zone: str) -> None:
    airflows.make(ROWS)
    plain = read(airflows, MONTH, tmp_path)
    elsewhere = postgres_reader(server, airflows.through, options=f"-c timezone={zone}")
    assert read(elsewhere, MONTH, tmp_path).digest == plain.digest
    naive = "SELECT * FROM (SELECT id, seen AT TIME ZONE 'UTC' AS seen, day, x, amount, flag, name FROM rows) AS n"
    assert read(elsewhere, f"{naive} WHERE seen >= :start AND seen < :end", tmp_path, "UTC").digest == plain.digest


def test_a_time_without_a_zone_needs_one(airflows: Reader, tmp_path: Path) -> None:
    query = "SELECT timestamp '2020-07-01 12:00' AS id"
    with pytest.raises(BatchError, match="without a zone") as caught:
        read(airflows, query, tmp_path, contract=contract_of("timestamp"))
    assert "`timezone` of the source" in caught.value.next_step
    read(airflows, query, tmp_path, "Europe/Berlin", contract=contract_of("timestamp"))
    assert content(tmp_path)["id"].to_pylist() == [datetime(2020, 7, 1, 10, tzinfo=UTC)]
    with pytest.raises(BatchError, match="ambiguous"):
        read(
            airflows,
            "SELECT timestamp '2020-10-25 02:30' AS id",
            tmp_path,
            "Europe/Berlin",
            contract=contract_of("timestamp"),
        )


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ("'12.00'::numeric", "int64", 12),
        ("'9223372036854775807'::numeric", "int64", 2**63 - 1),
        ("'0.1'::numeric", "float64", 0.1),
        ("'123456789.123456789123456789'::numeric", "float64", 123456789.123456789123456789),
        ("'-Infinity'::numeric", "float64", -inf),
        ("'1e-320'::numeric", "float64", 1e-320),
        ("0.1::float4", "float64", 0.10000000149011612),
        ("7::int2", "int64", 7),
        ("7::int4", "float64", 7.0),
        ("1", "bool", True),
        ("2.0::float8", "int64", 2),
        ("'a'::char(3)", "string", "a  "),
        ("'2020-01-01'", "date", date(2020, 1, 1)),
        ("'2020-01-01 00:00+05:30'::text", "timestamp", datetime(2019, 12, 31, 18, 30, tzinfo=UTC)),
        ("'0001-01-01 00:00+00'::timestamptz", "timestamp", datetime(1, 1, 1, tzinfo=UTC)),
        ("'9999-12-31 23:59:59.999999+00'::timestamptz", "timestamp", datetime.max.replace(tzinfo=UTC)),
        ("NULL", "date", None),
    ],
)
def test_what_fits_without_loss_is_taken(
    airflows: Reader, tmp_path: Path, value: str, dtype: str, expected: object
) -> None:
    read(airflows, f"SELECT {value} AS id", tmp_path, contract=contract_of(dtype))
    assert content(tmp_path)["id"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("'\\x01'::bytea", "string"),
        ("interval '1 day'", "string"),
        ("time '12:00'", "string"),
        ("gen_random_uuid()", "string"),
        ("'{}'::json", "string"),
        ("'{}'::jsonb", "string"),
        ("array[1]", "int64"),
        ("12::money", "int64"),
        ("12::money", "float64"),
        ("inet '1.1.1.1'", "string"),
        ("true", "int64"),
        ("2", "bool"),
        ("1", "string"),
        ("1.5::numeric", "int64"),
        ("1.5::numeric", "string"),
        ("'NaN'::numeric", "int64"),
        ("1e30::numeric", "int64"),
        ("0.5::float8", "int64"),
        ("9007199254740993", "float64"),
        ("'1'::text", "int64"),
        ("'1'::text", "bool"),
        ("'today'::text", "date"),
        ("'2020-01-01 00:00'::text", "timestamp"),
        ("date '2020-01-01'", "timestamp"),
        ("now()", "date"),
    ],
)
def test_what_does_not_fit_names_its_column(airflows: Reader, tmp_path: Path, value: str, dtype: str) -> None:
    with pytest.raises(BatchError) as caught:
        read(airflows, f"SELECT {value} AS id", tmp_path, contract=contract_of(dtype))
    assert caught.value.where == "w, column id"
    assert (caught.value.what, caught.value.expected) == ("a column does not fit its type", dtype)
    assert "cast" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'10000-01-01'"])
@pytest.mark.parametrize("dtype", ["date", "timestamp"])
def test_a_time_outside_the_calendar_is_refused(airflows: Reader, tmp_path: Path, value: str, dtype: str) -> None:
    kind = {"date": "date", "timestamp": "timestamptz"}[dtype]
    with pytest.raises(PipelineError, match=r"infinity|too large|before year 1|too small|calendar"):
        read(airflows, f"SELECT {value}::{kind} AS id", tmp_path, contract=contract_of(dtype))
    assert list(tmp_path.iterdir()) == []


def test_a_column_is_found_by_its_name_in_any_case(airflows: Reader, tmp_path: Path) -> None:
    read(airflows, "SELECT 1 AS \"ID\", '\\x01'::bytea AS other", tmp_path, contract=contract_of("int64"))
    assert content(tmp_path).to_pydict() == {"id": [1]}
    read(airflows, 'SELECT 1 AS "ID", 2 AS id', tmp_path, contract=contract_of("int64"))
    assert content(tmp_path).to_pydict() == {"id": [2]}


@pytest.mark.parametrize(
    ("query", "policy", "says"),
    [
        ("SELECT 1 AS other", {}, "a column is missing"),
        ("SELECT 1 AS other WHERE false", {}, "a column is missing"),
        ("SELECT 1 AS id, 2 AS id", {}, "occurs twice"),
        ("SELECT 1 AS id, 2 AS other", {"added": "stop"}, "not in the contract"),
        ("SELECT * FROM generate_series(1, 11) AS id", {"max_rows": 10}, "too many rows"),
    ],
)
def test_a_result_that_is_no_delivery_is_refused(
    airflows: Reader, tmp_path: Path, query: str, policy: dict[str, Any], says: str
) -> None:
    with pytest.raises(BatchError, match=says):
        read(airflows, query, tmp_path, contract=contract_of("int64", **policy))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query", ["SELEC 1", "SELECT * FROM nowhere", "SELECT 1 / 0 AS id", "SELECT 1; DROP TABLE rows", "DELETE FROM rows",
              "WITH gone AS (DELETE FROM rows RETURNING id) SELECT id FROM gone"],
)  # fmt: skip
def test_what_is_no_select_is_refused_and_changes_nothing(airflows: Reader, tmp_path: Path, query: str) -> None:
    airflows.make(ROWS)
    with pytest.raises(ConfigError, match="refused the query") as caught:
        read(airflows, query, tmp_path, contract=contract_of("int64"))
    assert caught.value.where == "shop.rows 2020-01, connection shop"
    assert "`query`" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []
    assert read(airflows, ALL, tmp_path).rows == len(ROWS)


@pytest.mark.parametrize(
    "changed", [{"port": 1}, {"password": PASSWORD + "x"}, {"dbname": PASSWORD}, {"sslmode": PASSWORD}]
)
@pytest.mark.parametrize("through", ["ADBC", "psycopg", "psycopg2"])
def test_a_connection_that_is_refused_is_tried_again_and_repeats_no_password(
    server: Postgres, tmp_path: Path, through: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached") as caught:
        read(postgres_reader(server, through, **changed), ALL, tmp_path)
    error: BaseException | None = caught.value
    said = ""
    while error is not None:
        said += f"{error!s}{error!r}"
        error = error.__cause__ or error.__context__
    assert "connection shop" in said
    assert not [part for part in (PASSWORD, "p%40ss", "p@ss", "w0rd") if part in said]


def test_a_database_that_goes_away_is_tried_again(airflows: Reader, server: Postgres, tmp_path: Path) -> None:
    away = "CASE WHEN g = 150000 THEN pg_terminate_backend(pg_backend_pid()) END"
    query = f"SELECT g AS id, {away} AS x FROM generate_series(1, 200000) AS g"
    with pytest.raises(UnavailableError, match="did not answer to the end"):
        read(airflows, query, tmp_path, contract=contract_of("int64"))
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_query_ends_in_the_database(airflows: Reader, server: Postgres) -> None:
    reading = Reading(airflows.database, "SELECT pg_sleep(300), 1 AS id", {}, "w")
    caught: list[Exception] = []

    def consume() -> None:
        try:
            list(reading)
        except UnavailableError as error:
            caught.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    until(lambda: server.ask(asleep) == [(1,)])
    reading.cancel()
    thread.join(30)
    assert [str(error).splitlines()[0] for error in caught] == ["the reading was cancelled"]
    until(lambda: server.ask(asleep) == [(0,)])


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def two_deliveries(root: Path) -> None:
    """Deliver a month from SQLite, and the same month with one row less."""
    for rows in (ROWS, ROWS[:-1]):
        root.mkdir(exist_ok=True)
        reader = sqlite_reader(root)
        reader.make(rows)
        read(reader, ALL, root)


def test_killed_around_the_rename_there_is_the_old_file_or_the_new(tmp_path: Path) -> None:
    seen = []
    for point, root in killed_at_each_point(two_deliveries, tmp_path):
        found = content(root).num_rows if (root / "f.parquet").exists() else 0
        seen.append((point.split(" ")[0] + point[-2:], found))
    assert seen == [("before#1", 0), ("after#1", 5), ("before#2", 5), ("after#2", 4)]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.databases import Postgres, postgres_reader
from tests.incumbent_airflow.test_database_sources import contract_of
from incumbent.validate.extract import extract
from incumbent.validate.reading import Reading

def counted(batches):
    for number, rows in enumerate(batches):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield rows

database = postgres_reader(Postgres(int(sys.argv[1])), sys.argv[2]).database
reading = Reading(database, "SELECT generate_series(1, 200000) AS id", {}, "w")
extract(counted(reading), contract_of("int64"), Path(sys.argv[3]) / "f.parquet", "w", None)
"""


def test_killed_in_the_middle_there_is_no_file(airflows: Reader, server: Postgres, tmp_path: Path) -> None:
    done = child(KILLED, str(server.port), airflows.through, str(tmp_path))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(tmp_path.glob("*.parquet")) == []
    assert read(airflows, "SELECT 1 AS id", tmp_path, contract=contract_of("int64")).is_new


def test_what_a_killed_extraction_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, young = tmp_path / ".f.parquet.0.tmp", tmp_path / ".f.parquet.1.tmp"
    for path, age in ((old, 90_000), (young, 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    reader = sqlite_reader(tmp_path)
    reader.make(ROWS)
    read(reader, ALL, tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


MILLION = """
import sys
from pathlib import Path
from tests.databases import Postgres, postgres_reader
from tests.incumbent_airflow.test_database_sources import CONTRACT, END, START
from incumbent.validate.extract import extract
from incumbent.validate.reading import Reading

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024

read = []
def watched(batches):
    for rows in batches:
        yield rows
    read.append(peak())

query = "SELECT g AS id, CAST(:start AS timestamptz) + g * interval '1 second' AS seen, "
query += "date '2020-01-01' + g % 30 AS day, g * 1.5::float8 AS x, g::numeric / 7 AS amount, "
query += "g % 2 = 0 AS flag, md5(g::text) || md5(g::text) AS name "
query += "FROM generate_series(1, 1000000) AS g"
database = postgres_reader(Postgres(int(sys.argv[1])), sys.argv[2]).database
reading = Reading(database, query, {"start": START, "end": END}, "w")
before = peak()
found = extract(watched(reading), CONTRACT, Path(sys.argv[3]) / "f.parquet", "w", None)
print(found.rows, before, read[0] - before, peak() - before)
"""


def test_a_million_rows_need_the_memory_of_a_batch(airflows: Reader, server: Postgres, tmp_path: Path) -> None:
    """All rows at once are some 330 MB more through ADBC, and more than a gigabyte as Python objects."""
    done = child(MILLION, str(server.port), airflows.through, str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows, before, reading_mb, whole_mb = map(int, done.stdout.split())
    said = f"{airflows.through}: {before} MB before, {reading_mb} MB to read, {whole_mb} MB with the sort"
    assert rows == 1_000_000
    assert reading_mb < 200, said
    assert whole_mb < 500, said


def child(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Halting(sqlite3.Connection):
    """A driver that returns fewer rows than it has and was asked for, and does not say its style: PEP 249 lets it."""

    def cursor(self) -> Any:  # type: ignore[override]
        return super().cursor(Halts)


class Halts(sqlite3.Cursor):
    def fetchmany(self, size: int | None = 1) -> list[Any]:
        return super().fetchmany(min(size or 1, 2))


def test_a_driver_that_returns_less_than_it_was_asked_for_loses_no_rows(tmp_path: Path) -> None:
    sqlite_reader(tmp_path).make(ROWS)
    halting = Database("shop", lambda: sqlite3.connect(tmp_path / "rows.sqlite", factory=Halting), "qmark")
    reading = Reading(halting, MONTH, {"start": START, "end": END}, "w")
    assert sum(rows.num_rows for rows in reading) == len(ROWS)


def test_a_driver_that_makes_dictionaries_is_refused(server: Postgres, tmp_path: Path) -> None:
    from psycopg.rows import dict_row

    reader = postgres_reader(server, "psycopg", row_factory=dict_row)
    reader.make(ROWS)
    with pytest.raises(BatchError, match="as a dictionary"):
        read(reader, ALL, tmp_path)


def test_the_connection_is_closed_whatever_happens(airflows: Reader, server: Postgres, tmp_path: Path) -> None:
    mine = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    airflows.make(ROWS)
    read(airflows, ALL, tmp_path)
    for query in ("SELECT 1 AS other", "SELEC"):
        with pytest.raises(PipelineError):
            read(airflows, query, tmp_path)
    with closing(iter(Reading(airflows.database, ALL, {}, "w"))) as rows:
        next(rows)  # and then nobody asks for more
    until(lambda: server.ask(mine) == [(1,)])
