"""Columns of a database for columns of Arrow, and whether those of a table that is there will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from incumbent.errors import ConfigError
from incumbent.store.data_files import is_text
from incumbent.store.log import PARTITION

POSTGRES, SQLITE = "postgresql", "sqlite"
KEY_LENGTH = 64  # of a partition key: an index needs a longest length in some databases
# Lists are what a database of its own kind has, and text in JSON elsewhere.
LIST = sa.Text().with_variant(postgresql.ARRAY(sa.Double()), POSTGRES)


def columns_of(schema: pa.Schema, where: str) -> list[sa.Column[Any]]:
    """Return the columns of a table for rows; the partition's is not among them.

    Raises:
        ConfigError: A column has a type that no stage writes.
    """
    return [sa.Column(field.name, _type_of(field, where)) for field in schema]


def partition_column() -> sa.Column[Any]:
    """Return the column that says which partition a row is of."""
    return sa.Column(PARTITION, sa.String(KEY_LENGTH), nullable=False, index=True)


def _type_of(field: pa.Field, where: str) -> Any:
    kind = field.type
    if is_text(kind):
        return sa.Text()
    if pa.types.is_integer(kind):
        return sa.BigInteger()
    if pa.types.is_floating(kind):
        return sa.Double()
    if pa.types.is_boolean(kind):
        return sa.Boolean()
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=True)
    if pa.types.is_date(kind):
        return sa.Date()
    if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
        return LIST
    raise ConfigError(
        "a column cannot be published to a database",
        where=f"{where}, column {field.name}",
        expected="text, whole or floating numbers, booleans, times, dates, lists of numbers",
        found=str(kind),
        next_step="publish to a `path`, or leave the column out of the model's keys",
    )


def check_columns(
    wanted: Sequence[sa.Column[Any]], found: Sequence[Mapping[str, Any]], dialect: sa.Dialect, where: str
) -> None:
    """Refuse a table that is there and would not hold the rows as they are.

    Args:
        wanted: Columns of the rows.
        found: Columns of the table, as SQLAlchemy's inspector says them; more of them may be there if they need no
            value.
        dialect: The database's.
        where: What messages name.

    Raises:
        ConfigError: A column is missing, has a type that would change values, or needs a value.
    """
    there = {column["name"]: column for column in found}
    names = {column.name for column in wanted}
    amiss = [
        (f"{column.name} {column.type.compile(dialect)}", _said(there.get(column.name), dialect))
        for column in wanted
        if column.name not in there or not _holds(there[column.name]["type"], column.type, dialect)
    ]
    amiss += [
        (f"no column {name}, or one with a default", f"{_said(column, dialect)} NOT NULL")
        for name, column in there.items()
        if name not in names and not column["nullable"] and column.get("default") is None
    ]
    if amiss:
        raise ConfigError(
            "the table has other columns",
            where=where,
            expected="; ".join(expected for expected, _ in amiss[:10]),
            found="; ".join(said for _, said in amiss[:10]),
            next_step="alter the table, or name another in `publish` of model.yaml: one that is not there is made",
        )


def _holds(found: Any, wanted: Any, dialect: sa.Dialect) -> bool:
    """Return whether a column of a type holds the values of another as they are: not rounded, and not shifted."""
    if wanted is LIST and dialect.name == POSTGRES:
        return isinstance(found, sa.ARRAY) and _holds(found.item_type, sa.Double(), dialect)
    if isinstance(wanted, sa.String):
        return isinstance(found, sa.String)
    if isinstance(wanted, sa.Integer):
        return isinstance(found, sa.Integer | sa.Numeric) and not isinstance(found, sa.Float)
    if isinstance(wanted, sa.Double):
        return isinstance(found, sa.Double) or (type(found) is sa.NUMERIC and found.precision is None)
    if isinstance(wanted, sa.DateTime):
        # Into a column without one PostgreSQL writes the time of the session's zone.
        return isinstance(found, sa.DateTime) and (dialect.name != POSTGRES or bool(getattr(found, "timezone", False)))
    return isinstance(found, sa.Boolean if isinstance(wanted, sa.Boolean) else sa.Date)


def _said(column: Mapping[str, Any] | None, dialect: sa.Dialect) -> str:
    return "no such column" if column is None else f"{column['name']} {column['type'].compile(dialect)}"
