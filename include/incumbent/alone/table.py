"""Tables as a person has them: a path, an Arrow table or a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from incumbent.errors import BatchError, ConfigError
from incumbent.sensitive import quotable

PARQUET = (".parquet", ".pq")
MOST_NAMED = 20


@dataclass(frozen=True)
class Given:
    """A table with a name for messages.

    Attributes:
        name: Its path, or what it was handed over as.
        rows: Its rows.
    """

    name: str
    rows: pa.Table

    @property
    def listed(self) -> str:
        """Its columns for a message."""
        more = self.rows.num_columns - MOST_NAMED
        return ", ".join(self.rows.column_names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")

    def need(self, columns: Sequence[str]) -> None:
        """Refuse a table that lacks a column, or has no row.

        Raises:
            ConfigError: A column is missing.
            BatchError: There is no row.
        """
        self.has(columns)
        if not self.rows.num_rows:
            raise BatchError(
                "the table is empty",
                where=self.name,
                expected="rows",
                found="none",
                next_step="look at what writes it",
            )

    def has(self, columns: Sequence[str]) -> None:
        """Refuse a table that lacks a column.

        Raises:
            ConfigError: A column is missing.
        """
        if missing := [name for name in columns if name not in self.rows.column_names]:
            raise ConfigError(
                "a column is not in the table",
                where=f"{self.name}: {missing[0]}",
                expected=f"one of {self.listed}",
                found=missing[0],
                next_step="correct the name",
            )


def given(table: Any, name: str, sensitive: Sequence[str] = ()) -> Given:
    """Return a table from whatever it was given as.

    Args:
        table: A path, an Arrow table or record batch, or a data frame: of pandas, or of whoever hands out Arrow.
        name: What messages call a table that has no path.
        sensitive: Columns whose values nobody is shown: if there are any, no message repeats what cannot be read.

    Raises:
        BatchError: It cannot be read.
        ConfigError: It is none of these.
    """
    if isinstance(table, str | Path):
        return Given(str(table), _read(Path(table), sensitive))
    if isinstance(table, pa.Table):
        return Given(name, table)
    if isinstance(table, pa.RecordBatch):
        return Given(name, pa.Table.from_batches([table]))
    try:
        if type(table).__module__.partition(".")[0] == "pandas":  # its index is no column
            return Given(name, pa.Table.from_pandas(table, preserve_index=False))
        if hasattr(table, "__arrow_c_stream__"):
            return Given(name, pa.table(table))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _unreadable(name, error, sensitive) from (None if sensitive else error)
    raise ConfigError(
        "this is no table",
        where=name,
        expected="a path, an Arrow table or a data frame",
        found=f"a {type(table).__name__}",
        next_step="hand over one of these",
    )


def _read(path: Path, sensitive: Sequence[str]) -> pa.Table:
    import pyarrow.csv as csv
    import pyarrow.parquet as parquet

    try:
        if path.suffix.lower() == ".csv":
            return csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
        if path.suffix.lower() in PARQUET:
            return parquet.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(str(path), error, sensitive) from (None if sensitive else error)
    raise BatchError(
        "the table's format is not known",
        where=str(path),
        expected=".csv or .parquet",
        found=path.suffix or "no ending",
        next_step="write it as CSV or Parquet",
    )


def _unreadable(name: str, error: Exception, sensitive: Sequence[str]) -> BatchError:
    return BatchError(
        "the table cannot be read",
        where=name,
        expected="a file in the format of its ending",
        found=quotable(error, bool(sensitive), 200),
        next_step="correct the path, or write the file again",
    )


def column_names(given: Sequence[str] | str) -> tuple[str, ...]:
    """Return names of columns, of which a single one may be a plain text.

    >>> column_names("day"), column_names(["day", "carrier"])
    (('day',), ('day', 'carrier'))
    """
    return (given,) if isinstance(given, str) else tuple(given)


def plain(rows: pa.Table) -> pa.Table:
    """Return a table whose texts are plain strings, however its writer has packed them."""
    kinds = {field.name: _plain(field.type) for field in rows.schema}
    return rows.cast(pa.schema([(name, kind) for name, kind in kinds.items()]))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
