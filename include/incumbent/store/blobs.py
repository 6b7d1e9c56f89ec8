"""Bytes under names: the one interface between the store and where it lies.

Everything that the store promises rests on four properties, and every place must have them: what is created is
whole or absent; of many that create the same name exactly one wins; what is created is found by the next who
looks; and what was reported as created survives a power loss.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from incumbent.errors import StoreError

NEXT = "restore the file from a backup; run `incumbent store check` to see what else is affected"
_VERIFIED: set[tuple[str, str, str]] = set()


class Blobs(ABC):
    """Bytes under names such as `records/snapshots/2013-01.json`, created once and never changed.

    Attributes:
        url: Where it lies, for messages: a path, or `s3://bucket/prefix`.
    """

    url: str

    @abstractmethod
    def below(self, folder: str) -> Blobs:
        """Return the blobs whose names begin with a folder, under names without it."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Create a blob unless the name is taken; return whether this call did it."""

    @abstractmethod
    def create_from(self, name: str, file: Path) -> bool:
        """Create a blob that is named by its content from a file in the staging folder, which is gone afterwards."""

    def environment(self) -> dict[str, str]:
        """Return what another process has to find in its environment to reach this place; secrets may be among it."""
        return {}

    def staging(self) -> Path:
        """Return a local folder for files that will be given to `create_from`."""
        return Path(tempfile.gettempdir())

    def clear_staging(self, before: datetime) -> None:  # noqa: B027 (a place without a staging folder has nothing to do)
        """Remove what killed processes left in a staging folder of this place before a moment."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a blob.

        Raises:
            FileNotFoundError: There is none.
        """

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether a blob exists."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return a blob's bytes; raises FileNotFoundError."""

    @abstractmethod
    def modified(self, name: str) -> datetime:
        """Return when a blob was created, in UTC; raises FileNotFoundError."""

    @abstractmethod
    def sha256(self, name: str) -> str:
        """Return the digest of what a blob holds now, in hexadecimal; raises FileNotFoundError."""

    @abstractmethod
    def open(self, name: str) -> pa.NativeFile:
        """Return a blob as a file to read from, at any place; raises FileNotFoundError."""

    def open_verified(self, name: str, digest: str) -> pa.NativeFile:
        """Return a blob whose content has this SHA-256, as a file; it is hashed once per process.

        Raises:
            StoreError: There is none, or it has changed.
        """
        if (self.url, name, digest) not in _VERIFIED:
            try:
                self.check(name, digest, self.sha256(name))
            except FileNotFoundError as error:
                raise self.missing(name, digest) from error
            _VERIFIED.add((self.url, name, digest))
        try:
            return self.open(name)
        except FileNotFoundError as error:
            raise self.missing(name, digest) from error

    def place(self, name: str, digest: str, file: Path) -> None:
        """Put a blob whose content has this SHA-256 where programs that open files by name find it.

        It is hashed each time: such a program does not look at page checksums.

        Raises:
            StoreError: There is none, or it has changed.
        """
        with self.open_verified(name, digest) as source, file.open("wb") as target:
            shutil.copyfileobj(source, target)

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Return the names of all blobs in a folder and its folders, in text order."""

    @abstractmethod
    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders right below a folder, in text order."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a blob; a missing one is no error."""

    def missing(self, name: str, digest: str) -> StoreError:
        """Return the error of a blob that is gone."""
        return StoreError(
            "data file is missing",
            where=f"{self.url}/{name}",
            expected=f"SHA-256 {digest}",
            next_step="if `incumbent store check` finds nothing, it was removed on purpose: work with what is there "
            f"now; else {NEXT}",
        )

    def check(self, name: str, digest: str, found: str) -> None:
        """Raise StoreError unless two digests are the same."""
        if found != digest:
            raise StoreError(
                "data file has changed since it was committed",
                where=f"{self.url}/{name}",
                expected=f"SHA-256 {digest}",
                found=f"SHA-256 {found}",
                next_step=NEXT,
            )


class DeltaBlobs(Blobs):
    """Blobs in a place that Delta Lake reaches by itself."""

    @abstractmethod
    def delta(self) -> tuple[str, dict[str, str]]:
        """Return the address and the options under which Delta Lake finds this place."""
