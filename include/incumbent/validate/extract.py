"""A query's rows as the delivery of a partition: one Parquet file in the drop folder, all of it or none."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.admit.columns import ARROW_TYPES
from incumbent.errors import BatchError
from incumbent.sensitive import NOT_SHOWN
from incumbent.store.crash_points import around
from incumbent.store.place import ObjectPath, Place
from incumbent.validate.contract import SourceContract
from incumbent.validate.reading import BATCH_ROWS, Rows
from incumbent.validate.rules import identifier
from incumbent.validate.values import Refused, in_type

SORT_MEMORY = "256MB"
ABANDONED_S = 86_400.0


@dataclass(frozen=True)
class Extraction:
    """What an extraction wrote.

    Attributes:
        rows: Number of rows.
        digest: SHA-256 of the file.
        is_new: The file was not there before with the same content.
    """

    rows: int
    digest: str
    is_new: bool


def extract(
    batches: Iterable[Rows], contract: SourceContract, target: Place, where: str, zone: str | None
) -> Extraction:
    """Write rows as the file of a partition, and put it in its place in one step.

    The file has the contract's columns in the contract's types, and its rows are sorted by the
    contract's key: a database returns equal rows in any order, and equal rows make the same file. A file
    with this content that is there already is left as it is, so nobody is told of it again.

    Args:
        batches: The rows; the first batch is there also when there are no rows.
        contract: The source's contract.
        target: The file, in a folder or in a bucket.
        where: What messages name.
        zone: Zone of times that have none; see `values.in_type`.

    Raises:
        BatchError: A column is missing or has a type or value that the contract's cannot take, or there are too
            many rows.
    """
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        written = _beside(target, Path(folder))
        try:
            rows = _stage(batches, contract, Path(folder) / "rows.parquet", where, zone)
            _sort(Path(folder), contract, written)
            digest = _digest(written)
            is_new = not target.is_file() or _digest(target) != digest
            if is_new:
                _put(written, target)
            return Extraction(rows, digest, is_new)
        finally:
            written.unlink(missing_ok=True)


def _beside(target: Place, folder: Path) -> Path:
    """Return where to write what will take the target's place in one step."""
    if isinstance(target, ObjectPath):
        return folder / "sorted.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    # A name that no pattern of the drop folder matches, in the same folder: a rename is one step.
    return target.parent / f".{target.name}.{secrets.token_hex(8)}.tmp"


def _stage(batches: Iterable[Rows], contract: SourceContract, path: Path, where: str, zone: str | None) -> int:
    """Write the rows as they come, and return their number."""
    schema, count = _schema(contract), 0
    with pq.ParquetWriter(path, schema) as writer:
        for rows in batches:
            count += rows.num_rows
            if count > contract.policy.max_rows:
                raise BatchError(
                    "the query returns too many rows",
                    where=where,
                    expected=f"at most {contract.policy.max_rows} rows",
                    found=f"{count} so far",
                    next_step="look whether `query` asks for one partition, or raise policy.max_rows in contract.yaml",
                )
            writer.write_batch(pa.record_batch(list(_columns(rows, contract, where, zone)), schema=schema))
    return count


def _columns(rows: Rows, contract: SourceContract, where: str, zone: str | None) -> Iterator[pa.Array]:
    names = rows.column_names
    folded = [name.lower() for name in names]  # Snowflake and Oracle write unquoted names in capitals
    extra = set(folded) - {name.lower() for name in contract.columns}
    if extra and contract.evolution.added == "stop":
        raise _error(where, "a column is not in the contract", sorted(extra)[0], ", ".join(contract.columns), None, "")
    for name, column in contract.columns.items():
        found = [place for place, each in enumerate(names) if each == name]
        found = found or [place for place, each in enumerate(folded) if each == name.lower()]
        if len(found) != 1:
            what = "a column is missing" if not found else "a column occurs twice"
            raise _error(where, what, name, "one column of this name", ", ".join(names)[:500], "name it in the query")
        try:
            yield in_type(rows.column(found[0]), column.dtype, zone)
        except Refused as refused:
            what = "a column does not fit its type"
            hide = column.sensitive or column.hashed
            said = NOT_SHOWN if hide else refused.found
            raise _error(where, what, name, column.dtype, said, refused.instead) from (None if hide else refused)


def _error(where: str, what: str, column: str, expected: str, found: str | None, instead: str) -> BatchError:
    next_step = instead or "leave it out of the query, or name it in contract.yaml"
    return BatchError(what, where=f"{where}, column {column}", expected=expected, found=found, next_step=next_step)


def _sort(folder: Path, contract: SourceContract, written: Path) -> None:
    """Write the staged rows in the order of their values, the key first; what does not fit in memory goes to disk."""
    schema = _schema(contract)
    order = [*contract.key, *(name for name in contract.columns if name not in contract.key)]
    config = {"threads": 1, "memory_limit": SORT_MEMORY, "temp_directory": str(folder / "spill")}
    connection = duckdb.connect(config=config)
    try:
        connection.execute("SET TimeZone='UTC'; SET enable_progress_bar=false")
        rows = connection.read_parquet(str(folder / "rows.parquet")).order(", ".join(map(identifier, order)))
        with pq.ParquetWriter(written, schema, compression="zstd", write_page_checksum=True) as writer:
            for batch in rows.to_arrow_reader(BATCH_ROWS):
                writer.write_batch(batch.cast(schema))
    finally:
        connection.close()


def _schema(contract: SourceContract) -> pa.Schema:
    return pa.schema([(name, ARROW_TYPES[column.dtype]) for name, column in contract.columns.items()])


def _put(written: Path, target: Place) -> None:
    """Give the file its name, durably: a reader sees the old file or the new one."""
    if isinstance(target, ObjectPath):
        with around(f"delivery {target.name}"):
            target.put(written)
        return
    _fsync(written)
    with around(f"delivery {target.name}"):
        written.replace(target)
        _fsync(target.parent)


def _sweep(target: Path) -> None:
    """Remove what a killed extraction of this file left a day ago or earlier."""
    for path in target.parent.glob(f".{escape(target.name)}.*.tmp"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            path.unlink(missing_ok=True)


def _digest(path: Place) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()  # type: ignore[arg-type]


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
