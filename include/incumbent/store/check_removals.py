"""What a record of something that was taken away says: it is gone, and what was left of it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.store.check_walk import Walk
from incumbent.store.removals import ERASURE, OBJECTS, Removal
from incumbent.store.store import OBJECTS as BELOW
from incumbent.store.violation import Violation

GONE = "what was erased is gone"
FINISHED = "an erasure is finished"
OPEN, DONE = "open", "done"


def check_removal(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of one removal; content that retention took away may have come back with a delivery."""
    removal = Removal.from_json(plain)
    if removal.name != (name := where.split("/", 1)[1]):
        yield Violation("a record lies under its own name", where, f"it is of {removal.name}, not of {name}")
    if removal.why != ERASURE:
        return
    file = f"{walk.folder(removal.table, removal.partition)}/{removal.digest}.parquet"
    if removal.table == OBJECTS:
        file = f"{BELOW}/{walk.store.objects.key(removal.digest)}"
    if walk.store.blobs.has(file):
        yield Violation(GONE, where, f"{file} is there")
    if removal.successor:
        yield from walk.data([removal.table], removal.partition, removal.successor, removal.left, where)


def check_erasure(walk: Walk, where: str, _: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield a violation of an erasure that was begun and not finished; `incumbent erase` goes on with it."""
    kind, erasure, step = where.split("/")
    if step == OPEN and not any(DONE in name for name in walk.store.records.names(kind, f"{erasure}/")):
        yield Violation(FINISHED, where, "it was begun only; run the same `incumbent erase` again")
