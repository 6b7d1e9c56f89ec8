"""What was taken away on purpose: one record for each content, written before its file goes.

Without such a record a missing file is a broken promise. A content that rows were erased from has a successor,
and whoever looks for the one finds the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from incumbent.records import Part, Record
from incumbent.store.records import Records

RETENTION, ERASURE = "retention", "erasure"
OBJECTS = "objects"  # in the place of a table: a stopped delivery, corrected rows, the results of expectations


@dataclass(frozen=True)
class Removal(Record):
    """One content that is no longer kept.

    Attributes:
        table: Table that held it, or `objects`.
        partition: Partition key; empty for an object.
        digest: SHA-256 of its file.
        rows: Rows it had; 0 for an object.
        why: `retention` or `erasure`.
        successor: Digest of the same content without the rows that were erased; empty if none is kept.
        left: Rows of the successor.
        deliveries: Of quarantine: digest of a delivery to the entries that the successor still has of it.
        erasure: Id of the erasure; empty for retention.
    """

    kind: ClassVar[str] = "removals"

    table: str
    partition: str
    digest: str
    rows: int
    why: str
    successor: str = ""
    left: int = 0
    deliveries: Mapping[str, int] = field(default_factory=dict)
    erasure: str = ""

    @property
    def name(self) -> str:
        """Name of the record."""
        return _name(self.why, self.table, self.partition, self.digest)


def removal_of(
    records: Records, table: str, partition: str, digest: str, whys: Iterable[str] = (ERASURE, RETENTION)
) -> Removal | None:
    """Return the record that a content was removed by, or None."""
    for why in whys:
        name = _name(why, table, partition, digest)
        if records.has(Removal.kind, name) and (found := records.get(Removal, name)).digest == digest:
            return found
    return None


def chain(records: Records, table: str, part: Part) -> list[Part]:
    """Return a content and what was left of it after each erasure, in order."""
    found = [part]
    while (removal := removal_of(records, table, part.partition, found[-1].digest, [ERASURE])) and removal.successor:
        found.append(Part(part.partition, removal.successor, removal.left))
    return found


def kept(records: Records, table: str, part: Part) -> Part:
    """Return what stands for a content after erasures: itself, or what was left of it."""
    return chain(records, table, part)[-1]


def _name(why: str, table: str, partition: str, digest: str) -> str:
    return "/".join(filter(None, (why, table, partition, digest[:16])))
