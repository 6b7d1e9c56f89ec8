"""What the checks of one walk look up: records, objects, generations and data files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from incumbent.store.store import ModelStore
from incumbent.store.tables import PARTITION, Table
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
        self._hashed: dict[Path, str] = {}
        self._held: dict[str, set[str]] = {}

    def record(self, kind: str, name: str, where: str) -> Iterator[Violation]:
        """Yield a violation unless a record is there."""
        if not self.store.records.has(kind, name):
            yield Violation(NAMED, where, f"{kind}/{name} is missing")

    def object(self, digest: str, where: str, what: str) -> Iterator[Violation]:
        """Yield a violation unless an object is there; what it holds is checked where it lies."""
        if not _DIGEST.fullmatch(digest) or not self.store.objects.path(digest).is_file():
            yield Violation(NAMED, where, f"{what} {digest} is missing")

    def definition(self, prefix: str, where: str) -> Iterator[Violation]:
        """Yield a violation unless an object is there whose digest begins so, as a features table's name does."""
        if not any(self.store.objects.path(prefix).parent.glob(f"{prefix}*")):
            yield Violation(NAMED, where, f"the definition {prefix}… is missing")

    def holder(self, generation: int) -> str | None:
        """Return the version that the ledger gives to a generation; None when it gives none that can be read."""
        try:
            return self.store.promotion(generation).version
        except Exception:  # whatever it is, the check of the ledger reports it
            return None

    def tables_of(self, role: str) -> list[str]:
        """Return the names of a role's table folders, also of those whose log is gone."""
        top = self.store.root / "tables" / role
        return sorted(f"{role}/{path.name}" for path in top.iterdir()) if top.is_dir() else []

    def holds(self, table: str, partition: str) -> bool:
        """Return whether a table holds a partition; one that is missed is looked for again, for runs go on."""
        if partition not in self._held.get(table, ()):
            self._held[table] = set(Table(self.store.root / "tables" / table).parts())
        return partition in self._held[table]

    def folder(self, table: str, partition: str) -> Path:
        """Return where the data files of a partition lie, those of replaced contents too."""
        return self.store.root / "tables" / table / f"{PARTITION}={partition}"

    def data(
        self, tables: Iterable[str], partition: str, digest: str, rows: int | None, where: str
    ) -> Iterator[Violation]:
        """Yield a violation unless one of some tables holds this content, whole and with so many rows."""
        path = yield from self.content(tables, partition, digest, where)
        if path is not None and (found := pq.ParquetFile(path).metadata.num_rows) != rows:
            yield Violation(ROWS, where, f"{path.name} has {found} rows, expected {rows}")

    def content(
        self, tables: Iterable[str], partition: str, digest: str, where: str
    ) -> Generator[Violation, None, Path | None]:
        """Yield a violation unless one of some tables holds this content whole, and return its file.

        Contents are looked up by path: a replaced one stays on disk although no table refers to it.
        """
        if not _DIGEST.fullmatch(digest):
            yield Violation(THERE, where, f"{digest!r} is no digest")
            return None
        below = [self.folder(name, partition) for name in tables]
        path = next((found for folder in below if (found := folder / f"{digest}.parquet").is_file()), None)
        if path is None:
            yield Violation(THERE, where, f"{digest}.parquet is missing")
        elif self.sha256(path) != digest:
            yield Violation(UNCHANGED, where, f"{path.name} has other content")
        else:
            return path
        return None

    def sha256(self, path: Path) -> str:
        """Return a file's digest as it was when this walk first came by."""
        if path not in self._hashed:
            with path.open("rb") as handle:
                self._hashed[path] = hashlib.file_digest(handle, "sha256").hexdigest()
        return self._hashed[path]
