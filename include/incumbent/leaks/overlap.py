"""Train and test rows that are the same rows: overlap of keys, and of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.errors import ConfigError


@dataclass(frozen=True)
class Overlap:
    """How two tables meet.

    Attributes:
        train: Distinct keys of the training rows.
        test: Distinct keys of the test rows.
        shared: Keys in both.
        rows: Test rows whose key is among the training rows'.
        share: The same as a share of the test rows.
        late_train: Training rows that are not older than the oldest test row; None without a time.
        examples: Up to ten shared keys.
    """

    train: int
    test: int
    shared: int
    rows: int
    share: float
    late_train: int | None
    examples: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether no test row was trained on and no training row is as new as a test row."""
        return not self.rows and not self.late_train


def key_overlap(train: pa.Table, test: pa.Table, keys: Sequence[str], time: str | None = None) -> Overlap:
    """Return how many test rows have a key of the training rows; nulls are no key.

    Args:
        train: Training rows.
        test: Test rows.
        keys: Columns that identify a row, or what must not be on both sides (a customer, a patient).
        time: Column whose moments must not overlap; None: they may.

    Raises:
        ConfigError: No key is given, or a column is missing on one side or has another type there.
    """
    _check(train, test, [*keys, *([time] if time else [])])
    first, second = (table.select(list(keys)).drop_null() for table in (train, test))
    known, asked = (table.group_by(list(keys)).aggregate([([], "count_all")]) for table in (first, second))
    shared = asked.join(known.select(list(keys)), keys=list(keys), join_type="inner").sort_by(
        [(key, "ascending") for key in keys]
    )
    rows = int(pc.sum(shared["count_all"]).as_py() or 0)
    late = None
    if time:
        oldest = pc.min(test[time])
        late = int(pc.sum(pc.greater_equal(train[time], oldest)).as_py() or 0)
    examples = [", ".join(str(row[key]) for key in keys) for row in shared.slice(0, 10).to_pylist()]
    share = rows / test.num_rows if test.num_rows else 0.0
    return Overlap(known.num_rows, asked.num_rows, shared.num_rows, rows, share, late, tuple(examples))


def _check(train: pa.Table, test: pa.Table, names: Sequence[str]) -> None:
    for side, table in (("training rows", train), ("test rows", test)):
        if missing := [name for name in names if name not in table.column_names]:
            raise ConfigError(
                "a key column is missing",
                where=f"{side}: {missing[0]}",
                expected=", ".join(names),
                found=", ".join(table.column_names[:20]),
                next_step="name columns that both tables have",
            )
    if other := [name for name in names if train[name].type != test[name].type]:
        raise ConfigError(
            "a key has two types",
            where=f"column {other[0]}",
            expected=f"{train[other[0]].type}, as in the training rows",
            found=test[other[0]].type,
            next_step="cast one of them",
        )
    if not names:
        raise ConfigError("no key is given", where="key_overlap", next_step="name the columns that identify a row")
