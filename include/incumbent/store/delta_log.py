"""The log of a table as Delta Lake keeps it, on a local folder or on S3."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from threading import Lock
from typing import Any

import deltalake
import pyarrow as pa
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, PostCommitHookProperties
from typing_extensions import override

from incumbent.errors import StoreError
from incumbent.records import Part
from incumbent.store.blobs import DeltaBlobs
from incumbent.store.log import PARTITION, Log, LostRace, Moment, Version

FOLDER = "_delta_log"
_LOST = (CommitFailedError, DeltaError, FileExistsError)
# Delta cleans entries of 30 days away with every checkpoint, and what a table held then is not known any more.
KEPT = {"delta.enableExpiredLogCleanup": "false", "delta.logRetentionDuration": "interval 36500 days"}


class DeltaLog(Log):
    """A Delta table's transaction log.

    Args:
        blobs: The table's folder.
    """

    def __init__(self, blobs: DeltaBlobs) -> None:
        self.blobs = blobs
        self._table: deltalake.DeltaTable | None = None  # to read what is new takes a tenth of opening it again
        self._turn = Lock()

    @override
    def newest(self) -> Version | None:
        with self._turn:
            if self._table is not None:
                try:
                    self._table.update_incremental()
                except (TableNotFoundError, DeltaError, OSError):  # it was taken away, or put back from a backup
                    self._table = None
            self._table = self._table or self._open()
            return None if self._table is None else _version(self._table)

    @override
    def make(self, schema: pa.Schema) -> Version:
        address, options = self.blobs.delta()
        full = deltalake.Schema.from_arrow(schema)
        try:
            table = deltalake.DeltaTable.create(
                address,
                schema=full,
                mode="ignore",
                partition_by=[PARTITION],
                storage_options=options,
                configuration=KEPT,
            )
            table.update_incremental()
        except _LOST:
            if (newest := self.newest()) is None:
                raise
            return newest  # another writer was first
        return _version(table)

    @override
    def widen(self, after: Version, fields: Sequence[pa.Field]) -> None:
        with self._turn:
            table, self._table = self._table or self._open(), None
            if table is None or table.version() != after.number:
                raise LostRace
            try:
                table.alter.add_columns(
                    list(deltalake.Schema.from_arrow(pa.schema(fields)).fields),
                    commit_properties=CommitProperties(max_commit_retries=0),
                    post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
                )
            except _LOST as error:
                raise LostRace(str(error)) from error

    @override
    def commit(self, after: Version, part: Part, path: str, size: int) -> None:
        add = AddAction(
            path=path,
            size=size,
            partition_values={PARTITION: part.partition},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": part.rows}),
        )
        with self._turn:
            table, self._table = self._table or self._open(), None  # what it holds after a lost race is not known
            if table is None or table.version() != after.number:
                raise LostRace
            try:
                table.create_write_transaction(
                    [add],
                    mode="overwrite",
                    schema=table.schema(),
                    partition_by=[PARTITION],
                    partition_filters=[(PARTITION, "=", part.partition)],
                    commit_properties=CommitProperties(
                        custom_metadata={"incumbent": json.dumps({path: part.digest}, sort_keys=True)},
                        max_commit_retries=0,
                    ),
                    post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
                )
            except _LOST as error:
                raise LostRace(str(error)) from error
            self._table = table

    @override
    def moments(self) -> list[Moment]:
        table = self._open()
        commits = [] if table is None else table.history()
        # Of the commits themselves: a folder that was copied or restored has files of another time.
        found = [
            Moment(each["version"], datetime.fromtimestamp(each["timestamp"] / 1000, UTC), *_brought(each))
            for each in commits
        ]
        return sorted(found, key=lambda each: each.number)

    @override
    def version(self, number: int) -> Version:
        table = self._open(number)
        if table is None:
            raise StoreError(
                "table has no log", where=self.blobs.url, expected=f"version {number}", found="none",
                next_step="run `incumbent store check`; restore the table's _delta_log from a backup",
            )  # fmt: skip
        return _version(table)

    def _open(self, number: int | None = None) -> deltalake.DeltaTable | None:
        address, options = self.blobs.delta()
        for again in (False, True):
            try:
                return deltalake.DeltaTable(address, version=number, storage_options=options)
            except (TableNotFoundError, DeltaError) as error:
                if not any(name.endswith(".json") for name in self.blobs.names(FOLDER)):
                    return None
                if again:  # else it may have been made since it was looked for
                    raise StoreError(
                        "table cannot be opened",
                        where=self.blobs.url,
                        found=str(error),
                        next_step="run `incumbent store check`; restore the table's _delta_log from a backup",
                    ) from error
        raise AssertionError("unreachable")


def _brought(commit: dict[str, Any]) -> tuple[str, str]:
    """Return the partition and the content that a commit says it brought; nothing if it says none."""
    for path, digest in json.loads(commit.get("incumbent", "{}")).items():
        return str(path).partition("/")[0].removeprefix(f"{PARTITION}="), str(digest)
    return "", ""


def _version(table: deltalake.DeltaTable) -> Version:
    adds: dict[str, list[Any]] = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    parts = {
        key: Part(key, PurePosixPath(path).stem, rows)
        for path, rows, key in zip(adds["path"], adds["num_records"], adds[f"partition.{PARTITION}"], strict=True)
    }
    return Version(table.version(), pa.schema(table.schema().to_arrow()), dict(sorted(parts.items())))
