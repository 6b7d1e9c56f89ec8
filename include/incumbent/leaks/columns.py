"""A table as arrays: numbers, level codes of text, and NaN where a value is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.errors import ConfigError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
LARGEST = float(np.finfo(np.float32).max)  # what estimators take; no training takes a larger one
DIGITS = r"^\D*(?P<digits>\d{1,15})$"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Its name.
        values: Numbers, or level codes of a text; NaN where null; shape (n_rows,).
        is_text: The values are codes, whose order means nothing.
        is_moment: The values are dates or times.
        serial: Numbers at the end of a text that differs in each row, such as C-000123; None if it has none.
    """

    name: str
    values: Floats
    is_text: bool = False
    is_moment: bool = False
    serial: Floats | None = None

    def take(self, rows: npt.NDArray[Any]) -> Column:
        """Return the column of some rows."""
        serial = None if self.serial is None else self.serial[rows]
        return replace(self, values=self.values[rows], serial=serial)


def read_columns(rows: pa.Table, names: Iterable[str]) -> tuple[list[Column], dict[str, str]]:
    """Return the columns that can be judged, and why the others cannot."""
    columns, not_judged = [], {}
    for name in names:
        column = _read(name, rows[name])
        if column is None:
            not_judged[name] = f"its type is {rows[name].type}"
        elif not np.isfinite(column.values).any():
            not_judged[name] = "it is empty"
        elif _is_constant(column.values):
            not_judged[name] = "it has one value only"
        else:
            columns.append(column)
    return columns, not_judged


def label_values(rows: pa.Table, label: str, task: str) -> Floats:
    """Return the label as numbers, NaN where a row has none: 0 and 1 for a binary task, else its number for a class.

    Of texts the later one in the alphabet has the larger number: for a leak it does not matter which.

    Raises:
        ConfigError: The column is missing, is no number, or has more than two values for a binary task.
    """
    if label not in rows.column_names:
        raise ConfigError(
            "the label is not a column of the table",
            where=f"column {label}",
            expected="one of " + ", ".join(rows.column_names[:20]),
            found=label,
            next_step="name the column that is predicted",
        )
    column = _read(label, rows[label])
    if column is None or (column.is_text and task == "regression"):
        raise _wrong_label(label, f"a number, for the task {task}", str(rows[label].type))
    if task == "regression":
        return column.values
    known = np.isfinite(column.values)
    levels, codes = np.unique(column.values[known], return_inverse=True)
    if task == "multiclass":
        numbers = np.full(column.values.size, np.nan)
        numbers[known] = codes
        return numbers
    if levels.size > 2:
        raise _wrong_label(label, "two values, for a binary task", f"{levels.size} values")
    out = np.full(column.values.size, np.nan)
    out[known] = column.values[known] == levels[-1] if levels.size == 2 else column.values[known] != 0
    return out


def filled(column: Column) -> Column | None:
    """Return whether each row has a value, as a column; None if (almost) all or none have."""
    present = np.isfinite(column.values).astype(np.float64)
    return Column(column.name, present) if 0.01 <= present.mean() <= 0.99 else None


def _wrong_label(label: str, expected: str, found: str) -> ConfigError:
    step = "name another column, or another task: binary, multiclass or regression"
    return ConfigError(
        "the label does not fit the task", where=f"column {label}", expected=expected, found=found, next_step=step
    )


def _read(name: str, values: pa.ChunkedArray) -> Column | None:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _read_text(name, values)
    if pa.types.is_temporal(kind) and not (pa.types.is_duration(kind) or pa.types.is_interval(kind)):
        whole = pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()
        return Column(name, _numbers(values.cast(whole)), is_moment=True)
    numeric = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if any(is_kind(kind) for is_kind in numeric):
        return Column(name, _numbers(values))
    return Column(name, np.full(len(values), np.nan)) if pa.types.is_null(kind) else None


def _read_text(name: str, values: pa.ChunkedArray) -> Column:
    # Sorted levels: codes in the order of appearance would carry the order of the rows.
    levels = pc.unique(values).drop_null()
    levels = levels.take(pc.sort_indices(levels))
    codes = _numbers(pc.index_in(values, value_set=levels))
    serial = None
    if len(levels) >= 0.99 * max(len(values), 1):
        digits = pc.struct_field(pc.extract_regex(values.cast(pa.string()), DIGITS), "digits")
        serial = _numbers(digits.cast(pa.int64())) if digits.null_count < len(values) else None
    return Column(name, codes, is_text=True, serial=serial)


def _numbers(values: pa.ChunkedArray) -> Floats:
    # Arrow gives nulls of a float column to numpy as NaN.
    numbers = np.asarray(values.cast(pa.float64(), safe=False), dtype=np.float64)
    return np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)


def _is_constant(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    # A column that is filled in some rows only says something by that.
    return bool(known.size == values.size and (known == known[0]).all())
