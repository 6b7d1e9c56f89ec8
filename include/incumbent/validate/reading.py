"""The rows of a query, in batches, over any DB-API connection; in Arrow where the driver speaks it.

No driver is imported here. What a connection can do is read off the connection: ADBC's hands out
Arrow, and PostgreSQL gets a cursor on its server, because its client otherwise holds the whole
result, and so does ADBC's as soon as a query has parameters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from incumbent.errors import BatchError, ConfigError, PipelineError, UnavailableError
from incumbent.query import WRITTEN, Style, bind
from incumbent.redact import redact
from incumbent.sensitive import NOT_SHOWN
from incumbent.validate.values import Refused, of_python

BATCH_ROWS = 65_536
CURSOR = "incumbent"
# PEP 249's names for "the database is away"; a driver's own class has one of them as its base.
AWAY = {"OperationalError", "InterfaceError"}
CANCELS = ("cancel_safe", "cancel", "interrupt", "adbc_cancel")
UNCOPIED = {"adbc.postgresql.use_copy": "false"}  # COPY takes no FETCH


class Rows(Protocol):
    """A batch of rows; a column that nobody asks for is never converted."""

    @property
    def column_names(self) -> list[str]:
        """Names, as the database writes them."""

    @property
    def num_rows(self) -> int:
        """Number of rows."""

    def column(self, index: int) -> pa.Array:
        """Return a column, or raise `Refused`."""


@dataclass(frozen=True)
class Database:
    """How to reach a database.

    Attributes:
        name: What messages call it.
        connect: Opens a connection.
        style: How parameters are written, for a driver whose module does not say.
        secrets: Texts that no message may repeat.
    """

    name: str
    connect: Callable[[], Any]
    style: Style = "format"
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


class Reading:
    """One query on one database, read in one thread and cancelled from any other.

    Args:
        database: Where it runs.
        query: Text with `:start`, `:end`, `:partition`.
        values: What those are.
        where: What messages name.
        private: The rows hold what nobody is shown.
    """

    def __init__(
        self,
        database: Database,
        query: str,
        values: Mapping[str, datetime | str],
        where: str,
        private: bool = False,
    ) -> None:
        self.private = private
        self.database = database
        self.query = query.strip().rstrip(";")
        self.values = values
        self.where = where
        self.through = ""
        self._connection: Any = None
        self._is_cancelled = False

    def __iter__(self) -> Iterator[Rows]:
        """Yield the rows in batches, the first also when it is empty; the connection is closed at the end.

        Raises:
            UnavailableError: The database cannot be reached, went away, or the reading was cancelled.
            ConfigError: It does not take the query.
        """
        connection = self._guarded(self.database.connect, "the database cannot be reached")
        self._connection = connection
        batches = self._batches(connection)
        try:
            while (rows := self._guarded(lambda: next(batches, None), "the database refused the query")) is not None:
                yield rows
        finally:
            self._connection = None
            for used in (batches, connection):
                with suppress(Exception):  # it was cancelled or lost
                    used.close()

    def cancel(self) -> None:
        """End the query, as soon as the database lets go of it."""
        self._is_cancelled = True
        connection = self._connection
        for name in CANCELS:
            if (end := getattr(connection, name, None)) is not None:
                with suppress(Exception):  # it may have ended by itself in this moment
                    end()
                return

    def _batches(self, connection: Any) -> Generator[Rows, None, None]:
        driver = type(connection).__module__.partition(".")[0]
        if hasattr(connection, "adbc_get_info"):
            self.through = "ADBC"
            is_postgres = connection.adbc_get_info().get("vendor_name") == "PostgreSQL"
            yield from (self._adbc_postgres if is_postgres else self._adbc)(connection)
        else:
            self.through = driver
            yield from (self._psycopg if driver in ("psycopg", "psycopg2") else self._dbapi)(connection)

    def _adbc_postgres(self, connection: Any) -> Iterator[Rows]:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            text, given = bind(self.query, "dollar", self.values)
            cursor.execute(f"DECLARE {CURSOR} NO SCROLL CURSOR FOR {text}", given or None)
            cursor.adbc_statement.set_options(**UNCOPIED)
            size = BATCH_ROWS
            while size == BATCH_ROWS:
                cursor.execute(f"FETCH {BATCH_ROWS} FROM {CURSOR}")
                table = cursor.fetch_arrow_table()
                size = table.num_rows
                yield Columns(table)

    def _adbc(self, connection: Any) -> Iterator[Rows]:
        with closing(connection.cursor()) as cursor:
            text, given = bind(self.query, "qmark", self.values)
            cursor.execute(text, given or None)
            batches = cursor.fetch_record_batch()
            yield Columns(batches.schema.empty_table())
            for batch in batches:
                yield Columns(pa.table(batch))

    def _psycopg(self, connection: Any) -> Iterator[Rows]:
        with closing(connection.cursor()) as session:
            session.execute("SET TIME ZONE 'UTC'")
        text, given = bind(self.query, "pyformat", self.values)
        # In text a float4 comes as its short form, which is another number than the one that is stored.
        binary = {"binary": True} if type(connection).__module__.partition(".")[0] == "psycopg" else {}
        with closing(connection.cursor(name=CURSOR)) as cursor:
            cursor.execute(text, given or None, **binary)
            yield from _fetched(cursor)

    def _dbapi(self, connection: Any) -> Iterator[Rows]:
        text, given = bind(self.query, style_of(connection, self.database.style), self.values)
        with closing(connection.cursor()) as cursor:
            cursor.execute(*((text, given) if given else (text,)))
            yield from _fetched(cursor)

    def _guarded(self, step: Callable[[], Any], what: str) -> Any:
        """Do a step with the driver; what it raises is said without secrets, and without the driver's own chain."""
        try:
            if not self._is_cancelled:
                return step()
            failure: PipelineError = self._cancelled()
        except PipelineError:
            raise
        except Exception as error:
            failure = self._cancelled() if self._is_cancelled else self._failure(error, what)
        raise failure

    def _failure(self, error: Exception, what: str) -> PipelineError:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        # About the query or the connection; what a driver says about data repeats values.
        said = NOT_SHOWN if self.private and not kinds & {*AWAY, "ProgrammingError"} else " ".join(str(error).split())
        found = redact(f"{type(error).__name__}: {said}", self.database.secrets)[:500]
        where = f"{self.where}, connection {self.database.name}"
        if self._connection is None or kinds & AWAY:
            return UnavailableError(
                what if self._connection is None else "the database did not answer to the end",
                where=where,
                found=found,
                next_step="look whether the database is up and the connection in Airflow is right; it is tried again",
            )
        return ConfigError(
            what,
            where=where,
            expected="one SELECT, which the login of the connection may run",
            found=found,
            next_step="correct `query` in model.yaml, or what it reads",
        )

    def _cancelled(self) -> UnavailableError:
        return UnavailableError(
            "the reading was cancelled", where=f"{self.where}, connection {self.database.name}",
            next_step="run the task again; no file was written",
        )  # fmt: skip


def style_of(connection: Any, otherwise: Style) -> Style:
    """Return the parameter style that the module of a connection's driver says."""
    parts = type(connection).__module__.split(".")
    for count in range(len(parts), 0, -1):
        style = getattr(sys.modules.get(".".join(parts[:count])), "paramstyle", None)
        if style in WRITTEN:
            return style  # type: ignore[no-any-return]
    return otherwise


@dataclass(frozen=True)
class Columns:
    """A batch that came as Arrow."""

    table: pa.Table

    @property
    def column_names(self) -> list[str]:
        """Names, as the database writes them."""
        return list(self.table.column_names)

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def column(self, index: int) -> pa.Array:
        """Return a column, or raise `Refused`."""
        named = (self.table.schema.field(index).metadata or {}).get(b"POSTGRESQL:type", b"")
        if named == b"money":  # it comes as a plain number of cents
            raise Refused("money", "cast the column in the query, to numeric for example")
        return self.table.column(index).combine_chunks()


@dataclass(frozen=True)
class _Objects:
    """A batch of Python objects."""

    column_names: list[str]
    rows: list[Any]

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def column(self, index: int) -> pa.Array:
        return of_python([row[index] for row in self.rows])


def _fetched(cursor: Any) -> Iterator[Rows]:
    """Yield until there are none: a driver may return fewer rows than were asked for, and have more."""
    rows = cursor.fetchmany(BATCH_ROWS)
    names = [column[0] for column in cursor.description]
    if rows and isinstance(rows[0], Mapping):
        raise BatchError(
            "the driver returns each row as a dictionary",
            where="the connection's extra",
            expected="rows in the order of the columns",
            found=type(rows[0]).__name__,
            next_step="take `cursor` out of the connection's extra",
        )
    yield _Objects(names, rows)
    while rows := cursor.fetchmany(BATCH_ROWS):
        yield _Objects(names, rows)
