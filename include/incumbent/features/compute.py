"""Run a feature definition over one partition in DuckDB, however many rows it has.

The definition is one SELECT over `batch` and the context sources by name, and maybe a function that
goes on from its rows. What it may look up is what the folder allows: each context source comes with
the partitions from its look-back to this partition and none later, so a join cannot reach into the
future by accident.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.config import Model
from incumbent.definition import unpacked
from incumbent.errors import FeatureError
from incumbent.features.columns import check_features, check_keys, plain_schema, wrong
from incumbent.features.inputs import Inputs
from incumbent.features.lint import order_matters
from incumbent.features.own_features import gone_on
from incumbent.records import Part
from incumbent.room import enough_room, private_duckdb
from incumbent.sensitive import quotable
from incumbent.store import ModelStore
from incumbent.store.removals import kept

BATCH_ROWS = 65_536
HASH = "#hash"  # no source has a column of such a name


def compute(store: ModelStore, model: Model, text: str, inputs: Inputs) -> pa.Table:
    """Return the feature rows of a partition, for who holds them all; see `computed`."""
    with computed(store, model, text, inputs) as rows:
        return rows.read_all()


@contextmanager
def computed(
    store: ModelStore, model: Model, text: str, inputs: Inputs, known_by: datetime | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Give the feature rows of a partition: keys, time and features, sorted by key, batch by batch.

    Args:
        store: The model's store.
        model: Its configuration.
        text: The definition.
        inputs: What the rows are made from.
        known_by: Without the context rows that were known only later, as far as the sources say when; all if None.

    Raises:
        FeatureError: The SQL fails, loses or repeats rows, lacks a key or the time column, or a
            feature has a type that no model takes.
    """
    sql, python = unpacked(text)
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
            if not python:
                check_features(model, schema, _where(model, inputs.partition))
            rows = _sorted(connection, query, schema, model, inputs.partition)
            if python:
                table = rows.read_all()  # one question at a time
                context = _context(connection, model, files, inputs.partition)
                rows = gone_on(table, context, python, model, inputs.partition)
            yield rows
        finally:
            connection.close()


class Prepared:
    """A definition that is planned once, for a `batch` of a few rows that are others each time; see `computed`.

    Args:
        connection: Database with the context sources under their names; it gets a table `batch`.
        text: The definition.
        model: Its configuration.
        partition: Partition key, for messages.
        columns: Columns of the batch, without what is kept out.

    Raises:
        FeatureError: The definition does not run, or gives no features.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, text: str, model: Model, partition: str, columns: pa.Schema
    ) -> None:
        self._connection, self._model, self._partition = connection, model, partition
        sql, self._python = unpacked(text)
        self._fill("CREATE OR REPLACE TEMP TABLE batch AS", columns.empty_table())
        _, self._schema = _query(connection, sql, model, partition)
        if not self._python:
            check_features(model, self._schema, _where(model, partition))
        with _told(model, partition):
            # A view, for the text may end with a semicolon and a comment, which no query can have inside.
            connection.execute(f'CREATE OR REPLACE TEMP VIEW "#features" AS {sql}')
            connection.execute(f'PREPARE features AS SELECT * FROM "#features" ORDER BY {quoted(model.keys)}')

    def put(self, batch: pa.Table) -> None:
        """Make some rows the batch."""
        self._connection.execute("DELETE FROM batch")
        self._fill("INSERT INTO batch", batch)

    def rows(self, batch: pa.Table) -> pa.Table:
        """Return the feature rows of what was put, sorted by key.

        Args:
            batch: The same rows.

        Raises:
            FeatureError: As of `computed`.
        """
        model, partition, keys = self._model, self._partition, list(self._model.keys)
        with _told(model, partition):
            found = self._connection.sql("EXECUTE features").to_arrow_table()
        plain = [_plain(each, self._schema, model, partition) for each in found.combine_chunks().to_batches()]
        rows = pa.Table.from_batches(plain, self._schema)
        expected = sorted(tuple(row.values()) for row in batch.select(keys).to_pylist())
        if sorted(tuple(row.values()) for row in rows.select(keys).to_pylist()) != expected:
            raise _other_rows(model, partition, len(expected), f"{rows.num_rows} rows, or others")
        if not self._python:
            return rows
        context = _context(self._connection, model, model.context_sources, partition)
        return gone_on(rows, context, self._python, model, partition).read_all()

    def _fill(self, how: str, rows: pa.Table) -> None:
        self._connection.register("#given", rows)
        try:
            self._connection.execute(f'{how} SELECT * FROM "#given"')
        finally:
            self._connection.unregister("#given")


def _context(
    connection: duckdb.DuckDBPyConnection, model: Model, sources: Collection[str], partition: str
) -> dict[str, pa.Table]:
    """Return the context sources as the SQL sees them."""
    others = [source for source in sources if source != model.batch_source]
    with _told(model, partition):
        return {source: connection.sql(f"SELECT * FROM {quoted([source])}").to_arrow_table() for source in others}


def _where(model: Model, partition: str) -> str:
    return f"model {model.name}, features.sql, partition {partition}"


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


def literal(value: Path | str) -> str:
    """Return a path, or other text, as SQL text."""
    return "'" + str(value).replace("'", "''") + "'"


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
    check_keys(model, schema, _where(model, partition))
    return query, plain_schema(schema)


@contextmanager
def _told(model: Model, partition: str) -> Iterator[None]:
    """Tell what the database says of a definition in our words."""
    hide = bool(model.sensitive_in_features)
    where = _where(model, partition)
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
            failure = wrong(_where(model, partition), name, "a feature cannot be stored", str(kind), said, remedy)
            raise failure from (None if hide else error)
    return pa.RecordBatch.from_arrays(columns, schema=plain)


def _check_rows(
    connection: duckdb.DuckDBPyConnection, query: duckdb.DuckDBPyRelation, model: Model, partition: str, expected: int
) -> None:
    keys = quoted(model.keys)
    found, distinct = query.aggregate(f"count(*), count(DISTINCT ({keys}))").fetchall()[0]
    lost = len(connection.sql(f"SELECT {keys} FROM batch").except_(query.project(keys)))
    if found != expected or distinct != expected or lost:
        raise _other_rows(model, partition, expected, f"{found} rows, {distinct} different keys, {lost} keys lost")


def _other_rows(model: Model, partition: str, expected: int, found: str) -> FeatureError:
    return FeatureError(
        "the feature definition loses or repeats rows",
        where=_where(model, partition),
        expected=f"one row for each of the {expected} rows of the batch",
        found=found,
        next_step="use LEFT JOIN or ASOF LEFT JOIN, and join on the whole key of the context source",
    )
