"""What a table holds, version by version: the log that one commit at a time is appended to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from incumbent.records import Part

PARTITION = "partition"  # the column that a table is partitioned by


class LostRace(Exception):
    """Another writer committed first."""


@dataclass(frozen=True)
class Version:
    """A table as it was after one commit.

    Attributes:
        number: Version of the table.
        schema: Columns, the partition column among them.
        parts: Content of each partition.
    """

    number: int
    schema: pa.Schema
    parts: Mapping[str, Part]


class Log(ABC):
    """The log of one table."""

    @abstractmethod
    def newest(self) -> Version | None:
        """Return what the table holds now; None before it is made."""

    @abstractmethod
    def make(self, schema: pa.Schema) -> Version:
        """Make the table unless another writer did, and return what it holds."""

    @abstractmethod
    def commit(self, after: Version, part: Part, path: str, size: int) -> None:
        """Put a part in the place of its partition's content.

        Args:
            after: The version that the writer has seen; the commit follows it or fails.
            part: The new content.
            path: Its data file, below the table.
            size: Bytes of the file.

        Raises:
            LostRace: Another commit came first.
        """
