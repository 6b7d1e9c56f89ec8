"""What the predictions table holds now, by what made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incumbent.store import ModelStore

MADE = ["generation", "version", "batch_digest", "definition", "features_digest"]


@dataclass(frozen=True)
class Scored:
    """Rows of a partition that one thing made.

    Attributes:
        partition: Partition key.
        rows: How many.
        generation: Position in the ledger of who predicted them.
        version: Digest of who did.
        batch_digest: Content of the batch.
        definition: Digest of the feature definition.
        features_digest: Content of the features.
    """

    partition: str
    rows: int
    generation: int
    version: str
    batch_digest: str
    definition: str
    features_digest: str


def scored_now(store: ModelStore, partitions: Sequence[str] | None = None) -> list[Scored]:
    """Return what made the predictions that stand, by partition; of all partitions if none are named."""
    parts = store.predictions.parts()
    found = []
    for key in parts if partitions is None else [each for each in partitions if each in parts]:
        rows = store.predictions.read_parts([parts[key]], MADE)
        counted = rows.group_by(MADE).aggregate([([], "count_all")]).to_pylist()
        found += [Scored(key, each["count_all"], *(each[name] for name in MADE)) for each in counted]
    return found
