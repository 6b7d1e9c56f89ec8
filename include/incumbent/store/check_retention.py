"""What retention took away is what nothing needs: the removal is on record, and so is what it must have left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from incumbent.store.live import Content, live
from incumbent.store.removals import RETENTION, Removal
from incumbent.store.store import ModelStore
from incumbent.store.vacuum import file_of
from incumbent.store.violation import Violation

LEFT = "retention leaves what is needed"


def check_retention(store: ModelStore) -> Iterator[Violation]:
    """Yield a violation for each content that is gone and that a table, a record or a prediction still needs."""
    removals = (each for each in store.records.all(Removal) if each.why == RETENTION)
    named = {Content(each.table, each.partition, each.digest): each.name for each in removals}
    gone = {content: name for content, name in named.items() if not store.blobs.has(file_of(content))}
    for content in sorted(gone.keys() & live(store, datetime.max.replace(tzinfo=UTC)) if gone else ()):
        yield Violation(LEFT, f"removals/{gone[content]}", f"{content.table} {content.partition} is needed")
