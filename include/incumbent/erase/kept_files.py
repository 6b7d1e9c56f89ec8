"""What was kept of deliveries beside their rows, and goes when it holds the key or nobody can tell."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.erase.keys import Key
from incumbent.errors import BatchError
from incumbent.records import Ingest, Revisit
from incumbent.sensitive import MASK
from incumbent.store import ModelStore
from incumbent.store.removals import ERASURE, OBJECTS, Removal
from incumbent.validate.admission import admit
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import DeliveredRows


def stopped_with(store: ModelStore, model: Model, key: Key, erasure: str) -> list[tuple[Removal, list[str]]]:
    """Return the kept files that are to go, each with its ingest records that repeat a value of the key."""
    found: dict[str, list[str]] = {}
    for name, record in _stopped(store):
        if record.raw_digest not in found and _may_hold(store, model, key, record):
            found[record.raw_digest] = []
        if record.raw_digest in found and _repeats(record, key):
            found[record.raw_digest].append(name)
    return [
        (Removal(OBJECTS, "", digest, 0, ERASURE, erasure=erasure), names) for digest, names in sorted(found.items())
    ]


def told_with(store: ModelStore, key: Key, erasure: str) -> Iterator[Removal]:
    """Yield the removals of corrected rows that have the key, and of results that repeat a value of it."""
    for name in store.records.names(Revisit.kind):
        if name.endswith("/open") and (digest := store.records.get(Revisit, name).corrections) in store.objects:
            rows = [json.loads(line)["row"] for line in store.objects.get(digest).splitlines() if line.strip()]
            if any(key.is_of(row) or any(row.get(name) == MASK for name in key.columns) for row in rows):
                yield Removal(OBJECTS, "", digest, 0, ERASURE, erasure=erasure)
    for digest in sorted({record.results for record in store.records.all(Ingest)} - {""}):
        if digest in store.objects and any(_tells(found, key) for found in json.loads(store.objects.get(digest))):
            yield Removal(OBJECTS, "", digest, 0, ERASURE, erasure=erasure)


def _tells(found: Mapping[str, Any], key: Key) -> bool:
    """Return whether an expectation of the user's own found a value of the key; a contract's rule has only counts."""
    return not found["rule"] and not set(key.values.values()).isdisjoint(_scalars(found["result"]))


def _scalars(plain: Any) -> Iterator[str]:
    if isinstance(plain, Mapping):
        for each in plain.values():
            yield from _scalars(each)
    elif isinstance(plain, list):
        for each in plain:
            yield from _scalars(each)
    else:
        yield str(plain)


def _stopped(store: ModelStore) -> Iterator[tuple[str, Ingest]]:
    for name in store.records.names(Ingest.kind):
        record = store.records.get(Ingest, name)
        if record.verdict == "stopped" and record.raw_digest in store.objects:
            yield name, record


def _may_hold(store: ModelStore, model: Model, key: Key, record: Ingest) -> bool:
    """Return whether a stopped file holds the key, or cannot be read."""
    if record.contract_digest not in store.objects or record.source not in model.sources:
        return True
    contract = SourceContract.model_validate(json.loads(store.objects.get(record.contract_digest)))
    if not set(key.columns) <= contract.columns.keys():
        return False
    if not key.hashed <= set(contract.hashed):  # it came before its values were hashed: which they are, nobody can tell
        return True
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        copy = Path(folder) / f"delivery{Path(model.sources[record.source].path).suffix}"
        copy.write_bytes(store.objects.get(record.raw_digest))
        rows = DeliveredRows(Path(folder), contract, record.source, [])
        try:
            admit(copy, copy, contract, rows)
        except BatchError:
            return True
        return bool(pc.any(key.rows_of(rows.keys(key.columns))).as_py())


def _repeats(record: Ingest, key: Key) -> bool:
    """Return whether the reason of a stopped delivery names a value of the key as its example."""
    said = json.dumps([record.message, dict(record.failures)], ensure_ascii=False)
    return any(f"{name} = {text}" in said for name, text in key.values.items())
