"""Blobs in a folder of this machine, or of a file system that honours `link` and `fsync`."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from typing_extensions import override

from incumbent.store.blobs import DeltaBlobs

STAGING = ".staging"


class LocalBlobs(DeltaBlobs):
    """A folder; it is made by the first write. Files whose name begins with a dot are not blobs yet."""

    def __init__(self, folder: Path | str, staging: Path | None = None) -> None:
        self.folder = Path(folder)
        self.url = str(self.folder)
        self._staging = staging or self.folder / STAGING

    @override
    def below(self, folder: str) -> LocalBlobs:
        return LocalBlobs(self.folder / folder, self._staging)

    @override
    def create(self, name: str, data: bytes) -> bool:
        """Create a file: write, fsync, `link(2)`, fsync the folder.

        A reader sees nothing or all of it, of two writers exactly one wins, and what was reported as written
        survives a power loss.
        """
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb") as handle:
                handle.write(data)
            return _link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @override
    def create_from(self, name: str, file: Path) -> bool:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _link(file, path)
        finally:
            file.unlink(missing_ok=True)

    @override
    def staging(self) -> Path:
        # On the same file system: what is linked into its place is not copied.
        self._staging.mkdir(parents=True, exist_ok=True)
        return self._staging

    @override
    def clear_staging(self, before: datetime) -> None:
        left = [*self._staging.glob("*"), *self.folder.rglob(".*.tmp")]
        for file in left:
            with suppress(FileNotFoundError):
                if file.is_file() and file.stat().st_mtime < before.timestamp():
                    file.unlink()

    def path(self, name: str) -> Path:
        """Return where a blob lies or would lie."""
        return self.folder / name

    @override
    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    @override
    def has(self, name: str) -> bool:
        return self.path(name).is_file()

    @override
    def size(self, name: str) -> int:
        return self.path(name).stat().st_size

    @override
    def modified(self, name: str) -> datetime:
        return datetime.fromtimestamp(self.path(name).stat().st_mtime, UTC)

    @override
    def sha256(self, name: str) -> str:
        with self.path(name).open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()

    @override
    def open(self, name: str) -> pa.NativeFile:
        return pa.OSFile(str(self.path(name)), "rb")

    @override
    def place(self, name: str, digest: str, file: Path) -> None:
        try:
            self.check(name, digest, self.sha256(name))
        except FileNotFoundError as error:
            raise self.missing(name, digest) from error
        file.symlink_to(self.path(name).resolve())

    @override
    def names(self, folder: str = "") -> list[str]:
        top = self.path(folder)
        found = []
        for below, folders, files in os.walk(top):
            folders[:] = [each for each in folders if not each.startswith(".")]
            inside = Path(below).relative_to(self.folder).as_posix()
            found += [each if inside == "." else f"{inside}/{each}" for each in files if not each.startswith(".")]
        return sorted(found)

    @override
    def folders(self, folder: str = "") -> list[str]:
        top = self.path(folder)
        if not top.is_dir():
            return []
        return sorted(each.name for each in os.scandir(top) if each.is_dir() and not each.name.startswith("."))

    @override
    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    @override
    def delta(self) -> tuple[str, dict[str, str]]:
        return str(self.folder), {}


def _link(file: Path, path: Path) -> bool:
    """Give a written file its name, durably, unless the name is taken."""
    _fsync(file)
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    _fsync(path.parent)
    return True


def _fsync(path: Path) -> None:
    """Make a file's content, or a folder's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
