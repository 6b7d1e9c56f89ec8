"""A bounded sample of feature rows: who explains an alarm needs some rows, and never holds all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.records import Part
from incumbent.store import ModelStore


def sampled_rows(
    store: ModelStore, definition: str, parts: Sequence[Part], columns: Sequence[str], most: int, seed: int = 7
) -> pa.Table:
    """Return at most so many rows of some feature partitions, drawn with equal chances, in their order.

    Args:
        store: The model's store.
        definition: Feature definition digest.
        parts: Exact contents.
        columns: Columns to read; those that the rows lack are left out.
        most: Most rows.
        seed: Of the draw; the same contents give the same rows.
    """
    with tempfile.TemporaryDirectory(prefix="incumbent-") as private:
        files = [pq.ParquetFile(file) for file in store.features(definition).files(parts, Path(private) / "rows")]
        total = sum(file.metadata.num_rows for file in files)
        random = np.random.default_rng(seed)
        chosen = np.arange(total) if total <= most else np.sort(random.choice(total, most, replace=False))
        kept = list[pa.Table]()
        start = 0
        for file in files:
            names = [name for name in columns if name in file.schema_arrow.names]
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                inside = chosen[(chosen >= start) & (chosen < end)] - start
                if len(inside) or not kept:
                    kept.append(file.read_row_group(group, columns=names).take(pa.array(inside)))
                start = end
            file.close()
    return pa.concat_tables(kept) if kept else pa.table({})
