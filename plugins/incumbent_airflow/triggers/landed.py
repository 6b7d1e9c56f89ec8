"""Watch folders for files that are new or have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

CURSOR = "seen"


class LandedTrigger(BaseEventTrigger):
    """Fire once for each set of files that appeared or changed since the last look.

    What was seen is kept in the asset's state store, so a restarted triggerer does not fire for
    old files again. A file that is still being written must have another name (`*.tmp`): the
    patterns do not match it. Consumers look for themselves at what is new; the event only says
    that it is worth looking, so an event that comes twice or late does no harm.

    :param model: Model name; part of the trigger's identity.
    :param patterns: Absolute glob patterns.
    :param poll_s: Seconds between two looks.
    """

    def __init__(self, model: str, patterns: list[str], poll_s: float = 2.0) -> None:
        super().__init__()
        self.model = model
        self.patterns = patterns
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger in another process."""
        return (
            "incumbent_airflow.triggers.landed.LandedTrigger",
            {"model": self.model, "patterns": self.patterns, "poll_s": self.poll_s},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event with the names of new files, for ever."""
        cursor = self.asset_state_store
        seen: dict[str, str] = (await cursor.aget(CURSOR, default={})) if cursor is not None else {}
        while True:
            now = await asyncio.to_thread(look, self.patterns)
            new = sorted(path for path, mark in now.items() if seen.get(path) != mark)
            if new:
                yield TriggerEvent({"model": self.model, "files": [Path(path).name for path in new][:20]})
            if now != seen:
                seen = now
                if cursor is not None:
                    await cursor.aset(CURSOR, seen)
            await asyncio.sleep(self.poll_s)


def look(patterns: list[str]) -> dict[str, str]:
    """Return the files that match, each with a mark that changes when its content may have changed."""
    found = {}
    for pattern in patterns:
        anchor, relative = split_pattern(pattern)
        for path in anchor.glob(relative):
            try:
                status = path.stat()
            except FileNotFoundError:  # replaced between listing and looking; the next look sees it
                continue
            found[str(path)] = f"{status.st_size}:{status.st_mtime_ns}"
    return found


def split_pattern(pattern: str) -> tuple[Path, str]:
    """Return the folder before the first wildcard, and the rest as a relative pattern.

    >>> split_pattern("/raw/flights/*.parquet")
    (PosixPath('/raw/flights'), '*.parquet')
    """
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if "*" in part or "?" in part), len(parts) - 1)
    return Path(*parts[:fixed]), str(Path(*parts[fixed:]))
