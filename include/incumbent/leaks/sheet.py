"""What every test looks at: labelled rows as arrays, a sample of them, and how sure one test must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from incumbent.leaks.association import Strength
from incumbent.leaks.columns import Column, Floats

Rows = npt.NDArray[np.int64]
ALPHA = 0.01


@dataclass(frozen=True)
class Sheet:
    """The labelled rows of a table.

    Attributes:
        columns: Columns to judge, all labelled rows of each.
        label: 0 or 1 for a binary task, any numbers for a regression; shape (n_rows,), no NaN.
        task: `binary` or `regression`.
        sample: Rows that the statistical tests look at, ascending.
        time_order: Rows in the order of their time; None without a time column.
        seed: Seed of folds.
        judged: Columns of the whole table: what an error rate is divided by.
        strength: What each column tells of the label by itself, measured on the sample.
    """

    columns: tuple[Column, ...]
    label: Floats
    task: str
    sample: Rows
    time_order: Rows | None
    seed: int
    judged: int
    strength: Mapping[str, Strength]

    @property
    def alpha(self) -> float:
        """Error rate of one test of one column: all columns and tests together stay below 1 %."""
        return ALPHA / (8 * max(self.judged, 1))

    def without(self, names: Iterable[str]) -> Sheet:
        """Return the sheet without some columns."""
        gone = set(names)
        return replace(self, columns=tuple(column for column in self.columns if column.name not in gone))

    def sampled(self, column: Column) -> Floats:
        """Return a column's values of the sampled rows."""
        return column.values[self.sample]

    @property
    def sampled_label(self) -> Floats:
        """The label of the sampled rows."""
        return self.label[self.sample]
