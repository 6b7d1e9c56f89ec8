"""What the checks of one walk look up: records, objects, generations and data files."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence

import pyarrow.parquet as pq

from incumbent.store.log import PARTITION
from incumbent.store.removals import removal_of
from incumbent.store.store import TABLES, ModelStore
from incumbent.store.violation import Violation

NAMED = "what a record names is there"
THERE = "committed data is there"
UNCHANGED = "committed data is unchanged"
ROWS = "row counts are right"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Walk:
    """One walk through a model's store; a data file is hashed once, however many records name it."""

    def __init__(self, store: ModelStore) -> None:
        self.store = store
        self._hashed: dict[str, str] = {}
        self._held: dict[str, set[str]] = {}

    def record(self, kind: str, name: str, where: str) -> Iterator[Violation]:
        """Yield a violation unless a record is there."""
        if not self.store.records.has(kind, name):
            yield Violation(NAMED, where, f"{kind}/{name} is missing")

    def object(self, digest: str, where: str, what: str) -> Iterator[Violation]:
        """Yield a violation unless an object is there; what it holds is checked where it lies."""
        if not _DIGEST.fullmatch(digest) or digest not in self.store.objects:
            yield Violation(NAMED, where, f"{what} {digest} is missing")

    def definition(self, prefix: str, where: str) -> Iterator[Violation]:
        """Yield a violation unless an object is there whose digest begins so, as a features table's name does."""
        folder, _, begin = self.store.objects.key(prefix).rpartition("/")
        if not any(name.startswith(f"{folder}/{begin}") for name in self.store.objects.blobs.names(folder)):
            yield Violation(NAMED, where, f"the definition {prefix}… is missing")

    def holder(self, generation: int) -> str | None:
        """Return the version that the ledger gives to a generation; None when it gives none that can be read."""
        try:
            return self.store.promotion(generation).version
        except Exception:  # whatever it is, the check of the ledger reports it
            return None

    def tables_of(self, role: str) -> list[str]:
        """Return the names of a role's table folders, also of those whose log is gone."""
        return [f"{role}/{name}" for name in self.store.blobs.folders(f"{TABLES}/{role}")]

    def tables_with_files(self) -> list[str]:
        """Return the names of the tables that have data files."""
        keys = (key.split("/") for key in self.store.blobs.names(TABLES) if f"/{PARTITION}=" in key)
        return sorted({"/".join(parts[1:-2]) for parts in keys})

    def holds(self, table: str, partition: str) -> bool:
        """Return whether a table holds a partition; one that is missed is looked for again, for runs go on."""
        if partition not in self._held.get(table, ()):
            self._held[table] = set(self.store.table(table).parts())
        return partition in self._held[table]

    def folder(self, table: str, partition: str) -> str:
        """Return where the data files of a partition lie, those of replaced contents too."""
        return f"{TABLES}/{table}/{PARTITION}={partition}"

    def data(
        self,
        tables: Sequence[str],
        partition: str,
        digest: str,
        rows: int | None,
        where: str,
        *,
        is_current: bool = False,
    ) -> Iterator[Violation]:
        """Yield a violation unless one of some tables holds this content, whole and with so many rows."""
        file = yield from self.content(tables, partition, digest, where, is_current=is_current)
        if file is not None and (found := pq.ParquetFile(self.store.blobs.open(file)).metadata.num_rows) != rows:
            yield Violation(ROWS, where, f"{digest}.parquet has {found} rows, expected {rows}")

    def content(
        self, tables: Sequence[str], partition: str, digest: str, where: str, *, is_current: bool = False
    ) -> Generator[Violation, None, str | None]:
        """Yield a violation unless one of some tables holds this content whole, and return its file.

        Contents are looked up by name: a replaced one stays although no table refers to it, unless a record says
        that it was taken away on purpose. What a table holds now is never taken away.
        """
        if not _DIGEST.fullmatch(digest):
            yield Violation(THERE, where, f"{digest!r} is no digest")
            return None
        below = [self.folder(name, partition) for name in tables]
        names = (f"{folder}/{digest}.parquet" for folder in below)
        file = next((name for name in names if self.store.blobs.has(name)), None)
        if file is None:
            if is_current or not any(self.is_removed(table, partition, digest) for table in tables):
                yield Violation(THERE, where, f"{digest}.parquet is missing")
        elif self.sha256(file) != digest:
            yield Violation(UNCHANGED, where, f"{digest}.parquet has other content")
        else:
            return file
        return None

    def is_removed(self, table: str, partition: str, digest: str) -> bool:
        """Return whether a record says that a content was taken away on purpose."""
        return removal_of(self.store.records, table, partition, digest) is not None

    def sha256(self, name: str) -> str:
        """Return a blob's digest as it was when this walk first came by."""
        if name not in self._hashed:
            self._hashed[name] = self.store.blobs.sha256(name)
        return self._hashed[name]
