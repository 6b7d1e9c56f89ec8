"""The rows that a delivery was accepted with, made again from its file; nothing is written.

What a file gives depends on nothing but the file, the contract that it was judged by, the salt of the store and the
keys that were erased since: so the rows that are stored can be compared with it, long after.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import BatchError, StoreError
from incumbent.records import Ingest, Part, Revisit
from incumbent.store import ModelStore
from incumbent.store.place import Place
from incumbent.store.removals import kept
from incumbent.validate.admission import admit, copied
from incumbent.validate.delivered import DeliveredRows
from incumbent.validate.delivery import ONCE, stored_contract
from incumbent.validate.erased import leave_out
from incumbent.validate.hashing import secret_of, stored_schema
from incumbent.validate.replay import judged_again
from incumbent.validate.rules import row_rules


def accepted_again(store: ModelStore, model: Model, record: Ingest, path: Place) -> pa.Table:
    """Return the good rows of a delivery, sorted by key, as they were committed.

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
        folder = Path(private)
        if record.revisit:
            return _replayed(store, model, record, path, folder)
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
        rows = DeliveredRows(
            folder, contract, record.source, row_rules(contract, model, record.source, record.partition)
        )
        admit(path, copy, contract, rows, secret_of(store, contract))
        leave_out(store, contract, rows)
        rows.set_aside([rule for rule in rows.rules if rule.severity == "quarantine"])
        with rows.good() as good:
            return good.read_all().cast(stored_schema(contract))


def stored_rows(store: ModelStore, model: Model, record: Ingest) -> pa.Table:
    """Return the rows that are stored of a delivery, or what erasures have left of them."""
    table, partition = store.source(model.sources[record.source].role, record.source), record.partition or ONCE
    part = kept(store.records, table.name, Part(partition, record.digest, record.rows))
    contract = stored_contract(store, model, record.source, record.contract_digest)
    return table.read_parts([part], list(contract.columns)).cast(stored_schema(contract))


def _replayed(store: ModelStore, model: Model, record: Ingest, path: Place, folder: Path) -> pa.Table:
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
    if not accepted_again(store, model, before[0], path).equals(stored_rows(store, model, before[0])):
        raise StoreError(
            "the rows that a replay started from are not those of the file",
            where=f"{path}, revisit {record.revisit}",
            expected=before[0].digest,
            next_step="run `incumbent store check`",
        )
    rows, _ = judged_again(store, model, revisit, folder)
    with rows.good() as good:
        return good.read_all().cast(stored_schema(rows.contract))
