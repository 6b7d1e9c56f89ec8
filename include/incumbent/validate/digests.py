"""The digest of a dropped file, kept beside what its folder says of it: an unchanged file is read once.

A hint of this machine, for who looks for what is new. An ingest hashes what it copies, and never asks here.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from incumbent.store.place import Place, Status

SETTLED_NS = 2 * 10**9  # what changes again within the grain of a file system's clock looks unchanged


class Digests:
    """Digests by file, read from a file of this machine and written back when something is new.

    Args:
        file: Where they are kept; missing or damaged, everything is hashed again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known = _read(file)
        self._asked: dict[str, list[str]] = {}

    def sha256(self, path: Place, status: Status | os.stat_result) -> str:
        """Return a file's digest.

        Args:
            path: The file.
            status: What its folder says of it, asked for before.

        Raises:
            FileNotFoundError: It is gone.
        """
        mark = mark_of(status)
        known = self._known.get(str(path))
        if known is not None and known[0] == mark:
            digest = known[1]
        else:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        if isinstance(status, Status) or time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS:
            self._asked[str(path)] = [mark, digest]
        return digest

    def save(self) -> None:
        """Keep what was asked for; another process that does so at the same moment wins or loses as a whole."""
        kept = self._known | self._asked
        if kept == self._known:
            return
        written = self.file.with_name(f".{self.file.name}.{secrets.token_hex(4)}.tmp")
        with suppress(OSError):  # a hint: a full disk must not keep deliveries waiting
            self.file.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps(kept))
            written.replace(self.file)


def mark_of(status: Status | os.stat_result) -> str:
    """Return what changes when a file's content may have: a file that keeps its time still has a new change time."""
    if isinstance(status, Status):
        return f"{status.st_size}:{status.etag}"
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def _read(file: Path) -> dict[str, list[str]]:
    try:
        plain = json.loads(file.read_bytes())
        return {str(name): [str(mark), str(digest)] for name, (mark, digest) in plain.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
