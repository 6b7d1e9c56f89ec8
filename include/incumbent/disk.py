"""A full disk, told as what it is, whatever was being written: with room the same call goes through."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def need_room(folder: Path, needed: int, where: str, or_else: str) -> None:
    """Refuse to begin what cannot fit: a library that ends its process on a full disk says nothing of it.

    Args:
        folder: On the disk that is written to.
        needed: Bytes that are written at least.
        where: What is worked on, for the message.
        or_else: What to do about it, other than a larger disk.

    Raises:
        UnavailableError: The disk has less room.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UnavailableError(
            "a disk has too little room",
            where=f"{where}, in {folder}",
            expected=f"at least {needed / 1e6:,.0f} MB free",
            found=f"{free / 1e6:,.0f} MB",
            next_step=f"make room there, point TMPDIR at a larger disk, or {or_else}",
        )
