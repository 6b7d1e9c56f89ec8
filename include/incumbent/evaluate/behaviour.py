"""The rows that a behavioural test changes: what the candidate says of them before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Behaviour, Change
from incumbent.errors import ConfigError
from incumbent.evaluate.contest import Floats, Probe


def probe(asked: Behaviour, rows: pa.Table, predict: Callable[[pa.Table], Floats]) -> Probe:
    """Return what is said of the rows that a test changes.

    Args:
        asked: The test.
        rows: Gate rows.
        predict: The candidate.

    Raises:
        ConfigError: The feature is of another type than the change.
    """
    values = rows[asked.feature].combine_chunks()
    try:
        changed = pc.if_else(pc.is_null(values), values, _changed(values, asked.change))
        there = pc.fill_null(pc.equal(values, values), False)  # neither null nor NaN
        moved = pc.and_(there, pc.fill_null(pc.not_equal(values, changed), False))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ConfigError(
            "a behavioural test changes a feature as its type does not allow",
            where=f"model.yaml: gates.behaviour, {asked.name}",
            expected=f"a change of a {values.type}",
            found=str(asked.change.model_dump(exclude_none=True)),
            next_step=f"correct the change of {asked.feature}",
        ) from error
    before = rows.filter(moved)
    after = before.set_column(before.column_names.index(asked.feature), asked.feature, changed.filter(moved))
    if not before.num_rows:
        return Probe(np.empty(0), np.empty(0))
    return Probe(predict(before), predict(after))


def _changed(values: pa.Array[Any], change: Change) -> pa.Array[Any]:
    """Return changed values in the type of the feature; a whole number that is multiplied is rounded."""
    kind = values.type
    if change.swap is not None:
        first, second = (pa.scalar(each, kind) for each in change.swap)
        return pc.if_else(pc.equal(values, first), second, pc.if_else(pc.equal(values, second), first, values))
    if change.set is not None:
        return pa.array([change.set] * len(values), kind)
    moved = (
        pc.add(values.cast(pa.float64()), change.add)
        if change.add is not None
        else pc.multiply(values.cast(pa.float64()), change.multiply)
    )
    return pc.round(moved).cast(kind) if pa.types.is_integer(kind) else moved.cast(kind)
