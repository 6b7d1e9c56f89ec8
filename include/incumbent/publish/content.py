"""What is published, what stands there, and which of the two is newer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from incumbent.errors import ConfigError, StoreError
from incumbent.records import Part
from incumbent.store import ModelStore, Table
from incumbent.store.log import PARTITION

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Held:
    """What a place says of the content that stands there for a partition.

    Attributes:
        model: Whose it is.
        digest: Its digest; empty before the first.
        number: Version of the predictions table that it was read at; -1 before the first.
    """

    model: str
    digest: str
    number: int


@dataclass(frozen=True)
class Content:
    """A partition's predictions as the table held them at one version.

    Attributes:
        model: Model name.
        table: The predictions table.
        part: The content.
        number: That version. The log has one order: of two contents the one with the larger number is newer.
        schema: Its columns, without the partition's.
    """

    model: str
    table: Table
    part: Part
    number: int
    schema: pa.Schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, verified, never more of them than one batch at a time."""
        yield from self.table.batches(self.part, BATCH_ROWS)

    def is_current(self) -> bool:
        """Return whether the table still holds it."""
        return self.table.part(self.part.partition) == self.part


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        partition: Partition key.
        digest: Content that this publication was of.
        number: Version of the predictions table that it was read at.
        rows: Its rows.
        changed: Whether readers see other rows than before.
        is_there: Whether it stands there now; not if a newer one does, or is about to.
    """

    partition: str
    digest: str
    number: int
    rows: int
    changed: bool
    is_there: bool

    @property
    def message(self) -> str:
        """One sentence for a person."""
        if not self.is_there:
            return f"{self.partition} was scored again meanwhile: what stands there is newer, or will be."
        return f"{self.rows} rows of {self.partition} {'published' if self.changed else 'are there already'}."


def content_of(store: ModelStore, partition: str) -> Content | None:
    """Return what the predictions table holds of a partition now; None if it was never scored."""
    newest = store.predictions.log.newest()
    if newest is None or partition not in newest.parts:
        return None
    schema = pa.schema([field for field in newest.schema if field.name != PARTITION])
    return Content(store.name, store.predictions, newest.parts[partition], newest.number, schema)


def outcome(content: Content, *, changed: bool = False, is_there: bool = True) -> Published:
    """Return what a publication of a content did."""
    part = content.part
    return Published(part.partition, part.digest, content.number, part.rows, changed, is_there)


def is_newer(held: Held, content: Content, where: str) -> bool:
    """Return whether another content stands there that is newer.

    Raises:
        ConfigError: It is another model's.
        StoreError: It is newer than all that the store knows.
    """
    if held.model != content.model:
        raise ConfigError(
            "the place holds the predictions of another model",
            where=where,
            expected=f"those of {content.model}",
            found=f"those of {held.model}",
            next_step="give each model a table or a folder of its own: correct `publish` in model.yaml",
        )
    if held.digest == content.part.digest or held.number <= content.number:
        return False
    newest = content.table.log.newest()
    if newest is None or newest.number < held.number:
        raise StoreError(
            "the place holds a content that is newer than the store",
            where=where,
            expected=f"at most version {-1 if newest is None else newest.number} of the predictions table",
            found=f"version {held.number}",
            next_step="if the store was put back from a backup, delete what the place says of this partition (see "
            "docs/publishing.md) and run the task again; else look who else publishes there",
        )
    return True
