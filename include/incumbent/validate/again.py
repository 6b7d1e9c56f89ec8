"""The rows that a delivery was accepted with, made again from its file; nothing is written.

What a file gives depends on nothing but the file, the contract that it was judged by, the salt of the store and the
keys that were erased since: so the rows that are stored can be compared with it, long after. Batch by batch, for a
partition may be larger than the memory of who asks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import BatchError, StoreError
from incumbent.records import Ingest, Part, Revisit
from incumbent.store import ModelStore
from incumbent.store.place import Place
from incumbent.store.removals import kept
from incumbent.validate.admission import admit, copied
from incumbent.validate.delivered import BATCH_ROWS, DeliveredRows
from incumbent.validate.delivery import ONCE, stored_contract
from incumbent.validate.erased import leave_out
from incumbent.validate.hashing import secret_of, stored_schema
from incumbent.validate.ingest import LARGE
from incumbent.validate.replay import judged_again
from incumbent.validate.rules import row_rules


@contextmanager
def accepted_again(store: ModelStore, model: Model, record: Ingest, path: Place) -> Iterator[Iterator[pa.RecordBatch]]:
    """Give the good rows of a delivery, sorted by key, as they were committed.

    Args:
        store: The model's store.
        model: Its configuration.
        record: The delivery, or the replay that changed its rows.
        path: Its file.

    Raises:
        BatchError: The file is not the delivery's.
        StoreError: The contract, or what a replay started from, is gone or altered.
    """
    with tempfile.TemporaryDirectory(prefix="incumbent-") as private:
        rows = (_replayed if record.revisit else _delivered)(store, model, record, path, Path(private))
        schema = stored_schema(rows.contract)
        with rows.good() as good:
            yield (batch.cast(schema) for batch in good)


def stored_rows(store: ModelStore, model: Model, record: Ingest) -> Iterator[pa.RecordBatch]:
    """Yield the rows that are stored of a delivery, or what erasures have left of them."""
    table, partition = store.source(model.sources[record.source].role, record.source), record.partition or ONCE
    part = kept(store.records, table.name, Part(partition, record.digest, record.rows))
    contract = stored_contract(store, model, record.source, record.contract_digest)
    schema = stored_schema(contract)
    for batch in table.batches(part, BATCH_ROWS, list(contract.columns)):
        yield batch.cast(schema)


def in_step(
    rows: Iterable[pa.RecordBatch], others: Iterable[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch] | None]:
    """Yield the same rows of two streams, however each is cut; None at the end if one of them has more.

    >>> one, other = pa.table({"x": [1, 2, 3]}), pa.table({"x": [1, 2, 3, 4]})
    >>> [each and each[0].num_rows for each in in_step(one.to_batches(2), other.to_batches())]
    [2, 1, None]
    """
    here, there = (filter(len, iter(each)) for each in (rows, others))
    one, other = next(here, None), next(there, None)
    while one is not None and other is not None:
        size = min(len(one), len(other))
        yield one.slice(0, size), other.slice(0, size)
        one = one.slice(size) if len(one) > size else next(here, None)
        other = other.slice(size) if len(other) > size else next(there, None)
    if one is not other:
        yield None


def _delivered(store: ModelStore, model: Model, record: Ingest, path: Place, folder: Path) -> DeliveredRows:
    """Take in a file as it was taken in when it was delivered."""
    contract = stored_contract(store, model, record.source, record.contract_digest)
    copy, digest = copied(path, folder, contract.policy.max_bytes)
    if digest != record.raw_digest:
        raise BatchError(
            "this is not the file that was delivered",
            where=str(path),
            expected=record.raw_digest,
            found=digest,
            next_step="restore the file of that delivery",
        )
    rules = row_rules(contract, model, record.source, record.partition)
    is_large = copy is not None and copy.stat().st_size > LARGE
    rows = DeliveredRows(folder, contract, record.source, rules, is_large=is_large)
    admit(path, copy, contract, rows, secret_of(store, contract))
    leave_out(store, contract, rows)
    rows.set_aside([rule for rule in rows.rules if rule.severity == "quarantine"])
    return rows


def _replayed(store: ModelStore, model: Model, record: Ingest, path: Place, folder: Path) -> DeliveredRows:
    """Return what a replay gave, once what it started from is what the file gives."""
    below = f"{record.source}/{record.partition or ONCE}/"
    revisit = store.records.get(Revisit, f"{below}{record.revisit}/open")
    wanted = (revisit.accepted["digest"], revisit.raw_digest)
    before = [each for each in store.records.all(Ingest, below) if (each.digest, each.raw_digest) == wanted]
    if not before:
        raise StoreError(
            "no record names the rows that a replay started from",
            where=f"{store.blobs.url}: revisit {record.revisit}",
            expected=wanted[0],
            next_step="run `incumbent store check`",
        )
    with accepted_again(store, model, before[0], path) as found:
        steps = in_step(found, stored_rows(store, model, before[0]))
        if not all(step is not None and step[0].equals(step[1]) for step in steps):
            raise StoreError(
                "the rows that a replay started from are not those of the file",
                where=f"{path}, revisit {record.revisit}",
                expected=before[0].digest,
                next_step="run `incumbent store check`",
            )
    return judged_again(store, model, revisit, folder)[0]
