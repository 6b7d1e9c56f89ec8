"""Look up the rows that an accepted delivery set aside: what does not train is not lost either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow.compute as pc
import pyarrow.parquet as pq

from incumbent.records import Ingest
from incumbent.store.check_walk import Walk
from incumbent.store.removals import ERASURE, RETENTION, Removal
from incumbent.store.violation import Violation

SET_ASIDE = "rows that were set aside are there"


def check_quarantine(walk: Walk, where: str, record: Ingest, partition: str) -> Iterator[Violation]:
    """Yield the violations of the quarantine of one delivery.

    A record says how many rows were set aside and not which content holds them; the rows say which
    delivery they came with. A later delivery replaces them in the table, and their file stays.
    """
    table = f"quarantine/{where.split('/')[1]}"
    files = walk.store.blobs.names(walk.folder(table, partition))
    held = max((_rows_of(walk, file, record.raw_digest) for file in files), default=0)
    if held < min([record.quarantined, *_left(walk, table, partition, record.raw_digest)]):
        # A row that breaks two rules is there twice.
        found = f"{table}, partition {partition} has {held} rows of this delivery, expected {record.quarantined}"
        yield Violation(SET_ASIDE, where, found)


def _left(walk: Walk, table: str, partition: str, raw_digest: str) -> list[int]:
    """Return how many entries of a delivery each removal has left; none if it had none, or there was no removal."""
    records = walk.store.records
    names = [
        name for why in (ERASURE, RETENTION) for name in records.names(Removal.kind, f"{why}/{table}/{partition}/")
    ]
    removals = (records.get(Removal, name) for name in names)
    return [found.deliveries[raw_digest] for found in removals if raw_digest in found.deliveries]


def _rows_of(walk: Walk, file: str, raw_digest: str) -> int:
    """Return how many rows of a delivery a file holds; none if it is not what its name says."""
    if walk.sha256(file) != PurePosixPath(file).stem:
        return 0
    named = pq.ParquetFile(walk.store.blobs.open(file)).read(columns=["raw_digest"])["raw_digest"]
    return int(pc.sum(pc.equal(named, raw_digest)).as_py() or 0)
