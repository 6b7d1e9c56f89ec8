"""Delta tables whose partitions are replaced whole, by content.

The Parquet file of a partition is written first, under its own SHA-256, with page checksums, and
read back; one Delta commit then swaps it in. The same rows written again give the same file name,
and nothing is committed. Reads verify each file's digest once per process: a default Parquet
reader returns wrong values after about half of all single-bit flips and says nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, CommitProperties

from incumbent.errors import StoreError
from incumbent.records import Part
from incumbent.store.objects import create_exclusively, fsync_folder

PARTITION = "partition"
ROW_GROUP_ROWS = 65_536
COMMIT_ATTEMPTS = 20
_VERIFIED: set[tuple[str, str]] = set()
_SAFE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")


@dataclass(frozen=True)
class Commit:
    """What a write left behind: the partition's content, and whether this write changed it."""

    part: Part
    changed: bool


class Table:
    """One Delta table, partitioned by the partition key.

    Args:
        folder: The table's folder; made by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def replace(self, partition: str, rows: pa.Table) -> Commit:
        """Replace one partition in one atomic commit; the same content commits nothing.

        Args:
            partition: Partition key; must be text that is safe in a path.
            rows: New content, shape (n_rows, n_columns), in the order that is to be kept. The
                columns must equal the table's, but for the partition column, which is not a
                column of `rows`.

        Raises:
            StoreError: The columns differ from the table's, or the commit kept losing races.
        """
        part = self.prepare(partition, rows)
        path = f"{PARTITION}={partition}/{part.digest}.parquet"
        for attempt in range(COMMIT_ATTEMPTS):
            table = self._open_or_create(rows.schema)
            if self._parts(table).get(partition) == part:
                return Commit(part, changed=False)
            try:
                self._commit(table, path, part)
                return Commit(part, changed=True)
            except (CommitFailedError, DeltaError, FileExistsError) as error:
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise StoreError(
                        "commit lost every race",
                        where=f"{self.folder}, partition {partition}",
                        expected=f"success within {COMMIT_ATTEMPTS} attempts",
                        found=error,
                        next_step="find what else writes this table; run the task again",
                    ) from error
                time.sleep(0.05 * (attempt + 1))
        raise AssertionError("unreachable")

    def prepare(self, partition: str, rows: pa.Table) -> Part:
        """Write the file of a content that is to be, and commit nothing: readers see it once it is replaced.

        For who must write down what a commit will hold before it is there. The table is made first: data files
        without a log are then what is left of a lost table, and never of a killed process.

        Raises:
            StoreError: The columns differ from the table's.
        """
        self._check(partition, rows)
        self._open_or_create(rows.schema)
        return self._write_file(partition, rows)

    def parts(self) -> dict[str, Part]:
        """Return the current content of each partition, in key order."""
        table = self._open()
        return {} if table is None else dict(sorted(self._parts(table).items()))

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
                where=str(self.folder),
                expected=", ".join(missing[:5]),
                found=f"{len(parts)} partitions" + (f", newest {max(parts)}" if parts else ""),
                next_step="let the stage that writes this table finish first",
            )
        return self.read_parts([parts[key] for key in wanted], columns)

    def read_parts(self, parts: Sequence[Part], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of exactly these contents, current or past, each verified by digest."""
        if not parts:
            table = self._open()
            if table is None:
                raise StoreError(
                    "table does not exist yet",
                    where=str(self.folder),
                    next_step="let the stage that writes this table run first",
                )
            return pa.schema(table.schema().to_arrow()).empty_table()
        return pa.concat_tables([self._read_file(part, columns) for part in parts])

    def files(self) -> set[str]:
        """Return the relative paths of the files that the current version refers to."""
        table = self._open()
        return set() if table is None else {str(path) for path in self._adds(table)["path"]}

    def _check(self, partition: str, rows: pa.Table) -> None:
        if not _SAFE.match(partition) or PARTITION in rows.column_names:
            raise StoreError(
                "not a partition that can be written",
                where=f"{self.folder}, partition {partition!r}",
                expected=f"a key that matches {_SAFE.pattern}, and rows without a column {PARTITION!r}",
                found=", ".join(rows.column_names[:8]),
                next_step="correct the key; the table adds the partition column itself",
            )
        table = self._open()
        if table is None:
            return
        known = {f.name: f.type for f in pa.schema(table.schema().to_arrow()) if f.name != PARTITION}
        given = {f.name: f.type for f in rows.schema}
        if list(known) != list(given) or any(not _same_type(known[name], given[name]) for name in known):
            raise StoreError(
                "columns differ from the table's",
                where=str(self.folder),
                expected=", ".join(f"{name} {kind}" for name, kind in known.items()),
                found=", ".join(f"{name} {kind}" for name, kind in given.items()),
                next_step="a changed schema needs a new table: change the model's contract or definition",
            )

    def _write_file(self, partition: str, rows: pa.Table) -> Part:
        sink = pa.BufferOutputStream()
        pq.write_table(
            rows.replace_schema_metadata(None),
            sink,
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            write_page_checksum=True,
            store_schema=False,
        )
        data = sink.getvalue().to_pybytes()
        digest = hashlib.sha256(data).hexdigest()
        target = self.folder / f"{PARTITION}={partition}" / f"{digest}.parquet"
        if not create_exclusively(target, data):
            self._verify(target, digest)
        fsync_folder(self.folder)
        return Part(partition, digest, rows.num_rows)

    def _open_or_create(self, schema: pa.Schema) -> deltalake.DeltaTable:
        if (table := self._open()) is not None:
            return table
        full = deltalake.Schema.from_arrow(schema.append(pa.field(PARTITION, pa.string())).remove_metadata())
        try:
            made = deltalake.DeltaTable.create(self.folder, schema=full, mode="ignore", partition_by=[PARTITION])
            made.update_incremental()
        except (CommitFailedError, DeltaError, FileExistsError):
            if (table := self._open()) is None:
                raise
            return table  # another writer was first
        return made

    def _commit(self, table: deltalake.DeltaTable, path: str, part: Part) -> None:
        file = self.folder / path
        add = AddAction(
            path=path,
            size=file.stat().st_size,
            partition_values={PARTITION: part.partition},
            modification_time=int(file.stat().st_mtime * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": part.rows}),
        )
        table.create_write_transaction(
            [add],
            mode="overwrite",
            schema=table.schema(),
            partition_by=[PARTITION],
            partition_filters=[(PARTITION, "=", part.partition)],
            commit_properties=CommitProperties(
                custom_metadata={"incumbent": json.dumps({path: part.digest}, sort_keys=True)}, max_commit_retries=0
            ),
        )

    def _open(self) -> deltalake.DeltaTable | None:
        if not (self.folder / "_delta_log").is_dir():
            return None
        try:
            return deltalake.DeltaTable(self.folder)
        except DeltaError as error:
            if not any((self.folder / "_delta_log").glob("*.json")):
                return None
            raise StoreError(
                "table cannot be opened",
                where=str(self.folder),
                found=error,
                next_step="run `incumbent store check`; restore the table's _delta_log from a backup",
            ) from error

    @staticmethod
    def _adds(table: deltalake.DeltaTable) -> dict[str, list[Any]]:
        adds: dict[str, list[Any]] = pa.table(table.get_add_actions(flatten=True)).to_pydict()
        return adds

    def _parts(self, table: deltalake.DeltaTable) -> dict[str, Part]:
        adds = self._adds(table)
        parts = {}
        for path, rows, key in zip(adds["path"], adds["num_records"], adds[f"partition.{PARTITION}"], strict=True):
            parts[key] = Part(key, Path(path).stem, rows)
        return parts

    def _read_file(self, part: Part, columns: Sequence[str] | None) -> pa.Table:
        path = self.folder / f"{PARTITION}={part.partition}" / f"{part.digest}.parquet"
        self._verify(path, part.digest)
        chosen = None if columns is None else [name for name in columns if name != PARTITION]
        rows = pq.ParquetFile(path, page_checksum_verification=True).read(columns=chosen)
        if columns is None or PARTITION in columns:
            rows = rows.append_column(PARTITION, pa.array([part.partition] * rows.num_rows, pa.string()))
        return rows

    @staticmethod
    def _verify(path: Path, digest: str) -> None:
        if (str(path), digest) in _VERIFIED:
            return
        next_step = "restore the file from a backup; run `incumbent store check` to see what else is affected"
        try:
            with path.open("rb") as handle:
                found = hashlib.file_digest(handle, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise StoreError(
                "data file is missing", where=str(path), expected=f"SHA-256 {digest}", next_step=next_step
            ) from error
        if found != digest:
            raise StoreError(
                "data file has changed since it was committed",
                where=str(path),
                expected=f"SHA-256 {digest}",
                found=f"SHA-256 {found}",
                next_step=next_step,
            )
        _VERIFIED.add((str(path), digest))


def _same_type(known: pa.DataType, given: pa.DataType) -> bool:
    """Return whether Delta's type for a column is the one that Arrow type is stored as."""
    if pa.types.is_timestamp(known) and pa.types.is_timestamp(given):
        return bool(known.tz == given.tz)
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(test(known) for test in text):
        return any(test(given) for test in text)
    return bool(known == given)
