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
MOST_CLASSES = 10  # that are looked at one by one, the largest first: each look takes as long as one at a binary label


@dataclass(frozen=True)
class Sheet:
    """The labelled rows of a table.

    Attributes:
        columns: Columns to judge, all labelled rows of each.
        label: 0 or 1 for a binary task, any numbers for a regression; shape (n_rows,), no NaN.
        task: `binary` or `regression`. Of several classes each has a sheet of its own, binary: whether a row is of it.
        sample: Rows that the statistical tests look at, ascending.
        time_order: Rows in the order of their time; None without a time column.
        seed: Seed of folds.
        judged: Columns of the whole table: what an error rate is divided by.
        strength: What each column tells of the label by itself, measured on the sample.
        classes: Number of each row's class where there are several, of which `label` singles out one.
    """

    columns: tuple[Column, ...]
    label: Floats
    task: str
    sample: Rows
    time_order: Rows | None
    seed: int
    judged: int
    strength: Mapping[str, Strength]
    classes: Floats | None = None

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

    @property
    def sampled_classes(self) -> Floats:
        """All that the label tells, of the sampled rows: the label of a binary task, or the number of the class."""
        return self.sampled_label if self.classes is None else self.classes[self.sample]
