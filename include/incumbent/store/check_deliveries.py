"""Walk the deliveries and report where their records disagree with the tables and the files that were kept.

A record of a delivery says the source but not its role, so its rows may lie in a table of any role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.records import Ingest
from incumbent.store.check_quarantine import check_quarantine
from incumbent.store.check_tables import CAN_BE_READ
from incumbent.store.check_walk import NAMED, THERE, Walk
from incumbent.store.removals import ERASURE, OBJECTS, Removal
from incumbent.store.salt import NAME as SALT
from incumbent.store.tables import Table
from incumbent.store.violation import Violation, guarded

ROLES = ("batches", "context", "outcomes")
RECORDED = "accepted rows are named by the record of their delivery"


def check_ingest(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of one delivery's record; one that was not accepted names no rows, but its file."""
    record = Ingest.from_json(plain)
    if record.hashed and not walk.store.blobs.has(SALT):
        yield Violation(NAMED, where, f"{SALT} is missing, with which {', '.join(record.hashed)} was hashed")
    if record.verdict == "stopped" and not record.hashed and not walk.is_removed(OBJECTS, "", record.raw_digest):
        yield from walk.object(record.raw_digest, where, "the delivered file")
    if record.results and not walk.is_removed(OBJECTS, "", record.results):
        yield from walk.object(record.results, where, "the results of the expectations")
    if record.verdict != "accepted":
        return
    _, source, partition, _ = where.split("/")
    if (record.source, record.partition or partition) != (source, partition):
        yield Violation("a record lies under its own name", where, f"it is of {record.source} {record.partition}")
    tables = [f"{role}/{source}" for role in ROLES]
    yield from walk.data(tables, partition, record.digest, record.rows, where)
    if not any(walk.holds(name, partition) for name in tables):
        yield Violation(THERE, where, f"no table of {source} holds the partition {partition}")
    if record.quarantined:
        yield from check_quarantine(walk, where, record, partition)


def check_deliveries(walk: Walk) -> Iterator[Violation]:
    """Yield the violations of source tables: rows that nobody recorded as accepted or is about to."""
    for name, table in walk.store.tables().items():
        if name.split("/")[0] in ROLES:
            yield from guarded(CAN_BE_READ, name, _parts(walk, name, table))


def _parts(walk: Walk, name: str, table: Table) -> Iterator[Violation]:
    parts = table.parts()
    source = name.split("/")[1]
    # The records last: what is no longer under way when it is looked for is on record by then.
    known = _under_way(walk, source) | _accepted(walk, source)
    erased = _erased(walk, name)
    for part in parts.values():
        digest = part.digest
        while digest in erased and (part.partition, digest) not in known:
            digest = erased[digest]
        if (part.partition, digest) not in known:
            yield Violation(RECORDED, f"{name}, partition {part.partition}", f"no ingest record names {part.digest}")


def _erased(walk: Walk, name: str) -> dict[str, str]:
    """Return what rows were erased from, by the digest of what was left."""
    records, found = walk.store.records, {}
    for each in records.names(Removal.kind, f"{ERASURE}/{name}/"):
        try:
            removal = records.get(Removal, each)
        except Exception:  # noqa: S112 (the check of this record reports it)
            continue
        found[removal.successor] = removal.digest
    return found


def _under_way(walk: Walk, source: str) -> set[tuple[str, str]]:
    """Return partition and digest of what an ingest is committing, or was when it was killed."""
    intents, found = walk.store.intents, set()
    for name in intents.names(Ingest.kind, f"{source}/"):
        try:
            found.add((name.split("/")[1], intents.get_plain(Ingest.kind, name)["digest"]))
        except Exception:  # noqa: S112 (its record was written meanwhile, or rows that it no longer names are reported)
            continue
    return found


def _accepted(walk: Walk, source: str) -> set[tuple[str, str]]:
    """Return partition and digest of what was accepted, from the records that can be read."""
    records, found = walk.store.records, set()
    for name in records.names(Ingest.kind, f"{source}/"):
        try:
            record, partition = records.get(Ingest, name), name.split("/")[1]
        except Exception:  # noqa: S112 (the check of this record reports it)
            continue
        if record.verdict == "accepted":
            found.add((partition, record.digest))
    return found
