"""Tables whose partitions are replaced whole, by content.

The Parquet file of a partition is written first, under its own SHA-256, with page checksums; one commit
then swaps it in. The same rows written again give the same file name, and nothing is committed. Reads
verify each file's digest: a default Parquet reader returns wrong values after about half of all
single-bit flips and says nothing.

Long because reading, writing and committing share one thing: how a content lies below its table.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.errors import StoreError, UnavailableError
from incumbent.records import Part
from incumbent.store.blobs import Blobs, DeltaBlobs
from incumbent.store.crash_points import around
from incumbent.store.data_files import Rows, in_turn, is_text, write
from incumbent.store.delta_log import DeltaLog
from incumbent.store.log import PARTITION, Log, LostRace, Version
from incumbent.store.memory import MemoryBlobs
from incumbent.store.memory_log import MemoryLog

COMMIT_ATTEMPTS = 20
_SAFE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")


@dataclass(frozen=True)
class Commit:
    """What a write left behind: the partition's content, and whether this write changed it."""

    part: Part
    changed: bool


@dataclass(frozen=True)
class Staged:
    """A content that is written down and in no table yet.

    Attributes:
        part: Its name.
        schema: Its columns.
        file: Where it is; gone when it is published or given up.
    """

    part: Part
    schema: pa.Schema
    file: Path


class Table:
    """One table, partitioned by the partition key.

    Args:
        blobs: The table's folder; made by the first write.
        name: What it is, such as `batches/flights`.
    """

    def __init__(self, blobs: Blobs, name: str) -> None:
        self.blobs = blobs
        self.name = name
        self.log = _log(blobs)

    def replace(self, partition: str, rows: Rows) -> Commit:
        """Replace one partition in one atomic commit; the same content commits nothing.

        Args:
            partition: Partition key; must be text that is safe in a path.
            rows: New content, shape (n_rows, n_columns), in the order that is to be kept: a table, or a reader
                of more than fits into memory. The columns must equal the table's, but for the partition
                column, which is not a column of `rows`.

        Raises:
            StoreError: The columns differ from the table's, or the commit kept losing races.
        """
        return self.commit(self.prepare(partition, rows))

    def prepare(self, partition: str, rows: Rows) -> Part:
        """Write the file of a content that is to be, and commit nothing: readers see it once it is committed.

        For who must write down what a commit will hold before it is there.

        Raises:
            StoreError: The columns differ from the table's.
        """
        with self.staged(partition, rows) as staged:
            self.publish(staged)
            return staged.part

    @contextmanager
    def staged(self, partition: str, rows: Rows) -> Iterator[Staged]:
        """Write down a content that may yet be given up; it is, unless it is published before the end.

        For who learns from the rows themselves, as they pass by, whether they are wanted.

        Raises:
            StoreError: The key is not safe, or a column has the partition's name.
        """
        if not _SAFE.match(partition) or PARTITION in rows.schema.names:
            raise StoreError(
                "not a partition that can be written",
                where=f"{self.blobs.url}, partition {partition!r}",
                expected=f"a key that matches {_SAFE.pattern}, and rows without a column {PARTITION!r}",
                found=", ".join(rows.schema.names[:8]),
                next_step="correct the key; the table adds the partition column itself",
            )
        file = self._staging()
        try:
            yield Staged(Part(partition, *write(file, rows)), rows.schema, file)
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def staged_copy(self, partition: str, part: Part, other: Table) -> Iterator[Staged]:
        """Take over a content of another table as `staged` would write it, without its rows being read.

        Raises:
            StoreError: The other table's file is gone or has changed.
        """
        file = self._staging()
        try:
            other.blobs.place(_path(part), part.digest, file)
            if file.is_symlink():
                _own(file)
            yield Staged(Part(partition, part.digest, part.rows), pq.read_schema(file), file)
        finally:
            file.unlink(missing_ok=True)

    def widen(self, fields: Sequence[pa.Field]) -> None:
        """Add columns behind the others, unless they are there; null in what the table holds, which stays as it is.

        A table that is not made yet gets them with its first content.
        """
        for attempt in range(COMMIT_ATTEMPTS):
            newest = self.log.newest()
            if newest is None or not (missing := [each for each in fields if each.name not in newest.schema.names]):
                return
            try:
                with around(f"widening of {self.name}"):
                    return self.log.widen(newest, missing)
            except LostRace:
                time.sleep(0.05 * (attempt + 1))
        raise self._lost(", ".join(each.name for each in fields))

    def publish(self, staged: Staged) -> None:
        """Give a staged content its place, where a commit finds it.

        The table is made first: data files without a log are then what is left of a lost table, and never of a
        killed process.

        Raises:
            StoreError: The columns differ from the table's.
        """
        newest = self._made(staged.schema)
        self._check_columns(newest, staged.schema)
        path, digest = _path(staged.part), staged.part.digest
        with around(f"file of {self.name}"):
            if not self.blobs.create_from(path, staged.file):
                self.blobs.open_verified(path, digest).close()

    def commit(self, part: Part, if_still: Callable[[], bool] = lambda: True) -> Commit:
        """Put a prepared content in the place of its partition's; the same content commits nothing.

        Args:
            part: The content.
            if_still: Asked before each attempt whether it still belongs there; if not, nothing is committed. What
                another writer commits after the answer comes later in the log too, and stands.

        Raises:
            StoreError: The commit kept losing races.
        """
        path = _path(part)
        size = self.blobs.size(path)
        for attempt in range(COMMIT_ATTEMPTS):
            newest = self.log.newest()
            if newest is None:
                raise StoreError(
                    "the table of a prepared content is gone",
                    where=f"{self.blobs.url}, partition {part.partition}",
                    next_step="run `incumbent store check`; restore the table's log from a backup",
                )
            if newest.parts.get(part.partition) == part or not if_still():
                return Commit(part, changed=False)
            try:
                with around(f"commit of {self.name}"):
                    self.log.commit(newest, part, path, size)
            except LostRace as error:
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise self._lost(f"partition {part.partition}") from error
                time.sleep(0.05 * (attempt + 1))
                continue
            if not self.blobs.has(path):
                raise UnavailableError(
                    "the file of a content was removed while it was committed",
                    where=f"{self.blobs.url}/{path}",
                    found="retention that took it for unneeded",
                    next_step="try again: it is written once more",
                )
            return Commit(part, changed=True)
        raise AssertionError("unreachable")

    def parts(self, known_at: datetime | None = None) -> dict[str, Part]:
        """Return the content of each partition, in key order: the current one, or what was known at a moment.

        Args:
            known_at: Moment, in UTC; what was committed after it is not seen.
        """
        found = self.log.newest() if known_at is None else self.log.known_at(known_at)
        return {} if found is None else dict(found.parts)

    def columns(self) -> list[str]:
        """Return the names of the columns, without the partition's; none before the table is made."""
        newest = self.log.newest()
        return [] if newest is None else [name for name in newest.schema.names if name != PARTITION]

    def part(self, partition: str) -> Part | None:
        """Return the current content of one partition, or None."""
        return self.parts().get(partition)

    def read(self, partitions: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return verified rows of some partitions (all if None), in key order.

        The partition key comes as the last column, `partition`, when no columns are chosen or when
        it is among them.
        """
        parts = self.parts()
        wanted = list(parts) if partitions is None else sorted(set(partitions))
        if missing := [key for key in wanted if key not in parts]:
            raise StoreError(
                "partition is not in the table",
                where=self.blobs.url,
                expected=", ".join(missing[:5]),
                found=f"{len(parts)} partitions" + (f", newest {max(parts)}" if parts else ""),
                next_step="let the stage that writes this table finish first",
            )
        return self.read_parts([parts[key] for key in wanted], columns)

    def read_parts(self, parts: Sequence[Part], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of exactly these contents, current or past, each verified by digest."""
        if not parts:
            newest = self.log.newest()
            if newest is None:
                raise StoreError(
                    "table does not exist yet",
                    where=self.blobs.url,
                    next_step="let the stage that writes this table run first",
                )
            return newest.schema.empty_table()
        found = [self._read_file(part, columns) for part in parts]
        if len({len(each.column_names) for each in found}) == 1:
            return pa.concat_tables(found)
        newest = max(found, key=lambda each: len(each.column_names)).schema  # of a table that was widened meanwhile
        return pa.concat_tables(found, promote_options="default").select(newest.names)

    def batches(
        self, part: Part, rows: int, columns: Sequence[str] | None = None, row_groups: Sequence[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a content, or of some of its row groups, verified, so many at once; never more is held.

        Raises:
            StoreError: It is gone or has changed.
        """
        with self.blobs.open_verified(_path(part), part.digest) as file:
            content = pq.ParquetFile(file, page_checksum_verification=True)
            yield from in_turn(content, rows, columns, row_groups)

    def files(self, parts: Sequence[Part], folder: Path) -> list[Path]:
        """Put exactly these contents into a folder, under plain names, for an engine that reads files; return them.

        Raises:
            StoreError: One is gone or has changed.
        """
        folder.mkdir()
        files = [folder / f"{number:05d}.parquet" for number in range(len(parts))]
        for part, file in zip(parts, files, strict=True):
            self.blobs.place(_path(part), part.digest, file)
        return files

    def _lost(self, what: str) -> StoreError:
        return StoreError(
            "commit lost every race",
            where=f"{self.blobs.url}, {what}",
            expected=f"success within {COMMIT_ATTEMPTS} attempts",
            next_step="find what else writes this table; run the task again",
        )

    def _made(self, schema: pa.Schema) -> Version:
        """Return what the table holds; made with these columns if it is not there."""
        if (newest := self.log.newest()) is not None:
            return newest
        with around(f"making of {self.name}"):
            return self.log.make(schema.append(pa.field(PARTITION, pa.string())).remove_metadata())

    def _check_columns(self, newest: Version, schema: pa.Schema) -> None:
        known = {field.name: field.type for field in newest.schema if field.name != PARTITION}
        given = {field.name: field.type for field in schema}
        if list(known) != list(given) or any(not _same_type(known[name], given[name]) for name in known):
            raise StoreError(
                "columns differ from the table's",
                where=self.blobs.url,
                expected=", ".join(f"{name} {kind}" for name, kind in known.items()),
                found=", ".join(f"{name} {kind}" for name, kind in given.items()),
                next_step="a changed schema needs a new table: change the model's contract or definition",
            )

    def _staging(self) -> Path:
        return self.blobs.staging() / f"{secrets.token_hex(8)}.parquet"

    def _read_file(self, part: Part, columns: Sequence[str] | None) -> pa.Table:
        chosen = None if columns is None else [name for name in columns if name != PARTITION]
        with self.blobs.open_verified(_path(part), part.digest) as file:
            rows = pq.ParquetFile(file, page_checksum_verification=True).read(columns=chosen)
        if chosen is not None and len(chosen) > len(rows.column_names):
            rows = self._with_nulls(rows, chosen)
        if columns is None or PARTITION in columns:
            rows = rows.append_column(PARTITION, pa.array([part.partition] * rows.num_rows, pa.string()))
        return rows

    def _with_nulls(self, rows: pa.Table, chosen: Sequence[str]) -> pa.Table:
        """Return rows with columns that the table has got since they were written."""
        newest = self.log.newest()
        known = {} if newest is None else {field.name: field.type for field in newest.schema}
        for name in chosen:
            if name not in rows.column_names and name in known:
                rows = rows.append_column(name, pa.nulls(rows.num_rows, known[name]))
        return rows.select([name for name in chosen if name in rows.column_names])


def _log(blobs: Blobs) -> Log:
    if isinstance(blobs, DeltaBlobs):
        return DeltaLog(blobs)
    if isinstance(blobs, MemoryBlobs):
        return MemoryLog(blobs)
    raise TypeError(f"{blobs.url}: no log is kept in such a place")


def _own(link: Path) -> None:
    """Make a link to a blob on this machine a name of its own for the same content."""
    source = link.resolve()
    link.unlink()
    try:
        os.link(source, link)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, link)


def _path(part: Part) -> str:
    """Return the data file of a content, below its table."""
    return f"{PARTITION}={part.partition}/{part.digest}.parquet"


def _same_type(known: pa.DataType, given: pa.DataType) -> bool:
    """Return whether Delta's type for a column is the one that Arrow type is stored as."""
    if pa.types.is_timestamp(known) and pa.types.is_timestamp(given):
        return bool(known.tz == given.tz)
    if is_text(known):
        return is_text(given)
    return bool(known == given)
