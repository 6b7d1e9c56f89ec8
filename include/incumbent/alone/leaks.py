"""Which columns of a table know the label, and which rows are on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from incumbent.alone.predictions import is_known
from incumbent.alone.table import Given, column_names, given, plain
from incumbent.errors import BatchError, ConfigError
from incumbent.leaks.find import find_leaks
from incumbent.leaks.finding import LeakReport
from incumbent.leaks.overlap import Overlap, key_overlap
from incumbent.sensitive import MASK

NO_LEAKS, LEAKS, TOO_FEW = "no leaks", "leaks", "not enough rows to say"


@dataclass(frozen=True)
class Leaks:
    """What was found in a table.

    Attributes:
        file: What messages call the table.
        task: `binary`, `multiclass` or `regression`.
        report: The columns that are named, each with its reason.
        overlap: Rows that a second table shares; None if there is none.
    """

    schema: ClassVar[str] = "incumbent.leaks/1"

    file: str
    task: str
    report: LeakReport
    overlap: Overlap | None

    @property
    def verdict(self) -> str:
        """One of `no leaks`, `leaks` (also of rows into a test table) and `not enough rows to say`."""
        if self.report.findings or not (self.overlap is None or self.overlap.clean):
            return LEAKS
        return TOO_FEW if "" in self.report.not_judged else NO_LEAKS

    @property
    def passed(self) -> bool:
        """Whether nothing is named, nothing is shared, and there were rows enough to say so."""
        return self.verdict == NO_LEAKS

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        overlap = None if self.overlap is None else asdict(self.overlap)
        found = asdict(self.report) | {"task": self.task, "overlap": overlap, "passed": self.passed}
        return {"schema": self.schema, "verdict": self.verdict, **found}


def leaks(
    data: Any,
    *,
    target: str,
    task: str | None = None,
    time: str | None = None,
    key: Sequence[str] | str = (),
    test: Any = None,
    ignore: Sequence[str] | str = (),
    sensitive: Sequence[str] | str = (),
    seed: int = 7,
) -> Leaks:
    """Name the columns of a table that know the label in a way that no honest column does.

    Args:
        data: A path (Parquet, CSV), an Arrow table or a data frame; rows without a label are evidence too.
        target: Column that is predicted; empty where it is not known.
        task: `binary`, `multiclass` or `regression`; found out if None.
        time: Column that orders the rows in time; it is not judged itself.
        key: Columns that identify a row.
        test: A second table, which must share no key.
        ignore: Columns that nobody judges.
        sensitive: Columns whose values nobody is shown.
        seed: Of samples and folds.

    Raises:
        PipelineError: A table cannot be read or is empty, a column is missing, the label is the same in all rows that
            have one, or does not fit the task.
    """
    keys, ignored, hidden = (column_names(each) for each in (key, ignore, sensitive))
    found = given(data, "the table", hidden)
    found.need([target, *([time] if time else []), *keys, *ignored, *hidden])
    if test is not None and not keys:
        raise ConfigError(
            "two tables need a key to be compared",
            where="--test",
            expected="--key COLUMN",
            found="none",
            next_step="name the columns that identify a row, or a customer",
        )
    _check_labels(found, target)
    task = task or _task(found.rows, target)
    features = [name for name in found.rows.column_names if name not in (*ignored, target)]
    report = find_leaks(found.rows, target, task, features=features, keys=keys, time=time, seed=seed)
    overlap = None
    if test is not None:
        other = given(test, "the test table", hidden)
        other.need(keys)
        overlap = key_overlap(found.rows, other.rows, keys, time)
        overlap = _masked(overlap, keys, hidden)
    return Leaks(found.name, task, report, overlap)


def _check_labels(table: Given, target: str) -> None:
    """Refuse a label that tells no rows apart: that is a mistake in what was asked, and more rows do not mend it."""
    labels = plain(table.rows.select([target]))[0]
    values = len(labels.filter(is_known(labels)).unique())
    if values < 2:
        raise BatchError(
            "all labels are the same" if values else "no row has a label",
            where=f"{table.name}: {target}",
            expected="labels that differ",
            found="one value" if values else "none",
            next_step="correct --target, or take rows with other outcomes" if values else "correct --target, or wait",
        )


def _masked(overlap: Overlap, keys: Sequence[str], sensitive: Sequence[str]) -> Overlap:
    """Return what is found, without examples of keys that nobody is shown."""
    return replace(overlap, examples=(MASK,)) if overlap.examples and set(keys) & set(sensitive) else overlap


def _task(rows: pa.Table, target: str) -> str:
    known = rows[target].drop_null()
    if len(known.unique()) <= 2:
        return "binary"
    return "multiclass" if pa.types.is_string(known.type) or pa.types.is_large_string(known.type) else "regression"
