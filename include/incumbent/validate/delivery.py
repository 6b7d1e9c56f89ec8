"""One delivered file, and whether the place that it was dropped for can take it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa

from incumbent.admit.columns import ARROW_TYPES
from incumbent.admit.order import Reason
from incumbent.config import Model
from incumbent.errors import BatchError, StoreError
from incumbent.records import Ingest, Part
from incumbent.store import ModelStore
from incumbent.store.log import PARTITION
from incumbent.store.place import Place
from incumbent.store.removals import kept
from incumbent.store.tables import Table
from incumbent.validate.contract import SourceContract

ONCE = "once"


@dataclass(frozen=True)
class Delivery:
    """One file as it is judged."""

    source: str
    partition: str
    path: Place
    raw_digest: str
    contract: SourceContract

    @property
    def table_partition(self) -> str:
        """Partition of the source's table."""
        return self.partition or ONCE

    @property
    def record_name(self) -> str:
        """Name of the ingest record: the same file under the same contract is the same work."""
        return f"{self.file_name}-{self.contract.digest[:16]}"

    @property
    def file_name(self) -> str:
        """What the names of all records of this file begin with, under whatever contract."""
        return f"{self.source}/{self.table_partition}/{self.raw_digest[:16]}"


def table_of(store: ModelStore, model: Model, delivery: Delivery) -> Table:
    """Return the table that a delivery's rows go to."""
    return store.source(model.sources[delivery.source].role, delivery.source)


def stored_contract(store: ModelStore, model: Model, source: str, digest: str) -> SourceContract:
    """Return a contract as it is stored, its columns in the order of the source's table."""
    contract = SourceContract.model_validate(json.loads(store.objects.get(digest)))
    order = store.source(model.sources[source].role, source).columns()  # canonical JSON has no order of its own
    columns = dict(sorted(contract.columns.items(), key=lambda item: order.index(item[0]) if item[0] in order else -1))
    return contract.model_copy(update={"columns": columns})


def is_current(store: ModelStore, model: Model, record: Ingest) -> bool:
    """Return whether a recorded verdict still says what the table holds.

    A file that comes back after another one took its place is judged and committed again. Rows that were erased
    since do not count: what was left of it is still that file's.
    """
    if record.verdict != "accepted":
        return True
    table, partition = store.source(model.sources[record.source].role, record.source), record.partition or ONCE
    part = table.part(partition)
    if part is None or part.digest == record.digest:
        return part is not None
    left = kept(store.records, table.name, Part(partition, record.digest, record.rows))
    return part.digest == left.digest


def refuse_copies(store: ModelStore, model: Model, delivery: Delivery) -> None:
    """Stop a file whose rows another partition holds: somebody renamed the wrong one.

    What is looked up may stay the same from one partition to the next.

    Raises:
        BatchError: Another partition was made from the same bytes and still is.
    """
    if model.sources[delivery.source].role == "context":
        return
    for name in store.records.names(Ingest.kind, f"{delivery.source}/"):
        _, partition, digests = name.split("/")
        if partition == delivery.table_partition or not digests.startswith(delivery.raw_digest[:16]):
            continue
        record = store.records.get(Ingest, name)
        if record.verdict == "accepted" and is_current(store, model, record):
            raise BatchError(
                "this file was delivered before, for another partition",
                reason=Reason.COPY,
                where=str(delivery.path),
                expected=f"the rows of {delivery.partition}",
                found=f"the same bytes as {partition}",
                next_step=f"drop the file of {delivery.partition} under this name; if it belongs here, correct "
                f"{partition} first and drop it again",
            )


def same_columns(table: Table, delivery: Delivery) -> None:
    """Refuse a contract whose columns are not the table's, before anything is judged or written.

    Raises:
        StoreError: The table exists, and its columns or their types are others.
    """
    if not table.parts():
        return
    known = {field.name: _plain(field.type) for field in table.read_parts([]).schema if field.name != PARTITION}
    given = {name: ARROW_TYPES[column.stored] for name, column in delivery.contract.columns.items()}
    if list(known.items()) == list(given.items()):
        return
    raise StoreError(
        "the contract has other columns than the table that this source has already",
        where=f"contract.yaml, sources.{delivery.source} ({delivery.path} into {table.blobs.url})",
        expected=", ".join(f"{name} {kind}" for name, kind in known.items()),
        found=", ".join(f"{name} {kind}" for name, kind in given.items()),
        next_step="nothing was written; take the columns back in contract.yaml, or give the source a new name in "
        "model.yaml and contract.yaml, which gives it a new table, and drop its files again",
    )


def same_hashes(store: ModelStore, model: Model, delivery: Delivery) -> None:
    """Refuse to hash a column whose earlier values lie in the clear, or the other way round: they would not meet.

    Raises:
        StoreError: Rows of the source are there, and other columns of them are hashed.
    """
    parts = store.source(model.sources[delivery.source].role, delivery.source).parts()
    newest = max(parts, default="")
    for name in store.records.names(Ingest.kind, f"{delivery.source}/{newest}/") if newest else ():
        record = store.records.get(Ingest, name)
        if is_current(store, model, record) and record.verdict == "accepted":
            if set(record.hashed) != set(delivery.contract.hashed):
                raise StoreError(
                    "the contract hashes other columns than the rows that this source has already",
                    where=f"contract.yaml, sources.{delivery.source}",
                    expected=", ".join(record.hashed) or "none",
                    found=", ".join(delivery.contract.hashed) or "none",
                    next_step="nothing was written; give the source a new name in model.yaml and contract.yaml, which "
                    "gives it a new table, and drop its files again",
                )
            return


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the contract's type for a type of the table: text is stored in several forms."""
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return pa.string() if any(test(kind) for test in text) else kind
