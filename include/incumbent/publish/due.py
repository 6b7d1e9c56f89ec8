"""Which partitions are published where, and which wait because an event or a run got lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from incumbent.config import Publish
from incumbent.publish.content import Published
from incumbent.records import digest_of
from incumbent.store import ModelStore
from incumbent.store.announcements import may_announce

KIND = "publications"
SEEN = "seen"
LOST_AFTER = timedelta(minutes=10)


def record(store: ModelStore, name: str, target: Publish, done: Published) -> None:
    """Write down that a content stands in a place; what the place itself says of it counts, not this."""
    said = {"rows": done.rows}
    store.records.claim(KIND, f"{done.partition}/{place_of(name, target)}/{done.number:012d}-{done.digest}", said)


def claim_waiting(store: ModelStore, targets: Mapping[str, Publish], owner: str, now: datetime) -> list[str]:
    """Return the partitions whose predictions some place lacks, and that this owner is to announce.

    A content that is seen for the first time may have a run that is about to publish it: it is left alone for a while.

    Args:
        store: The model's store.
        targets: `publish` of model.yaml.
        owner: Run that looks; one that is tried again announces its own again.
        now: The time, in UTC.
    """
    newest = {where: name.rpartition("-")[2] for where, name in standing(store).items()}
    found = []
    for partition, part in store.predictions.parts().items():
        lacking = [
            place
            for place in (place_of(name, target) for name, target in targets.items())
            if newest.get((partition, place)) != part.digest
        ]
        if not lacking:
            continue
        series = f"{partition}/{SEEN}/{digest_of([part.digest, lacking])[:16]}"
        first = store.records.claim(KIND, f"{series}-since", {"at": now.isoformat()})
        if now > datetime.fromisoformat(first["at"]) + LOST_AFTER and may_announce(
            store.records, KIND, series, owner, now, 2 * LOST_AFTER
        ):
            found.append(partition)
    return found


def standing(store: ModelStore) -> dict[tuple[str, str], str]:
    """Return the record of what was published last, by partition and place; see `place_of`."""
    names = (name.split("/") for name in store.records.names(KIND))  # in text order, which is that of the versions
    return {(partition, place): f"{partition}/{place}/{what}" for partition, place, what in names if place != SEEN}


def place_of(name: str, target: Publish) -> str:
    """Return what publications to a place are filed under: named like another before it, it is still another."""
    return f"{name}-{digest_of(list(target.place))[:8]}"
