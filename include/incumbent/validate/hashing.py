"""Put pseudonyms in the place of keys, as rows come from their file: nothing after this sees the values."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.admit.columns import ARROW_TYPES
from incumbent.errors import StoreError
from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.store.salt import NAME, pseudonyms, salt
from incumbent.validate.contract import SourceContract


def stored_schema(contract: SourceContract) -> pa.Schema:
    """Return a source's columns in the types that they are stored in."""
    return pa.schema([(name, ARROW_TYPES[column.stored]) for name, column in contract.columns.items()])


def secret_of(store: ModelStore, contract: SourceContract) -> bytes:
    """Return the salt of a store; nothing for a contract that hashes nothing.

    Raises:
        StoreError: It is gone, and rows that were hashed with it are there: a new one would part them from theirs.
    """
    if not contract.hashed:
        return b""
    if not store.blobs.has(NAME) and any(record.hashed for record in store.records.all(Ingest)):
        raise StoreError(
            "the salt of the store is gone",
            where=f"{store.blobs.url}/{NAME}",
            expected="what the keys that are here were hashed with",
            found="nothing",
            next_step="restore the file from a backup; without it no new row finds the rows of the same key",
        )
    return salt(store.blobs)


def hashed(rows: pa.RecordBatchReader, contract: SourceContract, secret: bytes) -> pa.RecordBatchReader:
    """Return rows with pseudonyms in the hashed columns."""
    if not contract.hashed:
        return rows
    schema = stored_schema(contract)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            columns = [
                _hashed(values, secret) if column.hashed else values
                for column, values in zip(contract.columns.values(), batch.columns, strict=True)
            ]
            yield pa.record_batch(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _hashed(values: pa.Array, secret: bytes) -> pa.Array:
    """Return what stands for each value; nothing stays nothing, and each different value is hashed once."""
    coded = pc.dictionary_encode(values)
    names = pa.array(pseudonyms(secret, coded.dictionary.to_pylist()), pa.string())
    return names.take(coded.indices)
