"""Places to publish to, each with what a reader sees there; and predictions to publish."""

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from tests.databases import PASSWORD, Postgres

from incumbent.publish import Content, Published, content_of
from incumbent.publish.files import publish_to_bucket, publish_to_folder
from incumbent.publish.table import Warehouse, publish_to_table
from incumbent.store import ModelStore
from incumbent.store.s3 import S3Blobs

KEY = "2020-01"
START = datetime(2020, 1, 1, tzinfo=UTC)
TABLE = "predictions"
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """Somewhere to publish to.

    Attributes:
        publish: Publishes a content there.
        read: Returns (id, prediction, generation, partition) of each row there, in order.
        state: Returns something that is another after any change.
    """

    publish: Callable[[Content], Published]
    read: Callable[[], Rows]
    state: Callable[[], Any]


def predictions(generation: int, rows: int = 3) -> pa.Table:
    """Return predictions that say which generation made them, in column and in value."""
    return pa.table(
        {
            "id": pa.array([f'{number}, "it\'s"\n' for number in range(rows)], pa.string()),
            "at": pa.array(
                [START + timedelta(microseconds=number) for number in range(rows)], pa.timestamp("us", "UTC")
            ),
            "prediction": pa.array([generation + number / 7 for number in range(rows)], pa.float64()),
            "generation": pa.array([generation] * rows, pa.int64()),
            "version": pa.array([f"{generation:064d}"] * rows, pa.string()),
            "variant": pa.array(["champion"] * rows, pa.string()),
        }
    )


def scored(store: ModelStore, generation: int, rows: int = 3, key: str = KEY) -> Content:
    """Score a partition, and return what is to be published of it."""
    store.predictions.replace(key, predictions(generation, rows))
    content = content_of(store, key)
    assert content is not None
    return content


def seen(generation: int, rows: int = 3, key: str = KEY) -> Rows:
    """Return what a reader should see of `scored`."""
    found = predictions(generation, rows)
    return sorted((row["id"], row["prediction"], row["generation"], key) for row in found.to_pylist())


def warehouse_of(server: Postgres, **changed: Any) -> Warehouse:
    given = {"creator": lambda: psycopg.connect(**server.address(**changed)), "poolclass": NullPool}
    engine = sa.create_engine("postgresql+psycopg://", hide_parameters=True, **given)
    return Warehouse("warehouse", engine.connect, frozenset({PASSWORD}))


def postgres_place(server: Postgres, name: str) -> Place:
    """Return a table in a schema of its own, with a column that says whether a row was written again."""
    schema = f"s_{name}"
    server.run(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    warehouse, address = warehouse_of(server), f"{schema}.{TABLE}"

    def state() -> Any:
        return server.ask(f"SELECT ctid, xmin FROM {address}") + server.ask(
            f"SELECT * FROM {schema}.incumbent_published"
        )

    return Place(
        lambda content: publish_to_table(warehouse, address, content, "test"),
        lambda: sorted(server.ask(f"SELECT id, prediction, generation, partition FROM {address}")),
        state,
    )


def sqlite_warehouse(file: Path) -> Warehouse:
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=NullPool, hide_parameters=True)
    return Warehouse("file", engine.connect)


def sqlite_place(file: Path) -> Place:
    warehouse = sqlite_warehouse(file)

    def ask(query: str) -> Rows:
        with sqlite3.connect(file) as connection:
            return connection.execute(query).fetchall()

    return Place(
        lambda content: publish_to_table(warehouse, TABLE, content, "test"),
        lambda: sorted(ask(f"SELECT id, prediction, generation, partition FROM {TABLE}")),
        lambda: (ask("SELECT rowid FROM predictions"), ask("SELECT * FROM incumbent_published")),
    )


def folder_place(folder: Path) -> Place:
    def state() -> Any:
        return {path: path.stat() for path in folder.rglob("*.parquet")}

    return Place(lambda content: publish_to_folder(folder, content), lambda: read_files(folder), state)


def bucket_place(blobs: S3Blobs, folder: Path) -> Place:
    def read() -> Rows:
        for name in blobs.names():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(blobs.read(name))
        return read_files(folder)

    return Place(lambda content: publish_to_bucket(blobs, content), read, lambda: blobs.listed(""))


def read_files(folder: Path) -> Rows:
    """Read as DuckDB does it, which takes the partition from the folder's name."""
    query = "SELECT id, prediction, generation, partition FROM read_parquet(?, hive_partitioning = true)"
    with duckdb.connect() as connection:
        return sorted(connection.execute(query, [f"{folder}/*/*.parquet"]).fetchall())


def shuffled(values: list[Any], seed: int) -> list[Any]:
    return random.Random(seed).sample(values, len(values))  # noqa: S311 - an order, not a secret
