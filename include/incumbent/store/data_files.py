"""Parquet files of a table: canonical, so that the same rows are the same bytes.

Pages end where chunks end, and a row group is what one write gives: rows are cut into groups of one size, each in one
chunk, whether they come as a table or batch by batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 65_536
Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is text, in whatever layout."""
    return any(test(kind) for test in _TEXT)


def write(file: Path, rows: Rows) -> tuple[str, int]:
    """Write a data file; return its SHA-256 and the number of its rows."""
    schema, count = rows.schema.remove_metadata(), 0
    # Of numbers a dictionary is mostly as large as they are, and costs half the time of a write.
    text = [field.name for field in schema if is_text(field.type)]
    with pq.ParquetWriter(
        file, schema, compression="zstd", write_page_checksum=True, store_schema=False, use_dictionary=text
    ) as writer:
        for group in row_groups(rows):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            count += group.num_rows
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest(), count


def in_turn(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a data file, or of some of its row groups, so many at once, and hold no more than these.

    Asked for all row groups at once, Arrow keeps what it has read of each until the last one.
    """
    wanted = list(range(file.num_row_groups) if groups is None else groups)
    together = max(1, rows // ROW_GROUP_ROWS)
    for first in range(0, len(wanted), together):
        yield from file.iter_batches(rows, row_groups=wanted[first : first + together], columns=columns)


def row_groups(rows: Rows) -> Iterator[pa.Table]:
    """Yield the rows of one row group after the other, each in one chunk: pages end where chunks end."""
    held: list[pa.RecordBatch] = []
    schema = rows.schema.remove_metadata()

    def group() -> pa.Table:
        return pa.Table.from_batches(held, schema).combine_chunks()

    for batch in rows.to_reader() if isinstance(rows, pa.Table) else rows:
        rest = batch.replace_schema_metadata(None)
        while rest.num_rows:
            room = ROW_GROUP_ROWS - sum(part.num_rows for part in held)
            held.append(rest.slice(0, room))
            rest = rest.slice(room)
            if room <= held[-1].num_rows:
                yield group()
                held.clear()
    if held:
        yield group()
