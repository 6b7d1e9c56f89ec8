"""The features of a window as they were known at a moment: what came late or was restated since is not seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from incumbent.config import Model
from incumbent.features.build import build_from, built_name, is_accepted
from incumbent.features.inputs import PROFILES, delivered, missing_sources, pinned
from incumbent.records import Part
from incumbent.store import ModelStore


@dataclass(frozen=True)
class Known:
    """Features as they were known at a moment.

    Attributes:
        parts: Content of each partition.
        unbuilt: Partitions whose inputs were there and whose features nobody has computed under this definition.
    """

    parts: dict[str, Part]
    unbuilt: tuple[str, ...]


def known_features(store: ModelStore, model: Model, definition: str, until: str, known_at: datetime) -> Known:
    """Return what a training at a moment would have seen; nothing is computed.

    A batch counts with the context that was there beside it, whenever its features were computed. One that no
    definition had let through (held, or never judged) leaves the partition as the table held it then.

    Args:
        store: The model's store.
        model: Its configuration.
        definition: Feature definition digest.
        until: Newest partition.
        known_at: Moment, in UTC.
    """
    then = delivered(store, model, known_at)
    held = store.features(definition).parts(known_at)
    parts, unbuilt = dict[str, Part](), []
    for partition, batch in then[model.batch_source].items():
        if partition > until:
            continue
        inputs = None
        if not missing_sources(store, model, partition, then):
            inputs = pinned(store, model, partition, then)
        if inputs is None or not is_accepted(store, inputs):
            parts |= {partition: held[partition]} if partition in held else {}
            continue
        name = built_name(definition, inputs)
        if store.records.has(PROFILES, name):
            # One row for each of the batch, under every definition.
            parts[partition] = Part(partition, store.records.get_plain(PROFILES, name)["features"], batch.rows)
        else:
            unbuilt.append(partition)
    return Known(dict(sorted(parts.items())), tuple(unbuilt))


def build_known(store: ModelStore, model: Model, definition: str, until: str, known_at: datetime) -> list[str]:
    """Compute what `known_features` lacks, beside what the table holds now; return the partitions."""
    then = delivered(store, model, known_at)
    unbuilt = known_features(store, model, definition, until, known_at).unbuilt
    for partition in unbuilt:
        if (inputs := pinned(store, model, partition, then)) is not None:
            build_from(store, model, definition, inputs)
    return list(unbuilt)
