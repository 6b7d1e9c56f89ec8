"""Content-addressed blobs: model files, feature definitions, profiles."""

from __future__ import annotations

from pathlib import Path

from incumbent.errors import StoreError
from incumbent.records import digest_of
from incumbent.store.blobs import Blobs
from incumbent.store.crash_points import around

NEXT = "restore it from a backup; run `incumbent store check` to see what else is affected"


class Objects:
    """Blobs named by the SHA-256 of their content."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs

    @staticmethod
    def key(digest: str) -> str:
        """Return the blob that holds an object or would hold it."""
        return f"{digest[:2]}/{digest}"

    def put(self, data: bytes) -> str:
        """Store bytes and return their digest; storing them again changes nothing."""
        digest = digest_of(data)
        with around("object"):
            self.blobs.create(self.key(digest), data)
        return digest

    def put_file(self, file: Path, digest: str) -> None:
        """Store a file of the staging folder under the digest of its content; it is gone afterwards."""
        with around("object"):
            self.blobs.create_from(self.key(digest), file)

    def get(self, digest: str) -> bytes:
        """Return verified bytes.

        Raises:
            StoreError: The object is missing or its content has changed.
        """
        where = f"{self.blobs.url}/{self.key(digest)}"
        try:
            data = self.blobs.read(self.key(digest))
        except FileNotFoundError as error:
            raise StoreError(
                "object is missing", where=where, expected=f"a file with SHA-256 {digest}", next_step=NEXT
            ) from error
        if (found := digest_of(data)) != digest:
            raise StoreError(
                "object has other content than its name says",
                where=where,
                expected=digest,
                found=found,
                next_step=NEXT,
            )
        return data

    def remove(self, digest: str) -> None:
        """Take an object away, for good; whoever asks has written down why. A missing one is no error."""
        if digest in self:
            with around("removal of object"):
                self.blobs.remove(self.key(digest))

    def __contains__(self, digest: str) -> bool:
        return self.blobs.has(self.key(digest))
