"""What a replay or a release names: the contents that it starts from, its contract, its corrected rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.records import Revisit
from incumbent.store.check_walk import Walk
from incumbent.store.live import ROLES
from incumbent.store.removals import OBJECTS
from incumbent.store.violation import Violation


def check_revisit(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of one step of an order: it was opened, and while it waits its contents are there."""
    kind, source, partition, order, step = where.split("/")
    name = f"{source}/{partition}/{order}"
    if step != "open":
        yield from walk.record(kind, f"{name}/open", where)
        return
    revisit = Revisit.from_json(plain)
    if revisit.id != order:
        yield Violation("a record lies under its own name", where, f"it is order {revisit.id}")
    yield from walk.object(revisit.contract_digest, where, "the contract")
    if revisit.corrections and not walk.is_removed(OBJECTS, "", revisit.corrections):
        yield from walk.object(revisit.corrections, where, "the corrected rows")
    if walk.store.records.has(kind, f"{name}/done"):
        return
    yield from walk.content([f"{role}/{source}" for role in ROLES], partition, revisit.accepted["digest"], where)
    if revisit.aside:
        yield from walk.content([f"quarantine/{source}"], partition, revisit.aside["digest"], where)
