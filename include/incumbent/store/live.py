"""Which contents something still needs: what retention never touches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from incumbent.records import (
    GateReport,
    Ingest,
    ModelVersion,
    Part,
    Promotion,
    RetrainRequest,
    Revisit,
    Snapshot,
    digest_of,
)
from incumbent.store.removals import chain
from incumbent.store.store import ModelStore

PINS, PROFILES, INPUTS = "pins", "profiles", "inputs/"
ROLES = ("batches", "context", "outcomes")


class Content(NamedTuple):
    """A content by name."""

    table: str
    partition: str
    digest: str


def live(store: ModelStore, since: datetime) -> set[Content]:
    """Return the contents that are not to be removed.

    What a table holds or has held since a moment; what the snapshots name of versions in the ledger, of requests
    that have no answer, and those taken since; what the features and predictions among all these were made from;
    what an ingest is about to commit; and what a replay starts from that waits. Of rows that were erased from any
    of them, what was left.

    Args:
        store: The model's store.
        since: Moment, in UTC.
    """
    tables = store.tables()
    found = {
        Content(name, part.partition, part.digest)
        for name, table in tables.items()
        for part in table.log.held_since(since)
    }
    for snapshot in _snapshots(store, since):
        found |= set(named_by(list(tables), snapshot))
    found |= set(_of_predictions(store, list(tables)))
    found |= set(_behind(store, list(tables), found))
    found |= set(_under_way(store))
    found |= set(_asked_for(store))
    return found | {
        Content(each.table, part.partition, part.digest)
        for each in found
        for part in chain(store.records, each.table, Part(each.partition, each.digest, 0))
    }


def named_by(tables: Sequence[str], snapshot: Snapshot) -> Iterator[Content]:
    """Yield the contents of some tables that a snapshot names; it does not say of which source its outcomes are."""
    for part in snapshot.features:
        yield Content(f"features/{snapshot.definition[:16]}", part["partition"], part["digest"])
    for name in tables:
        if name.startswith("outcomes/"):
            yield from (Content(name, part["partition"], part["digest"]) for part in snapshot.outcomes)


def _snapshots(store: ModelStore, since: datetime) -> Iterator[Snapshot]:
    records = store.records
    needed = set()
    for promotion in records.all(Promotion):
        needed.add(records.get(ModelVersion, promotion.version).snapshot)
        needed.add(records.get(GateReport, promotion.gate_report).snapshot)
    for name in records.names(PINS, "train-"):
        pin = records.get_plain(PINS, name)
        steps = {step.rsplit("/", 1)[1] for step in records.names(RetrainRequest.kind, f"{pin['request']}/")}
        if not steps & {"done", "failed"}:
            needed.add(pin["snapshot"])
    for name in records.names(Snapshot.kind):
        if name in needed or records.written(Snapshot.kind, name) >= since:
            yield records.get(Snapshot, name)


def _of_predictions(store: ModelStore, tables: Sequence[str]) -> Iterator[Content]:
    """Yield what the predictions that stand now were made from."""
    columns = ["definition", "features_digest", "batch_digest"]
    for table in (store.predictions, store.unscored):
        for part in table.parts().values():
            rows = table.read_parts([part], columns)
            for made in rows.group_by(columns).aggregate([]).to_pylist():
                yield Content(f"features/{made['definition'][:16]}", part.partition, made["features_digest"])
                yield from _of_role("batches", tables, part.partition, made["batch_digest"])


def _behind(store: ModelStore, tables: Sequence[str], found: set[Content]) -> Iterator[Content]:
    """Yield what features among the contents were made from: a contender's are made of the same."""
    records, wanted = store.records, set()
    for name in records.names(PROFILES):
        definition, _, rest = name.partition("/")
        partition, built = rest.rsplit("-", 1)[0], records.get_plain(PROFILES, name)
        if Content(f"features/{definition}", partition, built["features"]) in found:
            wanted.add(built["inputs"])
            yield from _of_role("batches", tables, partition, built["batch"])
    for name in records.names(PINS, INPUTS):
        pin = records.get_plain(PINS, name)
        if digest_of({source: [part["digest"] for part in parts] for source, parts in pin.items()}) in wanted:
            for source, parts in pin.items():
                for part in parts:
                    yield Content(f"batches/{source}", part["partition"], part["digest"])
                    yield Content(f"context/{source}", part["partition"], part["digest"])


def _under_way(store: ModelStore) -> Iterator[Content]:
    for name in store.intents.names(Ingest.kind):
        source, partition, _ = name.split("/")
        digest = store.intents.get_plain(Ingest.kind, name)["digest"]
        yield from (Content(f"{role}/{source}", partition, digest) for role in ROLES)


def _asked_for(store: ModelStore) -> Iterator[Content]:
    for name in store.records.names(Revisit.kind):
        order, _, step = name.rpartition("/")
        if step != "open" or store.records.has(Revisit.kind, f"{order}/done"):
            continue
        revisit = store.records.get(Revisit, name)
        tables = [(f"{role}/{revisit.source}", revisit.accepted) for role in ROLES]
        if revisit.aside:
            tables.append((f"quarantine/{revisit.source}", revisit.aside))
        yield from (Content(table, part["partition"], part["digest"]) for table, part in tables)


def _of_role(role: str, tables: Sequence[str], partition: str, digest: str) -> Iterator[Content]:
    yield from (Content(name, partition, digest) for name in tables if name.startswith(f"{role}/"))
