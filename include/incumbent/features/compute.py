"""Run a feature definition over one partition in DuckDB.

The definition is one SELECT over `batch` and the context sources by name. What it may look up is
what the folder allows: each context source comes with the partitions from its look-back to this
partition and none later, so a join cannot reach into the future by accident.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import FeatureError, StoreError
from incumbent.features.inputs import Inputs
from incumbent.store import ModelStore
from incumbent.store.removals import kept

RESERVED = ("partition", "label", "local_date", "score")  # columns that stages add to feature rows


def compute(store: ModelStore, model: Model, sql: str, inputs: Inputs) -> pa.Table:
    """Return the feature rows of a partition: keys, time and features, sorted by key.

    Raises:
        FeatureError: The SQL fails, loses or repeats rows, lacks a key or the time column, or a
            feature has a type that no model takes.
    """
    partition = inputs.partition
    connection = open_duckdb()
    # Sums of floats depend on their order, and threads take turns: the same rows would get other last digits.
    connection.execute("SET threads=1")
    try:
        for source, parts in inputs.parts.items():
            if source not in model.sources:  # it was, when the inputs were pinned
                continue
            table = store.source(model.sources[source].role, source)
            left = [kept(store.records, table.name, part) for part in parts]  # of rows that were erased since
            rows = table.read_parts(left).drop_columns(["partition"])
            connection.register("batch" if source == model.batch_source else source, rows)
        rows = _run(connection, sql, model.name, partition)
        connection.register("result", rows)
        _check(connection, model, rows, partition)
        _check_types(model, rows, partition)
        return plain_types(connection.sql(f"SELECT * FROM result ORDER BY {quoted(model.keys)}").to_arrow_table())
    finally:
        connection.close()


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
    columns = []
    for field in rows.schema:
        columns.append(pa.field(field.name, _plain_type(field.type)))
    return rows.cast(pa.schema(columns))


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


def _run(connection: duckdb.DuckDBPyConnection, sql: str, model: str, partition: str) -> pa.Table:
    try:
        rows: pa.Table = connection.sql(sql).to_arrow_table()
        return rows
    except (duckdb.Error, AttributeError) as error:
        raise FeatureError(
            "the feature definition does not run",
            where=f"model {model}, features.sql, partition {partition}",
            expected="one SELECT over `batch` and the context sources",
            found=" ".join(str(error).split())[:500],
            next_step="correct features.sql; try it with DuckDB on the accepted rows",
        ) from error


def _check(connection: duckdb.DuckDBPyConnection, model: Model, rows: pa.Table, partition: str) -> None:
    where = f"model {model.name}, features.sql, partition {partition}"
    needed = [*model.keys, model.time]
    if missing := [name for name in needed if name not in rows.column_names]:
        raise FeatureError(
            "the feature definition leaves out a key or the time",
            where=where,
            expected=", ".join(needed),
            found=f"without {', '.join(missing)}",
            next_step="select the key columns and the time column beside the features",
        )
    keys = quoted(model.keys)
    query = (
        f"SELECT (SELECT count(*) FROM batch), count(*), count(DISTINCT ({keys})), "
        f"(SELECT count(*) FROM (SELECT {keys} FROM batch EXCEPT SELECT {keys} FROM result)) FROM result"
    )
    expected, found, distinct, lost = connection.execute(query).fetchall()[0]
    if found != expected or distinct != expected or lost:
        raise FeatureError(
            "the feature definition loses or repeats rows",
            where=where,
            expected=f"one row for each of the {expected} rows of the batch",
            found=f"{found} rows, {distinct} different keys, {lost} keys lost",
            next_step="use LEFT JOIN or ASOF LEFT JOIN, and join on the whole key of the context source",
        )


def _check_types(model: Model, rows: pa.Table, partition: str) -> None:
    def wrong(column: str, what: str, expected: str, found: object, next_step: str) -> FeatureError:
        where = f"model {model.name}, features.sql, partition {partition}, column {column}"
        return FeatureError(what, where=where, expected=expected, found=found, next_step=next_step)

    time = rows.schema.field(model.time).type
    if not (pa.types.is_timestamp(time) and time.tz):
        expected, remedy = "a timestamp with its zone", f"select {model.time} as it comes, without a cast"
        raise wrong(model.time, "the time column has another type", expected, time, remedy)
    features = [field for field in rows.schema if field.name not in (*model.keys, model.time)]
    if not features:
        raise wrong(
            "*",
            "the feature definition has no features",
            "at least one column beside keys and time",
            "none",
            "select one",
        )
    for field in features:
        if field.name in RESERVED:
            raise wrong(
                field.name,
                "a feature has a reserved name",
                f"none of {', '.join(RESERVED)}",
                field.name,
                "rename it with AS",
            )
        kind = _plain_type(field.type)
        known = (pa.types.is_int64, pa.types.is_float64, pa.types.is_boolean, pa.types.is_string)
        if not any(is_known(kind) for is_known in known):
            remedy = "turn it into numbers, such as days since another date, or leave it out"
            raise wrong(
                field.name,
                "a feature has a type that no model takes",
                "a number, a text or a boolean",
                field.type,
                remedy,
            )
        try:
            rows[field.name].cast(kind)
        except pa.ArrowException as error:
            said = " ".join(str(error).split())[:200]
            raise wrong(
                field.name, "a feature cannot be stored", str(kind), said, "cast it to DOUBLE or BIGINT"
            ) from error


def stored_sql(store: ModelStore, definition: str) -> str:
    """Return the text of a stored feature definition.

    Raises:
        StoreError: It is missing or altered.
    """
    try:
        return store.objects.get(definition).decode()
    except UnicodeDecodeError as error:
        raise StoreError(
            "feature definition is no text", where=definition, next_step="run `incumbent store check`"
        ) from error
