"""A partition's predictions in a table of a database: what is there changes in one transaction, or not at all.

The rows go into a table of the session's own first, which ends with it. Then the partition's row of the control table
is locked, what it says is compared, and rows and control row are replaced together: whoever wakes up late finds there
that a newer content stands.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import sqlalchemy as sa

from incumbent.errors import StoreError
from incumbent.publish.columns import KEY_LENGTH, POSTGRES, check_columns, columns_of, partition_column
from incumbent.publish.content import Content, Held, Published, is_newer, outcome
from incumbent.publish.refused import refused
from incumbent.store.crash_points import around
from incumbent.store.log import PARTITION

CONTROL, STAGING = "incumbent_published", "incumbent_staging"
INSERT_ROWS = 5_000
UNKNOWN = -1  # what a driver says that does not count
LOCK_S = 60  # who waits longer for a control row ends, and is tried again


@dataclass(frozen=True)
class Warehouse:
    """How to reach a database that is written to.

    Attributes:
        name: What messages call it.
        connect: Opens a connection.
        secrets: Texts that no message may repeat.
    """

    name: str
    connect: Callable[[], sa.Connection]
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def publish_to_table(warehouse: Warehouse, address: str, content: Content, where: str) -> Published:
    """Replace a partition's rows in a table, unless they are there, or newer ones are.

    Args:
        warehouse: The database.
        address: Table, with its schema if need be; made when it is not there.
        content: What is published.
        where: What messages name.

    Raises:
        UnavailableError: The database is away, or went away; nothing has changed.
        ConfigError: It does not take the rows: other columns, no permission, another model's table.
        StoreError: The content is gone, or the table holds one that the store does not know.
    """
    where = f"{where}, connection {warehouse.name}, table {address}"
    try:
        with warehouse.connect() as connection:
            return _Publication(connection, address, content, where).run()
    except Exception as error:
        failure = refused(error, where, warehouse.secrets)
        if failure is None:
            raise
    raise failure  # outside: a chain would repeat what the driver has said


class _Publication:
    """One content on its way into one table, over one connection."""

    def __init__(self, connection: sa.Connection, address: str, content: Content, where: str) -> None:
        self.connection = connection
        self.content = content
        self.where = where
        schema, _, self.name = address.rpartition(".")
        self.schema = schema or None
        columns = columns_of(content.schema, where)
        self.table = sa.Table(self.name, sa.MetaData(), *columns, partition_column(), schema=self.schema)
        self.control = _control(self.schema)
        self.staging = sa.Table(
            STAGING, sa.MetaData(), *columns_of(content.schema, where), prefixes=["TEMPORARY"],
            postgresql_on_commit="DROP",
        )  # fmt: skip
        mine = (self.control.c.target == self.name) & (self.control.c.partition == content.part.partition)
        self.mine: sa.ColumnElement[bool] = mine

    def run(self) -> Published:
        for table in (self.control, self.table):
            self._make(table)
        self._claim()
        with around(f"publication in {self.name}"), self.connection.begin():
            if self.connection.dialect.name == POSTGRES:
                self.connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_S}s'")
            return self._publish()

    def _make(self, table: sa.Table) -> None:
        """Make a table that is not there; look whether one that is will do."""
        if self._columns(table) is None:
            try:
                with around(f"making of {table.name}"), self.connection.begin():
                    table.create(self.connection)
            except sa.exc.DBAPIError:
                if self._columns(table) is None:  # else another attempt was faster
                    raise
        found = self._columns(table) or []
        check_columns(list(table.columns), found, self.connection.dialect, f"{self.where}, {table.name}")

    def _columns(self, table: sa.Table) -> Sequence[Mapping[str, Any]] | None:
        """Return the columns of a table as the database says them; None if it is not there."""
        with self.connection.begin():
            there = sa.inspect(self.connection)  # a new one: it remembers what it was asked
            if not there.has_table(table.name, schema=self.schema):
                return None
            return there.get_columns(table.name, schema=self.schema)

    def _claim(self) -> None:
        """See to it that there is a row to lock, and that the table is no other model's."""
        control, content = self.control, self.content
        with self.connection.begin():
            others = (control.c.target == self.name) & (control.c.model != content.model)
            if other := self.connection.scalar(sa.select(control.c.model).where(others).limit(1)):
                is_newer(Held(other, "", -1), content, self.where)
            if self._held() is not None:
                return
        first = {"target": self.name, "partition": content.part.partition, "model": content.model}
        try:
            with around(f"claim in {CONTROL}"), self.connection.begin():
                self.connection.execute(control.insert().values(**first, digest="", version=-1, row_count=0))
        except sa.exc.IntegrityError:
            return  # another attempt was faster

    def _held(self, *, locked: bool = False) -> Held | None:
        if locked:  # an update of nothing: there are databases without a select that locks
            same = {self.control.c.version: self.control.c.version}
            self.connection.execute(self.control.update().where(self.mine).values(same))
        wanted = sa.select(self.control.c.model, self.control.c.digest, self.control.c.version).where(self.mine)
        row = self.connection.execute(wanted.with_for_update() if locked else wanted).one_or_none()
        if row is None:
            return None
        held = Held(*row)
        return replace(held, digest="") if held.digest == self.content.part.digest and self._is_emptied() else held

    def _is_emptied(self) -> bool:
        """Return whether the partition has no row where it should: somebody emptied the table, or dropped it."""
        column = self.table.c[PARTITION]
        wanted = sa.select(column).where(column == self.content.part.partition).limit(1)
        return self.content.part.rows > 0 and self.connection.scalar(wanted) is None

    def _publish(self) -> Published:
        content, digest = self.content, self.content.part.digest
        seen = self._held()
        if seen is not None and is_newer(seen, content, self.where):
            return outcome(content, is_there=False)
        is_staged = seen is None or seen.digest != digest
        if is_staged:
            self._stage()
        held = self._held(locked=True)
        if held is None:
            raise StoreError(
                "the row that says what was published is gone", where=f"{self.where}, {CONTROL}",
                found="deleted while this task ran", next_step="run the task again",
            )  # fmt: skip
        if is_newer(held, content, self.where) or not (held.digest == digest or content.is_current()):
            return outcome(content, is_there=False)
        if held.digest != digest:
            if not is_staged:
                self._stage()
            self._replace()
        if held.digest != digest or held.number < content.number:
            with around(f"{CONTROL} of {self.name}"):
                self._say(changed=held.digest != digest)
        if is_staged and self.connection.dialect.name != POSTGRES:
            self.staging.drop(self.connection)
        return outcome(content, changed=held.digest != digest)

    def _stage(self) -> None:
        with around(f"staging for {self.name}"):
            self.staging.create(self.connection)
            copy = _copy if self.connection.dialect.name == POSTGRES else _insert
            copy(self.connection, self.staging, self.content.batches())

    def _replace(self) -> None:
        part = self.content.part
        names = [column.name for column in self.staging.columns]
        rows = sa.select(*self.staging.columns, sa.literal(part.partition, sa.String(KEY_LENGTH)))
        with around(f"removal from {self.name}"):
            self.connection.execute(self.table.delete().where(self.table.c[PARTITION] == part.partition))
        with around(f"rows of {self.name}"):
            insert = self.table.insert().from_select([*names, PARTITION], rows)
            done = self.connection.execute(insert, execution_options={"preserve_rowcount": True})
        if done.rowcount not in (part.rows, UNKNOWN):
            raise StoreError(
                "the table did not take every row", where=self.where, expected=f"{part.rows} rows",
                found=f"{done.rowcount}", next_step="look for a trigger or a rule on the table; nothing was changed",
            )  # fmt: skip

    def _say(self, *, changed: bool) -> None:
        said: dict[str, Any] = {"version": self.content.number}
        if changed:
            part = self.content.part
            said |= {"digest": part.digest, "row_count": part.rows, "published_at": sa.func.current_timestamp()}
        self.connection.execute(self.control.update().where(self.mine).values(**said))


def _control(schema: str | None) -> sa.Table:
    """Return the table that says which content stands in each published table of a schema, by partition."""
    return sa.Table(
        CONTROL,
        sa.MetaData(),
        sa.Column("target", sa.String(KEY_LENGTH), primary_key=True),
        sa.Column(PARTITION, sa.String(KEY_LENGTH), primary_key=True),
        sa.Column("model", sa.String(KEY_LENGTH), nullable=False),
        sa.Column("digest", sa.String(KEY_LENGTH), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        schema=schema,
    )


def _copy(connection: sa.Connection, staging: sa.Table, batches: Iterator[pa.RecordBatch]) -> None:
    """Send rows as PostgreSQL's COPY takes them: no Python object for a value."""
    statement = f"COPY {connection.dialect.identifier_preparer.format_table(staging)} FROM STDIN (FORMAT csv)"
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        if hasattr(cursor, "copy_expert"):  # psycopg 2
            for batch in batches:
                cursor.copy_expert(statement, io.BytesIO(_csv(batch)))
            return
        with cursor.copy(statement) as copy:
            for batch in batches:
                copy.write(_csv(batch))


def _csv(batch: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    pacsv.write_csv(_with_lists_as(batch, "{", "}"), sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue()


def _insert(connection: sa.Connection, staging: sa.Table, batches: Iterator[pa.RecordBatch]) -> None:
    for batch in batches:
        for start in range(0, batch.num_rows, INSERT_ROWS):
            rows = _with_lists_as(batch.slice(start, INSERT_ROWS), "[", "]").to_pylist()
            connection.execute(staging.insert(), rows)


def _with_lists_as(batch: pa.RecordBatch, begin: str, end: str) -> pa.RecordBatch:
    """Return rows with lists of numbers as text, each number in its shortest form that is read back as itself."""
    for place, name in enumerate(batch.schema.names):
        if pa.types.is_list(batch.schema.field(place).type):
            texts = pc.binary_join(batch.column(place).cast(pa.list_(pa.string())), ",")
            batch = batch.set_column(place, name, pc.binary_join_element_wise(begin, texts, end, ""))
    return batch
