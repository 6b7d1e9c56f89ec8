"""Put-if-absent canonical JSON records, one file each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from incumbent.errors import RecordConflict, StoreError
from incumbent.records import Record, canonical_json
from incumbent.store.blobs import Blobs
from incumbent.store.crash_points import around

R = TypeVar("R", bound=Record)
PART = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.=-]{0,127}$")


class Records:
    """Records of one model: `<kind>/<name>.json`, written once, never changed.

    Args:
        blobs: Where they lie.
        what: What they are called at crash points.
    """

    def __init__(self, blobs: Blobs, what: str = "record") -> None:
        self.blobs = blobs
        self.what = what

    def where(self, kind: str, name: str) -> str:
        """Return the address of a record, for messages."""
        return f"{self.blobs.url}/{self.key(kind, name)}"

    @staticmethod
    def key(kind: str, name: str) -> str:
        """Return the blob of a record; a name may have parts divided by `/`."""
        for part in (kind, *name.split("/")):
            if not PART.match(part) or ".." in part:
                raise StoreError(
                    "not a record name",
                    where=f"{kind}/{name}",
                    expected=PART.pattern,
                    found=part,
                    next_step="name records by keys and digests",
                )
        return f"{kind}/{name}.json"

    def put(self, name: str, record: Record) -> bool:
        """Write a record unless the same one exists; return whether this call wrote it.

        Raises:
            RecordConflict: The name is taken by a record with other content.
        """
        return self.put_plain(record.kind, name, record.to_json())

    def put_plain(self, kind: str, name: str, plain: Mapping[str, Any]) -> bool:
        """Write a mapping as a record; see `put`."""
        key, data = self.key(kind, name), canonical_json(plain)
        with around(f"{self.what} {kind}"):
            if self.blobs.create(key, data):
                return True
        found = self.blobs.read(key)
        if found != data:
            raise RecordConflict(
                "another record holds this name",
                where=self.where(kind, name),
                expected=data.decode()[:300],
                found=found.decode(errors="replace")[:300],
                next_step="read the record that is there: it was first and it stands",
            )
        return False

    def claim(self, kind: str, name: str, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Write a mapping unless the name is taken, and return the record that stands."""
        try:
            self.put_plain(kind, name, plain)
        except RecordConflict:
            return self.get_plain(kind, name)
        return dict(plain)

    def get(self, kind: type[R], name: str) -> R:
        """Return a record.

        Raises:
            StoreError: There is none, or it is not JSON.
        """
        return kind.from_json(self.get_plain(kind.kind, name))

    def get_plain(self, kind: str, name: str) -> dict[str, Any]:
        """Return a record as a plain mapping; see `get`."""
        try:
            plain: dict[str, Any] = json.loads(self.blobs.read(self.key(kind, name)))
        except FileNotFoundError as error:
            where = self.where(kind, name)
            raise StoreError("record is missing", where=where, next_step="run `incumbent store check`") from error
        except ValueError as error:
            raise StoreError(
                "record is no JSON",
                where=self.where(kind, name),
                found=error,
                next_step="restore it from a backup; run `incumbent store check`",
            ) from error
        return plain

    def has(self, kind: str, name: str) -> bool:
        """Return whether a record exists."""
        return self.blobs.has(self.key(kind, name))

    def written(self, kind: str, name: str) -> datetime:
        """Return when a record was written, in UTC; for people and leases, never for a decision that is recorded."""
        return self.blobs.modified(self.key(kind, name))

    def remove(self, kind: str, name: str) -> None:
        """Take a record away: an intent, which ends when what it speaks of is on record, or one that names a person."""
        with around(f"removal of {self.what} {kind}"):
            self.blobs.remove(self.key(kind, name))

    def names(self, kind: str, prefix: str = "") -> list[str]:
        """Return the names of a kind's records in text order, below a folder prefix if given."""
        folder = "/".join([kind, *prefix.split("/")[:-1]])
        names = (key.partition("/")[2].removesuffix(".json") for key in self.blobs.names(folder))
        return sorted(name for name in names if name.startswith(prefix))

    def all(self, kind: type[R], prefix: str = "") -> list[R]:
        """Return a kind's records in name order."""
        return [self.get(kind, name) for name in self.names(kind.kind, prefix)]
