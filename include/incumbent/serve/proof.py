"""Whether a definition gives a row by itself what it gives the row in its batch.

A window over the batch, such as how many rows share an hour, is another number for a row that comes alone, and nothing
would say so. So rows that were computed in their batch are computed again one by one, and what differs is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.features.build import committed
from incumbent.features.inputs import Delivered, Inputs, pinned
from incumbent.provenance.recompute import differing
from incumbent.records import Part
from incumbent.store import ModelStore
from incumbent.store.removals import kept

ROWS = 100
LOOKED_AT = 12  # partitions, the newest
BATCH_ROWS = 65_536
Alone = Callable[[Mapping[str, Any], pa.Table, str], pa.Table]


@dataclass(frozen=True)
class Proof:
    """What came of the comparison.

    Attributes:
        partition: Partition whose rows were compared.
        rows: Their features as they are stored.
        of_the_batch: Features that a row by itself does not have, in the order of the definition.
    """

    partition: str
    rows: pa.Table | None
    of_the_batch: tuple[str, ...]


def proven(store: ModelStore, model: Model, definition: str, now: Delivered, alone: Alone) -> Proof:
    """Return which features of a definition need other rows of the batch.

    Args:
        store: The model's store.
        model: Its configuration.
        definition: Feature definition digest.
        now: What was delivered of each source.
        alone: Returns the features of some rows, each computed by itself, over exact contents.

    Raises:
        FeatureError: There is nothing to compare with, or the definition does not run.
    """
    for inputs, part in _built(store, model, definition, now):
        features = pa.Table.from_batches([next(store.features(definition).batches(part, BATCH_ROWS))])
        chosen = np.random.default_rng(int(part.digest[:8], 16)).permutation(features.num_rows)[:ROWS]
        features = features.take(pa.array(np.sort(chosen)))
        batch = _rows_of(store, model, inputs, features.select(list(model.keys)))
        if batch.num_rows == features.num_rows:
            order = [(name, "ascending") for name in model.keys]
            again = alone(inputs.parts, batch, inputs.partition).sort_by(order)
            return Proof(
                inputs.partition, features, tuple(differing(features.sort_by(order).to_batches(), again.to_batches()))
            )
    raise FeatureError(
        "nothing shows what the features of a single row are",
        where=f"model {model.name}, definition {definition[:16]}",
        expected=f"features of a batch among the newest {LOOKED_AT} partitions, to compute some of them again",
        found="none that were made from what is there now",
        next_step="let the newest partition be scored; published predictions are answered meanwhile",
    )


def _built(store: ModelStore, model: Model, definition: str, now: Delivered) -> Iterator[tuple[Inputs, Part]]:
    """Yield the newest features that were made from contents that are there."""
    there = sorted(store.features(definition).parts().items(), reverse=True)
    for partition, part in there[:LOOKED_AT]:
        if partition not in now[model.batch_source] or not part.rows:
            continue
        inputs = pinned(store, model, partition, now)
        if inputs is not None and committed(store, definition, inputs) == part:
            yield inputs, part


def _rows_of(store: ModelStore, model: Model, inputs: Inputs, keys: pa.Table) -> pa.Table:
    """Return the rows of the batch that have some keys."""
    table = store.batches(model.batch_source)
    found: list[pa.Table] = []
    for batch in table.batches(kept(store.records, table.name, inputs.batch), BATCH_ROWS):
        found.append(pa.Table.from_batches([batch]).join(keys, list(model.keys), join_type="inner"))
        if sum(each.num_rows for each in found) == keys.num_rows:
            break
    return pa.concat_tables(found)
