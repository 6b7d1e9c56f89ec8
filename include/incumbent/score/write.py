"""Scored rows on their way into the store: with what made them on each, and committed if they are still wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.errors import ModelError
from incumbent.intervals import HIGH, LOW, interval_of
from incumbent.records import Part
from incumbent.score.rows import REASON, Scored, ahead
from incumbent.store import ModelStore, Table

UNSCORED = "unscored"
INTERVAL = (pa.field(LOW, pa.float64()), pa.field(HIGH, pa.float64()))
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class MadeBy:
    """What each prediction says of where it comes from; its fields are columns.

    Attributes:
        generation: Position in the ledger of who has the seat.
        version: Digest of the version that predicted: the champion's, or of a rollout the challenger's.
        batch_digest: Content of the batch.
        definition: Digest of the feature definition.
        features_digest: Content of the features.
        variant: `champion` or `challenger`.
    """

    generation: int
    version: str
    batch_digest: str
    definition: str
    features_digest: str
    variant: str = CHAMPION


@dataclass(frozen=True)
class Written:
    """What is in the tables after a scoring.

    Attributes:
        part: Content of the predictions.
        changed: Whether it was another one before.
        aside: Rows that were set aside.
    """

    part: Part
    changed: bool
    aside: int


def write(
    store: ModelStore,
    scored: Iterator[tuple[MadeBy, Scored]],
    features: Part,
    max_aside: float,
    still: Callable[[], bool],
    level: float | None = None,
) -> Written | None:
    """Write a partition's predictions as they come, and let readers see them in one commit at the end.

    What is set aside is committed before: killed between the two, the next attempt finds the same again.

    Args:
        store: The model's store.
        scored: The rows with what made them, batch by batch; at least one batch, if an empty one.
        features: What is scored.
        max_aside: Largest share of the rows that may be set aside; one row may always be.
        still: Asked in the moment of the commit whether this attempt is the one that is meant to stand.
        level: Probability of the interval that is told with each row; None without one.

    Returns:
        None if it is not: then nothing was committed.

    Raises:
        ModelError: Too many rows cannot be scored; nothing is written then.
    """
    aside: list[pa.Table] = []
    limit = max(1.0, max_aside * features.rows)

    def rows() -> Iterator[pa.RecordBatch]:
        for made, each in chain([first], scored):
            if each.aside.num_rows or not aside:  # an empty slice holds the rows that it is of
                aside.append(_with(made, each.aside))
            if (count := sum(part.num_rows for part in aside)) > limit:
                raise _too_many(made, features, aside, count, limit)
            yield from told(made, each).to_batches()

    def told(made: MadeBy, each: Scored) -> pa.Table:
        found = _with(made, each.rows)
        return _with_interval(found, bounds(made.version)) if widened else found

    @cache
    def bounds(version: str) -> tuple[float, float] | None:
        return None if level is None else interval_of(store, version, level)

    if level is not None:
        store.predictions.widen(INTERVAL)
    widened = level is not None or LOW in store.predictions.columns()
    first = next(scored)
    reader = pa.RecordBatchReader.from_batches(told(*first).schema, ahead(rows()))
    with store.predictions.staged(features.partition, reader) as staged:
        kept = pa.concat_tables(aside)
        if kept.num_rows or store.unscored.part(features.partition):
            part = store.unscored.prepare(features.partition, kept)
            if _committed(store.unscored, part, still) is None:
                return None
        store.predictions.publish(staged)
        changed = _committed(store.predictions, staged.part, still)
    return None if changed is None else Written(staged.part, changed, kept.num_rows)


def _committed(table: Table, part: Part, still: Callable[[], bool]) -> bool | None:
    """Return whether a commit has changed anything; None if the content is not the one that stands."""
    changed = table.commit(part, still).changed
    return changed if changed or table.part(part.partition) == part else None


def _with(made: MadeBy, rows: pa.Table) -> pa.Table:
    for name, value in asdict(made).items():
        rows = rows.append_column(name, pa.repeat(pa.scalar(value), rows.num_rows))
    return rows


def _with_interval(rows: pa.Table, bounds: tuple[float, float] | None) -> pa.Table:
    for field, bound in zip(INTERVAL, bounds or (None, None), strict=True):
        end = pa.nulls(rows.num_rows, field.type) if bound is None else pc.add(rows["prediction"], bound)
        rows = rows.append_column(field, end)
    return rows


def _too_many(made: MadeBy, features: Part, aside: list[pa.Table], count: int, limit: float) -> ModelError:
    reasons = Counter(pa.concat_tables(aside)[REASON].to_pylist()).most_common(3)
    return ModelError(
        "too many rows cannot be scored",
        where=f"generation {made.generation}, partition {features.partition}",
        expected=f"at most {limit:.0f} of {features.rows} rows (score.max_aside)",
        found=f"{count} so far: " + ", ".join(f"{reason} ({rows})" for reason, rows in reasons),
        next_step="correct what makes these values; if it is the version, roll back to an earlier generation",
    )
