"""What was published of the predictions and stands in databases and folders, and how much of it rests on something.

A place may hold another content than the store: after a repair until it is published again, and for good once it was
taken out of `model.yaml`. So each copy is judged by the content that was copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incumbent.config import Publish
from incumbent.errors import StoreError
from incumbent.provenance.scored import Scored, scored_in
from incumbent.publish.due import KIND, place_of, standing
from incumbent.records import Part
from incumbent.store import ModelStore


@dataclass(frozen=True)
class Copied:
    """A partition of predictions in a place that it was published to.

    Attributes:
        partition: Partition key.
        place: Name of the place in `publish` of model.yaml.
        address: Table and connection, or path; empty if model.yaml names another one under this name today, or none.
        rows: How many were published.
        touched: How many of them rest on it; None if that content is not kept any more, so that nobody knows.
        is_current: Whether it is what the predictions table holds.
    """

    partition: str
    place: str
    address: str
    rows: int
    touched: int | None
    is_current: bool


def copied(store: ModelStore, targets: Mapping[str, Publish], rests: Callable[[Scored], bool]) -> list[Copied]:
    """Return the copies that have rows which rest on something, or of which nobody knows.

    Args:
        store: The model's store.
        targets: `publish` of model.yaml.
        rests: Whether rows that one thing made rest on it.
    """
    addresses = {place_of(name, target): _address(target) for name, target in targets.items()}
    now, found = store.predictions.parts(), list[Copied]()
    for (partition, place), record in standing(store).items():
        rows = int(store.records.get_plain(KIND, record)["rows"])
        part = Part(partition, record.rpartition("-")[2], rows)
        touched = _touched(store, part, rests)
        if touched != 0:
            name, address = place.rpartition("-")[0], addresses.get(place, "")
            found.append(Copied(partition, name, address, rows, touched, now.get(partition) == part))
    return found


def _address(target: Publish) -> str:
    return f"{target.table} of connection {target.connection}" if target.table else str(target.path)


def _touched(store: ModelStore, part: Part, rests: Callable[[Scored], bool]) -> int | None:
    try:
        return sum(each.rows for each in scored_in(store, part) if rests(each))
    except StoreError:  # retention or an erasure took it away, or it is damaged: the place has it all the same
        return None
