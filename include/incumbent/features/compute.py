"""Run a feature definition over one partition in DuckDB, however many rows it has.

The definition is one SELECT over `batch` and the context sources by name. What it may look up is
what the folder allows: each context source comes with the partitions from its look-back to this
partition and none later, so a join cannot reach into the future by accident.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.features.inputs import Inputs
from incumbent.features.lint import order_matters
from incumbent.records import Part
from incumbent.room import enough_room, private_duckdb
from incumbent.sensitive import quotable
from incumbent.store import ModelStore
from incumbent.store.removals import kept

RESERVED = ("partition", "label", "local_date", "score")  # columns that stages add to feature rows
BATCH_ROWS = 65_536
HASH = "#hash"  # no source has a column of such a name


def compute(store: ModelStore, model: Model, sql: str, inputs: Inputs) -> pa.Table:
    """Return the feature rows of a partition, for who holds them all; see `computed`."""
    with computed(store, model, sql, inputs) as rows:
        return rows.read_all()


@contextmanager
def computed(
    store: ModelStore, model: Model, sql: str, inputs: Inputs, known_by: datetime | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Give the feature rows of a partition: keys, time and features, sorted by key, batch by batch.

    Args:
        store: The model's store.
        model: Its configuration.
        sql: The definition.
        inputs: What the rows are made from.
        known_by: Without the context rows that were known only later, as far as the sources say when; all if None.

    Raises:
        FeatureError: The SQL fails, loses or repeats rows, lacks a key or the time column, or a
            feature has a type that no model takes.
    """
    with tempfile.TemporaryDirectory(prefix="incumbent-") as private:
        folder = Path(private)
        files = {
            source: _files(store, model, source, parts, folder / source)
            for source, parts in inputs.parts.items()
            if source in model.sources  # it was, when the inputs were pinned
        }
        # Sums of floats depend on their order, and threads take turns: the same rows would get other last digits.
        connection = open_over(files, folder / "spilled", threads=1 if order_matters(sql) else None)
        try:
            for source, each in files.items():
                view = "batch" if source == model.batch_source else source
                known = _known(model.sources[source].known_at, known_by)
                kept_out = model.sensitive.kept_out.get(source, ())
                connection.execute(f"CREATE VIEW {quoted([view])} AS {_reading(each, kept_out)}{known}")
            query, schema = _query(connection, sql, model, inputs.partition)
            yield _sorted(connection, query, schema, model, inputs.partition)
        finally:
            connection.close()


def _files(store: ModelStore, model: Model, source: str, parts: Sequence[Part], folder: Path) -> list[Path]:
    """Return the files of some contents, or of what is left of them since rows were erased."""
    table = store.source(model.sources[source].role, source)
    return table.files([kept(store.records, table.name, part) for part in parts], folder)


def open_duckdb() -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB whose results do not depend on the host's time zone."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.execute("SET enable_external_access=false")
    return connection


def quoted(names: tuple[str, ...] | list[str]) -> str:
    """Return column names as SQL identifiers, joined by commas.

    >>> quoted(["year", 'a"b'])
    '"year", "a""b"'
    """
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def plain_types(rows: pa.Table) -> pa.Table:
    """Return rows in the types that features are stored in: int64, float64, string, timestamp, date.

    A sum of integers comes out of DuckDB as a decimal, an enum as a dictionary, and which one
    depends on the engine's version; the stored type must not.
    """
    return rows.cast(_plain_schema(rows.schema))


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return kind


def open_over(files: Mapping[str, list[Path]], spilled: Path, threads: int | None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB that can open nothing but these files."""
    connection = private_duckdb(spilled, threads)
    allowed = ", ".join(literal(file) for each in files.values() for file in each)
    connection.execute(f"SET allowed_paths=[{allowed}]")
    connection.execute("SET enable_external_access=false")
    return connection


def _known(column: str | None, known_by: datetime | None) -> str:
    return f" WHERE {quoted([column])} <= TIMESTAMPTZ '{known_by.isoformat()}'" if column and known_by else ""


def _reading(files: list[Path], kept_out: Sequence[str]) -> str:
    """Return a query for the rows of some Parquet files, without some columns; a folder's name is no column."""
    names = ", ".join(literal(file) for file in files)
    hidden = [name for name in pq.read_schema(files[0]).names if name in kept_out] if files and kept_out else []
    columns = f"* EXCLUDE ({quoted(hidden)})" if hidden else "*"
    return f"SELECT {columns} FROM read_parquet([{names}], hive_partitioning=false)"


def literal(path: Path) -> str:
    """Return a path as SQL text."""
    return "'" + str(path).replace("'", "''") + "'"


def _query(
    connection: duckdb.DuckDBPyConnection, sql: str, model: Model, partition: str
) -> tuple[duckdb.DuckDBPyRelation, pa.Schema]:
    """Return the definition's query and the columns of its rows, once they are what features are."""
    with _told(model, partition):
        statements = connection.extract_statements(sql)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise duckdb.InvalidInputException(f"{len(statements)} statements, or one that is no SELECT")
        query = connection.sql(sql)
        schema = query.limit(0).to_arrow_table().schema
    _check_keys(model, schema, partition)
    _check_columns(model, schema, partition)
    return query, _plain_schema(schema)


@contextmanager
def _told(model: Model, partition: str) -> Iterator[None]:
    """Tell what the database says of a definition in our words."""
    hide = bool(model.sensitive_in_features)
    where = f"model {model.name}, features.sql, partition {partition}"
    try:
        with enough_room(where, "look for a join that gives more rows than the batch has"):
            yield
    except duckdb.Error as error:
        asked = (model.batch_source, *model.context_sources)
        kept_out = ", ".join(f"{each}.{name}" for each in asked for name in model.sensitive.kept_out.get(each, ()))
        failure = FeatureError(
            "the feature definition does not run",
            where=where,
            expected="one SELECT over `batch` and the context sources"
            + (f", without {kept_out}, which contract.yaml keeps out of features" if kept_out else ""),
            found=quotable(error, hide, 500),
            next_step="correct features.sql; try it with DuckDB on the accepted rows",
        )
        raise failure from (None if hide else error)


def _sorted(
    connection: duckdb.DuckDBPyConnection,
    query: duckdb.DuckDBPyRelation,
    plain: pa.Schema,
    model: Model,
    partition: str,
) -> pa.RecordBatchReader:
    """Give the rows sorted by key; that they are the batch's is known with the last of them."""
    keys = quoted(model.keys)
    expected, total = connection.execute(f"SELECT count(*), sum(hash({keys})) FROM batch").fetchall()[0]
    with _told(model, partition):  # a sort has all rows before it gives one: what fails, fails here
        found = query.order(keys).project(f'*, hash({keys}) AS "{HASH}"').to_arrow_reader(BATCH_ROWS)

    def batches() -> Iterator[pa.RecordBatch]:
        rows, left, last, repeated = 0, int(total or 0), np.empty(0, np.uint64), False
        for batch in found:
            hashes = batch.column(HASH).to_numpy()
            rows, left = rows + batch.num_rows, left - int(hashes.sum(dtype=np.uint64))
            if rows > expected:
                break
            beside = np.append(last, hashes)  # the same key again comes next to the first
            repeated, last = repeated or bool((beside[1:] == beside[:-1]).any()), hashes[-1:]
            yield _plain(batch.select(plain.names), plain, model, partition)
        # Different hashes are different keys, and the same sum of them is the same set: only where that does not hold
        # the keys themselves are looked at, which takes the memory that the hashes save.
        if rows != expected or repeated or left % 2**64:
            found.close()  # one question at a time
            _check_rows(connection, query, model, partition, expected)

    return pa.RecordBatchReader.from_batches(plain, batches())


def _plain(batch: pa.RecordBatch, plain: pa.Schema, model: Model, partition: str) -> pa.RecordBatch:
    columns = []
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        kind = plain.field(name).type
        try:
            columns.append(values.cast(kind))
        except pa.ArrowException as error:
            hide = bool(model.sensitive_in_features)
            said, remedy = quotable(error, hide, 200), "cast it to DOUBLE or BIGINT"
            failure = _wrong(model, partition, name, "a feature cannot be stored", str(kind), said, remedy)
            raise failure from (None if hide else error)
    return pa.RecordBatch.from_arrays(columns, schema=plain)


def _check_rows(
    connection: duckdb.DuckDBPyConnection, query: duckdb.DuckDBPyRelation, model: Model, partition: str, expected: int
) -> None:
    keys = quoted(model.keys)
    found, distinct = query.aggregate(f"count(*), count(DISTINCT ({keys}))").fetchall()[0]
    lost = len(connection.sql(f"SELECT {keys} FROM batch").except_(query.project(keys)))
    if found != expected or distinct != expected or lost:
        raise FeatureError(
            "the feature definition loses or repeats rows",
            where=f"model {model.name}, features.sql, partition {partition}",
            expected=f"one row for each of the {expected} rows of the batch",
            found=f"{found} rows, {distinct} different keys, {lost} keys lost",
            next_step="use LEFT JOIN or ASOF LEFT JOIN, and join on the whole key of the context source",
        )


def _check_keys(model: Model, schema: pa.Schema, partition: str) -> None:
    needed = [*model.keys, model.time]
    if missing := [name for name in needed if name not in schema.names]:
        raise FeatureError(
            "the feature definition leaves out a key or the time",
            where=f"model {model.name}, features.sql, partition {partition}",
            expected=", ".join(needed),
            found=f"without {', '.join(missing)}",
            next_step="select the key columns and the time column beside the features",
        )


def _check_columns(model: Model, schema: pa.Schema, partition: str) -> None:
    time = schema.field(model.time).type
    if not (pa.types.is_timestamp(time) and time.tz):
        expected, remedy = "a timestamp with its zone", f"select {model.time} as it comes, without a cast"
        raise _wrong(model, partition, model.time, "the time column has another type", expected, time, remedy)
    features = [field for field in schema if field.name not in (*model.keys, model.time)]
    if not features:
        what, expected = "the feature definition has no features", "at least one column beside keys and time"
        raise _wrong(model, partition, "*", what, expected, "none", "select one")
    for field in features:
        _check_feature(model, field, partition)


def _check_feature(model: Model, field: pa.Field, partition: str) -> None:
    if field.name in RESERVED:
        what, expected = "a feature has a reserved name", f"none of {', '.join(RESERVED)}"
        raise _wrong(model, partition, field.name, what, expected, field.name, "rename it with AS")
    known = (pa.types.is_int64, pa.types.is_float64, pa.types.is_boolean, pa.types.is_string)
    if not any(is_known(_plain_type(field.type)) for is_known in known):
        what, expected = "a feature has a type that no model takes", "a number, a text or a boolean"
        remedy = "turn it into numbers, such as days since another date, or leave it out"
        raise _wrong(model, partition, field.name, what, expected, field.type, remedy)


def _wrong(
    model: Model, partition: str, column: str, what: str, expected: str, found: object, next_step: str
) -> FeatureError:
    where = f"model {model.name}, features.sql, partition {partition}, column {column}"
    return FeatureError(what, where=where, expected=expected, found=found, next_step=next_step)
