"""What is in a table of a database after a publication, and what a table refuses."""

import json
import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from tests.databases import PASSWORD, Postgres
from tests.incumbent.publish.places import KEY, scored, sqlite_warehouse, warehouse_of

from incumbent.errors import ConfigError, PipelineError, StoreError, UnavailableError
from incumbent.publish import Content, content_of, table
from incumbent.publish.table import Warehouse, publish_to_table
from incumbent.store import ModelStore

pytestmark = pytest.mark.unit
NOON = datetime(2020, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
WORDS = ["", 'a "quoted", word', "two\nlines", "ünï\tcode\\N", None]
VALUES = {
    "word": pa.array(WORDS, pa.string()),
    "at": pa.array([NOON] * 4 + [None], pa.timestamp("us", "UTC")),
    "number": pa.array([0, -(2**63), 2**63 - 1, 2**53 + 1, None], pa.int64()),
    "flag": pa.array([True, False, None, True, False]),
    "day": pa.array([date(2020, 1, 1), None, date(1, 1, 1), date(9999, 12, 31), date(2020, 2, 29)]),
    "prediction": pa.array([0.1, 1 / 3, 5e-324, 1.7976931348623157e308, None]),
    "probabilities": pa.array([[0.1, 0.9], [1 / 3, 2 / 3], [], [1e-17, 1.0], None], pa.list_(pa.float64())),
}
ROW = ["id", "at", "prediction", "generation", "version", "variant"]


def psycopg2_warehouse(server: Postgres) -> Warehouse:
    given = {"creator": lambda: psycopg2.connect(**server.address()), "poolclass": NullPool}
    return Warehouse("old", sa.create_engine("postgresql+psycopg2://", **given).connect)


def of_every_type(store: ModelStore) -> tuple[Content, list[dict[str, Any]]]:
    rows = pa.table(VALUES)
    store.predictions.replace(KEY, rows)
    content = content_of(store, KEY)
    assert content is not None
    return content, [{**row, "partition": KEY} for row in rows.to_pylist()]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_postgresql_holds_each_value_as_it_is(server: Postgres, store: ModelStore, driver: str) -> None:
    content, expected = of_every_type(store)
    warehouse = warehouse_of(server) if driver == "psycopg" else psycopg2_warehouse(server)
    publish_to_table(warehouse, f"every_{driver}", content, "test")
    with warehouse.connect() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM every_{driver}")).mappings().all()
        types = connection.execute(
            sa.text(
                f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'every_{driver}'"
            )
        ).all()
    assert by_word(found) == by_word(expected)
    assert dict(tuple(row) for row in types) == {
        "word": "text", "at": "timestamp with time zone", "number": "bigint", "flag": "boolean", "day": "date",
        "prediction": "double precision", "probabilities": "ARRAY", "partition": "character varying",
    }  # fmt: skip


def by_word(rows: Any) -> list[dict[str, Any]]:
    return sorted((dict(row) for row in rows), key=lambda row: str(row["word"]))


def test_a_database_without_zones_and_lists_holds_utc_and_json(tmp_path: Path, store: ModelStore) -> None:
    content, expected = of_every_type(store)
    publish_to_table(sqlite_warehouse(tmp_path / "file"), "every", content, "test")
    with sqlite3.connect(tmp_path / "file") as connection:
        connection.row_factory = sqlite3.Row
        found = by_word(connection.execute("SELECT * FROM every").fetchall())
    for row, wanted in zip(found, by_word(expected), strict=True):
        assert row["probabilities"] is None or json.loads(row["probabilities"]) == wanted["probabilities"]
        assert row["at"] == (wanted["at"] and "2020-01-01 12:30:00.123456")
        assert [row[name] for name in ("word", "number", "prediction")] == [
            wanted[name] for name in ("word", "number", "prediction")
        ]


def test_rows_are_sent_in_chunks_where_there_is_no_copy(
    tmp_path: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "INSERT_ROWS", 2)
    done = publish_to_table(sqlite_warehouse(tmp_path / "file"), "t", scored(store, 1, rows=5), "test")
    assert done.rows == 5
    with sqlite3.connect(tmp_path / "file") as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)


def test_the_control_table_says_what_stands(server: Postgres, store: ModelStore) -> None:
    server.run("CREATE SCHEMA said")
    content = scored(store, 1)
    publish_to_table(warehouse_of(server), "said.t", content, "test")
    query = "SELECT target, partition, model, digest, version, row_count, published_at < now() FROM said.{}"
    assert server.ask(query.format("incumbent_published")) == [
        ("t", KEY, "small", content.part.digest, content.number, 3, True)
    ]


@pytest.mark.parametrize(
    ("columns", "expected", "found"),
    [
        ("at timestamptz", "prediction DOUBLE PRECISION", "no such column"),
        ("at timestamp, prediction float8", "at TIMESTAMP WITH TIME ZONE", "at TIMESTAMP WITHOUT TIME ZONE"),
        ("at timestamptz, prediction float4", "prediction DOUBLE PRECISION", "prediction REAL"),
        ("at timestamptz, prediction numeric(9, 2)", "prediction DOUBLE PRECISION", "prediction NUMERIC(9, 2)"),
        ("at timestamptz, prediction text", "prediction DOUBLE PRECISION", "prediction TEXT"),
        ("at timestamptz, prediction float8, extra int8 NOT NULL", "no column extra", "extra BIGINT NOT NULL"),
    ],
)
def test_a_table_that_would_not_hold_the_rows_as_they_are_is_refused(
    server: Postgres, store: ModelStore, columns: str, expected: str, found: str
) -> None:
    rest = "id text, generation int8, version text, variant text, partition text"
    server.run("DROP TABLE IF EXISTS mine", f"CREATE TABLE mine ({rest}, {columns})")
    with pytest.raises(ConfigError, match="other columns") as caught:
        publish_to_table(warehouse_of(server), "mine", scored(store, 1), "test")
    assert str(caught.value.expected).startswith(expected)
    assert caught.value.found == found
    assert server.ask("SELECT count(*) FROM mine") == [(0,)]


def test_a_table_with_more_columns_of_its_own_will_do(server: Postgres, store: ModelStore) -> None:
    server.run(
        "CREATE TABLE theirs (loaded timestamptz NOT NULL DEFAULT now(), note text, partition varchar, id text, "
        "variant text, version char(64), generation numeric, prediction numeric, at timestamptz)"
    )
    publish_to_table(warehouse_of(server), "theirs", scored(store, 1), "test")
    assert server.ask("SELECT count(*), count(loaded), count(note), max(generation) FROM theirs") == [(3, 3, 0, 1)]


def test_a_login_needs_no_more_than_rows(server: Postgres, store: ModelStore) -> None:
    """Where the tables are there, it need not own them."""
    server.run(
        "CREATE ROLE writer LOGIN PASSWORD 'writes'", "CREATE SCHEMA given", "GRANT USAGE ON SCHEMA given TO writer"
    )
    warehouse = warehouse_of(server, user="writer", password="writes")
    with pytest.raises(ConfigError, match="InsufficientPrivilege") as caught:
        publish_to_table(warehouse, "given.t", scored(store, 1), "test")
    assert "grant" in caught.value.next_step
    publish_to_table(warehouse_of(server), "given.t", scored(store, 1), "test")
    server.run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA given TO writer")
    assert publish_to_table(warehouse, "given.t", scored(store, 2), "test").changed


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [("nowhere.t", ConfigError, "InvalidSchemaName"), ("checked", ConfigError, "may repeat values")],
)
def test_what_is_refused_changes_nothing(
    server: Postgres, store: ModelStore, address: str, kind: type[PipelineError], says: str
) -> None:
    if address == "checked":
        publish_to_table(warehouse_of(server), address, scored(store, 1), "test")
        server.run("ALTER TABLE checked ADD CHECK (generation < 2)")
    with pytest.raises(kind, match=says) as caught:
        publish_to_table(warehouse_of(server), address, scored(store, 2), "test")
    assert "it's" not in str(caught.value)
    assert caught.value.where == f"test, connection warehouse, table {address}"
    if address == "checked":
        assert server.ask("SELECT DISTINCT generation FROM checked") == [(1,)]


def test_a_table_that_drops_rows_is_refused(server: Postgres, store: ModelStore) -> None:
    publish_to_table(warehouse_of(server), "ruled", scored(store, 1), "test")
    server.run("CREATE RULE less AS ON INSERT TO ruled WHERE new.prediction > 2.1 DO INSTEAD NOTHING")
    with pytest.raises(StoreError, match="every row"):
        publish_to_table(warehouse_of(server), "ruled", scored(store, 2), "test")
    assert server.ask("SELECT DISTINCT generation FROM ruled") == [(1,)]


def test_who_waits_too_long_for_another_attempt_is_tried_again(
    server: Postgres, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "LOCK_S", 1)
    publish_to_table(warehouse_of(server), "held", scored(store, 1), "test")
    with warehouse_of(server).connect() as other:
        other.execute(sa.text("UPDATE incumbent_published SET version = version WHERE target = 'held'"))
        with pytest.raises(UnavailableError, match="LockNotAvailable"):
            publish_to_table(warehouse_of(server), "held", scored(store, 2), "test")
    assert publish_to_table(warehouse_of(server), "held", scored(store, 2), "test").changed


def test_a_session_that_is_ended_by_the_database_is_tried_again(
    server: Postgres, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_to_table(warehouse_of(server), "ended", scored(store, 1), "test")
    content, is_current = scored(store, 2), Content.is_current

    def ended(self: Content) -> bool:
        server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
        return is_current(self)

    with monkeypatch.context() as during:
        during.setattr(Content, "is_current", ended)
        with pytest.raises(UnavailableError) as caught:
            publish_to_table(warehouse_of(server), "ended", content, "test")
    assert PASSWORD not in f"{caught.value}{caught.value.__context__}"
    assert server.ask("SELECT DISTINCT generation FROM ended") == [(1,)]
    assert publish_to_table(warehouse_of(server), "ended", content, "test").changed


def test_a_column_that_no_database_holds_is_refused(tmp_path: Path, store: ModelStore) -> None:
    store.predictions.replace(KEY, pa.table({"id": [1], "why": [["x", "y"]]}))
    content = content_of(store, KEY)
    assert content is not None
    with pytest.raises(ConfigError, match="cannot be published") as caught:
        publish_to_table(sqlite_warehouse(tmp_path / "file"), "t", content, "test")
    assert caught.value.where == "test, connection file, table t, column why"


@pytest.mark.parametrize("done", ["TRUNCATE emptied", "DROP TABLE emptied", "DELETE FROM emptied"])
def test_a_table_that_somebody_emptied_is_filled_again(server: Postgres, store: ModelStore, done: str) -> None:
    server.run("DROP TABLE IF EXISTS emptied")
    content = scored(store, 1)
    publish_to_table(warehouse_of(server), "emptied", content, "test")
    server.run(done)
    assert publish_to_table(warehouse_of(server), "emptied", content, "test").changed
    assert server.ask("SELECT count(*) FROM emptied") == [(3,)]
    assert not publish_to_table(warehouse_of(server), "emptied", content, "test").changed
