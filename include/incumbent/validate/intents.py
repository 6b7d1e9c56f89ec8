"""What an ingest is about to commit, written down first.

A process that is killed between the commit of its rows and their record leaves rows that nobody
recorded. The intent says whose they are until the same file is judged again, so that the store's
check can tell them from rows that came another way.
"""

from __future__ import annotations

from incumbent.records import Ingest, Part
from incumbent.store import ModelStore
from incumbent.validate.delivery import Delivery


def intend(store: ModelStore, delivery: Delivery, part: Part) -> None:
    """Write down the content that a delivery is about to commit."""
    intent = {
        "source": delivery.source,
        "partition": delivery.partition,
        "raw_digest": delivery.raw_digest,
        "digest": part.digest,
    }
    store.intents.put_plain(Ingest.kind, _name(delivery, part.digest), intent)


def settle(store: ModelStore, delivery: Delivery, record: Ingest) -> None:
    """Take away the intent that a record answers: left there, it would hide the loss of the record."""
    if record.digest:
        store.intents.remove(Ingest.kind, _name(delivery, record.digest))


def _name(delivery: Delivery, digest: str) -> str:
    return f"{delivery.record_name}-{digest[:16]}"
