"""Columns of the batch that features were made from, beside the feature rows: also those that no feature may see."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from incumbent.config import LOCAL_DATE, Model
from incumbent.errors import StoreError
from incumbent.features.compute import open_duckdb, quoted
from incumbent.features.inputs import PROFILES
from incumbent.partitions import end_of
from incumbent.records import Part, Snapshot
from incumbent.store import ModelStore
from incumbent.store.removals import kept


def batch_columns(
    store: ModelStore, model: Model, snapshot: Snapshot, rows: pa.Table, columns: Sequence[str]
) -> pa.Table:
    """Return columns of the batches that a snapshot's features were made from, a row for each of some rows.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: Names the features.
        rows: Some of its rows, with keys and `local_date`.
        columns: Names of columns of the batch source.

    Returns:
        The columns, in the order of the rows; null where a row has been erased since.

    Raises:
        StoreError: Nothing says what the features were made from.
    """
    first = min(rows[LOCAL_DATE].to_pylist(), default=None)
    parts = [
        _batch(store, model, snapshot.definition, Part(**part))
        for part in snapshot.features
        if first is None or end_of(part["partition"], model.grain).date() > first
    ]
    keys = list(model.keys)
    wanted = list(dict.fromkeys([*keys, *columns]))
    batch = store.batches(model.batch_source).read_parts(parts, wanted)
    connection = open_duckdb()
    try:
        numbered = rows.select(keys).append_column("#row", pa.array(range(rows.num_rows), pa.int64()))
        connection.register("asked", numbered)
        connection.register("batch", batch.select(wanted))
        query = f'SELECT {quoted(list(columns))} FROM asked LEFT JOIN batch USING ({quoted(keys)}) ORDER BY "#row"'
        return connection.sql(query).to_arrow_table()
    finally:
        connection.close()


def _batch(store: ModelStore, model: Model, definition: str, part: Part) -> Part:
    """Return the content of the batch that some features were made from, or what is left of it."""
    for name in store.records.names(PROFILES, f"{definition[:16]}/{part.partition}-"):
        built = store.records.get_plain(PROFILES, name)
        if built["features"] == part.digest:
            table = store.batches(model.batch_source).name
            return kept(store.records, table, Part(part.partition, built["batch"], part.rows))
    raise StoreError(
        "nothing says what these features were made from",
        where=f"definition {definition[:16]}, partition {part.partition}, content {part.digest[:16]}",
        expected="a profile record",
        found="none",
        next_step="run `incumbent store check`",
    )
