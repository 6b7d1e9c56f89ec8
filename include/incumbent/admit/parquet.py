"""Parquet: judged by its footer, then read page by page with checksums."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.admit.columns import check_type, choose, conform
from incumbent.admit.order import MAX_RATIO, Order, Reason, Refused, quoted

BATCH_ROWS = 65_536
BUFFER = 2**20  # a column chunk is read through a window, never as a whole
FOOTER_LIMIT = 64 * 2**20
MAGIC = b"PAR1"
TAIL = 8  # the footer's length, and the magic


def read_parquet(order: Order) -> Iterator[pa.RecordBatch]:
    """Yield a Parquet file's rows in the contract's columns.

    Raises:
        Refused: Its footer already says that it does not fit.
        pa.ArrowException: It cannot be read.
    """
    _no_extension(order)
    with pa.OSFile(order.path) as source:
        file = pq.ParquetFile(
            source,
            page_checksum_verification=True,
            buffer_size=BUFFER,
            pre_buffer=False,
            thrift_string_size_limit=FOOTER_LIMIT,
            thrift_container_size_limit=2**20,
        )
        _footer(order, file.metadata)
        chosen = choose(order, file.schema_arrow.names)
        for name, theirs in chosen.names.items():
            check_type(order, name, file.schema_arrow.field(theirs).type)
        for batch in file.iter_batches(BATCH_ROWS, columns=list(chosen.names.values()), use_threads=False):
            yield conform(order, batch, chosen)


def _no_extension(order: Order) -> None:
    """Refuse extension types, before Arrow opens the file: rebuilding such a type may run code.

    Raises:
        Refused: There is one, or the file is no Parquet.
    """
    with Path(order.path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        tail = file.read()
        length = int.from_bytes(tail[:4], "little")
        if size < TAIL or tail[4:] != MAGIC or length > min(size - TAIL, FOOTER_LIMIT):
            found = f"a file that ends with {quoted(order, tail[4:])}"
            raise Refused(Reason.UNREADABLE, "the file cannot be read", expected="Parquet", found=found)
        file.seek(size - TAIL - length)
        footer = file.read(length)
    for schema in _decoded(footer):
        if b"ARROW:extension:name" in schema:
            named = {name.decode() for name in re.findall(rb"[a-z_]{2,}(?:\.[a-z_]+)+", schema)}
            raise Refused(
                Reason.EXTENSION_TYPE, "an extension type is not accepted", expected="plain types",
                found=", ".join(sorted(named))[:300],
            )  # fmt: skip


def _decoded(footer: bytes) -> Iterator[bytes]:
    """Yield what is written in base64 in a footer, at each of the four places where it may begin.

    Bytes before it, such as that of its length, may look like base64 as well.
    """
    for text in re.findall(rb"[A-Za-z0-9+/]{16,}", footer):
        for begin in range(4):
            end = begin + (len(text) - begin) // 4 * 4
            yield base64.b64decode(text[begin:end])


def _footer(order: Order, metadata: pq.FileMetaData) -> None:
    """Judge a file by what it says of its rows and bytes, before any is unpacked."""
    if metadata.num_rows > order.max_rows:
        limit = f"at most {order.max_rows} rows"
        raise Refused(Reason.TOO_MANY_ROWS, "the file has too many rows", expected=limit, found=metadata.num_rows)
    size = Path(order.path).stat().st_size
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    limit_bytes = min(order.max_unpacked, MAX_RATIO * size)
    if unpacked > limit_bytes:
        expected = f"at most {limit_bytes} bytes"
        raise Refused(Reason.UNPACKS_TOO_LARGE, "the file unpacks to too much", expected=expected, found=unpacked)
