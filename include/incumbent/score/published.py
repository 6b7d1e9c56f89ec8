"""What a predictions partition holds, by who predicted it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.score.write import CHALLENGER, CHAMPION
from incumbent.store import ModelStore

VARIANT = "variant"


def champion_rows(store: ModelStore, partition: str, columns: Sequence[str]) -> pa.Table:
    """Return some columns of the rows that the champion predicted: a rollout's challenger is not judged as if it were.

    Raises:
        StoreError: The partition is not scored, or its file has changed.
    """
    rows = store.predictions.read([partition], [*columns, VARIANT])
    return rows.filter(pc.equal(rows[VARIANT], CHAMPION)).drop_columns([VARIANT])


def scored_by_generation(store: ModelStore, generation: int) -> dict[str, int]:
    """Return the partitions that were predicted under a generation, with their rows: what a rollback leaves behind."""
    return _counted(store, {"generation": generation})


def scored_by_version(store: ModelStore, version: str) -> dict[str, int]:
    """Return the partitions in which a version predicted rows, with these rows."""
    return _counted(store, {"version": version})


def scored_by_challenger(store: ModelStore, version: str) -> dict[str, int]:
    """Return the partitions in which a version predicted rows as a challenger, with these rows."""
    return _counted(store, {VARIANT: CHALLENGER, "version": version})


def _counted(store: ModelStore, wanted: Mapping[str, object]) -> dict[str, int]:
    found = {}
    for key, part in store.predictions.parts().items():
        rows = store.predictions.read_parts([part], list(wanted))
        for name, value in wanted.items():
            rows = rows.filter(pc.equal(rows[name], value))
        if rows.num_rows:
            found[key] = rows.num_rows
    return found
