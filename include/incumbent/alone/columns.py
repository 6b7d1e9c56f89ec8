"""The columns of two tables that can be held against each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Judged:
    """Two tables by their common columns, as texts and numbers.

    Attributes:
        reference, batch: With these columns alone.
        names: Of the columns.
        faults: What is broken before anything is counted.
        notes: Columns that are not judged, and why.
    """

    reference: pa.Table
    batch: pa.Table
    names: tuple[str, ...]
    faults: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    def ordered(self, time: pa.ChunkedArray) -> Judged:
        """Return the same with the reference in the order of time."""
        return replace(self, reference=self.reference.take(pc.sort_indices(time)))


def judged(reference: pa.Table, batch: pa.Table, skipped: Collection[str]) -> Judged:
    """Return the columns that both tables have and that are texts or numbers.

    A column of which each value is another one only counts the rows, and moves with each of them.
    """
    before, after, notes, faults = {}, {}, [], []
    for name in reference.column_names:
        if name in skipped:
            continue
        if name not in batch.column_names:
            faults.append(_gone(name))
            continue
        pair = _countable(reference[name]), _countable(batch[name])
        if None in pair:
            notes.append(f"{name} is not judged: {_uncountable(reference[name].type, batch[name].type)}")
        elif _counts_rows(reference[name]):
            notes.append(f"{name} is not judged: each value is another one, as of a key")
        else:
            before[name], after[name] = pair
    new = [name for name in batch.column_names if name not in reference.column_names and name not in skipped]
    notes += [f"{name} is not judged: the reference has no such column" for name in new]
    kept, found = (
        pa.table(columns) if columns else rows.select([]) for columns, rows in ((before, reference), (after, batch))
    )
    return Judged(kept, found, tuple(before), tuple(faults), tuple(notes))


def _gone(name: str) -> dict[str, Any]:
    says = {"expected": "a column", "found": "none", "p": 0.0, "sentence": f"{name}: the column is missing"}
    return {"column": name, "test": "missing", **says}


def _countable(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.int8())
    return column.cast(pa.float64()) if pa.types.is_decimal(kind) else None


def _uncountable(before: pa.DataType, after: pa.DataType) -> str:
    """Return why two columns of one name cannot be counted: a CSV file's reader may guess another type."""
    if before != after:
        return f"it is {before} in the reference and {after} in the batch; write both alike"
    return f"{before} is no text and no number"


def _counts_rows(column: pa.ChunkedArray) -> bool:
    """Return whether no two values are the same, of a type that names things."""
    named = pa.types.is_string(column.type) or pa.types.is_integer(column.type)
    rows = len(column) - column.null_count
    return bool(named and rows > 1 and pc.count_distinct(column).as_py() == rows)
