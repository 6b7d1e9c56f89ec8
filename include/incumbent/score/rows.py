"""What a version says of feature rows, batch by batch: a prediction of each, or why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.errors import ModelError
from incumbent.records import ModelVersion, Part
from incumbent.store import Table

BATCH_ROWS = 131_072
LARGEST = float(np.finfo(np.float32).max)  # what estimators take
REASON = "reason"
Predict = Callable[[ModelVersion, pa.Table], npt.NDArray[np.float64]]
Elsewhere = Callable[[ModelVersion, Part, Sequence[str]], Iterator["Scored"]]
T = TypeVar("T")


@dataclass(frozen=True)
class Chosen:
    """Which rows to score.

    Attributes:
        of: Returns which of some rows; it looks at their keys, their time and `columns`.
        columns: What it looks at besides.
    """

    of: Callable[[pa.Table], npt.NDArray[np.bool_]]
    columns: tuple[str, ...] = ()

    def among(self, rows: pa.Table) -> pa.Table:
        """Return those of some rows."""
        return rows.filter(pa.array(self.of(rows)))


class Scored(NamedTuple):
    """What became of some rows, in their order.

    Attributes:
        rows: Keys, time and what is predicted.
        aside: Keys, time and the reason of those that cannot be scored.
    """

    rows: pa.Table
    aside: pa.Table


def in_process(
    features: Table, model: Model, version: ModelVersion, part: Part, predict: Predict, chosen: Chosen | None = None
) -> Iterator[Scored]:
    """Yield what a version says of a content, never holding more than a few batches of it; of no rows once.

    The next batch is read while one is predicted: both leave the interpreter to others.

    Args:
        features: Where the content lies.
        model: Its configuration.
        version: Who scores.
        part: The content.
        predict: Verified prediction of a version.
        chosen: Which rows to score; all of them if None.

    Raises:
        StoreError: The content is gone or has changed.
        ModelError: The version does not predict one number, or one for each class, of a row.
    """
    columns = [*model.keys, model.time]
    if not part.rows:
        yield scored(version, features.read_parts([part]), columns, predict)
    for batch in ahead(features.batches(part, BATCH_ROWS)):
        rows = pa.Table.from_batches([batch])
        yield scored(version, rows if chosen is None else chosen.among(rows), columns, predict)


def from_elsewhere(
    elsewhere: Elsewhere, model: Model, version: ModelVersion, part: Part, chosen: Chosen | None = None
) -> Iterator[Scored]:
    """Yield what `in_process` would, predicted elsewhere: all rows of a content, of which some are chosen here."""
    columns = [*model.keys, model.time]
    told = [name for name in (() if chosen is None else chosen.columns) if name not in columns]
    for each in elsewhere(version, part, [*columns, *told]):
        mine = each if chosen is None else Scored(*(chosen.among(rows) for rows in each))
        yield Scored(*(rows.drop_columns(told) for rows in mine))


def scored(version: ModelVersion, rows: pa.Table, columns: Sequence[str], predict: Predict) -> Scored:
    """Score rows; those with a value that no estimator takes, or without a finite prediction, are set aside.

    Args:
        version: Who scores.
        rows: Feature rows under the version's own definition.
        columns: Their keys and time.
        predict: Verified prediction of a version; see `incumbent.estimators.Estimator.predict`.

    Raises:
        ModelError: A feature is missing or of another kind, or the predictions have another shape.
    """
    why = _too_large(version, rows)
    usable = rows if why is None else rows.filter(_is_null(why))
    values = np.asarray(predict(version, usable), dtype=np.float64)
    if values.shape != (usable.num_rows, *version.row_shape):
        raise ModelError(
            f"predictions are not one number per row{' and class' if version.classes else ''}",
            where=f"version {version.digest[:16]}",
            expected=f"shape {(usable.num_rows, *version.row_shape)}",
            found=f"shape {values.shape}",
            next_step="roll back to an earlier generation and look at the version's gate report",
        )
    finite = np.isfinite(values if values.ndim == 1 else values.sum(axis=1))
    told = usable.select(columns)
    aside = [] if why is None else [_with_reason(rows.select(columns), why)]
    if not finite.all():
        said = pc.if_else(pa.array(finite), pa.scalar(None, pa.string()), "the prediction is not a finite number")
        aside.append(_with_reason(told, said))
        told, values = told.filter(pa.array(finite)), values[finite]
    for name, column in _columns(version, values).items():
        told = told.append_column(name, column)
    empty = rows.select(columns).slice(0, 0).append_column(REASON, pa.array([], pa.string()))
    return Scored(told, pa.concat_tables([empty, *aside]))


def ahead(values: Iterator[T]) -> Iterator[T]:
    """Yield values, having the next one made in a thread while one is used."""
    end = object()
    with ThreadPoolExecutor(max_workers=1) as beside:
        coming = beside.submit(next, values, end)
        while (value := coming.result()) is not end:
            coming = beside.submit(next, values, end)
            yield value  # type: ignore[misc]  # what is not the end is a value


def _too_large(version: ModelVersion, rows: pa.Table) -> pa.Array | None:
    """Return the reason of each row that has a value which no estimator takes; None if there is no such row."""
    found = None
    there = set(rows.column_names)
    for name in version.features:
        if name not in there or not pa.types.is_floating(rows.schema.field(name).type):
            continue  # one that is missing is told by the encoding
        ends = pc.min_max(rows[name])
        if all(end.as_py() is None or abs(end.as_py()) <= LARGEST for end in ends.values()):
            continue
        large = pc.fill_null(pc.greater(pc.abs(rows[name]), LARGEST), False)
        reason = pc.if_else(large, f"{name} is infinite, or too large", pa.scalar(None, pa.string()))
        found = reason if found is None else pc.coalesce(found, reason)
    return None if found is None else _one_chunk(found)


def _one_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _is_null(values: pa.Array) -> pa.Array:
    return values.is_null()


def _with_reason(told: pa.Table, reasons: pa.Array) -> pa.Table:
    return told.append_column(REASON, reasons).filter(reasons.is_valid())


def _columns(version: ModelVersion, values: npt.NDArray[np.float64]) -> dict[str, pa.Array]:
    """Return what is predicted as columns: a number; or the likeliest class, its probability, and those of all."""
    if not version.classes:
        return {"prediction": pa.array(values)}
    best = values.argmax(axis=1)  # of equals the first
    ends = np.arange(0, values.size + 1, len(version.classes), dtype=np.int32)
    return {
        "prediction": pa.array(version.classes, pa.string()).take(pa.array(best)),
        "probability": pa.array(values[np.arange(len(values)), best]),
        "probabilities": pa.ListArray.from_arrays(ends, values.ravel()),
    }
