"""The log of a table as numbered blobs: the stand-in where Delta Lake does not reach."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from typing_extensions import override

from incumbent.records import Part, canonical_json
from incumbent.store.log import Log, LostRace, Moment, Version
from incumbent.store.memory import MemoryBlobs

FOLDER = "_delta_log"


class MemoryLog(Log):
    """One blob a version, each with all that the table holds.

    Args:
        blobs: The table's folder.
    """

    def __init__(self, blobs: MemoryBlobs) -> None:
        self.blobs = blobs

    @override
    def newest(self) -> Version | None:
        names = self.blobs.names(FOLDER)
        if not names:
            return None
        return _version(json.loads(self.blobs.read(names[-1])))

    @override
    def make(self, schema: pa.Schema) -> Version:
        made = Version(0, schema, {})
        return made if self._write(made) else self.newest() or made

    @override
    def widen(self, after: Version, fields: Sequence[pa.Field]) -> None:
        wider = pa.schema([*after.schema, *fields])
        if not self._write(Version(after.number + 1, wider, after.parts)):
            raise LostRace

    @override
    def commit(self, after: Version, part: Part, path: str, size: int) -> None:
        parts = dict(sorted(({**after.parts, part.partition: part}).items()))
        if not self._write(Version(after.number + 1, after.schema, parts)):
            raise LostRace

    @override
    def moments(self) -> list[Moment]:
        found, before = list[Moment](), dict[str, Any]()
        for name in self.blobs.names(FOLDER):
            plain = json.loads(self.blobs.read(name))
            brought = [(key, part[0]) for key, part in plain["parts"].items() if before.get(key) != part]
            at = datetime.fromisoformat(plain["at"])
            found.append(Moment(plain["number"], at, *(brought[0] if brought else ("", ""))))
            before = plain["parts"]
        return found

    @override
    def version(self, number: int) -> Version:
        return _version(json.loads(self.blobs.read(_name(number))))

    def _write(self, version: Version) -> bool:
        plain = {
            "number": version.number,
            "at": self.blobs.now().isoformat(),
            "schema": base64.b64encode(version.schema.serialize()).decode(),
            "parts": {key: [part.digest, part.rows] for key, part in version.parts.items()},
        }
        return self.blobs.create(_name(version.number), canonical_json(plain))


def _name(number: int) -> str:
    return f"{FOLDER}/{number:020d}.json"


def _version(plain: dict[str, Any]) -> Version:
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(plain["schema"])))
    return Version(plain["number"], schema, {key: Part(key, *found) for key, found in plain["parts"].items()})
