"""What the predictions table holds now, or held, by what made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from incumbent.records import Part
from incumbent.store import ModelStore

BATCH_ROWS = 65_536
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
    wanted = parts if partitions is None else [each for each in partitions if each in parts]
    return [each for key in wanted for each in scored_in(store, parts[key])]


def scored_in(store: ModelStore, part: Part) -> list[Scored]:
    """Return what made the predictions of a content, current or past.

    Raises:
        StoreError: It is gone or has changed.
    """
    counted = Counter[tuple[Any, ...]]()
    for batch in store.predictions.batches(part, BATCH_ROWS, MADE):  # of all rows the digests would take gigabytes
        rows = pa.Table.from_batches([batch]).group_by(MADE).aggregate([([], "count_all")])
        for each in rows.to_pylist():
            counted[tuple(each[name] for name in MADE)] += each["count_all"]
    return [Scored(part.partition, count, *made) for made, count in counted.items()]
