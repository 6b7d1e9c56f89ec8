"""Prove on real rows that features know nothing of what came later, whatever their SQL looks like.

The rows up to a moment are computed again without the context rows that were known only after it: they must not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from incumbent.config import Model
from incumbent.definition import names_of
from incumbent.errors import FeatureError
from incumbent.features.compute import computed
from incumbent.features.inputs import Inputs
from incumbent.store import ModelStore
from incumbent.store.data_files import ROW_GROUP_ROWS, row_groups

CUTS = (1 / 3, 2 / 3)  # share of the batch's rows before the moment
SAME = 1e-9  # relative: a sum over fewer rows may be put together in another order


def check_hindsight(store: ModelStore, model: Model, text: str, inputs: Inputs, made: Path) -> None:
    """Refuse a definition whose rows change when what was not known yet is taken away.

    Args:
        store: The model's store.
        model: Its configuration; `known_at` of a context source says when its rows were known.
        text: The definition.
        inputs: What the rows were made from.
        made: The rows, as a data file.

    Raises:
        FeatureError: Features look into the future; the message names them.
    """
    if not any(model.sources[name].known_at for name in model.context_sources):
        return
    for cut in _cuts(made, model.time):
        changed: dict[str, int] = {}
        with computed(store, model, text, inputs, known_by=cut) as reader:
            full = pq.ParquetFile(made).iter_batches(ROW_GROUP_ROWS)
            for rows, fewer in zip(full, row_groups(reader), strict=True):
                _compare(pa.table(rows), fewer, model.time, cut, changed)
        if changed:
            raise _refusal(model, names_of(text), inputs.partition, cut, changed)


def _cuts(made: Path, time: str) -> Iterator[datetime]:
    times = pc.drop_null(pq.read_table(made, columns=[time])[time])
    if not len(times):
        return
    order = np.sort(times.cast(pa.int64()).to_numpy())
    chosen = pa.array(sorted({int(order[int(share * (len(order) - 1))]) for share in CUTS}))
    yield from chosen.cast(times.type).to_pylist()


def _compare(rows: pa.Table, fewer: pa.Table, time: str, cut: datetime, changed: dict[str, int]) -> None:
    is_past = pc.less_equal(rows[time], pa.scalar(cut, rows[time].type))
    rows, fewer = rows.filter(is_past), fewer.filter(is_past)
    for name in rows.column_names:
        if count := _differing(rows[name], fewer[name]):
            changed[name] = changed.get(name, 0) + count


def _differing(first: pa.ChunkedArray, second: pa.ChunkedArray) -> int:
    if pa.types.is_floating(first.type):
        with np.errstate(invalid="ignore"):
            numbers, others = (np.asarray(each.to_numpy(), dtype=np.float64) for each in (first, second))
            return int((~np.isclose(numbers, others, rtol=SAME, atol=0, equal_nan=True)).sum())
    same = pc.fill_null(pc.equal(first, second), False)
    both_null = pc.and_(pc.is_null(first), pc.is_null(second))
    return len(first) - int(pc.sum(pc.or_(same, both_null)).as_py() or 0)


def _refusal(model: Model, files: str, partition: str, cut: datetime, changed: dict[str, int]) -> FeatureError:
    names = sorted(changed)
    return FeatureError(
        "the feature definition looks into the future",
        where=f"model {model.name}, {files}, partition {partition}, column {', '.join(names)}",
        expected=f"rows up to {cut.isoformat()} that stay the same without the context that was known after it",
        found=", ".join(f"{name}: {changed[name]} rows change" for name in names[:10]),
        next_step=f"join on what was known by {model.time}: known_at of the source says when a row was",
    )
