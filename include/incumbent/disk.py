"""A full disk, told as what it is, whatever was being written: with room the same call goes through."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from incumbent.errors import UnavailableError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_on_disk(store: str) -> Iterator[None]:
    """Tell a disk that is full from whatever else goes wrong with a file.

    Args:
        store: Address of the store; what is not written into it is written into the temporary folder.

    Raises:
        UnavailableError: A file could not be written for want of room, or beyond a quota.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UnavailableError(
            "a disk is full",
            where=str(error.filename or f"{store}, or the temporary folder {tempfile.gettempdir()}"),
            expected="room to write",
            found=error.strerror,
            next_step="make room there; what is done stands, and the next try goes on from it",
        ) from error
