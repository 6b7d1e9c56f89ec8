"""The rows of a delivery that was judged before: those that were accepted, and those that were set aside."""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from incumbent.validate.contract import SourceContract
from incumbent.validate.hashing import stored_schema
from incumbent.validate.rules import identifier, literal

KINDS = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN", "date32[day]": "DATE"}


def rebuilt(aside: pa.Table, contract: SourceContract) -> pa.Table:
    """Return quarantine entries as rows of the contract's columns, once each, in the order of their lines.

    Args:
        aside: Entries, with `line` and `row`, the row as JSON; a row that breaks two rules is there twice.
        contract: The source's contract.

    Raises:
        duckdb.Error: A row lacks a column, or has a value of another type.
    """
    schema = stored_schema(contract)
    shape = json.dumps({field.name: KINDS.get(str(field.type), "TIMESTAMPTZ") for field in schema})
    columns = ", ".join(f"kept.{identifier(name)} AS {identifier(name)}" for name in schema.names)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.register("aside", aside)
        query = (
            f"SELECT {columns} FROM (SELECT json_transform_strict(any_value(row), {literal(shape)}) AS kept "
            "FROM aside GROUP BY line ORDER BY line)"
        )
        return connection.sql(query).to_arrow_table().cast(schema)


def in_turn(tables: Sequence[pa.Table], batch_rows: int) -> pa.RecordBatchReader:
    """Return tables of the same columns as one stream."""
    batches = (batch for table in tables for batch in table.to_batches(batch_rows))
    return pa.RecordBatchReader.from_batches(tables[0].schema, batches)
