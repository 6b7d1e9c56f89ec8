"""Content-addressed files and the one way to create a file so that it is whole or absent."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from incumbent.errors import StoreError
from incumbent.records import digest_of


def create_exclusively(path: Path, data: bytes) -> bool:
    """Create a file with this content unless it exists; return whether this call made it.

    Write, fsync, `link(2)`, fsync the folder: a reader sees nothing or all of it, of two writers
    exactly one wins, and what was reported as written survives a power loss.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)
    return True


def fsync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Objects:
    """Files named by the SHA-256 of their content: model files, feature definitions, profiles."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Return where an object lies or would lie."""
        return self.root / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store bytes and return their digest; storing them again changes nothing."""
        digest = digest_of(data)
        create_exclusively(self.path(digest), data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return verified bytes.

        Raises:
            StoreError: The object is missing or its content has changed.
        """
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise StoreError(
                "object is missing",
                where=str(path),
                expected=f"a file with SHA-256 {digest}",
                next_step="restore it from a backup; run `incumbent store check` to see what else is affected",
            ) from error
        if (found := digest_of(data)) != digest:
            raise StoreError(
                "object has other content than its name says",
                where=str(path),
                expected=digest,
                found=found,
                next_step="restore it from a backup; run `incumbent store check` to see what else is affected",
            )
        return data

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).exists()
