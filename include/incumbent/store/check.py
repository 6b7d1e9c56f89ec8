"""Walk the whole store and report every broken promise.

This is the oracle of the fault tests: after any kill, restart or race it must find nothing. It
believes no cache and no file name; every byte is hashed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from incumbent.errors import PipelineError
from incumbent.records import ModelVersion, Snapshot, canonical_json
from incumbent.store.check_ledger import check_ledger
from incumbent.store.store import ModelStore, Store
from incumbent.store.tables import PARTITION, Table
from incumbent.store.violation import Violation


def check(store: Store) -> list[Violation]:
    """Return every violation in a store, in a stable order; an empty list is a sound store."""
    violations: list[Violation] = []
    for name in store.models():
        violations += check_model(store.model(name))
    return violations


def check_model(store: ModelStore) -> list[Violation]:
    """Return the violations of one model's store."""
    checks = (_tables, _objects, _records, _snapshots, _versions, check_ledger, _predictions)
    return [violation for step in checks for violation in step(store)]


def _tables(store: ModelStore) -> Iterator[Violation]:
    for name, table in store.tables().items():
        try:
            parts = table.parts()
        except PipelineError as error:
            yield Violation("a table can be opened", name, error.what)
            continue
        for part in parts.values():
            yield from _file(table, part.partition, part.digest, part.rows, f"{name}, partition {part.partition}")


def _file(table: Table, partition: str, digest: str, rows: int, where: str) -> Iterator[Violation]:
    path = table.folder / f"{PARTITION}={partition}" / f"{digest}.parquet"
    if not path.exists():
        yield Violation("committed data is there", where, f"{path.name} is missing")
    elif _sha256(path) != digest:
        yield Violation("committed data is unchanged", where, f"{path.name} has other content")
    elif (found := pq.ParquetFile(path).metadata.num_rows) != rows:
        yield Violation("row counts are right", where, f"{found} rows, the commit says {rows}")


def _objects(store: ModelStore) -> Iterator[Violation]:
    for path in sorted(store.objects.root.glob("??/*")):
        if not path.name.startswith(".") and _sha256(path) != path.name:
            yield Violation("an object's name is its digest", str(path), "other content")


def _records(store: ModelStore) -> Iterator[Violation]:
    for path in sorted(store.records.root.rglob("*.json")):
        data = path.read_bytes()
        try:
            plain = json.loads(data)
        except ValueError as error:
            yield Violation("a record is JSON", str(path), str(error))
            continue
        if canonical_json(plain) != data:
            yield Violation("a record is canonical JSON", str(path), "other bytes for the same value")


def _snapshots(store: ModelStore) -> Iterator[Violation]:
    for name in store.records.names(Snapshot.kind):
        snapshot = store.records.get(Snapshot, name)
        if snapshot.id != name:
            yield Violation("a snapshot's name is its digest", f"snapshots/{name}", snapshot.id)
        features = store.features(snapshot.definition)
        for part in snapshot.features:
            where = f"snapshot {name[:16]}, features {part['partition']}"
            yield from _file(features, part["partition"], part["digest"], part["rows"], where)
        for part in snapshot.outcomes:
            where = f"snapshot {name[:16]}, outcomes {part['partition']}"
            tables = [table for key, table in store.tables().items() if key.startswith("outcomes/")]
            found = [list(_file(table, part["partition"], part["digest"], part["rows"], where)) for table in tables]
            if found and all(found):
                yield from found[0]


def _predictions(store: ModelStore) -> Iterator[Violation]:
    if "predictions" not in store.tables():
        return
    ledger = {promotion.generation: promotion.version for promotion in store.ledger()}
    for partition in store.predictions.parts():
        where = f"predictions, partition {partition}"
        try:
            rows = store.predictions.read([partition], ["generation", "version"])
        except PipelineError:
            continue  # reported by the table check, with the reason
        pairs = rows.group_by(["generation", "version"]).aggregate([]).to_pylist()
        if len(pairs) > 1:
            yield Violation("one generation per predictions partition", where, f"{len(pairs)} generations")
        for pair in pairs:
            if ledger.get(pair["generation"]) != pair["version"]:
                yield Violation("predictions name the generation that made them", where, str(pair)[:120])
        if pc.any(pc.is_null(rows["generation"])).as_py():
            yield Violation("predictions name the generation that made them", where, "no generation")


def _versions(store: ModelStore) -> Iterator[Violation]:
    for name in store.records.names(ModelVersion.kind):
        if (found := store.records.get(ModelVersion, name).digest) != name:
            yield Violation("a version's name is its file's digest", f"versions/{name}", found)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
