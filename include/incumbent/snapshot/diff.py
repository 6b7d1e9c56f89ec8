"""What differs between two training sets, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from incumbent.config import Model
from incumbent.features.compute import open_duckdb, quoted
from incumbent.records import Part, Snapshot
from incumbent.store import ModelStore, Table


@dataclass(frozen=True)
class Difference:
    """What became of one partition of the features or outcomes.

    Attributes:
        role: `features` or `outcomes`.
        partition: Partition key.
        change: `added`, `removed` or `changed`.
        rows: Rows before and after.
        added, removed, changed: Rows by key; of a changed partition only.
        columns: Column to the rows in which it has another value.
        only: Columns that one of the two lacks.
    """

    role: str
    partition: str
    change: str
    rows: tuple[int, int]
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    only: tuple[str, ...] = ()


def diff(store: ModelStore, model: Model, before: Snapshot, after: Snapshot) -> list[Difference]:
    """Return the partitions that differ between two snapshots, read from verified files.

    Raises:
        StoreError: A file is gone or has changed.
    """
    found = []
    outcomes = store.outcomes(model.outcome_source)
    for role, old, new, tables in (
        ("features", before.features, after.features, [store.features(each.definition) for each in (before, after)]),
        ("outcomes", before.outcomes, after.outcomes, [outcomes, outcomes]),
    ):
        olds, news = ({part["partition"]: Part(**part) for part in parts} for parts in (old, new))
        for key in sorted(olds.keys() | news.keys()):
            ends = (olds.get(key), news.get(key))
            if ends[0] is None or ends[1] is None:
                change = "added" if ends[0] is None else "removed"
                rows = tuple(0 if each is None else each.rows for each in ends)
                found.append(Difference(role, key, change, (rows[0], rows[1])))
            elif ends[0].digest != ends[1].digest:
                found.append(_changed(role, key, tables, ends[0], ends[1], model.keys))
    return found


def _changed(
    role: str, key: str, tables: Sequence[Table], before: Part, after: Part, keys: Sequence[str]
) -> Difference:
    old, new = (table.read_parts([part]) for table, part in zip(tables, (before, after), strict=True))
    shared = [name for name in old.column_names if name in new.column_names and name not in keys]
    counts = _counts(old, new, keys, shared)
    columns = {name: count for name, count in zip(shared, counts[3:], strict=True) if count}
    only = tuple(sorted(set(old.column_names) ^ set(new.column_names)))
    return Difference(
        role, key, "changed", (before.rows, after.rows), counts[0], counts[1], counts[2], columns, only
    )  # fmt: skip


def _counts(old: pa.Table, new: pa.Table, keys: Sequence[str], shared: Sequence[str]) -> list[int]:
    """Return rows added, removed and changed, and the changes of each shared column."""
    differs = [f"old.{quoted([name])} IS DISTINCT FROM new.{quoted([name])}" for name in shared]
    both = "old.here AND new.here"
    asked = [
        "count(*) FILTER (WHERE old.here IS NULL)",
        "count(*) FILTER (WHERE new.here IS NULL)",
        f"count(*) FILTER (WHERE {both} AND ({' OR '.join(differs) or 'false'}))",
        *(f"count(*) FILTER (WHERE {both} AND {each})" for each in differs),
    ]
    connection = open_duckdb()
    try:
        connection.register("before", old)
        connection.register("after", new)
        query = (
            f"SELECT {', '.join(asked)} FROM (SELECT *, true AS here FROM before) AS old "
            f"FULL JOIN (SELECT *, true AS here FROM after) AS new USING ({quoted(list(keys))})"
        )
        return [int(count) for count in connection.execute(query).fetchall()[0]]
    finally:
        connection.close()
