"""Predictions made again: from the raw file where it is there, and compared at each step with what is stored.

All rows of a partition are made and compared, batch by batch; what is kept is those that somebody asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.features.compute import BATCH_ROWS, computed
from incumbent.features.definition import stored_text
from incumbent.features.inputs import Inputs
from incumbent.provenance.chain import Chain, Made
from incumbent.provenance.delivered import delivery_now, inputs_behind
from incumbent.provenance.link import BROKEN, GONE, VERIFIED, Link, content, failed
from incumbent.records import Ingest, ModelVersion, Part, Revisit
from incumbent.score.rows import REASON, Predict, Scored, scored
from incumbent.store import ModelStore
from incumbent.store.removals import kept
from incumbent.validate.again import accepted_again, in_step, stored_rows
from incumbent.validate.delivery import ONCE

TOLERANCE = 1e-6
RAW, BATCH = "raw file", "batch content"


@dataclass(frozen=True)
class Again:
    """Rows of a batch as they are made again.

    Attributes:
        start: `raw file`, or `batch content`.
        features: Feature rows of the keys that were asked for; None if they cannot be made.
        links: Whether what the file gives is what is stored, and what the batch gives.
    """

    start: str
    features: pa.Table | None
    links: tuple[Link, ...]


def made_again(chain: Chain, features: Part, made: Made, keys: pa.Table) -> Again:
    """Return the feature rows that something was predicted from, computed again.

    Args:
        chain: The chain of the model, with its drop folder.
        features: Partition and content of the features.
        made: What the prediction says made it.
        keys: Keys of the rows that are asked for, in the columns of the model's key.
    """
    name, start, links = "features made again", BATCH, tuple[Link, ...]()
    try:  # what is damaged can fail in any way
        inputs = inputs_behind(chain.store, chain.model, made.definition, features, made.batch_digest)
        if inputs is None:
            found = "no profile and pin name these features and this batch"
            return Again(BATCH, None, (Link(name, "", state=BROKEN, found=found),))
        start, links = _batch(chain, inputs)
        if any(_is_gone(chain, inputs)):
            found = "something that they were computed from was taken away on purpose"
            return Again(start, None, (*links, Link(name, "", state=GONE, found=found)))
        with computed(chain.store, chain.model, stored_text(chain.store, made.definition), inputs) as rows:
            passing = Passing(rows, keys)
            link = _features(chain, made, features, passing)
        return Again(start, passing.found(), (*links, link))
    except Exception as error:
        return Again(start, None, (*links, failed(name, error)))


def predicted_again(store: ModelStore, model: Model, made: Made, rows: pa.Table, predict: Predict) -> Scored:
    """Return what the version that predicted says of feature rows now.

    Raises:
        ModelError: It cannot score them.
        StoreError: Its file is missing or altered.
    """
    version = store.records.get(ModelVersion, made.version)
    return scored(version, rows, [*model.keys, model.time], predict)


def difference(stored: Mapping[str, Any], again: Mapping[str, Any] | None) -> float:
    """Return by how much a row differs from the same row made again, at the most; infinite if it is another one.

    >>> difference({"prediction": 0.25}, {"prediction": 0.25000025}) < TOLERANCE
    True
    >>> difference({"prediction": "late"}, {"prediction": "early"}), difference({"reason": "why"}, None)
    (inf, inf)
    """
    if again is None:
        return float("inf")
    most = 0.0
    for name in ("prediction", "probability", "probabilities", REASON):
        if (name in stored) != (name in again):
            return float("inf")
        one, other = stored.get(name), again.get(name)
        if isinstance(one, str) or one is None or other is None:
            most = max(most, 0.0 if one == other else float("inf"))
        elif np.shape(one) != np.shape(other):
            return float("inf")
        else:
            most = max(most, float(np.max(np.abs(np.subtract(one, other)), initial=0.0)))
    return most


def differing(rows: Iterable[pa.RecordBatch], others: Iterable[pa.RecordBatch]) -> list[str]:
    """Return the columns in which two streams of the same rows differ; `rows` if they have not as many.

    >>> one, other = pa.table({"a": [1.0, None], "b": [1, 2]}), pa.table({"a": [1.0, None], "b": [1, 3]})
    >>> differing(one.to_batches(), other.to_batches(1)), differing(one.to_batches(), other[:1].to_batches())
    (['b'], ['rows'])
    """
    found = dict[str, None]()
    for step in in_step(rows, others):
        if step is None:
            return ["rows"]
        one, other = step
        there = set(other.schema.names)
        for name in one.schema.names:
            if name not in found and (name not in there or not _same(one.column(name), other.column(name))):
                found[name] = None
    return list(found)


def _same(values: pa.Array, others: pa.Array) -> bool:
    if not (pa.types.is_floating(values.type) and pa.types.is_floating(others.type)):
        return bool(values.equals(others.cast(values.type)))
    if not values.is_null().equals(others.is_null()):
        return False
    one, other = (np.asarray(each.drop_null(), dtype=np.float64) for each in (values, others))
    return bool(np.allclose(one, other, rtol=1e-12, atol=0.0, equal_nan=True))


def _batch(chain: Chain, inputs: Inputs) -> tuple[str, tuple[Link, ...]]:
    """Return where the rows can be made from, and whether the file gives the batch that is stored."""
    store, model, source = chain.store, chain.model, chain.model.batch_source
    name, table = "batch made again", store.batches(source).name
    record = delivery_now(store, chain.files, source, table, inputs.batch)
    if record is None:  # the chain says so
        return BATCH, ()
    if chain.files.sha256(source, record.partition) != record.raw_digest:
        return BATCH, (Link(name, "from the batch content", state=GONE, found="the raw file is not there"),)
    left = kept(store.records, table, Part(inputs.partition, record.digest, record.rows))
    if (stored := content(chain.walk, name, table, left)).state != VERIFIED:
        return BATCH, (stored,)
    try:
        with accepted_again(store, model, record, chain.files.path(source, record.partition)) as again:
            other = differing(stored_rows(store, model, record), again)
    except Exception as error:
        return BATCH, (failed(name, error, GONE if record.revisit and _starts_are_gone(chain, record) else BROKEN),)
    if other:
        found = f"what the raw file gives differs from it in {', '.join(other[:5])}"
        return RAW, (Link(name, "", left.digest, BROKEN, found),)
    return RAW, (Link(name, f"the raw file gives all of its {left.rows} rows", left.digest),)


def _starts_are_gone(chain: Chain, record: Ingest) -> bool:
    """Return whether the rows that a replay started from, accepted or set aside, were taken away on purpose."""
    below, source = f"{record.source}/{record.partition or ONCE}", record.source
    revisit = chain.store.records.get(Revisit, f"{below}/{record.revisit}/open")
    named = [(chain.store.batches(source).name, revisit.accepted), (chain.store.quarantine(source).name, revisit.aside)]
    return any(content(chain.walk, "", table, Part(**part)).state == GONE for table, part in named)


def _is_gone(chain: Chain, inputs: Inputs) -> Iterator[bool]:
    """Yield of each content that rows are computed from whether it, or what was left of it, was taken away."""
    for source, parts in inputs.parts.items():
        if source in chain.model.sources:
            table = chain.store.source(chain.model.sources[source].role, source).name
            left = (kept(chain.store.records, table, part) for part in parts)
            yield from (content(chain.walk, "", table, part).state == GONE for part in left)


class Passing:
    """Rows as they pass by, of which those are kept that have some keys.

    Args:
        rows: All of them.
        keys: The keys, in columns of the same names.
    """

    def __init__(self, rows: pa.RecordBatchReader, keys: pa.Table) -> None:
        self.rows = rows
        wanted = pa.schema([rows.schema.field(name) for name in keys.column_names])
        self.keys = keys.cast(wanted.remove_metadata())
        self.count = 0
        self._kept = [rows.schema.empty_table()]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Let the rows pass by."""
        for batch in self.rows:
            self.count += batch.num_rows
            names = self.keys.column_names
            self._kept.append(pa.Table.from_batches([batch]).join(self.keys, names, join_type="left semi"))
            yield batch

    def found(self) -> pa.Table:
        """Return the rows that have one of the keys, once all have passed by."""
        return pa.concat_tables(self._kept)


def _features(chain: Chain, made: Made, features: Part, rows: Passing) -> Link:
    name, table = "features made again", chain.store.features(made.definition)
    part = kept(chain.store.records, table.name, features)
    if content(chain.walk, name, table.name, part).state != VERIFIED:
        deque(rows, maxlen=0)
        return Link(name, "", made.features_digest, GONE, "there is nothing to compare them with")
    if other := differing(table.batches(part, BATCH_ROWS), rows):
        deque(rows, maxlen=0)  # one may have ended before the other
        found = f"what the definition gives differs from them in {', '.join(other[:5])}"
        return Link(name, "", made.features_digest, BROKEN, found)
    return Link(name, f"the definition gives the {rows.count} rows that are stored", made.features_digest)
