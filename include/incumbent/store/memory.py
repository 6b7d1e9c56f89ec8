"""Blobs in this process: the deterministic stand-in for thousands of small tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Lock

import pyarrow as pa
from typing_extensions import override

from incumbent.store.blobs import Blobs

_LOCK = Lock()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # no clock: the same calls leave the same store


class MemoryBlobs(Blobs):
    """A mapping from names to bytes; views of it share it."""

    def __init__(
        self, held: dict[str, bytes] | None = None, prefix: str = "", ticks: Iterator[int] | None = None
    ) -> None:
        self.held: dict[str, bytes] = {} if held is None else held
        self.prefix = prefix
        self.ticks = count(1) if ticks is None else ticks
        self.url = f"memory://{id(self.held)}/{prefix}"

    @override
    def below(self, folder: str) -> MemoryBlobs:
        return MemoryBlobs(self.held, f"{self.prefix}{folder}/", self.ticks)

    def now(self) -> datetime:
        """Return the time of this place: a second passes with each question."""
        return EPOCH + timedelta(seconds=next(self.ticks))

    @override
    def create(self, name: str, data: bytes) -> bool:
        with _LOCK:
            if self.has(name):
                return False
            self.held[self.prefix + name] = data
            return True

    @override
    def create_from(self, name: str, file: Path) -> bool:
        try:
            return self.create(name, file.read_bytes())
        finally:
            file.unlink(missing_ok=True)

    @override
    def read(self, name: str) -> bytes:
        try:
            return self.held[self.prefix + name]
        except KeyError as error:
            raise FileNotFoundError(f"{self.url}{name}") from error

    @override
    def has(self, name: str) -> bool:
        return self.prefix + name in self.held

    @override
    def size(self, name: str) -> int:
        return len(self.read(name))

    @override
    def modified(self, name: str) -> datetime:
        self.read(name)
        return EPOCH

    @override
    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.read(name)).hexdigest()

    @override
    def open(self, name: str) -> pa.NativeFile:
        return pa.BufferReader(self.read(name))

    @override
    def names(self, folder: str = "") -> list[str]:
        top = self.prefix + (f"{folder}/" if folder else "")
        return sorted(name.removeprefix(self.prefix) for name in self.held if name.startswith(top))

    @override
    def folders(self, folder: str = "") -> list[str]:
        top = f"{folder}/" if folder else ""
        below = (name.removeprefix(top) for name in self.names(folder))
        return sorted({name.partition("/")[0] for name in below if "/" in name})

    @override
    def remove(self, name: str) -> None:
        self.held.pop(self.prefix + name, None)
