"""What a table holds, version by version: the log that one commit at a time is appended to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True)
class Moment:
    """When a version of a table was committed, in UTC, and what it brought.

    Attributes:
        number: Version of the table.
        at: When it was committed.
        partition: Partition whose content it replaced; empty of the making of the table.
        digest: The new content.
    """

    number: int
    at: datetime
    partition: str = ""
    digest: str = ""


class Log(ABC):
    """The log of one table, from its making on: no entry is ever cleaned away."""

    @abstractmethod
    def newest(self) -> Version | None:
        """Return what the table holds now; None before it is made."""

    @abstractmethod
    def make(self, schema: pa.Schema) -> Version:
        """Make the table unless another writer did, and return what it holds."""

    @abstractmethod
    def widen(self, after: Version, fields: Sequence[pa.Field]) -> None:
        """Add columns behind the others, null in what the table holds.

        Raises:
            LostRace: Another commit came first.
        """

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

    @abstractmethod
    def moments(self) -> list[Moment]:
        """Return when each version was committed, in version order; none before the table is made."""

    @abstractmethod
    def version(self, number: int) -> Version:
        """Return what the table held after one of its commits."""

    def known_at(self, moment: datetime) -> Version | None:
        """Return what the table held at a moment; None if it was not made yet.

        Clocks of writers differ: what follows a commit in the log was not known before it.
        """
        number = -1
        for found in self.moments():
            if found.at > moment:
                break
            number = found.number
        return None if number < 0 else self.version(number)

    def held_since(self, moment: datetime) -> set[Part]:
        """Return every content that the table held at a moment or at any time after it."""
        then = self.known_at(moment)
        first = -1 if then is None else then.number
        later = [self.version(found.number) for found in self.moments() if found.number > first]
        versions = later if then is None else [then, *later]
        return {part for version in versions for part in version.parts.values()}
