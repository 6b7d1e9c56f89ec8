"""Keys that were erased: kept as pseudonyms, so that rows which are delivered again are known and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from incumbent.records import Record
from incumbent.store.blobs import Blobs
from incumbent.store.records import Records
from incumbent.store.salt import pseudonyms_of_keys

OPEN, DONE = "open", "done"


@dataclass(frozen=True)
class Erasure(Record):
    """A key that was erased, without its values.

    Attributes:
        columns: Columns of the key, in name order.
        pseudonym: What stands for its values in this store.
        reason: Why, in the words of the person who asked.
    """

    kind: ClassVar[str] = "erasures"

    columns: tuple[str, ...]
    pseudonym: str
    reason: str


def erasures(records: Records) -> dict[tuple[str, ...], set[str]]:
    """Return the pseudonyms of erased keys by their columns."""
    found: dict[tuple[str, ...], set[str]] = {}
    for name in records.names(Erasure.kind):
        if name.endswith(f"/{OPEN}"):
            erasure = records.get(Erasure, name)
            found.setdefault(tuple(erasure.columns), set()).add(erasure.pseudonym)
    return found


def pseudonyms_of(blobs: Blobs, keys: pa.Table, columns: Sequence[str]) -> list[str]:
    """Return the pseudonym of each row's key; values count by their text."""
    texts = [keys[name].cast(pa.string()).to_pylist() for name in columns]
    return pseudonyms_of_keys(blobs, list(zip(*texts, strict=True)))
