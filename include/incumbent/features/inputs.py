"""What a partition's features are computed from: chosen by the first build, and the same ever after."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.records import Part, digest_of
from incumbent.store import ModelStore

ONCE = "once"
PINS = "pins"
PROFILES = "profiles"


@dataclass(frozen=True)
class Inputs:
    """The exact contents behind one feature partition, for every definition alike.

    Attributes:
        partition: Partition key.
        batch: Content of the batch source.
        parts: Contents by source, the batch source included.
        digest: One digest of all of it.
    """

    partition: str
    batch: Part
    parts: Mapping[str, tuple[Part, ...]]
    digest: str


Delivered = Mapping[str, Mapping[str, Part]]
Seen = Mapping[str, Sequence[Part]]


def delivered(store: ModelStore, model: Model, known_at: datetime | None = None) -> Delivered:
    """Return the contents of each source, by source and partition, now or at a moment, for a walk over many."""
    sources = (model.batch_source, *model.context_sources)
    return {source: store.source(model.sources[source].role, source).parts(known_at) for source in sources}


def pinned_inputs(store: ModelStore, model: Model, partition: str, now: Delivered | None = None) -> Inputs:
    """Return what the features of a partition are computed from.

    The batch and the context of its days, the look-back included, say what it is about: a correction
    of any of them is something new, and so is a late one, so that the order of arrival does not matter.
    Tables that come once are pinned as they were when the partition was first built. Otherwise a re-run
    next spring would find another list of planes, and a champion and its challenger could be compared
    on different facts.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        now: What is `delivered`, if the caller has looked already.

    Raises:
        FeatureError: A source has nothing for this partition yet.
    """
    now = delivered(store, model) if now is None else now
    if missing := missing_sources(store, model, partition, now):
        raise FeatureError(
            "a source has no rows for this partition yet",
            where=f"source {missing[0]}, partition {partition}",
            expected="an accepted delivery",
            found="none",
            next_step=f"deliver the file; if it was delivered, look at the last run of ingest_{missing[0]}",
        )
    seen = _all_seen(model, partition, now)
    stands = store.records.claim(PINS, pin_name(model, partition, seen), plain_pin(seen))
    return inputs_of(model, partition, stands)


def pinned(store: ModelStore, model: Model, partition: str, now: Delivered) -> Inputs | None:
    """Return the inputs that a build has pinned for a partition of what was delivered, or None; see `pinned_inputs`."""
    name = pin_name(model, partition, _all_seen(model, partition, now))
    return inputs_of(model, partition, store.records.get_plain(PINS, name)) if store.records.has(PINS, name) else None


def pin_name(model: Model, partition: str, seen: Seen) -> str:
    """Return the name of the pin of some contents; those that come once are pinned by it and not named."""
    keyed = {key: [part.digest for part in found] for key, found in seen.items() if not model.sources[key].once}
    return f"inputs/{partition}-{digest_of({'keyed': keyed, 'sources': sorted(seen)})[:16]}"


def plain_pin(seen: Seen) -> dict[str, Any]:
    """Return the pin of some contents as it is stored."""
    return {key: [asdict(part) for part in found] for key, found in seen.items()}


def inputs_with(store: ModelStore, model: Model, partition: str, digests: Collection[str]) -> Inputs | None:
    """Return the pinned inputs of a partition that have one of these digests, or None."""
    for name in store.records.names(PINS, f"inputs/{partition}-"):
        pin = store.records.get_plain(PINS, name)
        if model.batch_source in pin and (found := inputs_of(model, partition, pin)).digest in digests:
            return found  # a pin without it is of a time when the source had another name
    return None


def looking_back(store: ModelStore, model: Model, source: str, partition: str) -> list[str]:
    """Return the later partitions, delivered already, whose features look at this one of a context source."""
    settings = model.sources[source]
    if settings.role != "context" or settings.once:
        return []
    delivered = store.source("batch", model.batch_source).parts()
    return [key for key in delivered if model.context_partitions(source, key)[0] <= partition < key]


def missing_sources(store: ModelStore, model: Model, partition: str, now: Delivered | None = None) -> list[str]:
    """Return the sources that a partition's features still wait for, in a stable order."""
    now = delivered(store, model) if now is None else now
    return [source for source in now if (ONCE if model.sources[source].once else partition) not in now[source]]


def inputs_of(model: Model, partition: str, pin: Mapping[str, Any]) -> Inputs:
    """Return the inputs that a pin names."""
    parts = {key: tuple(Part(**plain) for plain in found) for key, found in pin.items()}
    digest = digest_of({key: [part.digest for part in found] for key, found in parts.items()})
    return Inputs(partition, parts[model.batch_source][0], parts, digest)


def _all_seen(model: Model, partition: str, now: Delivered) -> Seen:
    return {source: seen_of(model, source, partition, now[source]) for source in now}


def seen_of(model: Model, source: str, partition: str, parts: Mapping[str, Part]) -> list[Part]:
    """Return the contents of a source that a partition may look at."""
    if model.sources[source].once:
        return [parts[ONCE]]
    if source == model.batch_source:
        return [parts[partition]]
    first, last = model.context_partitions(source, partition)
    return [part for key, part in parts.items() if first <= key <= last]
