"""Walk the whole store and report every broken promise.

This is the oracle of the fault tests: after any kill, restart or race it must find nothing. It
believes no cache and no file name; every byte is hashed again, and whatever one record, object or
table names is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from incumbent.store.check_deliveries import check_deliveries
from incumbent.store.check_ledger import check_ledger
from incumbent.store.check_predictions import check_predictions
from incumbent.store.check_records import check_records
from incumbent.store.check_retention import check_retention
from incumbent.store.check_tables import check_tables
from incumbent.store.check_walk import Walk
from incumbent.store.store import OBJECTS, ModelStore, Store
from incumbent.store.violation import Violation, guarded


def check(store: Store) -> list[Violation]:
    """Return every violation in a store, in a stable order; an empty list is a sound store."""
    return [
        replace(violation, where=f"{name}/{violation.where}")
        for name in store.models()
        for violation in check_model(store.model(name))
    ]


def check_model(store: ModelStore) -> list[Violation]:
    """Return the violations of one model's store."""
    walk = Walk(store)
    steps = {
        "tables": check_tables(walk),
        "objects": _objects(walk),
        "records": check_records(walk),
        "promotions": check_ledger(store),
        "ingests": check_deliveries(walk),
        "predictions": check_predictions(walk),
        "removals": check_retention(store),
    }
    found = [each for where, step in steps.items() for each in guarded("the store can be walked", where, step)]
    return list(dict.fromkeys(found))  # a table that two steps cannot read is one violation


def _objects(walk: Walk) -> Iterator[Violation]:
    for where in walk.store.blobs.names(OBJECTS):
        digest = where.rpartition("/")[2]
        if where != f"{OBJECTS}/{walk.store.objects.key(digest)}":
            yield Violation("an object's name is its digest", where, "in another object's folder")
        yield from guarded("an object can be read", where, _object(walk, where, digest))


def _object(walk: Walk, where: str, digest: str) -> Iterator[Violation]:
    if walk.sha256(where) != digest:
        yield Violation("an object's name is its digest", where, "other content")
