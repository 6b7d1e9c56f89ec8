"""Retention: what nothing needs any more is taken away, and a record says so first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pyarrow.parquet as pq

from incumbent.store.crash_points import around
from incumbent.store.live import Content, live
from incumbent.store.log import PARTITION
from incumbent.store.removals import RETENTION, Removal
from incumbent.store.store import TABLES, ModelStore
from incumbent.store.tables import Table

WRITING = timedelta(days=1)  # nobody writes a file for longer before it is committed


def vacuum(store: ModelStore, keep_days: float, now: datetime, *, is_trial: bool = False) -> list[Removal]:
    """Remove the data files of replaced contents that nothing needs, and return what was removed.

    Files that were never committed are left by killed processes; those of the last day may still be wanted by a
    process that writes. A content that is delivered again after it was removed is simply written again.

    Args:
        store: The model's store.
        keep_days: Days for which everything is kept that a table has held.
        now: The time.
        is_trial: Only return what would be removed.
    """
    needed = live(store, now - timedelta(days=keep_days))
    removed = []
    for name, table in store.tables().items():
        for content in _unneeded(table, name, needed, now):
            removal = _removal(store, content)
            removed.append(removal)
            if not is_trial:
                store.records.put(removal.name, removal)
                # Delivered again in this moment? Who commits it now finds that the file is gone, and tries again.
                if (held := table.part(content.partition)) is None or held.digest != content.digest:
                    remove(store, content)
    if not is_trial:
        store.blobs.clear_staging(now - WRITING)
    return removed


def remove(store: ModelStore, content: Content) -> None:
    """Remove a data file, for good; whoever asks has written down why."""
    with around(f"removal of file of {content.table}"):
        store.blobs.remove(file_of(content))


def file_of(content: Content) -> str:
    """Return the data file of a content, below the model's store."""
    return f"{TABLES}/{content.table}/{PARTITION}={content.partition}/{content.digest}.parquet"


def contents(table: Table, name: str) -> Iterator[Content]:
    """Yield every content that a table has a file of: current, replaced, or never committed."""
    for key in table.blobs.names():
        folder, _, file = key.rpartition("/")
        if folder.startswith(f"{PARTITION}=") and file.endswith(".parquet"):
            yield Content(name, folder.removeprefix(f"{PARTITION}="), file.removesuffix(".parquet"))


def _unneeded(table: Table, name: str, needed: set[Content], now: datetime) -> Iterator[Content]:
    recent: set[str] | None = None
    for content in contents(table, name):
        if content in needed:
            continue
        if table.blobs.modified(f"{PARTITION}={content.partition}/{content.digest}.parquet") > now - WRITING:
            if recent is None:
                recent = {part.digest for part in table.log.held_since(now - WRITING)}
            if content.digest not in recent:
                continue
        yield content


def _removal(store: ModelStore, content: Content) -> Removal:
    with pq.ParquetFile(store.blobs.open(file_of(content))) as file:
        rows, deliveries = file.metadata.num_rows, dict[str, int]()
        if content.table.startswith("quarantine/"):
            named = Counter(file.read(columns=["raw_digest"])["raw_digest"].to_pylist())
            deliveries = dict.fromkeys(sorted(named), 0)
    return Removal(*content, rows=rows, why=RETENTION, deliveries=deliveries)
