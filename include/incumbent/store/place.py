"""A file that somebody drops: on a local folder a path, in a bucket a name with as much of a path as is needed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from incumbent.store.s3 import S3Blobs


@dataclass(frozen=True)
class Status:
    """What S3 says of an object.

    Attributes:
        st_size: Bytes.
        st_mtime_ns: When it was put there.
        etag: Changes with the content.
    """

    st_size: int
    st_mtime_ns: int
    etag: str


class ObjectPath:
    """A name in a bucket, under the methods of `pathlib.Path` that a drop folder is read with.

    Args:
        blobs: The bucket and the prefix of the drop folder.
        key: Name below it; empty for the folder itself.
    """

    def __init__(self, blobs: S3Blobs, key: str = "") -> None:
        self.blobs = blobs
        self.key = key

    def __str__(self) -> str:
        return f"{self.blobs.url}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.blobs, f"{self.key}/{name}".lstrip("/"))

    @property
    def name(self) -> str:
        """The part after the last slash."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """The ending of the name, such as `.csv`."""
        return PurePosixPath(self.key).suffix

    def is_file(self) -> bool:
        """Return whether there is such an object."""
        return self.blobs.has(self.key)

    def exists(self) -> bool:
        """Return whether there is such an object, or one below it."""
        return self.is_file() or bool(self.blobs.listed(f"{self.key}/"))

    def stat(self) -> Status:
        """Return its size and when it was put there; raises FileNotFoundError."""
        return self.blobs.status(self.key)

    def open(self, mode: str) -> IO[bytes]:
        """Return the object as it is now, as a file to be read once; raises FileNotFoundError."""
        if mode != "rb":
            raise ValueError(f"an object is read as bytes, not {mode!r}")
        chunks = self.blobs.stream(self.key)
        first = next(chunks, b"")  # asked for here, so that a missing object is found out where it is opened
        return io.BufferedReader(_Chunks(first, chunks))

    def put(self, file: Path) -> None:
        """Take the place of this object with a local file, in one step."""
        self.blobs.replace_from(self.key, file)


Place = Path | ObjectPath


def files_at(top: Place, pattern: str) -> dict[str, tuple[Place, Status | None]]:
    """Return the files below a folder whose names match, by name in text order, with what the listing said of each.

    Args:
        top: The drop folder.
        pattern: Relative; `*` stands for anything but a slash.
    """
    if isinstance(top, Path):
        found = sorted(path for path in top.glob(pattern) if path.is_file())
        return {path.relative_to(top).as_posix(): (path, None) for path in found}
    named = re.compile("[^/]*".join(re.escape(part) for part in pattern.split("*")))
    listed = top.blobs.listed(f"{top.key}/{pattern.partition('*')[0]}".lstrip("/"))
    below = {key.removeprefix(f"{top.key}/"): (ObjectPath(top.blobs, key), each) for key, each in listed.items()}
    return {name: below[name] for name in sorted(below) if named.fullmatch(name)}


class _Chunks(io.RawIOBase):
    """Chunks as a raw file."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._left = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left:
            try:
                self._left = next(self._rest)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
